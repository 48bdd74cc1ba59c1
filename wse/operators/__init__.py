"""Operators of a transformer on a rectangle of PEs: what they share, and how a program is made of them.

A `Region` (region.py) is a rectangle under construction; an operator adds itself to one:

    region.py      Region: arrays, code, subroutines, colors, queues, roles of PEs
    policy.py      Policy: storage, sums, and the instructions they stand for
    layout.py      activations [tokens, features] <-> tiles of PEs
    streams.py     what enters and leaves by the north edge: packing weights, unpacking gradients
    ring.py        all-reduces of a row
    linear.py      linear layers and their gradients; partial.py forward, weight_gradient.py, product.py what they share
    parameters.py  vectors from the edge into memory (gains, biases), gradients of vectors to the edge
    embedding.py   rows of a table by ids, positions, and their gradients
    norm, activation, attention, rotary, softmax, residual, loss    what lies between (as Routine-s of code.py)
    spread.py      attention of sequences that lie over several rows
    functions.py, rows.py, alone.py    exp, 1/x ... of vectors; sums and padding; one operator in a program of its own
    transport.py, resident.py    regions beside each other, and PEs that hold weights

Layout.  A region has W x H PEs.  An activation of f features has on each PE a tile [fx][t], fx = ceil(f / W), tokens
contiguous: PE (x, y) holds features x fx .. x fx + fx - 1 of tokens y t .. y t + t - 1; features beyond f are zero, and
every operator leaves zeros there.  Elements have the policy's storage type.

A program.  All PEs of a region run one code; classes differ only in what their descriptors and queues mean (a
neighbor's color, zeros in the place of a neighbor that is not there).  So code is one text for all:

    region = Region(program, policy, tokens=t)            # a rectangle; default: all of the program
    x, y = region.activation("x", 32), region.activation("y", 128)
    with region.task("step", 8):                          # a local task: `step:` ... `done`
        weights = linear.forward(region, x, y, bias=True) # adds a call; a Stream: how to pack W, b for the edge
    region.finish()                                       # code to classes; then the program is whole
    fabric = Fabric(program)
    edge = Edge(fabric, region)
    layout.write(fabric, region, "x", values)             # float [H t, 32]
    edge.feed("step", {weights: {"weight": W, "bias": b}})
    fabric.launch("step"); fabric.run()
    layout.read(fabric, region, "y", 128)                 # float32 [H t, 128]

An operator's function emits its subroutine with `region.subroutine(name, text)`, which keeps it once per name (asking
again with another text is an error), and its call with `region.code(text)`: `mov` operands, `call name`.  One
subroutine serves all layers; what depends on the shape only is a table in memory (`region.constants`).  Work space is
shared by all operators (`region.work`): nothing survives there from one to the next.  An activation is a `Tile`: an
address as an expression of the assembler, and its features.

Registers.  A subroutine called by the sequence ("operator") may change all but r0.  One called by an operator, such as
an all-reduce (`region.allreduce`), changes r28..r31 and r27 only; its operand is in r16.

    r0          0, always
    r1..r25     anything; operands of a call from r8 on
    r26         link of an operator that calls on: `mov r26, r27` first, `jr r26` in the end
    r27         link (`call`, `ret`)
    r28..r31    `dsr`, `xdsr`, and descriptors built in registers

What a vector operation walks over is passed as an address, or as a *span*: word 1 of a descriptor, base | length << 16.

DSRs.  0..6 of each file: operators, for operations that end before they return.  7: collectives.  8..11: microthreads
of operators.  12..15: free for what goes on beside them.  XDSRs: 0..7 operators.

Microthreads (region.py).  1: sending round the ring.  3: gradients on their way north.  4..7: schedules.  On WSE-2 they
have the number of the queue: 2 and 3.
One begins an operation when the one before has ended there: that is how code waits for an end.

Tasks.  8 and up: the schedule's.  Control task 40 is blocked: it keeps control wavelets in the queue for `mapstep`.

Colors, of one set for all regions of a program, and queues:

    color            route                          input queue   output queue
    weights          N -> R S, down a column        0
    ring0, ring1     x -> x + 1, by parity of x     1             2
    ring_back        x = W - 1 -> x = 0             1             2
    total            x = W - 1 -> all of the row    2             4
    north0, north1   y -> y - 1, by parity of y     3             3
    ids              W -> R E, along a row          4
    embedding        N -> R S, counted out by rows  7
    transport's                                     5, 6          5, 6
    next0, next1     y -> y + 1, by parity of y     5             5       (spread.py: not beside transport)
    around           last row -> first of a sequence 6            1

Weights.  A 16-bit weight is a wavelet of its bits (lower half) and, in sparse streams, an index (upper half); an f32
weight is one wavelet, in sparse streams after one with its index.  Each PE reads them from its queue as it needs them:
the stream of a column is what its operators consume, in the order of their calls.  Gradients leave a column by its
north edge in the order of the calls that make them, f32, summed up over the rows of PEs from the south to the north.

Numerics.  An operator takes its instructions from `region.policy` and states what each policy rounds where.
"""

from __future__ import annotations
