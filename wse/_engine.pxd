# The part of csrc/wse.h that the binding uses.
from libc.stdint cimport (
    int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t,
)

cdef extern from "wse.h":
    enum:
        WSE_N, WSE_E, WSE_S, WSE_W, WSE_RAMP, WSE_PORTS
        WSE_MAX_THREADS, WSE_COLORS, WSE_QUEUES, WSE_INPUTS, WSE_TASKS, WSE_REGISTERS, WSE_SRAM
        WSE_PARAM_COUNT, WSE_CTR_COUNT, WSE_FAULT_COUNT, WSE_EV_COUNT, WSE_CAUSE_COUNT, WSE_PROFILE_COLUMNS
        WSE_TASK_UNBOUND, WSE_TASK_DATA, WSE_TASK_LOCAL, WSE_TASK_CONTROL
        WSE_ROUTE_RX, WSE_ROUTE_TX, WSE_ROUTE_POS, WSE_ROUTE_LAST, WSE_ROUTE_RING, WSE_ROUTE_POP, WSE_ROUTE_TEARDOWN
        WSE_ROUTE_SWAP_X, WSE_ROUTE_SWAP_Y, WSE_ROUTE_FILTER
        WSE_FILTER_RANGE, WSE_FILTER_COUNTER, WSE_FILTER_SPARSE
        WSE_PENDING_OPERATIONS, WSE_PENDING_ROUTERS, WSE_PENDING_QUEUES, WSE_PENDING_TASKS
        WSE_WAIT_MAIN, WSE_WAIT_MICROTHREAD, WSE_WAIT_ROUTER, WSE_WAIT_OUTPUT_QUEUE, WSE_WAIT_INPUT_QUEUE, WSE_WAIT_TASK
        WSE_FOR_WAVELET, WSE_FOR_ROOM, WSE_FOR_READER, WSE_FOR_UNBLOCK, WSE_FOR_ROUTE, WSE_FOR_QUEUE, WSE_FOR_TEARDOWN
        WSE_FOR_MICROTHREAD, WSE_FOR_BINDING, WSE_FOR_FIFO
        WSE_PLANE_COUNTERS, WSE_PLANE_LINKS, WSE_PLANE_BLOCKED, WSE_PLANE_COLORS, WSE_PLANE_OPCODES, WSE_PLANE_SERIES
        WSE_PLANE_ACTIVITY, WSE_PLANE_HOSTSIG
        WSE_KIND_VECTOR, WSE_KIND_SCALAR, WSE_KIND_SYSTEM
        WSE_CHECK_UNDEFINED, WSE_CHECK_CODE, WSE_CHECK_STACK, WSE_FINDING_COUNT

    ctypedef enum wse_status:
        WSE_OK, WSE_QUIET, WSE_LIMIT, WSE_FAULTED, WSE_NOMEM, WSE_BADARG

    ctypedef struct wse_fault:
        int32_t kind, x, y, color, queue, task, port, pc
        uint64_t cycle
        uint32_t detail

    ctypedef struct wse_desc:
        int32_t width, height, fp16, threads
        int64_t *params
        uint64_t trace_capacity
        int32_t bins, bin_planes, tile, portable, reference, team, drops_off_edge

    ctypedef struct wse_class:
        const uint64_t *code
        uint32_t code_length
        int8_t *iq_color
        int8_t *oq_color
        uint8_t *task_kind
        uint8_t *task_priority
        uint32_t *task_pc
        uint8_t *control_task
        uint8_t *control_first
        uint16_t thread_priority
        uint64_t active, blocked

    ctypedef struct wse_finding:
        uint64_t cycle

    ctypedef struct wse_filter:
        uint8_t kind, count_data, count_control, filter_control
        uint16_t min_index, max_index, init_counter, limit1, limit2, max_counter

    ctypedef struct wse_segment:
        uint64_t count, cycle
        uint32_t num, den

    ctypedef struct wse_timing:
        uint64_t passed, first, last, starved, blocked

    ctypedef struct wse_fabric:
        pass

    ctypedef struct wse_wait:
        uint32_t pe, on_pe
        int32_t pc
        int16_t who, id, why, color, port, queue, task

    ctypedef struct wse_plane:
        const void *data
        int32_t ndim, item
        int64_t *shape

    ctypedef struct wse_event:
        uint64_t cycle
        uint32_t pe
        uint16_t kind, a
        uint32_t b

    ctypedef struct wse_param_info:
        const char *name
        const char *unit
        const char *confidence
        const char *source
        const char *meaning
        const char *limits
        int64_t *value
        int64_t least, most

    ctypedef struct wse_op_info:
        const char *name
        const char *form
        const char *effect
        const char **type
        const char *latency
        const char *rule
        const char *privacy
        const char *names
        int kind
        int *lanes
        int flops, bytes, group

    ctypedef struct wse_type_info:
        const char *name
        const char *csl
        const char *meaning
        int bytes, is_float, half

    ctypedef struct wse_form_info:
        const char *name
        const char *operands
        const char *writes
        const char *reads

    ctypedef struct wse_row:
        const char *name
        const char *text
        const char *more

    wse_fabric *wse_new(const wse_desc *desc) nogil
    void wse_free(wse_fabric *f) nogil
    int wse_add_class(wse_fabric *f, const wse_class *c)
    wse_status wse_set_classes(wse_fabric *f, const uint16_t *class_of_pe)
    int wse_add_filter(wse_fabric *f, const wse_filter *filter)
    wse_status wse_set_routes(wse_fabric *f, int color, const uint64_t *config)
    wse_status wse_write(wse_fabric *f, int x, int y, int w, int h, uint32_t address, uint32_t size, const void *data)
    wse_status wse_fill(wse_fabric *f, int x, int y, int w, int h, uint32_t address, uint32_t size, const void *same)
    wse_status wse_fill_class(wse_fabric *f, int class_index, uint32_t address, uint32_t size, const void *same)
    wse_status wse_read(wse_fabric *f, int x, int y, int w, int h, uint32_t address, uint32_t size, void *to)
    wse_status wse_set_register(wse_fabric *f, int x, int y, int w, int h, int reg, const uint32_t *values)
    int wse_stream_in(wse_fabric *f, int x, int y, int port, int color, const uint32_t *data, const uint8_t *control,
                      uint64_t n, uint32_t num, uint32_t den)
    int wse_stream_out(wse_fabric *f, int x, int y, int port, int color, uint64_t capacity, uint32_t num, uint32_t den)
    uint64_t wse_stream_count(const wse_fabric *f, int stream)
    const uint32_t *wse_stream_data(const wse_fabric *f, int stream)
    const uint8_t *wse_stream_control(const wse_fabric *f, int stream)
    const uint64_t *wse_stream_cycles(const wse_fabric *f, int stream)
    void wse_stream_take(wse_fabric *f, int stream, int goes_on)
    wse_status wse_stream_put(wse_fabric *f, int stream, const uint32_t *data, const uint8_t *control, uint64_t n,
                              const wse_segment *segments, uint64_t m, uint64_t window)
    uint64_t wse_stream_timing(const wse_fabric *f, int stream, wse_timing *out, uint64_t capacity)
    wse_status wse_set_host(wse_fabric *f, int color)
    wse_status wse_host_put(wse_fabric *f, int color, int port, int x, int y, int w, int h, uint64_t n, const uint32_t *data)
    wse_status wse_host_ask(wse_fabric *f, int color, int port, int x, int y, int w, int h, uint64_t n)
    wse_status wse_host_take(wse_fabric *f, int color, int port, int x, int y, int w, int h, uint64_t n, uint32_t *data)
    uint64_t wse_host_waiting(const wse_fabric *f, int color, int port, int out, int x, int y, int w, int h)
    wse_status wse_activate(wse_fabric *f, int x, int y, int w, int h, int task)
    wse_status wse_run(wse_fabric *f, uint64_t until, uint64_t limit, const int *stop) nogil
    wse_status wse_rest(wse_fabric *f, uint64_t until)
    uint64_t wse_cycle(const wse_fabric *f)
    uint64_t wse_last_activity(const wse_fabric *f)
    uint32_t wse_dropped(const wse_fabric *f, int color)
    int wse_pending(wse_fabric *f)
    int64_t wse_waits(wse_fabric *f, wse_wait *out, int64_t capacity)
    wse_status wse_save(wse_fabric *f, int descriptor, int *error)
    wse_status wse_restore(wse_fabric *f, int descriptor, int *error)
    wse_status wse_get_plane(wse_fabric *f, int which, wse_plane *out)
    wse_status wse_color_links(wse_fabric *f, int color, uint64_t *to)
    uint64_t wse_bin_cycles(const wse_fabric *f)
    uint64_t wse_trace(wse_fabric *f, const wse_event **events)
    uint64_t wse_trace_dropped(const wse_fabric *f)
    uint64_t wse_trace_take(wse_fabric *f, const wse_event **events)
    wse_status wse_trace_only(wse_fabric *f, uint64_t since, uint64_t until, const uint8_t *pes, int hops)
    uint64_t wse_said(wse_fabric *f, const wse_event **said)
    wse_status wse_profile(wse_fabric *f)
    wse_status wse_check(wse_fabric *f)
    wse_status wse_check_class(wse_fabric *f, int index, const uint16_t *region, const uint8_t *flags)
    int64_t wse_findings(wse_fabric *f, int ended, wse_finding *out, int64_t capacity)
    wse_status wse_profile_of(wse_fabric *f, int class_index, uint64_t *to)
    void wse_fault_of(const wse_fabric *f, wse_fault *out)
    uint64_t wse_bytes(const wse_fabric *f)

    const wse_param_info *wse_param_table()
    const wse_op_info *wse_op_table(int *count)
    const wse_type_info *wse_type_table(int *count)
    const wse_form_info *wse_form_table(int *count)
    const wse_row *wse_finding_table()
    const wse_row *wse_fault_table()
    const wse_row *wse_event_table()
    const wse_row *wse_counter_table()
    const wse_row *wse_cause_table()
    const char wse_source_digest[]

    void wse_h2s(int fp16, const uint16_t *half, float *single, size_t n) nogil
    void wse_s2h(int fp16, const float *single, uint16_t *half, size_t n) nogil
    int wse_element(int opcode, int fp16, uint32_t a, uint32_t b, uint32_t c, uint32_t *result) nogil

cdef extern from "wse_debug.h":
    enum:
        WSE_MARK_FIRST, WSE_STOP_STEP, WSE_STOP_TASK, WSE_STOP_MARK, WSE_STOP_WAVELET, WSE_STOP_MEMORY
        WSE_LOOK_THREAD, WSE_LOOK_REGISTERS, WSE_LOOK_DSR, WSE_LOOK_XDSR, WSE_LOOK_OPERATION, WSE_LOOK_INPUT
        WSE_LOOK_OUTPUT, WSE_LOOK_BUFFER, WSE_LOOK_ROUTE

    ctypedef struct wse_place:
        uint32_t pe, address, bytes

    ctypedef struct wse_stops:
        const uint32_t *pes
        uint32_t pe_count
        uint32_t step_pe
        const uint64_t *tasks
        const uint16_t *marks
        uint32_t colors
        const uint8_t *wavelet_pes
        const wse_place *places
        uint32_t place_count

    ctypedef struct wse_stop:
        uint32_t pe
        uint16_t why, id
        uint32_t data

    wse_status wse_run_to_stop(wse_fabric *f, uint64_t until, uint64_t limit, const wse_stops *stops, wse_stop *to,
                               uint32_t capacity, uint32_t *n, const int *stop) nogil
    wse_status wse_run_watching(wse_fabric *f, uint64_t until, uint64_t limit, const wse_stops *stops, uint64_t *first,
                                const int *stop) nogil
    int64_t wse_look(wse_fabric *f, int x, int y, int what, int index, uint64_t *to, int64_t capacity)
