'''Operators of a transformer on a rectangle of PEs: what they share, and how a program is made of them.

This page is the convention that all modules of the package keep.  `Region` (region.py) is a rectangle under construction;
an operator is a Python function that adds itself to a region:

    region.py      Region: arrays, code, subroutines, colors, queues, roles of PEs
    policy.py      Policy: storage, sums, reductions, softmax, and the instructions they stand for
    layout.py      activations [tokens, features] <-> tiles of PEs
    streams.py     what enters and leaves by the north edge: packing weights, unpacking gradients
    ring.py        row collectives: reduce-scatter, all-gather, all-reduce of short vectors
    linear.py      y = W x + b, its input gradient and its weight gradient
    parameters.py  vectors from the edge into memory (gains, biases), gradients of vectors to the edge
    embedding.py   rows of a table by ids, positions, and their gradients
    norm, gelu, silu, softmax, attention, rotary, residual, loss    what lies between

Layout.  A region has W x H PEs.  An activation of f features has on each PE a tile [fx][t], fx = ceil(f / W), tokens
contiguous: PE (x, y) holds features x fx .. x fx + fx - 1 of tokens y t .. y t + t - 1; features beyond f are zero, and
every operator leaves zeros there.  Elements have the policy's storage type.

A program.  All PEs of a region run one code; classes differ only in what their descriptors and queues mean (a
neighbor's color, a row of zeros in the place of a neighbor that is not there).  So code is one text for all:

    region = Region(program, policy, tokens=t)            # a rectangle; default: all of the program
    x = region.activation("x", 32)                        # array "x" [fx, t] in each PE
    y = region.activation("y", 128)
    with region.task("step", 8):                          # a local task: `step:`, `mov r0, 0` ... `done`
        weights = linear.forward(region, x, y, bias=True) # adds a call here; a Stream: how to pack W, b for the edge
        dx = ...
    region.finish()                                       # code to classes; then the program is whole
    fabric = Fabric(program)
    layout.write(fabric, x, values)                       # float [H t, 32]
    region.feed(fabric, {weights: {"weight": W, "bias": b}})  # what `step` takes at the north edge, in its order
    fabric.launch("step"); fabric.run()
    layout.read(fabric, y)                                # float32 [H t, 128]

An operator function emits its subroutine with `region.subroutine(name, text)`, which keeps it once per name (asking
again with another text is an error), and its call with `region.code(text)`: `mov` operands, `call name`.  One subroutine
serves all layers, and where it can all shapes.  Operands are addresses and counts in r16..r25; an array that stays with
the operator (work space) is declared with `region.scratch(name, bytes)`, which gives one buffer that all calls of all
operators share: nothing survives there from one operator to the next.

Registers.  A subroutine called by the sequence ("operator") may change all but r0.  A subroutine called by an operator
("collective") may change r1..r7, r16..r19 and r27..r31.

    r0          0, always
    r1..r15     anything; collectives keep r8..r15
    r16..r25    operands of a call; collectives take theirs in r16..r19, and keep r20..r25
    r26         link of an operator that calls on: `mov r26, r27` first, `jr r26` in the end (Region.OPERATOR_RETURN)
    r27         link (`call`, `ret`)
    r28..r31    `dsr`, `xdsr`, and descriptors built in registers

An operand that a vector operation walks over is passed as a *span*: word 1 of a descriptor, base | length << 16, in
elements: `mov r16, x+{length << 16}`, which `region.span(array, length, offset)` writes.  `region.load("d0", "f32", "r16")`
is the text that makes a DSR of it, unit stride.

DSRs.  0..6 of each file: operators, for operations that end before they return.  7: collectives.  8..11: microthreads of
the collectives and gradients.  12..15: free for what goes on beside the operators (schedules).  XDSRs: 0..7 operators.

Microthreads.  0: anybody's, ended before it returns.  1: ring.  2: gradients on their way north.  3: row sums.
4..7: schedules.

Tasks.  8 and up: the schedule's.  25..30: operators, in this order of claim; none so far.

Colors (`region.colors`, one set for all regions of a program) and queues:

    color            route                          input queue   output queue
    weights          N -> R S, down a column        0
    ring0, ring1     x -> x + 1, by parity of x     1             1
    ring_back        x = W - 1 -> x = 0             1             1
    total            x = W - 1 -> all of the row    2             2
    north0, north1   y -> y - 1, by parity of y     3             3
    ids              W -> R E, along a row          4
    activations      schedules'                     5, 6, 7       4..7

Descriptors that every class has: `weights_in` (32-bit wavelets; a control wavelet ends a `mapstep` loop), `ids_in`,
`zeros` (f32 0.0, stride 0).  Arrays: `column` u16 [1], the PE's x in the region; `row`, its y.

Weights.  A 16-bit weight is a wavelet of its bits (lower half) and an index (upper half); an f32 weight is one wavelet
of 32 bits.  Each PE reads them from its queue as it needs them: the stream of a column is what its operators consume, in
the order of their calls; `Stream.pack` makes it (see linear.py and streams.py for the format of each).
Gradients leave a column by its north edge in the order of the calls that make them, f32, `Drain.unpack` reads them.

Numerics.  An operator takes its instructions from `region.policy` and states what each policy rounds where.
'''

from __future__ import annotations
