/* state.h - the state of the machine, plain: one array per field over the PEs, one allocation per array.
 *
 * The flat index of PE (x, y) is pe = y * width + x.  Routers are kept 64 to a word, the neighbors of a row, so that one bit
 * operation moves all of them (router.c): router x of row y is lane x mod 64 of word y * row_words + x / 64.  Queues, DSRs and
 * operations are planes, one per queue, DSR or thread; a plane nobody touches costs no memory, for all are mapped lazily.  What
 * one compute element needs in every step is one compact struct, ce.
 *
 * Threads own bands of rows.  Who steps a row writes it and its two neighbors, nothing else (run.c).
 */
#ifndef STATE_STATE_H
#define STATE_STATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "numeric/element.h"
#include "tables/isa.h"
#include "wse.h"

struct span;
typedef void (*span_function)(int fmt, const struct span *s);

enum {
  NEAR = 8,      /* wakes fewer than this many cycles ahead are bits in a ring; later ones lie in the wheel */
  WHEEL = 1024,  /* slots of the wheel */
  THREADS = 9,   /* operations a CE can have under way: microthreads 0..7, and the main thread's */
  MAIN = 8,
  MAX_BANDS = WSE_MAX_THREADS,
  CLOCK_UNIT = 1 << 22, /* cycles; see clocks.c */
};
#define NEVER UINT64_MAX
#define P(f, name) ((f)->params[WSE_##name])

/* --- wavelets ------------------------------------------------------------------------------------------------------- */

/* A wavelet in a queue: `when`, 30 bits of the cycle from which it may leave, then whether its passing advances switches, and
 * whether it is a control wavelet.  That cycle is at most AHEAD_OF_NOW after the one in which it is looked at; one that lies
 * far back is moved up before 30 bits are too few (clocks.c). */
typedef struct {
  uint32_t data, meta;
} wavelet;

enum { WAVELET_CONTROL = 1, WAVELET_ADVANCE = 2, AHEAD_OF_NOW = 1024 };

static inline uint32_t wavelet_meta(uint64_t when, uint32_t flags) { return (uint32_t)(when << 2) | flags; }
static inline int64_t wavelet_age(wavelet w, uint64_t now) {
  uint32_t age = ((uint32_t)(now << 2) - (w.meta & ~3u)) >> 2;
  return age < (1u << 30) - AHEAD_OF_NOW ? (int64_t)age : (int64_t)age - (1 << 30);
}
static inline bool wavelet_ready(wavelet w, uint64_t now) { return wavelet_age(w, now) >= 0; }
static inline uint64_t wavelet_when(wavelet w, uint64_t now) { return now - (uint64_t)wavelet_age(w, now); }

/* A queue between a router and its CE: both on one thread, so plain counts do. */
typedef struct {
  uint8_t head, count, advancing, unused[5];
  wavelet ring[];
} queue;

/* --- compute element ------------------------------------------------------------------------------------------------ */

/* A DSR, as in memory (isa.h). */
typedef struct {
  uint8_t kind, flags, queue, color;
  uint16_t base, length;
  int16_t stride;
  uint16_t options;
  uint8_t x, on_control;
  uint16_t index;
} dsr;

typedef union {
  struct {
    uint16_t extent[4];
    int16_t stride[4];
  } tensor;
  struct {
    uint16_t start, bytes;
  } circle;
  struct {
    uint16_t start, capacity, head, count;
    uint8_t on_push, on_pop;     /* tasks, 0xff none; fire on the first push (pop) after a reader (writer) had to wait */
    uint8_t was_full, was_empty;
  } fifo;
  uint32_t word[4];
} xdsr;

enum { OPERAND_IS_NONE, OPERAND_IS_DSR, OPERAND_IS_VALUE };

typedef struct {
  dsr d;
  uint8_t is, size, number; /* size: bytes of an element; number: DSR or register */
  uint32_t value;           /* of a register */
} operand;

/* A vector operation under way. */
typedef struct {
  operand dst, src0, src1;
  uint64_t next;      /* cycle of the next element, if its wavelets are there */
  uint32_t left;      /* elements; UINT32_MAX: without end */
  uint32_t done;
  uint32_t extra;
  uint32_t pc;
  uint16_t op, options;
  uint8_t period;                   /* slots per element */
  uint8_t conflicts;                /* bit i: slot i of eight is taken twice, for its sources share a bank */
  uint8_t wide;                     /* elements per wavelet */
  uint8_t active, on_control, wait; /* wait: the counter of what it waited for last */
  uint8_t reads, writes, flops;     /* per element: bytes of memory, floating-point operations */
  uint8_t plain;                    /* may take the short way (vector_step.c) */
  uint8_t rule;                     /* isa.h */
  uint32_t carry;
  element_function element;
} operation;

/* Where the data of a color go while their CE is a sink (store_only.h). */
typedef struct {
  uint16_t at;       /* next address */
  int16_t step;
  uint32_t left;     /* elements of the operation */
  uint8_t size, thread, wide; /* wide: elements of a wavelet */
} sink;

enum { MAIN_IDLE, MAIN_RUN, MAIN_OPERATION, MAIN_MEMORY, NO_CAUSE = 0xff };

typedef struct {
  uint64_t active, blocked;  /* tasks */
  uint64_t main_at;          /* the main thread may issue an instruction */
  uint64_t vector_at;        /* ... a vector operation that follows another (may lie in the past) */
  uint64_t loaded_at;        /* ... a vector operation after a DSR load */
  uint64_t result_at;        /* result_register is there */
  uint64_t memory_mark;      /* MAIN_MEMORY: slots are accounted for up to here */
  uint64_t written_at;       /* first element of the last operation, and the range it wrote */
  uint64_t accounted;        /* cycles are attributed up to here */
  uint64_t wheel_at;         /* cycle of the entry in the wheel; 0 none */
  uint64_t time_base, time_latch;
  uint32_t memory_left, memory_second; /* slots; of which for bank conflicts */
  uint32_t pc;
  uint16_t written_low, written_high, memory_op;
  uint8_t state, task, gap;  /* gap: counter that cycles without a slot go to */
  uint8_t waits;             /* in a step: the counter of what an operation waits for, or NO_CAUSE */
  uint8_t result_register;
  uint8_t follows_vector;
  uint8_t threads;           /* mask of microthreads under way */
  uint8_t storers;           /* ... of which only copy wavelets to memory (store_only.h) */
  uint8_t suspended;         /* mask of microthreads that utblock stopped */
  uint8_t thread_next;       /* round robin */
  uint8_t input_queues, output_queues; /* masks of the ones that hold something */
  uint8_t control_queues;    /* mask of input queues that may hold a control wavelet */
  uint8_t readers;           /* mask of input queues that an operation reads */
  uint8_t control_readers;   /* ... and of which it takes control wavelets too */
  uint8_t output_next;
  uint8_t taken;             /* bit i: the slot of cycle taken_from + i went to a sink's element */
  uint32_t sinks;            /* colors (by index) that are sinks */
  uint64_t taken_from;
  uint8_t main_priority;
  uint8_t time_stopped;
  uint8_t just_ended;        /* a task ended in the cycle before main_at */
  uint16_t thread_priority;  /* 2 bits each; 0 low, 1 medium, 2 high; stored xor 1 so that zero is medium */
  uint32_t random;
  uint32_t profiled;         /* 1 + pc of the last instruction, while its cycles are not yet counted */
  uint64_t profiled_at;
  uint32_t r[WSE_REGISTERS];
} ce;

/* --- router --------------------------------------------------------------------------------------------------------- */

enum { LANES = 64, DIGITS = 3, MAX_ROOM = 7, MAX_RING = 8, LINE = 64 };

/* What 64 routers keep for one color and input.  Bit i of a plane is lane i; counts are planes of binary digits.  Each lane's
 * wavelets lie in a ring of rows; `at` is the row of the head.  Rows begin on cache lines. */
typedef struct {
  uint64_t landed[DIGITS];    /* wavelets that may leave */
  uint64_t held[DIGITS];      /* these, and the ones still on the wire */
  uint64_t at[DIGITS];
  uint64_t full;              /* there was no room when the cycle began */
  uint64_t air[NEAR];         /* one lands in the cycle that is this modulo NEAR */
  uint64_t sent[WSE_PORTS];   /* outputs that have taken the head */
  uint64_t flagged;           /* control and advance are only looked at where this is not 0 for all lanes */
  uint64_t control[MAX_RING], advance[MAX_RING]; /* of the wavelet in each row */
  _Alignas(LINE) uint32_t since[LANES]; /* cycle from which the head could leave */
  uint32_t data[];            /* [ring][LANES] */
} buffer_word;

/* Routes of one color, as they stand now. */
typedef struct {
  uint64_t rx[WSE_PORTS], tx[WSE_PORTS]; /* rx is 0 in teardown */
  uint64_t takes;                        /* some rx */
  uint32_t ports;                        /* outputs that some lane uses or used */
  uint64_t special;                      /* a filter or a color swap: lane by lane */
  uint64_t ramp_full;                    /* the CE's queue has no room, or there is no queue */
  uint64_t sinks;                        /* the CE only stores what comes: store_only.h */
} route_word;

typedef struct {
  uint32_t busy;                    /* colors (by index) that hold something */
  uint32_t dirty;                   /* colors whose buffers changed: `full` is due */
  uint64_t edge[WSE_RAMP];          /* lanes whose neighbor on this side is off the grid */
  uint64_t next[WSE_PORTS][5];      /* round robin per output: the color whose turn is next, binary digits */
} router_word;

/* What the sinks of a word have taken of one color and not stored yet: a row for each step in which some did. */
enum { SINK_ROWS = 64 };
typedef struct {
  uint32_t used;               /* rows */
  uint32_t room;               /* more rows until some lane may have to take its wavelets the usual way, at least */
  uint64_t lanes[SINK_ROWS];   /* whose wavelets are in the row */
  _Alignas(LINE) uint32_t data[SINK_ROWS][LANES];
} sink_word;

/* When the sinks of a word stored: each cycle in which one does not is one in which it waits. */
typedef struct {
  uint64_t members;            /* lanes that are sinks */
  uint64_t closed;             /* waits are counted up to this cycle */
  uint64_t when[NEAR], lanes[NEAR]; /* who stores in cycle when[c % NEAR] = c, for cycles from `closed` on */
} sink_times;

/* Output links that rest now and then (link_bubble_every); kept only then. */
typedef struct {
  uint8_t streak[WSE_RAMP][LANES];  /* wavelets since the link last rested */
  uint32_t sent_at[WSE_RAMP][LANES]; /* cycle of the last one, 32 bits */
} link_word;

/* --- the rest ------------------------------------------------------------------------------------------------------- */

typedef struct {
  isa_ins *code;
  uint32_t code_length;
  int8_t iq_color[WSE_QUEUES], oq_color[WSE_QUEUES];
  int8_t queue_of_color[32];
  uint8_t task_kind[WSE_TASKS];
  uint32_t task_pc[WSE_TASKS];
  uint64_t high, local, active, blocked;
  uint32_t profile_at;              /* its first instruction among those of all classes */
} pe_class;

/* A segment of an input stream: wavelets first .. end - 1 of its data, the j-th of which arrives base + j den / num. */
typedef struct {
  uint64_t first, end;
  int64_t base; /* set when the segment before it has passed */
  wse_segment is;
  wse_timing timing;
} segment;

typedef struct {
  int x, y, port, color, out;
  uint32_t pe;
  uint32_t num, den;
  uint64_t n, passed, next, credit_from;
  uint64_t room, taken;                  /* room: of data; taken: of those passed, by the host (wse_host_take) */
  uint64_t before;                       /* in: what passed of data that are no longer held */
  uint32_t *data;
  uint8_t *control;
  uint64_t *cycles;
  bool asleep, data_only; /* data_only: control wavelets that leave are lost, as at the machine's edge */
  int32_t next_in_row;    /* index + 1 */
  segment *segments;      /* NULL: the rate num / den holds for all */
  uint64_t segment_total, segment_room, segment_at, window;
  uint64_t arrival, ready; /* of the next wavelet: it is at the edge; the edge is free for it */
} stream;

/* Queue bindings that the program changed while it ran; a field of 0 means: as the class says. */
typedef struct {
  uint8_t queue_of[WSE_COLORS];               /* queue + 1, or NO_BINDING */
  uint8_t iq[WSE_QUEUES], oq[WSE_QUEUES];     /* color + 1 */
} rebinding;
enum { NO_BINDING = 0xff };

/* What a row of routers and compute elements has to do.  Bit s of a mask is the cycle that is s modulo NEAR. */
typedef struct {
  uint8_t ces, routers;    /* some bit of wakes_ce, of wakes_router is set */
  uint8_t streams;         /* a buffer at the edge has room again: streams may go on in that cycle */
  bool dirty;              /* some bit of `dirty` is set */
  uint32_t band;
  int32_t first_stream;    /* index + 1; they are a list */
  uint64_t streams_next;   /* cycle in which one of them wants to go on by itself */
} fabric_row;

/* How many slots a memory operation takes, by what that follows from (memory_op.c). */
enum { SLOT_ENTRIES = 256 };
typedef struct {
  uint64_t key;
  uint64_t all, second;    /* slots; those for bank conflicts */
  uint32_t stride;         /* of the destination, the rest of the key */
  uint8_t reads, writes, flops; /* per element */
} slot_entry;

enum { SERIES_BUSY, SERIES_HOPS, SERIES_FLOPS, SERIES_STALLED, SERIES_WIDTH }; /* what a bin of the series counts */

typedef struct band {
  int y0, y1;              /* its rows */
  uint32_t pe0, pe1;       /* their PEs */
  int32_t *wheel_head;     /* [WHEEL], -1 empty */
  uint64_t last;           /* last activity + 1 */
  uint64_t renewed;        /* cycle in which clocks_renew last did something */
  wse_fault fault;
  uint64_t series_shift;
  uint64_t *series;        /* [bins][SERIES_WIDTH] */
  uint64_t opcodes[OP_COUNT];
  uint64_t colors[WSE_COLORS][WSE_PORTS][2];
  wse_event *events;
  uint64_t event_count, events_dropped;
  uint64_t (*profile)[2];  /* per instruction of all classes: cycles, times; NULL: nobody wants to know */
  slot_entry *slots;       /* [SLOT_ENTRIES] */
  wse_event *said;         /* what the PEs said to the host since it last listened */
  uint64_t said_count, said_room;
} band;

typedef struct arena {
  struct arena *next;
  size_t bytes, used;
} arena;

struct wse_fabric {
  int width, height;
  uint32_t pes;
  int fp16, threads;
  /* One wavelet, one element, one cycle at a time, every PE in every cycle: what the fast paths are compared with.  They are:
   *   run-ahead       issue.c: the main thread executes private instructions ahead of the fabric's cycle
   *   memory_op.c     operations over plain memory operands, whole; span.c: their elements in blocks, on wide registers
   *   vector_step.c   elements of a fabric operation without FIFOs, control wavelets, carries, wrapping addresses
   *   store_only.c    PEs whose microthreads only store wavelets: the routers store for them
   *   ce.c            the slot is shared without priorities; a memory operation that nobody interrupts keeps all its slots
   *   wake.h          a PE or a block of routers is stepped only when something it waits for has happened
   *   run.c           tiles of several cycles; prefetch.h; cycles in which nothing is to be stepped are skipped
   *   router.c        compiled for the widest registers of the host
   * A trace turns off run-ahead and tiles. */
  bool reference;
  int64_t params[WSE_PARAM_COUNT];
  uint64_t now, limit;
  uint64_t told;                         /* a cycle that a caller was told the run stands at: time does not go back behind it */

  /* colors in use, by index */
  int colors;
  int8_t color_index[WSE_COLORS];
  uint8_t color_of[WSE_COLORS];
  uint8_t inputs[WSE_COLORS];            /* 1 or WSE_PORTS buffers per PE */
  bool host[WSE_COLORS];                 /* by color index: every side of every router leads to the host */
  uint64_t *route[WSE_COLORS];           /* [pe], by color index: all positions, as given */
  route_word *routes[WSE_COLORS];        /* [word], by color index: the current ones */
  uint32_t *filter_count[WSE_COLORS];    /* [pe], by color index; NULL without counters */
  char *buffer[WSE_COLORS][WSE_PORTS];   /* [word] of buffer_word */
  size_t buffer_bytes;
  uint32_t router_room, ring_bits;       /* a buffer's capacity; rows of its ring are 1 << ring_bits */
  uint32_t turn_bits;                    /* of a number of a color, and of the one after the last */
  uint32_t row_words, words;
  router_word *routers;                  /* [word] */
  link_word *links_rest;                 /* [word], NULL if links never rest */
  /* What 32 bits do not hold of a run of thousands of millions of cycles, in units of CLOCK_UNIT; NULL until there is some
   * (clocks.c).  waits_more: of the time that the head of a buffer has waited; links_more, blocked_more: of the counts below. */
  _Atomic(uint32_t *) waits_more[WSE_COLORS][WSE_PORTS]; /* [word][LANES], by color index and input */
  _Atomic(uint32_t *) links_more, blocked_more;          /* [5][word][LANES] */
  uint32_t *place;                       /* [pe]: word * LANES + lane */
  uint32_t *word_pe;                     /* [word]: PE of its lane 0 */
  uint32_t *word_row;                    /* [word] */
  fabric_row *rows;                      /* [height] */
  uint64_t *wakes_ce;                    /* [word][NEAR]: lanes to look at in the cycle that is this modulo NEAR */
  uint64_t *wakes_router;                /* [row][NEAR][row_masks]: words of the row */
  uint64_t *dirty;                       /* [row][row_masks]: words whose buffers changed since they were settled */
  uint32_t row_masks;
  void (*routers_step)(struct wse_fabric *f, struct band *b, uint32_t word, uint64_t now); /* of the host's instruction set */
  const span_function *spans;            /* span.h: operations over whole operands, by opcode */
  wse_filter *filters;
  int filter_total;

  /* compute elements */
  ce *ces;
  uint16_t *class_of;
  pe_class *classes;
  int class_total;
  dsr *dsrs[48];
  xdsr *xdsrs[16];
  operation *operations[THREADS];
  sink *sinks[WSE_COLORS];               /* [pe], by color index */
  sink_word *sink_words[WSE_COLORS];     /* [word], by color index */
  sink_times *sink_times;                /* [word] */
  char *iq[WSE_QUEUES], *oq[WSE_QUEUES];
  size_t iq_bytes[WSE_QUEUES], oq_bytes[WSE_QUEUES];
  uint8_t iq_mask[WSE_QUEUES], oq_mask[WSE_QUEUES], iq_room[WSE_QUEUES], oq_room[WSE_QUEUES];
  uint8_t *sram;
  int32_t *wheel_next, *wheel_prev;      /* [pe], local to the band */
  uint32_t *host_signal;
  rebinding *rebound;                    /* [pe]; looked at once a program used iqbind or oqbind */
  atomic_bool any_rebound;

  /* measures */
  uint64_t *counters;                    /* [pe][WSE_CTR_COUNT] */
  uint32_t *links[WSE_PORTS], *blocked[WSE_PORTS]; /* [word * LANES + lane] */
  uint64_t *activity;                    /* [bins][pe] */
  int bins;
  uint64_t bin_shift;
  uint64_t trace_capacity;
  wse_event *merged;
  uint64_t merged_count, merged_dropped;
  wse_event *heard;
  uint64_t total_colors[WSE_COLORS][WSE_PORTS][2];
  uint64_t total_opcodes[OP_COUNT];
  uint64_t *total_series;

  stream *streams;
  int stream_total, stream_room;
  int32_t *stream_at;                    /* open-addressed table of streams by place: index + 1 */
  uint32_t stream_table;

  band bands[MAX_BANDS];
  int band_total, tile;                  /* tile: most cycles of one */
  bool sealed;
  arena *arenas;
  uint64_t bytes;
};

/* --- access ------------------------------------------------------------------------------------ */

static inline uint8_t *sram_of(const struct wse_fabric *f, uint32_t pe) { return f->sram + (size_t)pe * WSE_SRAM; }
static inline uint64_t *counters_of(const struct wse_fabric *f, uint32_t pe) {
  return f->counters + (size_t)pe * WSE_CTR_COUNT;
}
static inline buffer_word *buffer_of(const struct wse_fabric *f, int color, int port, uint32_t word) {
  return (buffer_word *)(f->buffer[color][f->inputs[color] == 1 ? 0 : port] + (size_t)word * f->buffer_bytes);
}
static inline queue *iq_of(const struct wse_fabric *f, int q, uint32_t pe) {
  return (queue *)(f->iq[q] + (size_t)pe * f->iq_bytes[q]);
}
static inline queue *oq_of(const struct wse_fabric *f, int q, uint32_t pe) {
  return (queue *)(f->oq[q] + (size_t)pe * f->oq_bytes[q]);
}
static inline const pe_class *class_of(const struct wse_fabric *f, uint32_t pe) {
  return f->class_of[pe] == 0xffff ? NULL : &f->classes[f->class_of[pe]];
}

/* The rectangle lies in the fabric. */
static inline bool in_grid(const wse_fabric *f, int x, int y, int w, int h) {
  return x >= 0 && y >= 0 && w >= 0 && h >= 0 && w <= f->width - x && h <= f->height - y;
}

/* The PE on the other side of a port; false off the grid. */
static inline bool neighbor(const wse_fabric *f, uint32_t pe, int port, uint32_t *out) {
  uint32_t w = (uint32_t)f->width;
  switch (port) {
    case WSE_N: *out = pe - w; return pe >= w;
    case WSE_S: *out = pe + w; return pe + w < f->pes;
    case WSE_E: *out = pe + 1; return pe % w + 1 < w;
    default: *out = pe - 1; return pe % w > 0;
  }
}

/* The PE that gets what leaves as `color` (index) by a port; false if it goes to the host: off the grid, or a host color. */
static inline bool beyond(const wse_fabric *f, uint32_t pe, int color, int port, uint32_t *out) {
  return !f->host[color] && neighbor(f, pe, port, out);
}

#endif
