"""Operators of a transformer on a rectangle of PEs: how a program is made of them, and the conventions they share.

A `Region` (region.py) is a rectangle under construction.  An operator adds itself to one:

    region.py               Region: arrays, code, subroutines, colors, queues, roles of PEs
    policy.py               Policy: storage type, precision of sums, and the instructions that follow
    tiles.py                activations [tokens, features] to the tiles of PEs and back
    transfers.py            what crosses the north edge: packing weights, unpacking gradients
    edge.py                 the host's side of the north edge
    ring.py                 all-reduces of a row
    linear.py               linear layers and their gradients: partial.py forward, weight_gradient.py, product.py shared
    parameters.py           vectors from the edge into memory (gains, biases), gradients of vectors to the edge
    embedding.py            rows of a table by ids, positions, and their gradients
    norm, activation, attention, rotary, softmax, residual, loss    operators without weights, as Routines of code.py
    attention_over_rows.py  attention of sequences that are spread over several rows of PEs
    math_functions.py       exp, 1/x ... of vectors
    row_sums.py             sums and padding of tiles
    transport.py            activations between adjacent regions
    resident.py             PEs that hold weights and send them to a region
    strided_access.py       an order of elements as strided accesses

Layout.  A region has W x H PEs.  Of an activation of f features each PE holds a tile [fx][t], fx = ceil(f / W), tokens
contiguous: PE (x, y) has features x fx .. x fx + fx - 1 of tokens y t .. y t + t - 1.  Features beyond f are zero, and
every operator keeps them zero.  Elements have the policy's storage type.

A program.  All PEs of a region run the same code.  Their classes differ only in their descriptors and queues: a
neighbor's color, or zeros where there is no neighbor.

    region = Region(program, policy, tokens=t)            # a rectangle; default: all of the program
    x, y = region.activation("x", 32), region.activation("y", 128)
    with region.task("step", 8):                          # a local task: `step:` ... `done`
        weights = linear.forward(region, x, y, bias=True) # adds a call; the WeightTransfer packs W, b for the edge
    region.finish()                                       # gives code to the classes; the program is complete
    fabric = Fabric(program)
    edge = Edge(fabric, region)
    tiles.write(fabric, region, "x", values)              # float [H t, 32]
    edge.feed("step", {weights: {"weight": W, "bias": b}})
    fabric.launch("step"); fabric.run()
    tiles.read(fabric, region, "y", 128)                  # float32 [H t, 128]

An operator's function adds its subroutine with `region.subroutine(name, text)`, which keeps one copy per name (another
text of the same name is an error), and its call with `region.code(text)`: `mov` operands, `call name`.  One subroutine
serves all layers; what depends on the shape only is a table in memory (`region.constants`).  All operators share one
work space (`region.work`), whose contents do not survive from one operator to the next.  An activation is a `Tile`: an
address as an expression of the assembler, and its features.

Registers.  A subroutine that the sequence calls ("operator") may change all but r0.  A subroutine that an operator
calls, such as an all-reduce (`ring.allreduce`), changes r28..r31 and r27 only; its operand is in r16.

    r0          0, always
    r1..r25     free; operands of a call from r8 on
    r26         link of an operator that calls others: `mov r26, r27` first, `jr r26` at the end
    r27         link (`call`, `ret`)
    r28..r31    `dsr`, `xdsr`, and descriptors built in registers

The operand of a vector operation is passed as an address or as a *span*, which is word 1 of a descriptor:
base | length << 16.

DSRs.  0..6 of each file: operators, for operations that end before they return.  7: collectives.  8..11: microthreads
of operators.  12..15: free.  XDSRs: 0..7 operators.

Microthreads (region.py).  1: sending round the ring.  3: gradients to the north edge.  4..7: schedules.  On WSE-2 a
microthread has the number of its queue: 2 and 3.  A microthread begins an operation when its previous one has ended:
code waits for an end by giving it another operation.

Tasks.  8 and up: the schedule's.  Control task 40 is blocked: it keeps control wavelets in the queue for `mapstep`.

Colors, one set for all regions of a program, and queues:

    color            route                          input queue   output queue
    weights          N -> R S, down a column        0
    ring0, ring1     x -> x + 1, by parity of x     1             2
    ring_back        x = W - 1 -> x = 0             1             2
    total            x = W - 1 -> all of the row    2             4
    north0, north1   y -> y - 1, by parity of y     3             3
    ids              W -> R E, along a row          4
    embedding        N -> R S, counted out by rows  7
    transport's                                     5, 6          5, 6
    next0, next1     y -> y + 1, by parity of y     5             5       (attention_over_rows.py, without transport)
    around           last row -> first of a sequence 6            1

Weights.  A 16-bit weight is a wavelet with its bits in the lower half and, in sparse transfers, an index in the upper
half.  An f32 weight is one wavelet, in sparse transfers after a wavelet with its index.  Each PE reads weights from its
queue as it needs them: the stream of a column holds what the column's operators consume, in the order of their calls.
Gradients leave a column at its north edge in the order of the calls that make them, as f32, summed over the rows of PEs
from south to north.

Numerics.  An operator takes its instructions from `region.policy` and documents what each policy rounds and where.
"""

from __future__ import annotations
