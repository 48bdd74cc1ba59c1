/* state.h - the whole state of a fabric as plain structs and arrays.
 *
 * Index of a PE: pe = y * width + x.  Every field of wse_fabric that has a [pe] is an array over all PEs, allocated by
 * layout.c, zero at the start and committed page by page when it is first written (memory.c).
 *
 * PEs are kept in blocks of 64, so that one 64-bit operation handles a router of each.  A block is 64 neighbors of a
 * row; on a grid of at most 32 columns it is several whole rows.  The rows of a block, or of the blocks beside each
 * other, are a strip: strip_rows rows, and router (x, y) is lane (y mod strip_rows) * width + x mod 64 of block
 * y / strip_rows * blocks_per_strip + x / 64.  So the PEs of a block have successive indices.  A bitplane is a uint64_t
 * of which bit i belongs to lane i (bitplane.h).
 *
 * Colors have an index: colors that the program uses are numbered from 0 in the order in which they got routes.  Arrays
 * [color] below are by index.
 *
 * Times are cycles, counted from 0.  "Ring of NEAR": entry c mod NEAR stands for cycle c, for cycles less than NEAR
 * ahead.
 *
 * Threads own bands of strips.  A thread that steps a strip writes the state of that strip, and the buffers and wakes
 * of the strips next to it; the schedule of run.c keeps other threads away from these meanwhile.  "Writer" below names
 * the code that writes a field while the fabric runs; fields without one are set before the first cycle.
 */
#ifndef STATE_STATE_H
#define STATE_STATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "numeric/element.h"
#include "state/pe_state.h"
#include "tables/isa.h"
#include "wse.h"

struct span;
struct row_table;
typedef struct scout_memo scout_memo;
typedef struct scalar_block scalar_block;
typedef void (*span_function)(int fmt, const struct span *span);

enum {
  NEAR = 8,                /* wakes fewer than this many cycles ahead are bits in a ring; later ones are in the wheel */
  WHEEL = 1024,            /* slots of the wheel */
  THREADS = 9,             /* operations that a CE can have under way: microthreads 0..7 and the main thread's */
  MAIN = 8,                /* index of the main thread's operation */
  FILTER_OPEN = 1 << 16,   /* max_counter of a filter that passes everything */
  FILTER_SECOND = 1 << 16, /* in the limit of a sparse counter: it is limit2 */
  MAX_BANDS = WSE_MAX_THREADS,
  BAND_STRIPS = 3,      /* strips of a band, at least: its own, and one at either border (fabric/build.h) */
  CLOCK_UNIT = 1 << 22, /* cycles; see clocks.c */
};
#define NEVER UINT64_MAX                     /* a cycle that does not come */
#define P(f, name) ((f)->params[WSE_##name]) /* a row of machine.def */

/* --- router ----------------------------------------------------------------------------------------------- */

enum {
  LANES = 64,          /* routers of a block */
  CACHED_BLOCKS = 512, /* a fabric of no more stays in the host's cache */
  SLICES = 3,          /* bits of a bit-sliced counter */
  MAX_CAPACITY = 7,    /* of a buffer: what SLICES bits count */
  MAX_RING = 8,        /* slots of a buffer's ring: a power of two, MAX_CAPACITY or more */
  LINE = 64,           /* bytes of a cache line */
  /* bytes from one SRAM to the next: one address of the PEs of a block lies in different sets of the host's cache */
  SRAM_PITCH = WSE_SRAM + LINE,
};

/* The buffers of a block for one color and input.  Counters are bit-sliced: bit k of lane i's count is bit i of plane
 * k. Each lane has a ring of slots; slot s of all lanes lies together, on cache lines of its own.  Writers:
 * routers_settle (full), the block's routers (pops), neighbors, CEs and streams (pushes). */
typedef struct {
  uint64_t landed[SLICES];                       /* wavelets that may leave */
  uint64_t held[SLICES];                         /* these and the ones still on the link */
  uint64_t at[SLICES];                           /* slot of the head */
  uint64_t full;                                 /* lanes that had no free slot when the cycle began */
  uint64_t in_flight[NEAR];                      /* ring of NEAR: lanes in which a wavelet lands in that cycle */
  uint64_t sent[WSE_PORTS];                      /* lanes whose head this output has taken */
  uint64_t flagged;                              /* 0: no wavelet has a flag, control and advance are zero */
  uint64_t control[MAX_RING], advance[MAX_RING]; /* by slot: flags of the wavelets */
  _Alignas(LINE) uint32_t since[LANES];          /* low 32 bits of the cycle from which the head could leave */
  uint32_t data[];                               /* [slot][LANES]: data of the wavelets */
} buffer_block;

/* The routes of a block for one color, as the switches stand now.  Writers: route_refresh, ramp_refresh (ramp_full),
 * store_only.c and the router (store_only). */
typedef struct {
  uint64_t rx[WSE_PORTS], tx[WSE_PORTS]; /* lanes that take from, send to the port; rx is 0 in teardown */
  uint64_t takes;                        /* lanes with some rx */
  uint32_t ports;                        /* bitmap of outputs that some lane uses or has used */
  uint32_t held_at;       /* low 32 bits of the cycle in which the lanes in `held` keep their heads ... */
  uint64_t held;          /* ... for code has changed their route or queue in it (route_hold) */
  uint64_t special;       /* lanes with a filter or a color swap: these go lane by lane */
  uint64_t ramp_full;     /* lanes whose input queue is full, or that have none for the color */
  uint64_t store_targets; /* lanes whose PE is store-only for the color */
  uint64_t logs;          /* lanes whose CE is behind and stores the color */
} route_block;

/* The pending work of a block.  Writers: the block's routers; of busy and dirty also every push into a buffer. */
typedef struct {
  uint32_t busy;               /* bitmap of color indices with a wavelet in some buffer */
  uint32_t dirty;              /* bitmap of color indices whose buffers changed since `full` was settled */
  uint64_t edge[WSE_RAMP];     /* lanes whose neighbor on this side is off the grid, and lanes without a PE */
  uint64_t next[WSE_PORTS][5]; /* round robin per output: the preferred color index, bit-sliced */
} router_block;

/* Wavelets of one color that the store-only PEs of a block have received and not stored yet: an entry for each cycle in
 * which some lane received one.  Writer: the block's routers. */
enum { STORE_STEPS = 64 };
typedef struct {
  uint32_t used;               /* entries in use */
  uint32_t budget;             /* entries, at least, before some lane may need the ordinary path again */
  uint64_t lanes[STORE_STEPS]; /* lanes with a wavelet in the entry */
  _Alignas(LINE) uint32_t data[STORE_STEPS][LANES];
} store_block;

/* The cycles in which the store-only PEs of a block store: in any other cycle they wait for input. */
typedef struct {
  uint64_t members;     /* lanes that are store-only */
  uint64_t behind;      /* lanes whose CE is behind.  Writer: behind.c */
  uint64_t closed;      /* waits are counted up to this cycle */
  uint64_t when[NEAR];  /* ring of NEAR from `closed` on: the cycle that the entry is about */
  uint64_t lanes[NEAR]; /* ... and the lanes that store in it */
} store_times;

/* Links that rest after link_bubble_every wavelets; allocated only if they do.  Writer: the block's routers. */
typedef struct {
  uint8_t streak[WSE_RAMP][LANES];   /* wavelets since the link last rested */
  uint32_t sent_at[WSE_RAMP][LANES]; /* low 32 bits of the cycle of the last one */
} link_block;

/* --- program and host ------------------------------------------------------------------------------------- */

/* What all PEs of a class share; read-only once the fabric is sealed. */
typedef struct {
  isa_ins *code;                         /* [code_length] */
  uint32_t code_length;                  /* instructions */
  uint8_t *stretch;                      /* [code_length], see lanes_stretches; behind the code */
  uint32_t *block_at;                    /* [code_length]: the block that begins there, an index of: */
  scalar_block *blocks;                  /* (pe/scalar_block.h); the first one is empty */
  uint8_t *kind;                         /* [code_length], see issue_kinds; behind these */
  int8_t iq_color[WSE_INPUTS];           /* color (not index) of an input queue; -1: none */
  int8_t oq_color[WSE_QUEUES];           /* ... of an output queue */
  int8_t queue_of_color[32];             /* by color (not index): its input queue, -1: none */
  uint8_t task_kind[WSE_TASKS];          /* WSE_TASK_... */
  uint32_t task_pc[WSE_TASKS];           /* first instruction */
  uint8_t control_task[WSE_TASKS];       /* as in wse_class */
  uint8_t control_first[WSE_QUEUES];     /* ... */
  uint16_t thread_priority;              /* of microthreads at the start, as in ce_state */
  uint64_t high, local, active, blocked; /* tasks: of high priority; local ones; activated and blocked at the start */
  uint32_t profile_at;                   /* index of its first instruction among those of all classes */
} pe_class;

/* A segment of an input stream: wavelets first .. end - 1, the j-th of which arrives in cycle base + j * den / num. */
typedef struct {
  uint64_t first, end;
  int64_t base;      /* set when the segment before it has passed */
  wse_segment is;    /* as the host gave it */
  wse_timing timing; /* what became of it */
} stream_segment;

/* A stream at the fabric's edge: wavelets that enter a router by a port, or leave by it.  Writer: host.c between runs,
 * stream.c and the router in them. */
typedef struct {
  int x, y, port, color, out; /* color: not the index; out: 1 if wavelets leave */
  uint32_t pe;
  uint32_t num, den;        /* rate: num wavelets in den cycles */
  uint64_t n;               /* in: wavelets given; out: wavelets that may leave */
  uint64_t passed;          /* of these */
  uint64_t next;            /* cycle from which the next may pass */
  uint64_t credit_from;     /* cycle from which the rate counts */
  uint64_t capacity;        /* wavelets that the arrays hold */
  uint64_t taken;           /* out: of those that passed, taken by wse_host_take */
  uint64_t before;          /* wavelets that passed and that n and passed do not count any more */
  uint64_t dropped;         /* in: the first of the n, which passed and are no longer held */
  uint32_t *data;           /* [capacity] */
  uint8_t *control;         /* [capacity]: 0 or 1 */
  uint64_t *cycles;         /* [capacity], out: the cycle in which each left */
  bool asleep;              /* in: waits for a free slot in the buffer */
  bool data_only;           /* out: control wavelets are lost, as at the machine's edge */
  int32_t next_in_strip;    /* list of the input streams of a strip: index + 1, 0 ends it */
  stream_segment *segments; /* [segment_capacity]; NULL: the rate num / den holds for all */
  uint64_t segment_total, segment_capacity;
  uint64_t segment_at;     /* the segment of the next wavelet */
  uint64_t window;         /* wavelets that can wait at the edge beyond the next one */
  uint64_t arrival, ready; /* cycles: the next wavelet is at the edge; the edge is free for it */
} edge_stream;

/* Queue bindings that a program changed while it ran; 0: as the class says.  Writer: the CE (iqbind, oqbind, operations
 * on descriptors with DSD_BINDS). */
typedef struct {
  uint8_t queue_of[WSE_COLORS];           /* by color (not index): input queue + 1, or NO_BINDING */
  uint8_t iq[WSE_QUEUES], oq[WSE_QUEUES]; /* color + 1; iq: or NO_BINDING */
  uint32_t admits[WSE_QUEUES];            /* 1 + wavelets that may still enter the input queue; 0: no limit */
} rebinding;
enum { NO_BINDING = 0xff };

/* The neighbors of a block's lanes on one side: lane i's is lane i + lanes of the same block or, for the lanes in
 * `crosses`, lane i + beyond of block + blocks. */
typedef struct {
  uint64_t crosses;
  int lanes, beyond, blocks;
} lane_neighbors;

/* What a strip has to do.  ces, routers, streams: rings of NEAR, a bit per cycle. */
typedef struct {
  uint8_t ces, routers;  /* some bit of wakes_ce, of wakes_router is set for that cycle */
  uint8_t streams;       /* a buffer at the edge gets a free slot: streams may go on in that cycle */
  bool dirty;            /* some bit of wse_fabric.dirty is set */
  uint32_t band;         /* that it belongs to */
  int32_t first_stream;  /* list of its input streams: index + 1, 0: none */
  uint64_t streams_next; /* first cycle in which one of them can pass a wavelet without an event */
} fabric_strip;

/* A cache entry: the slots of a memory operation, by the properties that determine them (fast/memory_op.c). */
enum { SLOT_ENTRIES = 256 };
typedef struct {
  uint64_t key;                 /* opcode, length, strides and banks of the sources */
  uint64_t all, second;         /* slots; of these for bank conflicts */
  uint32_t stride;              /* of the destination: the rest of the key */
  uint8_t reads, writes, flops; /* per element: bytes, bytes, operations */
} slot_entry;

/* What a bin of the series counts. */
enum {
  SERIES_BUSY,    /* slots */
  SERIES_HOPS,    /* wavelets over links */
  SERIES_FLOPS,   /* floating-point operations */
  SERIES_STALLED, /* cycles in which a PE waits for the fabric */
  SERIES_WIDTH
};

/* A band of strips.  Writer: the thread that steps the band. */
typedef struct band_state {
  int first, end;                            /* strips first .. end - 1 */
  uint32_t pe0, pe1;                         /* PEs pe0 .. pe1 - 1 */
  int32_t *wheel_head;                       /* [WHEEL]: first PE (pe - pe0) of the slot's list; -1: empty */
  uint64_t last;                             /* last cycle with activity, plus one */
  uint64_t renewed;                          /* cycle in which clocks_renew last did something */
  wse_fault fault;                           /* the first one; kind WSE_FAULT_NONE: none */
  uint64_t series_shift;                     /* a bin is 1 << series_shift cycles */
  uint64_t *series;                          /* [bins][SERIES_WIDTH] */
  uint64_t opcodes[OP_COUNT];                /* instructions issued, by opcode */
  uint64_t colors[WSE_COLORS][WSE_PORTS][2]; /* by color index and port: wavelets, cycles that they waited */
  uint8_t dropped[WSE_COLORS]; /* by color index: mask of ports off the edge where wavelets were dropped */
  wse_event *events;           /* [event_room] */
  uint64_t event_count, event_room, events_dropped;
  uint64_t (*profile)[WSE_PROFILE_COLUMNS]; /* [instructions of all classes, after each class one row]; NULL: none */
  slot_entry *slots;                        /* [SLOT_ENTRIES] */
  struct scout_memo *memos;                 /* (pe/scout.h) */
  wse_event *messages;                      /* [message_capacity]: of the instruction say, not delivered yet */
  uint64_t message_count, message_capacity;
} band_state;

/* A mapping in which arrays lie one after the other (memory.c). */
typedef struct arena {
  struct arena *next;
  size_t bytes, used;
} arena;

enum { PACE_ALONE, PACE_TEAM, PACE_WAYS };

/* How fast one thread and all threads are (fabric/pace.c).  The zero struct: not measured, one thread begins. */
typedef struct {
  uint64_t tile_ns[PACE_WAYS]; /* nanoseconds per tile in the last stretch of each way; 0: not measured */
  uint64_t trial_ns;           /* of the last trial of the slower way */
  uint64_t kept_ns;            /* time since then */
  uint32_t keep;               /* the next trial is after `keep` times trial_ns */
  int better;                  /* PACE_... */
} pace;

struct wse_fabric {
  int width, height; /* PEs */
  uint32_t pes;      /* width * height */
  int fp16;          /* wse_fp16 */
  int threads;       /* requested by the host, 1 to MAX_BANDS */
  int team;          /* a wse_team */
  pace pace;         /* how fast one and all of them are.  Writer: wse_run */
  /* Every PE is stepped in every cycle, one wavelet and one element at a time; for comparison with the fast paths:
   *   run-ahead       issue.c, arrival.c: the main thread executes private instructions ahead of the fabric's cycle
   *   lanes           lanes.c: instructions of many compute elements of a block at once
   *   scalar_block.c  scalar instructions without a branch between them are timed once for their class
   *   memory_op.c     operations over memory operands with constant strides, whole; span.c: their elements in chunks
   *   vector_step.c   elements of a fabric operation without FIFOs, control wavelets, carries, wrapping addresses
   *   store_only.c    PEs whose microthreads only store wavelets: the routers store for them
   *   behind.c        CEs that nothing outside sees for a time: their cycles are executed later
   *   wavelet_loop.c  loops that take a wavelet in each round: the rounds are executed later
   *   arrival.c       waits of microthreads are not looked at again until something arrives
   *   ce.c            the slot is granted without priorities; an undisturbed memory operation keeps all its slots
   *   wake.h          a PE or a block of routers is stepped only when something it waits for has happened
   *   tile.c          tiles of several cycles; prefetch.h; run.c: cycles in which nothing is to be stepped are skipped
   *   router.c        compiled for the widest registers of the host
   * A trace turns off run-ahead and tiles. */
  bool reference;
  bool drops_off_edge;             /* see wse_desc */
  int64_t params[WSE_PARAM_COUNT]; /* machine.def */
  uint64_t now;                    /* next cycle to be stepped.  Writer: wse_run */
  uint64_t limit;                  /* no CE runs ahead of this cycle.  Writer: wse_run */
  bool quiet;                      /* the last run ended because nothing was left to step.  Writer: wse_run */
  uint64_t told; /* a cycle that the host was told: time does not go back behind it.  Writer: wse_run */

  /* Colors and routes.  Arrays [color] are by index. */
  int colors;                      /* in use */
  int8_t color_index[WSE_COLORS];  /* by color: its index; -1: not in use */
  uint8_t color_of[WSE_COLORS];    /* by index: the color */
  uint8_t inputs[WSE_COLORS];      /* [color]: buffers per router, 1 or WSE_PORTS */
  bool host[WSE_COLORS];           /* [color]: every side of every router leads to the host */
  uint64_t *route[WSE_COLORS];     /* [color][pe]: WSE_ROUTE_... word.  Writers: the switch, the CE (colorst) */
  route_block *routes[WSE_COLORS]; /* [color][block] */
  /* [color][pe]: limit1 (a sparse counter: limit2 | FILTER_SECOND later) and max_counter (FILTER_OPEN: it passes
   * everything) of the filter, which the PE may change. */
  uint32_t *filter_limit[WSE_COLORS];
  uint32_t *filter_most[WSE_COLORS];
  uint32_t *filter_count[WSE_COLORS];  /* [color][pe]: counter of the filter; NULL: no counters.  Writer: the router */
  char *buffer[WSE_COLORS][WSE_PORTS]; /* [color][input][block] of buffer_block, see buffer_of */
  size_t buffer_bytes;                 /* size of a buffer_block with its ring */
  uint32_t router_capacity;            /* wavelets that a buffer holds */
  uint32_t ring_bits;                  /* its ring has 1 << ring_bits slots */
  uint32_t pointer_bits;               /* of a round-robin pointer: 0 .. colors */
  wse_filter *filters;                 /* [filter_total] */
  int filter_total;

  /* Routers. */
  lane_neighbors beside[WSE_RAMP];   /* by port */
  uint32_t blocks_per_strip, blocks; /* blocks of a strip; of the fabric */
  int strip_rows, strip_total;       /* rows of a strip (the last one may have fewer); strips of the fabric */
  router_block *routers;             /* [block] */
  link_block *links_rest;            /* [block]; NULL if links never rest */
  /* What 32 bits do not hold of a run of thousands of millions of cycles, in units of CLOCK_UNIT; NULL until there is
   * some. waits_more: of the time that the head of a buffer has waited; links_more, blocked_more, color_links_more: of
   * the counts below. Writers: clocks.c, the router. */
  _Atomic(uint32_t *) waits_more[WSE_COLORS][WSE_PORTS]; /* [color][input][block][LANES] */
  _Atomic(uint32_t *) links_more, blocked_more;          /* [port][block][LANES] */
  _Atomic(uint32_t *) color_links_more[WSE_COLORS];      /* [color]: of color_links */
  uint32_t *router_lane;                                 /* [pe]: block * LANES + lane */
  uint32_t *block_pe;                                    /* [block]: PE of lane 0 */
  uint32_t *block_strip;                                 /* [block]: strip */
  fabric_strip *strips;                                  /* [strip_total] */
  uint32_t masks_per_strip;                              /* uint64_t that hold a bit for each block of a strip */
  uint64_t *wakes_ce;     /* [block][NEAR]: lanes whose CE is stepped in that cycle.  Writers: wake.h */
  uint64_t *wakes_router; /* [strip][NEAR][masks_per_strip]: blocks that are stepped in that cycle.  Writers: wake.h */
  uint64_t *dirty;        /* [strip][masks_per_strip]: blocks whose buffers changed since they were settled */
  void (*routers_step)(struct wse_fabric *fabric, struct band_state *band, uint32_t block, uint64_t now);

  /* Compute elements.  Writer: the CE, where nothing else is said. */
  ce_state *ces;       /* [pe] */
  uint32_t *registers; /* [block][register][LANES], see register_of */
  uint16_t *class_of;  /* [pe]: index of its class; 0xffff: no code */
  pe_class *classes;   /* [class_total] */
  int class_total;
  dsr *dsrs[48];                           /* [DSR][pe] */
  xdsr *xdsrs[16];                         /* [XDSR][pe] */
  vector_operation *operations[THREADS];   /* [thread][pe] */
  store_target *store_targets[WSE_COLORS]; /* [color][pe] */
  store_block *store_blocks[WSE_COLORS];   /* [color][block] */
  store_times *store_times;                /* [block].  Writers: the router, store_only.c */
  ce_log *logs;                            /* [pe] */
  char *iq[WSE_INPUTS], *oq[WSE_QUEUES];   /* [queue][pe] of ramp_queue, see iq_of, oq_of.  Writers: CE and router */
  size_t iq_bytes[WSE_INPUTS], oq_bytes[WSE_QUEUES];        /* size of a ramp_queue with its ring */
  uint8_t iq_mask[WSE_INPUTS], oq_mask[WSE_QUEUES];         /* entries of its ring, minus one */
  uint8_t iq_capacity[WSE_INPUTS], oq_capacity[WSE_QUEUES]; /* wavelets; 0: the machine has no such queue */
  uint8_t *sram;                                            /* [pe][SRAM_PITCH] */
  bool by_element;           /* the elements of operations are taken one by one: `reference` or `check` */
  struct check_state *check; /* observe/check.h; NULL: the run is not checked */
  struct watch_state *watch; /* observe/watch.h; NULL: no debugger looks for a cycle */
  uint64_t *written; /* [pe][WSE_SRAM / 64]: bytes that were written; NULL as `check`.  Writers: the host, check.c */
  int32_t *wheel_next, *wheel_prev; /* [pe]: neighbors in the list of a wheel slot, pe - pe0 of the band; -1: none */
  uint32_t *host_signal;            /* [pe]: last value of hostsig */
  rebinding *rebound;               /* [pe]; valid once any_rebound is set */
  atomic_bool any_rebound;
  const span_function *spans;          /* by opcode: vector operations over whole operands (fast/span.h) */
  const struct row_table *scalar_rows; /* scalar instructions on rows of registers (pe/rows.h) */
  bool in_cache;                       /* the state of the fabric stays in the host's cache: it has few blocks */
  bool lanes;                          /* compute elements of a block run ahead together (pe/issue.c) */

  /* Measures. */
  uint64_t *counters;          /* [pe][WSE_CTR_COUNT].  Writer: the CE */
  struct profile_pe *profiles; /* [pe] (observe/profile.h); NULL: no profile */
  uint32_t *links[WSE_PORTS],
      *blocked[WSE_PORTS]; /* [port][block][LANES]: wavelets; cycles they waited.  Writer: router */
  uint64_t *activity;      /* [bins][activity_places]: busy slots; NULL: not wanted */
  size_t activity_places;  /* PEs, or, with activity_bits > 0, groups of 1 << activity_bits lanes of the blocks */
  int activity_bits;
  uint32_t *color_links[WSE_COLORS]; /* [color]: as links, of a color; NULL: not wanted.  Writer: router */
  int bins;                          /* of the series; 0: none */
  uint64_t bin_shift;                /* a merged bin is 1 << bin_shift cycles.  Writer: measure.c */
  uint64_t trace_capacity;           /* events that are kept; 0: no trace */
  uint64_t trace_from, trace_until;  /* the cycles of which events are kept */
  bool trace_hops;                   /* whether HOP is recorded */
  uint8_t *trace_pes;                /* [pe]: 0: its events are not kept; NULL: those of all are */
  wse_event *merged;                 /* [merged_count]: events of all bands.  Writer: trace.c */
  uint64_t merged_count, merged_dropped;
  wse_event *delivered;                            /* messages that wse_said returned last.  Writer: trace.c */
  uint64_t total_colors[WSE_COLORS][WSE_PORTS][2]; /* by color (not index): sum over bands.  Writer: measure.c */
  uint64_t total_opcodes[OP_COUNT];                /* sum over bands.  Writer: measure.c */
  uint64_t *total_series;                          /* [bins][SERIES_WIDTH]: sum over bands.  Writer: measure.c */
  uint64_t *total_links, *total_blocked;           /* [port][pe], with carries; NULL before.  Writer: measure.c */

  /* Streams.  Writer: host.c. */
  edge_stream *streams; /* [stream_capacity], of which stream_total are in use */
  int stream_total, stream_capacity;
  int32_t *stream_at;    /* [stream_table]: open-addressed table by PE, port, color, direction: index + 1 */
  uint32_t stream_table; /* a power of two, or 0 */

  /* Execution. */
  band_state bands[MAX_BANDS];
  int band_total;
  int tile;       /* cycles of a tile, at most NEAR (tile.c) */
  bool sealed;    /* the first cycle is prepared: no more classes, filters, routes */
  arena *arenas;  /* that hold the arrays */
  uint64_t bytes; /* of these arrays */
};

/* --- access ----------------------------------------------------------------------------------------------- */

static inline uint8_t *sram_of(const struct wse_fabric *fabric, uint32_t pe) {
  return fabric->sram + (size_t)pe * SRAM_PITCH;
}
/* A register.  That of the 64 PEs of a block lies in one row, 4 LANES bytes after the row of the register before it. */
static inline uint32_t *register_of(const struct wse_fabric *fabric, uint32_t pe, uint32_t number) {
  uint32_t at = fabric->router_lane[pe];
  return &fabric->registers[((size_t)(at / LANES) * WSE_REGISTERS + number) * LANES + at % LANES];
}
static inline fabric_strip *strip_of(const struct wse_fabric *fabric, uint32_t pe) {
  return &fabric->strips[fabric->block_strip[fabric->router_lane[pe] / LANES]];
}
static inline uint64_t *counters_of(const struct wse_fabric *fabric, uint32_t pe) {
  return fabric->counters + (size_t)pe * WSE_CTR_COUNT;
}
static inline buffer_block *buffer_of(const struct wse_fabric *fabric, int color, int port, uint32_t block) {
  return (buffer_block *)(fabric->buffer[color][fabric->inputs[color] == 1 ? 0 : port] +
                          (size_t)block * fabric->buffer_bytes);
}
static inline ramp_queue *iq_of(const struct wse_fabric *fabric, int q, uint32_t pe) {
  return (ramp_queue *)(fabric->iq[q] + (size_t)pe * fabric->iq_bytes[q]);
}
static inline ramp_queue *oq_of(const struct wse_fabric *fabric, int q, uint32_t pe) {
  return (ramp_queue *)(fabric->oq[q] + (size_t)pe * fabric->oq_bytes[q]);
}
static inline const pe_class *class_of(const struct wse_fabric *fabric, uint32_t pe) {
  return fabric->class_of[pe] == 0xffff ? NULL : &fabric->classes[fabric->class_of[pe]];
}

/* The rectangle lies in the fabric. */
static inline bool in_grid(const wse_fabric *fabric, int x, int y, int w, int h) {
  return x >= 0 && y >= 0 && w >= 0 && h >= 0 && w <= fabric->width - x && h <= fabric->height - y;
}

/* The PE on the other side of a port; false off the grid. */
static inline bool neighbor(const wse_fabric *fabric, uint32_t pe, int port, uint32_t *out) {
  uint32_t w = (uint32_t)fabric->width;
  switch (port) {
    case WSE_N: *out = pe - w; return pe >= w;
    case WSE_S: *out = pe + w; return pe + w < fabric->pes;
    case WSE_E: *out = pe + 1; return pe % w + 1 < w;
    default: *out = pe - 1; return pe % w > 0;
  }
}

/* The PE that gets what leaves as `color` (index) by a port; false if it goes to the host: off the grid, or a host
 * color. */
static inline bool beyond(const wse_fabric *fabric, uint32_t pe, int color, int port, uint32_t *out) {
  return !fabric->host[color] && neighbor(fabric, pe, port, out);
}

#endif
