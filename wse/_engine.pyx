"""csrc/wse.h for Python: owns handles, takes and lends buffers, releases the GIL.  It is independent of the machine."""

from cpython.buffer cimport (
    PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBUF_ND, PyBUF_STRIDES, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer,
)
from cpython.exc cimport PyErr_CheckSignals
from libc.string cimport memcpy, strerror

import numpy

PORTS, COLORS, QUEUES, INPUTS = WSE_PORTS, WSE_COLORS, WSE_QUEUES, WSE_INPUTS
TASKS, REGISTERS, SRAM = WSE_TASKS, WSE_REGISTERS, WSE_SRAM
MAX_THREADS = WSE_MAX_THREADS
N, E, S, W, RAMP = WSE_N, WSE_E, WSE_S, WSE_W, WSE_RAMP
OK, QUIET, LIMIT, FAULTED = WSE_OK, WSE_QUIET, WSE_LIMIT, WSE_FAULTED
TASK_UNBOUND, TASK_DATA, TASK_LOCAL, TASK_CONTROL = WSE_TASK_UNBOUND, WSE_TASK_DATA, WSE_TASK_LOCAL, WSE_TASK_CONTROL
ROUTE_RX, ROUTE_TX, ROUTE_POS, ROUTE_LAST = WSE_ROUTE_RX, WSE_ROUTE_TX, WSE_ROUTE_POS, WSE_ROUTE_LAST
ROUTE_RING, ROUTE_POP, ROUTE_TEARDOWN = WSE_ROUTE_RING, WSE_ROUTE_POP, WSE_ROUTE_TEARDOWN
ROUTE_SWAP_X, ROUTE_SWAP_Y, ROUTE_FILTER = WSE_ROUTE_SWAP_X, WSE_ROUTE_SWAP_Y, WSE_ROUTE_FILTER
FILTER_RANGE, FILTER_COUNTER, FILTER_SPARSE = WSE_FILTER_RANGE, WSE_FILTER_COUNTER, WSE_FILTER_SPARSE
PENDING_OPERATIONS, PENDING_ROUTERS = WSE_PENDING_OPERATIONS, WSE_PENDING_ROUTERS
PENDING_QUEUES, PENDING_TASKS = WSE_PENDING_QUEUES, WSE_PENDING_TASKS
WAIT_MAIN, WAIT_MICROTHREAD, WAIT_ROUTER = WSE_WAIT_MAIN, WSE_WAIT_MICROTHREAD, WSE_WAIT_ROUTER
WAIT_OUTPUT_QUEUE, WAIT_INPUT_QUEUE, WAIT_TASK = WSE_WAIT_OUTPUT_QUEUE, WSE_WAIT_INPUT_QUEUE, WSE_WAIT_TASK
FOR_WAVELET, FOR_ROOM, FOR_READER, FOR_UNBLOCK = WSE_FOR_WAVELET, WSE_FOR_ROOM, WSE_FOR_READER, WSE_FOR_UNBLOCK
FOR_ROUTE, FOR_QUEUE, FOR_TEARDOWN = WSE_FOR_ROUTE, WSE_FOR_QUEUE, WSE_FOR_TEARDOWN
FOR_MICROTHREAD, FOR_BINDING, FOR_FIFO = WSE_FOR_MICROTHREAD, WSE_FOR_BINDING, WSE_FOR_FIFO
PLANE_COUNTERS, PLANE_LINKS, PLANE_BLOCKED = WSE_PLANE_COUNTERS, WSE_PLANE_LINKS, WSE_PLANE_BLOCKED
PLANE_COLORS, PLANE_OPCODES, PLANE_SERIES = WSE_PLANE_COLORS, WSE_PLANE_OPCODES, WSE_PLANE_SERIES
PLANE_ACTIVITY, PLANE_HOSTSIG = WSE_PLANE_ACTIVITY, WSE_PLANE_HOSTSIG
MARK_FIRST = WSE_MARK_FIRST
STOP_STEP, STOP_TASK, STOP_MARK = WSE_STOP_STEP, WSE_STOP_TASK, WSE_STOP_MARK
STOP_WAVELET, STOP_MEMORY = WSE_STOP_WAVELET, WSE_STOP_MEMORY
LOOK_THREAD, LOOK_REGISTERS, LOOK_DSR, LOOK_XDSR = WSE_LOOK_THREAD, WSE_LOOK_REGISTERS, WSE_LOOK_DSR, WSE_LOOK_XDSR
LOOK_OPERATION, LOOK_INPUT, LOOK_OUTPUT = WSE_LOOK_OPERATION, WSE_LOOK_INPUT, WSE_LOOK_OUTPUT
LOOK_BUFFER, LOOK_ROUTE = WSE_LOOK_BUFFER, WSE_LOOK_ROUTE
SOURCES = (<const char *>wse_source_digest).decode("ascii")  # of csrc/build_engine.py, at the build


cdef class Taken:
    """A C-contiguous buffer of `count` items of `size` bytes (count -1: any number), held while the engine reads it."""
    cdef Py_buffer view
    cdef bint held
    cdef Py_ssize_t count

    def __cinit__(self, owner, int size, Py_ssize_t count=-1, bint writable=False):
        self.held = False
        PyObject_GetBuffer(owner, &self.view, PyBUF_C_CONTIGUOUS | (PyBUF_WRITABLE if writable else 0))
        self.held = True
        if self.view.itemsize != size:
            raise ValueError(f"expected items of {size} bytes, got {self.view.itemsize}")
        self.count = self.view.len // size
        if count >= 0 and self.count != count:
            raise ValueError(f"expected {count} items, got {self.count}")

    def __dealloc__(self):
        if self.held:
            PyBuffer_Release(&self.view)


cdef class Plane:
    """Memory of an engine, read-only, through the buffer protocol; keeps the engine alive."""
    cdef Engine engine
    cdef const void *data
    cdef int ndim, item
    cdef Py_ssize_t shape[4]
    cdef Py_ssize_t strides[4]

    def __getbuffer__(self, Py_buffer *buffer, int flags):
        cdef Py_ssize_t items = 1
        cdef int i
        if flags & PyBUF_WRITABLE == PyBUF_WRITABLE:
            raise BufferError("the engine's planes are read-only")
        for i in range(self.ndim):
            items *= self.shape[i]
        buffer.buf = <void *>self.data
        buffer.obj = self
        buffer.len = items * self.item
        buffer.readonly = 1
        buffer.itemsize = self.item
        buffer.format = NULL
        if flags & PyBUF_FORMAT:
            buffer.format = b"B" if self.item == 1 else b"H" if self.item == 2 else b"I" if self.item == 4 else b"Q"
        buffer.ndim = self.ndim
        buffer.shape = self.shape if flags & PyBUF_ND else NULL
        buffer.strides = self.strides if flags & PyBUF_STRIDES == PyBUF_STRIDES else NULL
        buffer.suboffsets = NULL
        buffer.internal = NULL

    def __releasebuffer__(self, Py_buffer *buffer):
        pass


cdef Plane lend(Engine engine, const void *data, int item, shape):
    cdef Plane plane = Plane.__new__(Plane)
    cdef Py_ssize_t step = item
    cdef int i
    plane.engine = engine
    plane.data = data if data != NULL else <const void *>engine.f  # an empty plane still needs an address
    plane.item = item
    plane.ndim = len(shape)
    for i in range(plane.ndim):
        plane.shape[i] = shape[i]
    for i in range(plane.ndim - 1, -1, -1):
        plane.strides[i] = step
        step *= plane.shape[i]
    return plane


cdef class Engine:
    """One wse_fabric.  ValueError where the engine refuses an argument, RuntimeError while another thread runs it."""
    cdef wse_fabric *f
    cdef bint running
    cdef int stop
    cdef readonly int width, height
    cdef Py_ssize_t classes, instructions  # of all classes

    def __cinit__(self, int width, int height, params, int fp16=0, int threads=1, uint64_t trace=0, int bins=0,
                  int bin_planes=0, int portable=0, int tile=0, bint reference=False,
                  bint drops_off_edge=False, int team=0):
        cdef wse_desc desc
        cdef Taken values = Taken(params, 8, WSE_PARAM_COUNT)
        desc.width, desc.height, desc.fp16, desc.threads = width, height, fp16, threads
        memcpy(desc.params, values.view.buf, WSE_PARAM_COUNT * sizeof(int64_t))
        desc.trace_capacity, desc.bins, desc.bin_planes, desc.portable = trace, bins, bin_planes, portable
        desc.tile, desc.reference, desc.drops_off_edge = tile, reference, drops_off_edge
        desc.team = team
        self.width, self.height = width, height
        self.classes = self.instructions = 0
        with nogil:
            self.f = wse_new(&desc)
        if self.f == NULL:
            raise MemoryError(f"the engine could not be made: {width} x {height} PEs, {threads} threads, {bins} bins, "
                              f"{trace} trace events")

    def __dealloc__(self):
        if self.f != NULL:
            wse_free(self.f)

    cdef int idle(self) except -1:
        if self.running:
            raise RuntimeError("the fabric is running in another thread")
        return 0

    cdef int done(self, wse_status status) except -1:
        if status == WSE_NOMEM:
            raise MemoryError("the engine has no memory left")
        if status == WSE_BADARG:
            raise ValueError("the engine refuses an argument: it is outside the rectangle, the memory or the machine")
        return 0

    def add_class(self, code, iq_color, oq_color, task_kind, task_priority, task_pc, control_task, control_first,
                  uint64_t active, uint64_t blocked, uint16_t thread_priority=0):
        self.idle()
        cdef wse_class c
        cdef Taken words = Taken(code, 8)
        c.code, c.code_length = <const uint64_t *>words.view.buf, <uint32_t>words.count
        cdef Taken field = Taken(iq_color, 1, WSE_INPUTS)
        memcpy(c.iq_color, field.view.buf, WSE_INPUTS)
        field = Taken(oq_color, 1, WSE_QUEUES)
        memcpy(c.oq_color, field.view.buf, WSE_QUEUES)
        field = Taken(task_kind, 1, WSE_TASKS)
        memcpy(c.task_kind, field.view.buf, WSE_TASKS)
        field = Taken(task_priority, 1, WSE_TASKS)
        memcpy(c.task_priority, field.view.buf, WSE_TASKS)
        field = Taken(task_pc, 4, WSE_TASKS)
        memcpy(c.task_pc, field.view.buf, WSE_TASKS * sizeof(uint32_t))
        field = Taken(control_task, 1, WSE_TASKS)
        memcpy(c.control_task, field.view.buf, WSE_TASKS)
        field = Taken(control_first, 1, WSE_QUEUES)
        memcpy(c.control_first, field.view.buf, WSE_QUEUES)
        c.active, c.blocked, c.thread_priority = active, blocked, thread_priority
        cdef int index = number(wse_add_class(self.f, &c))
        self.classes += 1
        self.instructions += words.count
        return index

    def set_classes(self, class_of_pe):
        self.idle()
        cdef Taken plane = Taken(class_of_pe, 2, <Py_ssize_t>self.width * self.height)
        self.done(wse_set_classes(self.f, <const uint16_t *>plane.view.buf))

    def add_filter(self, int kind, bint count_data, bint count_control, bint filter_control, int min_index, int max_index,
                   int init_counter, int limit1, int limit2, int max_counter):
        self.idle()
        cdef wse_filter filter
        filter.kind, filter.count_data, filter.count_control = kind, count_data, count_control
        filter.filter_control, filter.min_index, filter.max_index = filter_control, min_index, max_index
        filter.init_counter, filter.limit1, filter.limit2 = init_counter, limit1, limit2
        filter.max_counter = max_counter
        return number(wse_add_filter(self.f, &filter))

    def set_routes(self, int color, config):
        self.idle()
        cdef Taken plane = Taken(config, 8, <Py_ssize_t>self.width * self.height)
        self.done(wse_set_routes(self.f, color, <const uint64_t *>plane.view.buf))

    def write(self, int x, int y, int w, int h, uint32_t address, data):
        """`data`: any C-contiguous buffer of bytes, the same number for each PE, row-major."""
        self.idle()
        cdef Taken taken = Taken(data, 1)
        cdef Py_ssize_t pes = <Py_ssize_t>w * h
        if pes < 1 or taken.count % pes:
            raise ValueError(f"{taken.count} bytes do not divide among {w} x {h} PEs")
        self.done(wse_write(self.f, x, y, w, h, address, <uint32_t>(taken.count // pes), taken.view.buf))

    def fill(self, int x, int y, int w, int h, uint32_t address, data):
        self.idle()
        cdef Taken taken = Taken(data, 1)
        self.done(wse_fill(self.f, x, y, w, h, address, <uint32_t>taken.count, taken.view.buf))

    def fill_class(self, int class_index, uint32_t address, data):
        self.idle()
        cdef Taken taken = Taken(data, 1)
        self.done(wse_fill_class(self.f, class_index, address, <uint32_t>taken.count, taken.view.buf))

    def read(self, int x, int y, int w, int h, uint32_t address, into):
        self.idle()
        cdef Taken taken = Taken(into, 1, -1, True)
        cdef Py_ssize_t pes = <Py_ssize_t>w * h
        if pes < 1 or taken.count % pes:
            raise ValueError(f"{taken.count} bytes do not divide among {w} x {h} PEs")
        self.done(wse_read(self.f, x, y, w, h, address, <uint32_t>(taken.count // pes), taken.view.buf))

    def set_register(self, int x, int y, int w, int h, int reg, values):
        self.idle()
        cdef Taken taken = Taken(values, 4, <Py_ssize_t>w * h)
        self.done(wse_set_register(self.f, x, y, w, h, reg, <const uint32_t *>taken.view.buf))

    def stream_in(self, int x, int y, int port, int color, data, control, uint32_t num, uint32_t den):
        self.idle()
        cdef Taken words = Taken(data, 4), bits
        cdef const uint8_t *flags = NULL
        if control is not None:
            bits = Taken(control, 1, words.count)
            flags = <const uint8_t *>bits.view.buf
        return number(wse_stream_in(self.f, x, y, port, color, <const uint32_t *>words.view.buf, flags, words.count,
                                    num, den))

    def stream_out(self, int x, int y, int port, int color, uint64_t capacity, uint32_t num, uint32_t den):
        self.idle()
        return number(wse_stream_out(self.f, x, y, port, color, capacity, num, den))

    def stream_count(self, int stream):
        return wse_stream_count(self.f, stream)

    def stream_data(self, int stream):
        return lend(self, wse_stream_data(self.f, stream), 4, (wse_stream_count(self.f, stream),))

    def stream_control(self, int stream):
        return lend(self, wse_stream_control(self.f, stream), 1, (wse_stream_count(self.f, stream),))

    def stream_cycles(self, int stream):
        return lend(self, wse_stream_cycles(self.f, stream), 8, (wse_stream_count(self.f, stream),))

    def stream_take(self, int stream, bint goes_on):
        self.idle()
        wse_stream_take(self.f, stream, goes_on)

    def stream_put(self, int stream, data, control, segments, uint64_t window):
        """`segments`: uint64 [m, 3]: count, cycle, and num + (den << 32)."""
        self.idle()
        cdef Taken words = Taken(data, 4), bits, rows = Taken(segments, sizeof(uint64_t))
        cdef const uint8_t *flags = NULL
        if control is not None:
            bits = Taken(control, 1, words.count)
            flags = <const uint8_t *>bits.view.buf
        if rows.count * <Py_ssize_t>sizeof(uint64_t) % <Py_ssize_t>sizeof(wse_segment):
            raise ValueError(f"{rows.count} words are no segments")
        self.done(wse_stream_put(self.f, stream, <const uint32_t *>words.view.buf, flags, words.count,
                                 <const wse_segment *>rows.view.buf,
                                 rows.count * sizeof(uint64_t) // sizeof(wse_segment), window))

    def stream_timing(self, int stream):
        """uint64 [m, 5]: passed, first, last, starved, blocked."""
        cdef uint64_t count = wse_stream_timing(self.f, stream, NULL, 0)
        result = numpy.zeros((count, sizeof(wse_timing) // sizeof(uint64_t)), numpy.uint64)
        cdef Taken to = Taken(result, sizeof(uint64_t), -1, True)
        wse_stream_timing(self.f, stream, <wse_timing *>to.view.buf, count)
        return result

    def set_host(self, int color):
        self.idle()
        self.done(wse_set_host(self.f, color))

    def host_put(self, int color, int port, int x, int y, int w, int h, data):
        """`data`: words, the same number for each PE, row-major."""
        self.idle()
        cdef Taken words = Taken(data, 4)
        cdef Py_ssize_t pes = <Py_ssize_t>w * h
        if pes < 1 or words.count % pes:
            raise ValueError(f"{words.count} words do not divide among {w} x {h} PEs")
        self.done(wse_host_put(self.f, color, port, x, y, w, h, words.count // pes, <const uint32_t *>words.view.buf))

    def host_ask(self, int color, int port, int x, int y, int w, int h, uint64_t n):
        self.idle()
        self.done(wse_host_ask(self.f, color, port, x, y, w, h, n))

    def host_take(self, int color, int port, int x, int y, int w, int h, into):
        self.idle()
        cdef Taken words = Taken(into, 4, -1, True)
        cdef Py_ssize_t pes = <Py_ssize_t>w * h
        if pes < 1 or words.count % pes:
            raise ValueError(f"{words.count} words do not divide among {w} x {h} PEs")
        self.done(wse_host_take(self.f, color, port, x, y, w, h, words.count // pes, <uint32_t *>words.view.buf))

    def host_waiting(self, int color, int port, bint out, int x, int y, int w, int h):
        return wse_host_waiting(self.f, color, port, out, x, y, w, h)

    def activate(self, int x, int y, int w, int h, int task):
        self.idle()
        self.done(wse_activate(self.f, x, y, w, h, task))

    def run(self, uint64_t until, limit=None):
        """Runs to cycle `until` (absolute) without the GIL, then looks for Ctrl-C.  Returns QUIET, LIMIT or FAULTED.
        limit: how far compute elements may be ahead of it; `until` if there is none."""
        self.idle()
        cdef wse_status status
        cdef uint64_t last = until if limit is None else limit
        self.running = True
        self.stop = 0
        with nogil:
            status = wse_run(self.f, until, last, &self.stop)
        self.running = False
        self.done(status)
        PyErr_CheckSignals()
        return <int>status

    def rest(self, uint64_t until):
        """Lets time pass to cycle `until` (absolute), after a run that ended QUIET."""
        self.idle()
        self.done(wse_rest(self.f, until))

    def ask_stop(self):
        """From another thread: the call of run under way ends soon, with LIMIT."""
        self.stop = 1

    def cycle(self):
        return wse_cycle(self.f)

    def dropped(self, int color):
        """Mask of the ports off the edge where wavelets of the color were dropped."""
        return wse_dropped(self.f, color)

    def last_activity(self):
        return wse_last_activity(self.f)

    def pending(self):
        self.idle()
        return wse_pending(self.f)

    def waits(self, records):
        """Fills records, a writable buffer of wse_wait records as bytes; returns the number of waits."""
        self.idle()
        cdef Taken taken = Taken(records, 1, -1, True)
        return wse_waits(self.f, <wse_wait *>taken.view.buf, taken.count // <Py_ssize_t>sizeof(wse_wait))

    def save(self, int descriptor):
        """Writes the state to a file.  OSError where that fails."""
        cdef int error = 0
        self.idle()
        cdef wse_status status = wse_save(self.f, descriptor, &error)
        if error:
            raise OSError(error, strerror(error).decode())
        self.done(status)

    def restore(self, int descriptor):
        """Reads a state.  ValueError: it is of another fabric, and nothing has changed; OSError: this one is lost."""
        cdef int error = 0
        self.idle()
        cdef wse_status status = wse_restore(self.f, descriptor, &error)
        if status == WSE_FAULTED:
            raise OSError(error, strerror(error).decode())
        self.done(status)

    def run_to_stop(self, uint64_t until, uint64_t limit, int capacity, pes=None, uint32_t step_pe=0, tasks=None,
                    marks=None, uint32_t colors=0, wavelet_pes=None, places=None, bint watching=False):
        """wse_run_to_stop: (status, number of stops, the first `capacity` of them as tuples of pe, why, id, data).
        pes, places (three numbers each): uint32; tasks: uint64 [classes]; marks: uint16 [instructions of all classes];
        wavelet_pes: uint8 [pe].  watching: wse_run_watching: (status, 1 or 0, its cycle *first)."""
        self.idle()
        cdef wse_stops stops
        cdef Taken of_pes, of_tasks, of_marks, of_wavelets, of_places
        stops.pes, stops.pe_count, stops.step_pe, stops.tasks, stops.marks = NULL, 0, step_pe, NULL, NULL
        stops.colors, stops.wavelet_pes, stops.places, stops.place_count = colors, NULL, NULL, 0
        if pes is not None:
            of_pes = Taken(pes, 4)
            stops.pes, stops.pe_count = <const uint32_t *>of_pes.view.buf, <uint32_t>of_pes.count
        if tasks is not None:
            of_tasks = Taken(tasks, 8, self.classes)
            stops.tasks = <const uint64_t *>of_tasks.view.buf
        if marks is not None:
            of_marks = Taken(marks, 2, self.instructions)
            stops.marks = <const uint16_t *>of_marks.view.buf
        if wavelet_pes is not None:
            of_wavelets = Taken(wavelet_pes, 1, <Py_ssize_t>self.width * self.height)
            stops.wavelet_pes = <const uint8_t *>of_wavelets.view.buf
        if places is not None:
            of_places = Taken(places, 4)
            if of_places.count % 3:
                raise ValueError("a place is a PE, an address and bytes")
            stops.places, stops.place_count = <const wse_place *>of_places.view.buf, <uint32_t>(of_places.count // 3)
        cdef Taken kept = Taken(bytearray(max(1, capacity) * sizeof(wse_stop)), 1, -1, True)
        cdef wse_stop *at = <wse_stop *>kept.view.buf
        cdef uint32_t n = 0, room = <uint32_t>max(1, capacity)
        cdef wse_status status
        self.running = True
        self.stop = 0
        cdef uint64_t first = 0
        with nogil:
            if watching:
                status = wse_run_watching(self.f, until, limit, &stops, &first, &self.stop)
            else:
                status = wse_run_to_stop(self.f, until, limit, &stops, at, room, &n, &self.stop)
        self.running = False
        self.done(status)
        PyErr_CheckSignals()
        if watching:
            return <int>status, <int>(first != <uint64_t>-1), first
        return <int>status, n, [(at[i].pe, at[i].why, at[i].id, at[i].data) for i in range(min(n, room))]

    def look(self, int x, int y, int what, int index=0):
        """wse_look: the values as a list of integers."""
        self.idle()
        cdef uint64_t values[64]
        cdef int64_t n = wse_look(self.f, x, y, what, index, values, 64)
        if n < 0:
            raise ValueError("there is no such PE or number")
        return [values[i] for i in range(min(n, 64))]

    def plane(self, int which):
        cdef wse_plane plane
        self.idle()
        self.done(wse_get_plane(self.f, which, &plane))
        return lend(self, plane.data, plane.item, [plane.shape[i] for i in range(plane.ndim)])

    def color_links(self, int color):
        """wse_color_links: uint64 [5, height, width], a copy; None if they are not counted."""
        self.idle()
        values = bytearray(WSE_PORTS * self.width * self.height * sizeof(uint64_t))
        cdef Taken to = Taken(values, 1, -1, True)
        if wse_color_links(self.f, color, <uint64_t *>to.view.buf) != WSE_OK:
            return None
        return values

    def bin_cycles(self):
        return wse_bin_cycles(self.f)

    def trace(self):
        """The events as bytes, sizeof(wse_event) each."""
        cdef const wse_event *events = NULL
        self.idle()
        cdef uint64_t count = wse_trace(self.f, &events)
        return lend(self, events, 1, (count * sizeof(wse_event),))

    def trace_dropped(self):
        return wse_trace_dropped(self.f)

    def trace_take(self):
        """The events since the last call as bytes; trace_dropped then is the number of those that were not kept."""
        cdef const wse_event *events = NULL
        self.idle()
        cdef uint64_t count = wse_trace_take(self.f, &events)
        return lend(self, events, 1, (count * sizeof(wse_event),))

    def trace_only(self, uint64_t since, uint64_t until, pes=None, bint hops=False):
        """Keeps the events of cycles since .. until - 1, and of the PEs for which pes, uint8 [pe], is not 0.  hops: also
        HOP."""
        self.idle()
        cdef Taken taken
        if pes is None:
            self.done(wse_trace_only(self.f, since, until, NULL, hops))
        else:
            taken = Taken(pes, 1, <Py_ssize_t>self.width * self.height)
            self.done(wse_trace_only(self.f, since, until, <const uint8_t *>taken.view.buf, hops))

    def said(self):
        """What the PEs said since the last call, as bytes, sizeof(wse_event) each."""
        cdef const wse_event *events = NULL
        self.idle()
        cdef uint64_t count = wse_said(self.f, &events)
        return lend(self, events, 1, (count * sizeof(wse_event),))

    def profile(self):
        """Keeps a profile.  To be called before the first cycle."""
        self.idle()
        self.done(wse_profile(self.f))

    def profile_of(self, int index, int length):
        """uint64 [length + 1, 1 + causes] of a class: times and cycles by cause of each instruction, last of none."""
        self.idle()
        result = numpy.zeros((length + 1, WSE_PROFILE_COLUMNS), numpy.uint64)
        cdef Taken to = Taken(result, 8, (length + 1) * WSE_PROFILE_COLUMNS, True)
        self.done(wse_profile_of(self.f, index, <uint64_t *>to.view.buf))
        return result

    def check(self):
        """Checks the run.  To be called before the first cycle, before memory is written."""
        self.idle()
        self.done(wse_check(self.f))

    def check_class(self, int index, region, flags):
        """What the bytes of a class are: region, uint16 [SRAM], 0 none; flags, uint8 [SRAM], CHECK_..."""
        self.idle()
        cdef Taken regions = Taken(region, 2, SRAM)
        cdef Taken bits = Taken(flags, 1, SRAM)
        self.done(wse_check_class(self.f, index, <const uint16_t *>regions.view.buf, <const uint8_t *>bits.view.buf))

    def findings(self, bint ended, out):
        """Fills `out`, bytes of FINDING_BYTES each, and returns the number of findings; ended: see wse_findings."""
        self.idle()
        cdef Taken to = Taken(out, 1, -1, True)
        return wse_findings(self.f, ended, <wse_finding *>to.view.buf, to.count // <Py_ssize_t>sizeof(wse_finding))

    def fault(self):
        """(kind, x, y, color, queue, task, port, pc, cycle, detail) of the first fault; kind 0: none."""
        cdef wse_fault fault
        wse_fault_of(self.f, &fault)
        return (fault.kind, fault.x, fault.y, fault.color, fault.queue, fault.task, fault.port, fault.pc, fault.cycle,
                fault.detail)

    def bytes(self):
        return wse_bytes(self.f)


cdef int number(int index) except -1:
    if index < 0:
        raise ValueError("the engine refuses an argument: it is outside the rectangle or the machine")
    return index


EVENT_BYTES = sizeof(wse_event)
WAIT_BYTES = sizeof(wse_wait)
FINDING_BYTES = sizeof(wse_finding)
CHECK_UNDEFINED, CHECK_CODE, CHECK_STACK = WSE_CHECK_UNDEFINED, WSE_CHECK_CODE, WSE_CHECK_STACK


def params():
    """Rows of machine.def as dicts: the columns by name."""
    cdef const wse_param_info *p = wse_param_table()
    return [{"name": p[i].name.decode(), "unit": p[i].unit.decode(), "confidence": p[i].confidence.decode(),
             "source": p[i].source.decode(), "meaning": p[i].meaning.decode(), "limits": p[i].limits.decode(),
             "wse2": p[i].value[0], "wse3": p[i].value[1], "silicon": p[i].value[2],
             "least": p[i].least, "most": p[i].most} for i in range(WSE_PARAM_COUNT)]


def ops():
    """Rows VECTOR, SCALAR and SYSTEM of isa.def as dicts, columns by name; the opcode is the index.  kind: of the row;
    types: of dst, src0, src1, extra of a vector row; lanes: on WSE-2 and WSE-3."""
    cdef int count
    cdef const wse_op_info *o = wse_op_table(&count)
    kinds = {WSE_KIND_VECTOR: "vector", WSE_KIND_SCALAR: "scalar", WSE_KIND_SYSTEM: "system"}
    return [{"name": o[i].name.decode(), "kind": kinds[o[i].kind], "form": o[i].form.decode(),
             "types": tuple([o[i].type[j].decode() for j in range(4)]), "latency": o[i].latency.decode(),
             "lanes": (o[i].lanes[0], o[i].lanes[1]), "flops": o[i].flops, "rule": o[i].rule.decode(),
             "bytes": o[i].bytes, "privacy": o[i].privacy.decode(), "group": o[i].group,
             "names": o[i].names.decode(), "effect": o[i].effect.decode()} for i in range(count)]


def types():
    """Rows TYPE of isa.def as dicts, columns by name."""
    cdef int count
    cdef const wse_type_info *t = wse_type_table(&count)
    return [{"name": t[i].name.decode(), "bytes": t[i].bytes, "is_float": bool(t[i].is_float),
             "half": bool(t[i].half), "csl": t[i].csl.decode(), "meaning": t[i].meaning.decode()} for i in range(count)]


def forms():
    """Rows FORM of isa.def as dicts, columns by name."""
    cdef int count
    cdef const wse_form_info *f = wse_form_table(&count)
    return [{"name": f[i].name.decode(), "operands": f[i].operands.decode(), "writes": f[i].writes.decode(),
             "reads": f[i].reads.decode()} for i in range(count)]


cdef list rows(const wse_row *r, int count):
    return [(r[i].name.decode(), r[i].text.decode(), r[i].more.decode()) for i in range(count)]


def faults():
    """Rows of faults.def: (name, sentence, ""); the index is the kind, 0 none."""
    return rows(wse_fault_table(), WSE_FAULT_COUNT)


def findings():
    """Rows of findings.def: (name, what its field `what` holds, ""); the index is the kind."""
    return rows(wse_finding_table(), WSE_FINDING_COUNT)


def events():
    """Rows of events.def: (name, meaning of a, meaning of b); the index is the kind."""
    return rows(wse_event_table(), WSE_EV_COUNT)


def counters():
    """Rows of counters.def: (name, unit, meaning); the index is the column of PLANE_COUNTERS."""
    return rows(wse_counter_table(), WSE_CTR_COUNT)


def causes():
    """Rows of causes.def: (name, counter, meaning); the index + 1 is the column of `profile_of`."""
    return rows(wse_cause_table(), WSE_CAUSE_COUNT)


def h2s(int fp16, half):
    """Widens an array of uint16 bits to float32."""
    cdef Taken source = Taken(half, 2)
    single = numpy.empty(numpy.shape(half), numpy.float32)
    cdef Taken to = Taken(single, 4, source.count, True)
    cdef size_t n = source.count
    with nogil:
        wse_h2s(fp16, <const uint16_t *>source.view.buf, <float *>to.view.buf, n)
    return single


def s2h(int fp16, single):
    """Rounds an array of float32 to uint16 bits."""
    cdef Taken source = Taken(single, 4)
    half = numpy.empty(numpy.shape(single), numpy.uint16)
    cdef Taken to = Taken(half, 2, source.count, True)
    cdef size_t n = source.count
    with nogil:
        wse_s2h(fp16, <const float *>source.view.buf, <uint16_t *>to.view.buf, n)
    return half


def element(int opcode, int fp16, a, b, c):
    """Values of one instruction over uint32 arrays of one shape; None if the instruction has no value function."""
    cdef Taken first = Taken(a, 4)
    cdef Taken second = Taken(b, 4, first.count), third = Taken(c, 4, first.count)
    result = numpy.empty(numpy.shape(a), numpy.uint32)
    cdef Taken to = Taken(result, 4, first.count, True)
    cdef const uint32_t *x = <const uint32_t *>first.view.buf
    cdef const uint32_t *y = <const uint32_t *>second.view.buf
    cdef const uint32_t *z = <const uint32_t *>third.view.buf
    cdef uint32_t *out = <uint32_t *>to.view.buf
    cdef Py_ssize_t i
    cdef int known = 1
    with nogil:
        for i in range(first.count):
            known = wse_element(opcode, fp16, x[i], y[i], z[i], &out[i])
            if not known:
                break
    return result if known else None
