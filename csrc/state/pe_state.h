/* pe_state.h - the state of a compute element: queues, descriptors, operations, tasks.
 *
 * The arrays that hold it are fields of wse_fabric (state.h).  "Writer" is as there.
 */
#ifndef STATE_PE_STATE_H
#define STATE_PE_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "tables/isa.h"
#include "wse.h"

/* --- wavelets --------------------------------------------------------------------------------------------- */

/* A wavelet in a queue.  meta: bits 2..31 are the low 30 bits of the cycle from which it may leave, bits 0..1 the flags
 * below.  That cycle is at most WAVELET_HORIZON after the cycle in which the wavelet is examined; one that lies far
 * back is moved up before 30 bits are too few (clocks.c). */
typedef struct {
  uint32_t data, meta;
} wavelet;

enum {
  WAVELET_CONTROL = 1, /* a control wavelet */
  WAVELET_ADVANCE = 2, /* advances the switches it passes */
  WAVELET_HORIZON = 1024,
};

static inline uint32_t wavelet_meta(uint64_t when, uint32_t flags) { return (uint32_t)(when << 2) | flags; }
/* Cycles since it may leave; negative before. */
static inline int64_t wavelet_age(wavelet w, uint64_t now) {
  uint32_t age = ((uint32_t)(now << 2) - (w.meta & ~3u)) >> 2;
  return age < (1u << 30) - WAVELET_HORIZON ? (int64_t)age : (int64_t)age - (1 << 30);
}
static inline bool wavelet_ready(wavelet w, uint64_t now) { return wavelet_age(w, now) >= 0; }
static inline uint64_t wavelet_when(wavelet w, uint64_t now) { return now - (uint64_t)wavelet_age(w, now); }

/* An input or output queue of the ramp.  Router and CE of a PE are stepped by the same thread, so that the counts need
 * no atomics.  The ring has a power of two of entries; in an output queue, one byte per entry follows it: the color
 * index of the entry. */
typedef struct {
  uint8_t head, count, advancing, unused[5];
  wavelet ring[];
} ramp_queue;

/* --- compute element -------------------------------------------------------------------------------------- */

/* A DSR, 16 bytes as in memory; the layout is that of tables/isa.h. */
typedef struct {
  uint8_t kind, flags, queue, color;
  uint16_t base, length; /* base: byte address; length: elements */
  int16_t stride;        /* bytes, or elements with DSD_ELEMENTS */
  uint16_t options;
  uint8_t x, on_control; /* x: number of its XDSR; above, its SIMD_ mode */
  uint16_t index;
} dsr;

/* An extended DSR, 16 bytes as in memory. */
typedef union {
  struct {
    uint16_t extent[4]; /* elements, slowest dimension first */
    int16_t stride[4];  /* bytes */
  } tensor;
  struct {
    uint16_t start, bytes;
  } circle;
  struct {
    uint16_t start, capacity, head, count; /* start: byte address; the others: places, each for a word if the stride of
                                            * the DSR is 2, else for an element */
    uint8_t on_push, on_pop; /* tasks, 0xff none; activated by the push (pop) after which a reader (writer) that had to
                              * wait can go on */
    uint8_t was_full, was_empty;       /* places, elements that it waits for; 0: none does */
    uint8_t empty_action, full_action; /* FIFO_... of tables/isa.h: of a reader that finds nothing, a writer no room */
  } fifo;
} xdsr;
_Static_assert(sizeof(dsr) == 16 && sizeof(xdsr) == 16, "ldds, stds, ldxd and stxd copy 16 bytes");

enum { OPERAND_IS_NONE, OPERAND_IS_DSR, OPERAND_IS_VALUE };

/* An operand of a vector operation under way. */
typedef struct {
  dsr d;                    /* OPERAND_IS_DSR: a copy, strides in bytes */
  uint8_t is, size, number; /* size: bytes of an element; number: of the DSR or register */
  uint32_t value;           /* OPERAND_IS_VALUE: of the register */
} vector_operand;

/* A vector operation under way.  Writer: the CE. */
typedef struct {
  vector_operand dst, src0, src1;
  uint64_t next;         /* cycle of the next element, if its wavelets are there */
  uint32_t left;         /* elements to do; UINT32_MAX: endless */
  uint32_t done;         /* elements done */
  uint32_t extra;        /* the extra operand of all elements */
  uint32_t pc;           /* of the instruction */
  uint16_t op, options;  /* opcode; OPT_... */
  uint8_t period;        /* slots per element */
  uint8_t conflicts;     /* bit i: of eight successive slots, slot i is taken twice for a bank conflict */
  uint8_t wide;          /* elements of a step, at most: 1, 2 or 4 */
  uint8_t least;         /* ... at least, but for the last ones */
  uint8_t per_wavelet;   /* elements of a wavelet: 1 or 2 */
  uint8_t stopped;       /* 1 + place (dst, src0, src1) of the FIFO that ended it; 0: none did */
  uint8_t active;        /* 0 or 1 */
  uint8_t on_control;    /* as in a DSR, of its fabric inputs */
  uint8_t wait;          /* counter (WSE_CTR_...) of the cause of its last wait */
  uint8_t reads, writes; /* bytes of memory per element */
  uint8_t flops;         /* floating-point operations per element */
  uint8_t simple;        /* 1: may take the fast path of vector_step.c */
  uint8_t rule;          /* ISA_... of tables/isa.h */
  uint8_t waiting;       /* 1: the trace says that it waits.  Writer: observe/trace.h */
  uint32_t carry;        /* ISA_CARRY: into the next element */
} vector_operation;

/* Where the data of one color go while their PE is store-only (pe/store_only.h).  Writer: the router. */
typedef struct {
  uint16_t at;    /* byte address of the next element */
  int16_t step;   /* bytes between elements */
  uint32_t left;  /* elements left of the operation */
  uint8_t size;   /* bytes of an element */
  uint8_t thread; /* microthread of the operation */
  uint8_t wide;   /* elements per wavelet: 1 or 2 */
} store_target;

enum { TASK_TEARDOWN = 29 }; /* that teardown commands and flushed queues activate */

/* What the main thread does. */
enum {
  MAIN_IDLE,      /* no task */
  MAIN_RUN,       /* issues instructions */
  MAIN_OPERATION, /* a fabric operation is under way */
  MAIN_MEMORY,    /* the elements of a memory operation are done, its slots are not */
  WAITS_LIKE = 0x80,
  NO_CAUSE = 0xff /* no counter */
};

enum { GENERATORS = 4 }; /* of random numbers; the vendor's text does not say how many a PE has */

/* A compute element.  Sets of tasks are bitmaps of 64, sets of inputs of 32, of queues or microthreads of 8.  Writer:
 * the CE; the router writes active (teardown), input_queues and control_queues. */
typedef struct {
  union {
    struct {
      uint8_t threads;        /* microthreads under way */
      uint8_t output_queues;  /* output queues that are not empty */
      uint8_t taken;          /* bit i: the slot of cycle stored_from + i was used for a store-only element */
      uint8_t behind;         /* 1: its cycles are executed later (pe/behind.h) */
      uint32_t store_targets; /* bitmap of color indices whose wavelets the router stores */
    };
    uint64_t besides; /* 0: nothing but the main thread is at work */
  };
  uint64_t active, blocked;            /* tasks */
  uint64_t main_at;                    /* first cycle in which the main thread may issue an instruction */
  uint64_t vector_at;                  /* ... a vector operation that follows another; may lie in the past */
  uint64_t loaded_at;                  /* ... a vector operation after a DSR load */
  uint64_t result_at;                  /* cycle from which result_register can be read */
  uint64_t known_at;                   /* cycle from which fresh[0] can be read; fresh[1]: a cycle before */
  uint64_t memory_mark;                /* MAIN_MEMORY: its slots are accounted for up to this cycle */
  uint64_t readable_at;                /* cycle from which an operation can read what the last operation wrote */
  uint64_t picked_at;                  /* cycle in which the last task was picked */
  uint64_t accounted;                  /* cycles before this one are attributed to counters */
  uint64_t wheel_at;                   /* cycle of its entry in the wheel; 0: none */
  uint64_t time_base, time_latch;      /* timestamp counter: cycle of zero, or the value while stopped; latched value */
  uint32_t memory_left, memory_second; /* MAIN_MEMORY: slots left; of these for bank conflicts */
  uint32_t pc;                         /* index of the next instruction */
  uint16_t written_low, written_high;  /* bytes that the last operation wrote; low > high: none */
  uint16_t memory_op;                  /* MAIN_MEMORY: opcode */
  uint8_t state;                       /* MAIN_... */
  uint8_t task;                        /* that runs or ran last */
  uint8_t gap;                         /* counter to which cycles without a slot go */
  uint8_t waits;                       /* within a step: counter of what an operation waits for, NO_CAUSE, or
                                        * WAITS_LIKE + the microthread that the main thread waits for */
  uint8_t stuck;           /* 1 + the microthread whose end the next instruction waits for; 0: it may issue */
  uint8_t result_register; /* of the last result that is late; OPERAND_NONE: none */
  uint8_t fresh[2];        /* registers of the last load through a register, and of one in the cycle before it */
  uint8_t follows_vector;  /* 1: the last instruction was a vector operation */
  uint8_t store_threads;   /* microthreads that only copy wavelets to memory (store_only.c) */
  uint16_t fed;            /* operations under way that take a wavelet for each element; bit MAIN: the main thread's */
  uint8_t suspended;       /* microthreads stopped by utblock */
  uint8_t thread_next;     /* round robin: the thread that is preferred next */
  uint8_t readers;         /* input queues that an operation reads */
  uint8_t control_readers; /* ... and of which it takes control wavelets as well */
  uint8_t output_next;     /* round robin: the output queue that is preferred next */
  uint16_t flushing, flushed; /* queues that iqflush, oqflush wait for; that are marked: inputs, from bit 8 outputs */
  uint32_t input_queues;      /* inputs (WSE_INPUTS) that are not empty */
  uint32_t control_queues;    /* ... that may hold a control wavelet */
  uint64_t stored_from;
  uint8_t main_priority;       /* 0 medium-low .. 3 high */
  uint8_t time_stopped;        /* 1: the timestamp counter is stopped */
  uint8_t generator;           /* of random: the one in use */
  uint8_t just_ended;          /* 1: a task ended in the cycle before main_at */
  uint16_t thread_priority;    /* 2 bits each: 0 low, 1 medium, 2 high; stored xor 1, so that zero is medium */
  uint32_t random[GENERATORS]; /* shift registers of rand; 0: not used yet */
  uint64_t high_changed;       /* tasks whose priority is not the one of their class */
} ce_state;

/* A loop that takes a wavelet in each round and is executed later (pe/wavelet_loop.h).  Writers: wavelet_loop.c, the
 * router. */
enum { LOOP_BANKS = 16 }; /* rounds after which each source is in the same banks again, at most */
typedef struct {
  uint64_t main_at, loaded_at; /* of a first round: as in ce_state, loaded_at also for results that are late */
  uint64_t end;                /* cycle behind the last slot of the last round that is logged */
  uint64_t readable_at;        /* as in ce_state, for the next round; 0: it reads nothing of the last one */
  uint16_t slots[LOOP_BANKS];  /* of round i, i + LOOP_BANKS ... */
  uint16_t
      readable[LOOP_BANKS]; /* cycles from its first element to that from which the next one can read; 0: no wait */
  uint8_t round;            /* the next one to be logged, modulo LOOP_BANKS */
  uint8_t taken;            /* wavelets of the log that were taken, as far as is known: at least the first ones */
  uint8_t queue, color;     /* color: index */
  bool under_way;
  bool first;   /* the next round to be logged does not follow an operation */
  bool closing; /* no more wavelets are logged */
  bool full;    /* the wavelets that are not taken yet fill the queue */
} wavelet_loop;

/* What a CE that is behind has to do.  Writers: behind.c, wavelet_loop.c, the router. */
enum { LOG_WAVELETS = 48 };
typedef struct {
  uint64_t from;                /* cycles before this one are executed */
  uint64_t until;               /* cycle before which the main thread does nothing that can be seen from outside */
  uint64_t retry;               /* cycle before which it is of no use to look whether it can stay behind */
  uint8_t count;                /* wavelets in the log */
  uint8_t thread[LOG_WAVELETS]; /* microthread that stores it */
  uint32_t data[LOG_WAVELETS];
  uint32_t lands[LOG_WAVELETS]; /* low bits of the cycle in which it is in the queue, in a loop of that in which it is
                                 * taken; ascending, from `from` on */
  wavelet_loop loop;
} ce_log;

#endif
