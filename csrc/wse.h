/* wse.h - the public interface of the engine: a rectangle of processing elements (PEs), each a compute element (CE)
 * with its memory and a router, stepped cycle by cycle.
 *
 * Use: wse_new, wse_add_class / wse_set_classes / wse_set_routes / wse_write, wse_activate, wse_run until it returns
 * WSE_QUIET, wse_get_plane, wse_free.  The engine does not print or exit, and has no global state.  A call that fails
 * returns a status; wse_fault_of describes the fault of a run.
 *
 * Coordinates are (x, y), x east, y south; the flat index is pe = y * width + x; planes are row-major [y][x].
 * Time is cycles from 0.  Ports are N E S W RAMP = 0..4; a direction's opposite is d ^ 2.
 */
#ifndef WSE_H
#define WSE_H

#include <stddef.h>
#include <stdint.h>

enum { WSE_N, WSE_E, WSE_S, WSE_W, WSE_RAMP, WSE_PORTS };
/* WSE_INPUTS: the input queues, and behind them one input for each color that comes to the CE without a queue, as
 * colors of data tasks do on WSE-2. */
enum {
  WSE_COLORS = 24,
  WSE_QUEUES = 8,
  WSE_INPUTS = 32,
  WSE_TASKS = 64,
  WSE_REGISTERS = 32,
  WSE_SRAM = 49152,
  WSE_MAX_THREADS = 64
};

typedef enum { WSE_FP16_IEEE, WSE_FP16_BF16, WSE_FP16_CB16 } wse_fp16;

typedef enum {
#define PARAM(name, ...) WSE_##name,
#include "tables/machine.def"
  WSE_PARAM_COUNT
} wse_param;

typedef enum {
#define CAUSE(name, counter, meaning) WSE_CAUSE_##name,
#include "tables/causes.def"
  WSE_CAUSE_COUNT
} wse_cause;

typedef enum {
#define COUNTER(name, unit, meaning) WSE_CTR_##name,
#include "tables/counters.def"
  WSE_CTR_COUNT
} wse_counter;

typedef enum {
  WSE_FAULT_NONE,
#define FAULT(name, sentence) WSE_FAULT_##name,
#include "tables/faults.def"
  WSE_FAULT_COUNT
} wse_fault_kind;

typedef enum {
#define EVENT(name, a, b) WSE_EV_##name,
#include "tables/events.def"
  WSE_EV_COUNT
} wse_event_kind;

/* Kinds of findings of a checked run. */
typedef enum {
#define FINDING(name, what) WSE_FINDING_##name,
#include "tables/findings.def"
  WSE_FINDING_COUNT
} wse_finding_kind;

typedef enum {
  WSE_OK,
  WSE_QUIET,   /* nothing can move any more; wse_pending returns what waits */
  WSE_LIMIT,   /* the cycle limit of the call was reached */
  WSE_FAULTED, /* the program caused a fault: see wse_fault_of */
  WSE_NOMEM,
  WSE_BADARG,
} wse_status;

/* The first fault of a run: the earliest cycle, then the lowest PE.  -1 where a field does not apply. */
typedef struct {
  int32_t kind;
  int32_t x, y;
  int32_t color, queue, task, port;
  int32_t pc; /* index of the instruction in its class's code */
  uint64_t cycle;
  uint32_t detail;
} wse_fault;

typedef enum { WSE_WIDEST, WSE_PORTABLE, WSE_PORTABLE_AVX2 } wse_portable; /* all, none, AVX2 at most */

/* Which threads step a stretch of the run: those that are measured to be fastest, all or one; all; or, for tests, one
 * and all in turn. */
typedef enum { WSE_TEAM_FASTEST, WSE_TEAM_ALL, WSE_TEAM_IN_TURN } wse_team;

typedef struct {
  int32_t width, height;
  int32_t fp16;    /* wse_fp16 of the program */
  int32_t threads; /* host threads, 1 to WSE_MAX_THREADS; at most one per processor runs; results do not depend on it */
  int64_t params[WSE_PARAM_COUNT];
  uint64_t trace_capacity; /* events kept; 0: no trace */
  int32_t bins;            /* bins of the activity series; 0: none */
  /* Activity per bin and place as well, a place being so many PEs of a row: a power of two up to 64; and links by color.
   * 0: none.  Above 1: 0 instead, if rows have less than 64 PEs. */
  int32_t bin_planes;
  int32_t tile;      /* cycles a row is stepped before the next, 1 to 8; 0: automatic; results do not depend on it */
  int32_t portable;  /* a wse_portable: which vectors of the host it may use; results do not depend on it */
  int32_t reference; /* 1: every fast path is off (state.h lists them); results do not depend on it */
  int32_t team;      /* a wse_team; results do not depend on it */
  int32_t drops_off_edge; /* 1: a wavelet that leaves the rectangle without a stream is dropped; 0: it is a fault */
} wse_desc;

enum { WSE_TASK_UNBOUND, WSE_TASK_DATA, WSE_TASK_LOCAL, WSE_TASK_CONTROL };

/* What all PEs of one class share. */
typedef struct {
  const uint64_t *code; /* 64-bit instruction words, see isa.h */
  uint32_t code_length;
  int8_t iq_color[WSE_INPUTS]; /* color an input queue is bound to; -1 none */
  int8_t oq_color[WSE_QUEUES]; /* color an output queue is bound to; -1 none or, on WSE-2, free */
  uint8_t task_kind[WSE_TASKS];
  uint8_t task_priority[WSE_TASKS]; /* 0 low, 1 high */
  uint32_t task_pc[WSE_TASKS];
  uint8_t control_task[WSE_TASKS];   /* the task that an entry point of a control wavelet names; 0xff none */
  uint8_t control_first[WSE_QUEUES]; /* added to the entry points that come by an input queue */
  uint16_t thread_priority;          /* of microthreads at the start: 2 bits each, 0 low, 1 medium, 2 high; xor 1 */
  uint64_t active, blocked;          /* tasks at the start of the run */
} wse_class;

/* A router's configuration of one color.  Positions 0..3 of the switch: inputs and outputs as masks of ports. */
enum {
  WSE_ROUTE_RX = 0, /* position p: bits 10 p .. 10 p + 4 */
  WSE_ROUTE_TX = 5, /* position p: bits 10 p + 5 .. 10 p + 9 */
  WSE_ROUTE_POS = 40,
  WSE_ROUTE_LAST = 42, /* last defined position */
  WSE_ROUTE_RING = 44,
  WSE_ROUTE_POP = 45, /* 0 no_pop, 1 always_pop, 2 pop_on_advance, 3 pop_on_advance_nop */
  WSE_ROUTE_TEARDOWN = 47,
  WSE_ROUTE_SWAP_X = 48,
  WSE_ROUTE_SWAP_Y = 49,
  WSE_ROUTE_FILTER = 56, /* 8 bits: 1 + index of the filter, 0 none */
};

enum { WSE_FILTER_RANGE = 1, WSE_FILTER_COUNTER, WSE_FILTER_SPARSE };

/* A filter: which of the wavelets of a color that leave a router by the ramp reach the CE. */
typedef struct {
  uint8_t kind, count_data, count_control, filter_control;
  uint16_t min_index, max_index; /* range: passes if min <= upper half <= max; control always passes */
  uint16_t init_counter, limit1, limit2, max_counter; /* passes if counter <= max; restarts after limit1 */
} wse_filter;

typedef struct wse_fabric wse_fabric;

wse_fabric *wse_new(const wse_desc *desc);
void wse_free(wse_fabric *fabric);

/* Classes, filters and streams are numbered from 0 in the order of their addition.  Calls that add one return its
 * number, or -1 if there is no memory or a field is out of range. */
int wse_add_class(wse_fabric *fabric, const wse_class *given);
wse_status wse_set_classes(wse_fabric *fabric, const uint16_t *class_of_pe); /* [height][width]; 0xffff: no code */
int wse_add_filter(wse_fabric *fabric, const wse_filter *filter);
wse_status wse_set_routes(wse_fabric *fabric, int color, const uint64_t *config); /* [height][width]; 0: unused */
wse_status wse_set_host(wse_fabric *fabric, int color); /* a host color: every side of every router leads to the host */

/* Memory.  The rectangle's PEs in row-major order, `bytes` each, from `address`. */
wse_status wse_write(wse_fabric *fabric, int x, int y, int w, int h, uint32_t address, uint32_t bytes,
                     const void *from);
wse_status wse_fill(wse_fabric *fabric, int x, int y, int w, int h, uint32_t address, uint32_t bytes, const void *same);
wse_status wse_fill_class(wse_fabric *fabric, int class_index, uint32_t address, uint32_t bytes, const void *same);
wse_status wse_read(wse_fabric *fabric, int x, int y, int w, int h, uint32_t address, uint32_t bytes, void *to);
wse_status wse_set_register(wse_fabric *fabric, int x, int y, int w, int h, int reg, const uint32_t *values);

/* Streams at the edge: wavelets enter PE (x, y)'s router from `port`, or leave by it, at most `num` in `den` cycles.
 * control: bit per wavelet as a byte array, or NULL.  The data are copied. */
int wse_stream_in(wse_fabric *fabric, int x, int y, int port, int color, const uint32_t *data, const uint8_t *control,
                  uint64_t n, uint32_t num, uint32_t den);
int wse_stream_out(wse_fabric *fabric, int x, int y, int port, int color, uint64_t capacity, uint32_t num,
                   uint32_t den);
/* Wavelets that passed; of a stream out, those since the last wse_stream_take. */
uint64_t wse_stream_count(const wse_fabric *fabric, int stream);
const uint32_t *wse_stream_data(const wse_fabric *fabric, int stream);
const uint8_t *wse_stream_control(const wse_fabric *fabric, int stream);
const uint64_t *wse_stream_cycles(const wse_fabric *fabric, int stream); /* out: cycle in which each left the fabric */
/* out: discards what passed.  goes_on: the rate counts from the same cycle, else from that of the next wavelet. */
void wse_stream_take(wse_fabric *fabric, int stream, int goes_on);

/* Arrival times of wavelets at the edge: the next `count` of a stream arrive from cycle `cycle` on, `num` in `den`
 * cycles, after those of the previous segment.  One per cycle enters the fabric.  At most `window` wait at the edge
 * behind the next one; while they do, later arrivals are delayed by as many cycles. */
typedef struct {
  uint64_t count, cycle;
  uint32_t num, den;
} wse_segment;
/* Times of a segment.  passed: wavelets that entered the fabric.  first, last: cycles in which the first and the last
 * of them entered.  starved: cycles in which the edge waited for a wavelet.  blocked: cycles in which a wavelet at the
 * edge waited for the fabric. */
typedef struct {
  uint64_t passed, first, last, starved, blocked;
} wse_timing;
/* Adds n wavelets to an input stream that has only segments, or has passed nothing yet.  The counts of the m segments
 * add up to n.  Memory of wavelets that have passed is used again; once all have, times and segments are forgotten. */
wse_status wse_stream_put(wse_fabric *fabric, int stream, const uint32_t *data, const uint8_t *control, uint64_t n,
                          const wse_segment *segments, uint64_t m, uint64_t window);
/* Returns the number of segments, and fills at most `capacity` of their times. */
uint64_t wse_stream_timing(const wse_fabric *fabric, int stream, wse_timing *out, uint64_t capacity);

/* Host streams of a rectangle of PEs of a host color, or at the edge: each PE has one stream in and one out, by `port`.
 * put: adds n wavelets for each, [h][w][n].  ask: raises the capacity for data wavelets from each by n; control
 * wavelets that leave are discarded.  take: the first n of each that were not taken yet, [h][w][n]; WSE_BADARG if a PE
 * has sent fewer.  waiting: the wavelets that were put or asked for and have not passed. */
wse_status wse_host_put(wse_fabric *fabric, int color, int port, int x, int y, int w, int h, uint64_t n,
                        const uint32_t *data);
wse_status wse_host_ask(wse_fabric *fabric, int color, int port, int x, int y, int w, int h, uint64_t n);
wse_status wse_host_take(wse_fabric *fabric, int color, int port, int x, int y, int w, int h, uint64_t n,
                         uint32_t *data);
uint64_t wse_host_waiting(const wse_fabric *fabric, int color, int port, int out, int x, int y, int w, int h);

wse_status wse_activate(wse_fabric *fabric, int x, int y, int w, int h, int task);

/* Runs until nothing can move, a fault, or cycle `until` (absolute).  The call also ends, as at `until`, some time
 * after *stop is set.  Compute elements may run ahead of `until`, but not beyond cycle `limit`: counters and memory are
 * those of cycle `until` only if both are the same. */
wse_status wse_run(wse_fabric *fabric, uint64_t until, uint64_t limit, const volatile int *stop);
/* Lets time pass to cycle `until` if nothing can move without the host; the run before must have ended WSE_QUIET.
 * WSE_BADARG if `until` is in the past. */
wse_status wse_rest(wse_fabric *fabric, uint64_t until);
uint64_t wse_cycle(const wse_fabric *fabric); /* now */
uint32_t wse_dropped(const wse_fabric *fabric,
                     int color); /* ports off the edge where its wavelets were dropped: mask */
uint64_t wse_last_activity(
    const wse_fabric *fabric); /* one more than the last cycle in which an instruction issued or a wavelet moved */

enum { WSE_PENDING_OPERATIONS = 1, WSE_PENDING_ROUTERS = 2, WSE_PENDING_QUEUES = 4, WSE_PENDING_TASKS = 8 };
int wse_pending(wse_fabric *fabric);

/* An edge of the wait-for graph that deadlock reports are made from: what waits, and for what. */
enum {
  WSE_WAIT_MAIN,
  WSE_WAIT_MICROTHREAD,
  WSE_WAIT_ROUTER,
  WSE_WAIT_OUTPUT_QUEUE,
  WSE_WAIT_INPUT_QUEUE,
  WSE_WAIT_TASK
};
enum {
  WSE_FOR_WAVELET,     /* queue `queue` of color `color` is empty */
  WSE_FOR_ROOM,        /* no free slot for color `color` at `port` of `on_pe` */
  WSE_FOR_READER,      /* wavelets of `color` in input queue `queue` without a reader */
  WSE_FOR_UNBLOCK,     /* the task is active and blocked */
  WSE_FOR_ROUTE,       /* the router's position does not take color `color` from `port` */
  WSE_FOR_QUEUE,       /* no input queue is bound to `color` */
  WSE_FOR_TEARDOWN,    /* the color is torn down */
  WSE_FOR_MICROTHREAD, /* microthread `queue` is busy */
  WSE_FOR_BINDING,     /* input queue `queue` holds wavelets of another color, `color` */
  WSE_FOR_FIFO,
};
typedef struct {
  uint32_t pe, on_pe;
  int32_t pc;
  int16_t who, id; /* WSE_WAIT_..., microthread / queue / task id, port for a router */
  int16_t why, color, port, queue, task;
} wse_wait;
/* Returns the number of edges, and fills at most `capacity`. */
int64_t wse_waits(wse_fabric *fabric, wse_wait *out, int64_t capacity);

/* Writes the state at the current cycle to a file, or reads it into a fabric made of the same program with the same
 * options; a run then goes on as the one that was saved, equal to the bit.  Parameters are compared; that code and
 * routes are the same is the caller's business.  *error: an errno.  WSE_BADARG: the file is not of such a fabric, and
 * nothing has changed; WSE_FAULTED: the file could not be written or read to its end, and a fabric that was being
 * restored must not be used any more. */
wse_status wse_save(wse_fabric *fabric, int descriptor, int *error);
wse_status wse_restore(wse_fabric *fabric, int descriptor, int *error);

/* Planes: arrays that the engine owns; valid until wse_free. */
typedef struct {
  const void *data;
  int32_t ndim, item; /* bytes of an unsigned integer item */
  int64_t shape[4];
} wse_plane;
enum {
  WSE_PLANE_COUNTERS, /* u64 [height][width][WSE_CTR_COUNT] */
  WSE_PLANE_LINKS,    /* u64 [5][height][width]: wavelets that left by each port */
  WSE_PLANE_BLOCKED,  /* the same: cycles that wavelets at the head of a buffer waited for each port */
  WSE_PLANE_COLORS,   /* u64 [24][5][2]: wavelets and waiting cycles per color and port, whole fabric */
  WSE_PLANE_OPCODES,  /* u64 [opcodes]: instructions by opcode, whole fabric */
  WSE_PLANE_SERIES,   /* u64 [bins][4]: busy slots, wavelet-hops, flops, stalled-on-fabric slots */
  WSE_PLANE_ACTIVITY, /* u64 [bins][height][places of a row, or more]: busy slots */
  WSE_PLANE_HOSTSIG,  /* u32 [height][width]: last hostsig value of each PE */
};
wse_status wse_get_plane(wse_fabric *fabric, int which, wse_plane *out);
/* Wavelets of a color that left by each port: to[5][height][width].  WSE_BADARG: bin_planes is 0, or there is no
 * such color. */
wse_status wse_color_links(wse_fabric *fabric, int color, uint64_t *to);
uint64_t wse_bin_cycles(const wse_fabric *fabric); /* cycles per bin: doubles as the run gets longer */

typedef struct {
  uint64_t cycle;
  uint32_t pe;
  uint16_t kind, a;
  uint32_t b;
  uint32_t order; /* among the events of one PE and cycle */
} wse_event;
/* The first trace_capacity events, in order of cycle, then PE.  Returns their number. */
uint64_t wse_trace(wse_fabric *fabric, const wse_event **events);
uint64_t wse_trace_dropped(const wse_fabric *fabric);
/* Those since the last call, of which the first trace_capacity are kept; ends of operations that take no more slots may
 * be of earlier cycles.  wse_trace_dropped: how many more there were. */
uint64_t wse_trace_take(wse_fabric *fabric, const wse_event **events);
/* Keeps events of cycles from .. until - 1 only, and of PEs for which pes is not 0 (NULL: all); hops: 1: also HOP.  To
 * be called before the first cycle. */
wse_status wse_trace_only(wse_fabric *fabric, uint64_t from, uint64_t until, const uint8_t *pes, int hops);
/* Messages of `say` since the last call, in the same order; kind: its kind, b: its value.  Returns their number. */
uint64_t wse_said(wse_fabric *fabric, const wse_event **said);

/* A profile: for each instruction of a class how often it was issued, then its cycles by cause, summed over all PEs of
 * the class.  One more row holds the cycles that belong to no instruction.  The cycles of a class are those of its PEs'
 * counters.  wse_profile is called before the first cycle: later it is WSE_BADARG. */
enum { WSE_PROFILE_COLUMNS = 1 + WSE_CAUSE_COUNT };
wse_status wse_profile(wse_fabric *fabric);
wse_status wse_profile_of(wse_fabric *fabric, int class_index,
                          uint64_t *to); /* [code_length + 1][WSE_PROFILE_COLUMNS] */

void wse_fault_of(const wse_fabric *fabric, wse_fault *out);
uint64_t wse_bytes(const wse_fabric *fabric); /* memory the engine holds beyond SRAM */

/* A checked run.  Results do not change.  wse_check is called before the first cycle and keeps a profile.  Regions of
 * memory have numbers from 1, as the host chooses: region, flags: of each byte [WSE_SRAM].  Bytes that are undefined
 * may not be read before they are written; wse_write and the like count as writing. */
enum { WSE_CHECK_UNDEFINED = 1, WSE_CHECK_CODE = 2, WSE_CHECK_STACK = 4 };
typedef struct {
  uint64_t cycle, before_cycle; /* before: the earlier event; of it pc and thread are -1 where there is none */
  uint64_t count;               /* of the same kind, class, pc and `what`; this is the first of them */
  uint32_t pe, address;
  int32_t kind, pc, before_pc;
  int32_t thread, before_thread; /* of the PE: 0 to 7 microthreads, 8 the main thread */
  int32_t what;                  /* see tables/findings.def */
  int32_t task;                  /* of the main thread; -1 */
  int32_t writes, before_writes; /* 1: the access writes; of a FIFO: it counts words of 16 bits */
  uint32_t left;              /* in a FIFO; the position of a switch, the count of a filter; address: those at first */
  uint32_t sender[2], router; /* PEs whose wavelets took turns, and where; UINT32_MAX: unknown */
} wse_finding;
wse_status wse_check(wse_fabric *fabric);
wse_status wse_check_class(wse_fabric *fabric, int class_index, const uint16_t *region, const uint8_t *flags);
/* Fills at most `capacity`, in the order of their kinds' first occurrence; returns their number, -1 if the run is not
 * checked.  ended: 1: also what the run has left behind. */
int64_t wse_findings(wse_fabric *fabric, int ended, wse_finding *out, int64_t capacity);

/* The tables of csrc/tables as arrays.  The heads of the .def files describe the fields. */
typedef struct {
  const char *name, *unit, *confidence, *source, *meaning, *limits;
  int64_t value[3]; /* wse2, wse3, wse3 silicon */
  int64_t least, most;
} wse_param_info;
const wse_param_info *wse_param_table(void); /* [WSE_PARAM_COUNT] */

enum { WSE_KIND_VECTOR, WSE_KIND_SCALAR, WSE_KIND_SYSTEM };
typedef struct {
  const char *name, *form, *effect; /* form of a vector row: "" */
  const char *type[4];              /* dst, src0, src1, extra of a vector row */
  const char *latency;
  const char *rule, *privacy, *names; /* "" where the kind of row does not have it */
  int kind;
  int lanes[2], flops; /* of a vector row */
  int bytes;           /* of the memory access of a scalar row */
  int group;           /* registers that the register operand of a system row names */
} wse_op_info;
const wse_op_info *wse_op_table(int *count);

typedef struct {
  const char *name, *csl, *meaning;
  int bytes, is_float, half;
} wse_type_info;
const wse_type_info *wse_type_table(int *count);

typedef struct {
  const char *name, *operands, *writes, *reads;
} wse_form_info;
const wse_form_info *wse_form_table(int *count);

typedef struct {
  const char *name, *text, *more;
} wse_row;
const wse_row *wse_fault_table(void);   /* name, sentence */
const wse_row *wse_finding_table(void); /* name, what */
const wse_row *wse_event_table(void);   /* name, a, b */
const wse_row *wse_counter_table(void); /* name, unit, meaning */
const wse_row *wse_cause_table(void);   /* [WSE_CAUSE_COUNT] name, counter, meaning */

/* SHA-256 over the engine's sources, as 64 hexadecimal digits; the build writes it (csrc/build_engine.py). */
extern const char wse_source_digest[];

/* Conversion of n 16-bit floats to f32 and back, for the host.  fp16: a wse_fp16. */
void wse_h2s(int fp16, const uint16_t *from, float *to, size_t n);
void wse_s2h(int fp16, const float *from, uint16_t *to, size_t n);
/* The result of one element of an instruction, for tests and hosts.  Returns 0 if the instruction has no value. */
int wse_element(int opcode, int fp16, uint32_t a, uint32_t b, uint32_t c, uint32_t *result);

#endif
