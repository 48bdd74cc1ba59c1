"""The stations of a step as sequential processes with bounded buffers between them, and one memory that three of them
share: a discrete-event simulation in compiled code.

A process has a clock of its own and handles its chunks in order.  Taking chunk k from a buffer needs the time at which
it was put there; putting chunk k into a buffer of size n needs the time at which chunk k - n was taken.  Both are
known as soon as the neighbor has come so far, so that each process runs ahead until it needs a time that is not known
yet.  Only the memory's order depends on times: it serves, one after the other, the request with the lowest priority
number among those that have arrived when it is free.  A request that is not known yet waits for one that is, directly
or not, and therefore comes after it; so the memory serves a request when no process can advance otherwise.

The times are those of an event queue with these processes (tests/system/event_queue.py is one, in SimPy).
"""

from __future__ import annotations

import numpy as np

from ..memoryx.jit import compiled

# Who uses the memory, by priority.
READ, ACCUMULATE, UPDATE = range(3)
NOBODY = np.inf  # a request that is not there
# Columns of what is measured of each wafer and step.
FORWARD, BACKWARD, STARVED_FORWARD, STARVED_BACKWARD, BLOCKED, CROSS, MIDDLE_PASS, PARTS = range(8)


def tree(systems: int, fan_out: int, tiers: int) -> tuple[np.ndarray, np.ndarray]:
    """The nodes above the wafers, from the lowest tier to the root.

    Buffers are numbered: one for each wafer, then one for each node.  Returns the first buffer below each node and
    their number, int64 [nodes] each.
    """
    first, count = [], []
    below, made = range(systems), systems
    for _ in range(tiers):
        groups = [below[i : i + fan_out] for i in range(0, len(below), fan_out)]
        first += [group[0] for group in groups]
        count += [len(group) for group in groups]
        below, made = range(made, made + len(groups)), made + len(groups)
    assert len(below) == 1
    return np.array(first, np.int64), np.array(count, np.int64)


@compiled()
def place(n, passes, layers, chunks):
    """(step, pass, backward?, layer, position in the pass) of chunk n of weights."""
    half = layers * chunks
    turn, rest = n // (2 * half), n % (2 * half)
    layer = rest % half // chunks
    back = rest >= half
    return turn // passes, turn % passes, back, layers - 1 - layer if back else layer, rest


@compiled()
def simulate(
    first,  # int64 [nodes]: the first buffer below each node, from the lowest tier to the root
    count,  # int64 [nodes]: the number of buffers below it
    factor,  # float64 [steps, passes, wafers]: relative duration of computing
    forward,  # float64 [layers]: seconds of a chunk's forward computation
    backward,  # float64 [layers]
    read,  # float64 [layers]: seconds in which the memory reads a chunk of weights
    sending,  # float64 [layers]: seconds of a chunk of weights on the link
    returning,  # float64 [layers]: seconds of a chunk of gradients on the link
    adding,  # float64 [layers]: seconds in which the memory adds a chunk of gradients
    updating,  # float64 [layers]: seconds of a layer's update
    chunks,  # of a layer
    buffer,  # chunks that a buffer holds
    latency,  # seconds of a link
    hop,  # seconds of a node
    arriving,  # the update of a layer begins when its gradients are complete, the last layer first
    serial,  # all layers are updated before weights are sent again
):
    """Times of all processes.

    Returns (parts, marks, starts, end, read_ends, spans_update, spans_wafer): seconds by part, float64 [wafers, steps,
    PARTS]; when gradients were complete and the first layer was updated, [steps, 2]; when wafer 0 began each step,
    [steps]; when all had ended; when each layer's weights were sent, [steps, passes, 2, layers], the index of length 2
    being forward and backward; begin and end of each layer's update [steps, layers, 2] and computation on wafer 0
    [steps, passes, 2, layers, 2].  Seconds from the start.
    """
    steps, passes, wafers = factor.shape
    layers = forward.size
    nodes = first.size
    buffers = wafers + nodes
    root = buffers - 1
    half = layers * chunks  # chunks of a direction
    whole = 2 * half  # chunks of a pass
    total = steps * passes * whole
    gate = 2 * chunks  # chunks of gradients that a wafer keeps for its link

    # Buffers: times at which chunk k was put, can be used and was taken, at k modulo the size; and how many were.
    put_down = np.zeros((buffers, buffer))
    usable_down = np.zeros((buffers, buffer))
    taken_down = np.zeros((buffers, buffer))
    puts_down = np.zeros(buffers, np.int64)
    takes_down = np.zeros(buffers, np.int64)
    put_up = np.zeros((buffers, buffer))
    usable_up = np.zeros((buffers, buffer))
    taken_up = np.zeros((buffers, buffer))
    puts_up = np.zeros(buffers, np.int64)
    takes_up = np.zeros(buffers, np.int64)
    put_gate = np.zeros((wafers, gate))
    taken_gate = np.zeros((wafers, gate))
    puts_gate = np.zeros(wafers, np.int64)
    takes_gate = np.zeros(wafers, np.int64)

    updated = np.full((steps + 1, layers), np.inf)  # inf: not known
    updated[0] = 0.0
    complete = np.full((steps, layers), np.inf)
    parts = np.zeros((wafers, steps, PARTS))
    marks = np.zeros((steps, 2))
    starts = np.zeros(steps)
    read_ends = np.zeros((steps, passes, 2, layers))
    spans_update = np.zeros((steps, layers, 2))
    spans_wafer = np.zeros((steps, passes, 2, layers, 2))

    # The reader.  Its chunk has no request yet (0), waits for the memory (1), or for a place in the root's buffer (2).
    reader_clock, reader_begin, reader_chunk, reader_state = 0.0, 0.0, 0, 0
    # Nodes: the child that the chunk in the node goes to next (-1: no chunk); the source that is waited for.
    down_clock, down_child = np.zeros(nodes), np.full(nodes, -1)
    up_clock, up_ready = np.zeros(nodes), np.zeros(nodes)
    up_source = np.zeros(nodes, np.int64)
    # Wafers: the next chunk; whether its gradients wait for a place in the gate.
    wafer_clock, wafer_chunk = np.zeros(wafers), np.zeros(wafers, np.int64)
    wafer_full = np.zeros(wafers, np.bool_)
    wafer_began, wafer_ended = np.zeros(wafers), np.full(wafers, -1.0)
    link_clock, link_full = np.zeros(wafers), np.zeros(wafers, np.bool_)
    # MemoryX: what it accumulates, and what it updates.
    sum_clock, sum_chunk, sum_waits = 0.0, 0, False
    update_clock, update_step, update_turn, update_waits = 0.0, 0, 0, False

    memory_free = 0.0
    request = np.full(3, NOBODY)
    while True:
        moved = True
        while moved:
            moved = False
            # MemoryX reads and sends, as far ahead as the buffers of the tree allow.
            while reader_chunk < total and reader_state != 1:
                step, turn, back, layer, rest = place(reader_chunk, passes, layers, chunks)
                if reader_state == 0:
                    if turn == 0 and not back and rest % chunks == 0:
                        if updated[step, layer] == np.inf:
                            break
                        reader_clock = max(reader_clock, updated[step, layer])
                    request[READ] = reader_begin = reader_clock
                    reader_state = 1
                else:
                    if reader_chunk >= buffer:
                        if takes_down[root] <= reader_chunk - buffer:
                            break
                        usable = reader_clock + latency
                        reader_clock = max(reader_clock, taken_down[root, reader_chunk % buffer])
                    else:
                        usable = reader_clock + latency
                    put_down[root, reader_chunk % buffer] = reader_clock
                    usable_down[root, reader_chunk % buffer] = usable
                    puts_down[root] += 1
                    if rest % chunks == chunks - 1:
                        read_ends[step, turn, int(back), layer] = reader_clock
                    reader_chunk += 1
                    reader_state = 0
                moved = True
            # Nodes, downwards: cut-through, so that a tier costs its latency; every child must have a free place.
            for node in range(nodes - 1, -1, -1):
                own = wafers + node
                while True:
                    if down_child[node] < 0:
                        k = takes_down[own]
                        if puts_down[own] <= k:
                            break
                        down_clock[node] = max(down_clock[node], put_down[own, k % buffer])
                        taken_down[own, k % buffer] = down_clock[node]
                        takes_down[own] += 1
                        down_clock[node] = max(down_clock[node], usable_down[own, k % buffer])
                        down_child[node] = 0
                    child = first[node] + down_child[node]
                    k = puts_down[child]
                    usable = down_clock[node] + hop
                    if k >= buffer:
                        if takes_down[child] <= k - buffer:
                            break
                        down_clock[node] = max(down_clock[node], taken_down[child, k % buffer])
                    put_down[child, k % buffer] = down_clock[node]
                    usable_down[child, k % buffer] = usable
                    puts_down[child] += 1
                    down_child[node] += 1
                    if down_child[node] == count[node]:
                        down_child[node] = -1
                    moved = True
            for wafer in range(wafers):
                # The wafer takes weights when it needs them, computes, and passes gradients to its link.
                while wafer_chunk[wafer] < total:
                    n = wafer_chunk[wafer]
                    step, turn, back, layer, rest = place(n, passes, layers, chunks)
                    clock = wafer_clock[wafer]
                    if not wafer_full[wafer]:
                        if puts_down[wafer] <= n:
                            break
                        asked = clock
                        if rest == 0:
                            wafer_began[wafer] = clock
                        if wafer == 0 and rest % chunks == 0:
                            spans_wafer[step, turn, int(back), layer, 0] = clock
                        clock = max(clock, put_down[wafer, n % buffer])
                        taken_down[wafer, n % buffer] = clock
                        takes_down[wafer] += 1
                        clock = max(clock, usable_down[wafer, n % buffer])
                        if turn == 0 and rest == 0:
                            if wafer == 0:
                                starts[step] = clock
                                spans_wafer[step, turn, 0, layer, 0] = clock
                            if wafer_ended[wafer] >= 0.0:
                                parts[wafer, step - 1, CROSS] += clock - asked
                            wafer_began[wafer] = clock
                        else:
                            parts[wafer, step, STARVED_BACKWARD if back else STARVED_FORWARD] += clock - asked
                        seconds = (backward[layer] if back else forward[layer]) * max(0.0, factor[step, turn, wafer])
                        clock += seconds
                        parts[wafer, step, BACKWARD if back else FORWARD] += seconds
                        wafer_clock[wafer] = clock
                    if back:
                        k = puts_gate[wafer]
                        if k >= gate:
                            if takes_gate[wafer] <= k - gate:
                                wafer_full[wafer] = True
                                break
                            clock = max(clock, taken_gate[wafer, k % gate])
                        parts[wafer, step, BLOCKED] += clock - wafer_clock[wafer]
                        put_gate[wafer, k % gate] = clock
                        puts_gate[wafer] += 1
                        wafer_full[wafer] = False
                        wafer_clock[wafer] = clock
                    if wafer == 0 and rest % chunks == chunks - 1:
                        spans_wafer[step, turn, int(back), layer, 1] = clock
                    if rest == whole - 1:
                        if turn == passes // 2:
                            parts[wafer, step, MIDDLE_PASS] = clock - wafer_began[wafer]
                        if turn == passes - 1:
                            wafer_ended[wafer] = clock
                    wafer_chunk[wafer] += 1
                    moved = True
                # Its outgoing link, at line rate.
                while True:
                    if not link_full[wafer]:
                        k = takes_gate[wafer]
                        if puts_gate[wafer] <= k:
                            break
                        clock = max(link_clock[wafer], put_gate[wafer, k % gate])
                        taken_gate[wafer, k % gate] = clock
                        takes_gate[wafer] += 1
                        link_clock[wafer] = clock + returning[layers - 1 - (k % half) // chunks]
                        moved = True
                    k = puts_up[wafer]
                    usable = link_clock[wafer] + latency
                    if k >= buffer:
                        if takes_up[wafer] <= k - buffer:
                            link_full[wafer] = True
                            break
                        link_clock[wafer] = max(link_clock[wafer], taken_up[wafer, k % buffer])
                    put_up[wafer, k % buffer] = link_clock[wafer]
                    usable_up[wafer, k % buffer] = usable
                    puts_up[wafer] += 1
                    link_full[wafer] = False
                    moved = True
            # Nodes, upwards: a chunk is forwarded when all children have sent theirs.
            for node in range(nodes):
                own = wafers + node
                while True:
                    if up_source[node] < count[node]:
                        source = first[node] + up_source[node]
                        k = takes_up[source]
                        if puts_up[source] <= k:
                            break
                        up_clock[node] = max(up_clock[node], put_up[source, k % buffer])
                        taken_up[source, k % buffer] = up_clock[node]
                        takes_up[source] += 1
                        up_ready[node] = max(up_ready[node], usable_up[source, k % buffer])
                        up_source[node] += 1
                        moved = True
                        if up_source[node] < count[node]:
                            continue
                        up_clock[node] = max(up_clock[node], up_ready[node])
                    k = puts_up[own]
                    usable = up_clock[node] + hop
                    if k >= buffer:
                        if takes_up[own] <= k - buffer:
                            break
                        up_clock[node] = max(up_clock[node], taken_up[own, k % buffer])
                    put_up[own, k % buffer] = up_clock[node]
                    usable_up[own, k % buffer] = usable
                    puts_up[own] += 1
                    up_source[node] = 0
                    up_ready[node] = 0.0
                    moved = True
            # MemoryX receives gradients and adds them to those of earlier passes.
            if not sum_waits and puts_up[root] > sum_chunk:
                sum_clock = max(sum_clock, put_up[root, sum_chunk % buffer])
                taken_up[root, sum_chunk % buffer] = sum_clock
                takes_up[root] += 1
                sum_clock = max(sum_clock, usable_up[root, sum_chunk % buffer])
                request[ACCUMULATE] = sum_clock
                sum_waits = True
                moved = True
            # The optimiser.
            if not update_waits and update_step < steps:
                layer = layers - 1 - update_turn if arriving else update_turn
                if update_turn == 0 and not arriving:
                    known = complete[update_step].max()
                else:
                    known = complete[update_step, layer]
                if known != np.inf:
                    update_clock = max(update_clock, known)
                    if update_turn == 0 and not arriving:
                        marks[update_step, 0] = update_clock
                    request[UPDATE] = update_clock
                    update_waits = True
                    moved = True
        # The memory serves a request.
        start = max(memory_free, request.min())
        if start == np.inf:
            break
        who = READ
        while request[who] > start:
            who += 1
        request[who] = NOBODY
        if who == READ:
            _, _, _, layer, _ = place(reader_chunk, passes, layers, chunks)
            memory_free = start + read[layer]
            # Reading runs ahead of sending within the buffers: the memory's time is part of the link's.
            reader_clock = max(memory_free, reader_begin + sending[layer])
            reader_state = 2
        elif who == ACCUMULATE:
            layer = layers - 1 - (sum_chunk % half) // chunks
            step = sum_chunk // (passes * half)
            sum_clock = memory_free = start + adding[layer]
            sum_chunk += 1
            sum_waits = False
            # Chunks arrive in order: the last of the layer's in the last pass completes it.
            if sum_chunk % chunks == 0 and (sum_chunk - 1) % (passes * half) >= (passes - 1) * half:
                complete[step, layer] = sum_clock
        else:
            layer = layers - 1 - update_turn if arriving else update_turn
            update_clock = memory_free = start + updating[layer]
            update_waits = False
            spans_update[update_step, layer, 0] = start
            spans_update[update_step, layer, 1] = update_clock
            if layer == 0:
                if arriving:
                    marks[update_step, 0] = start
                marks[update_step, 1] = update_clock
            if not serial:
                updated[update_step + 1, layer] = update_clock
            update_turn += 1
            if update_turn == layers:
                if serial:
                    marks[update_step, 1] = update_clock
                    updated[update_step + 1] = update_clock
                update_turn = 0
                update_step += 1
    end = max(wafer_clock.max(), updated[steps].max())
    last = steps - 1
    for wafer in range(wafers):
        parts[wafer, last, CROSS] = parts[wafer, max(0, last - 1), CROSS]
    return parts, marks, starts, end, read_ends, spans_update, spans_wafer
