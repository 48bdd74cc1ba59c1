/* check.h - a checked run: finds actions of a program that the machine allows and that are nearly always mistakes.
 *
 * Shadow arrays hold, for each byte of SRAM, whether it was written, and for each word the last accesses.  Code of the
 * engine that accesses memory or activates tasks calls this file if fabric->check is set.  A checked fabric processes
 * elements one by one (fabric->by_element) and keeps a profile, so that no fast path accesses memory. */
#ifndef OBSERVE_CHECK_H
#define OBSERVE_CHECK_H

#include "state/state.h"

enum { CHECK_WORDS = WSE_SRAM / 2 };

/* The last activation of a task. */
typedef struct {
  uint64_t cycle;
  uint32_t pc; /* of the instruction, plus one; 0: not by an instruction */
} check_activation;

/* The microthreads on which a run of a task has begun operations.  picked_at: its start, plus one. */
typedef struct {
  uint64_t picked_at;
  uint8_t threads;
} check_issued;

typedef struct {
  uint16_t region[WSE_SRAM]; /* of each byte; 0: none */
  uint8_t flags[WSE_SRAM];   /* of each byte: WSE_CHECK_... */
} check_memory;

typedef struct {
  wse_finding *found; /* [] */
  uint32_t count;
} check_findings;

struct check_state {
  check_memory **memory;         /* [class_total]; NULL: no memory map */
  uint64_t *reads, *writes;      /* [pe][CHECK_WORDS]: the last access while a microthread ran; 0: none */
  uint64_t *begun;               /* [pe][THREADS]: the cycle in which the thread's operation began */
  check_issued *issued;          /* [pe] */
  check_activation *activations; /* [pe][WSE_TASKS] */
  uint64_t *routes[WSE_COLORS];  /* [color][pe]: at the start of the run */
  uint32_t *filters[WSE_COLORS]; /* [color][pe]: filter_count at the start; NULL: no counting filter */
  struct senders_state *senders; /* senders.h */
  check_findings bands[MAX_BANDS];
};

/* Who accesses memory.  thread: MAIN or a microthread. */
typedef struct {
  uint32_t pc;
  int thread;
  uint64_t cycle;
} check_by;

/* An element in memory is read, or written.  at: byte address. */
void check_load(wse_fabric *fabric, uint32_t pe, uint16_t at, int bytes, check_by by);
void check_store(wse_fabric *fabric, uint32_t pe, uint16_t at, int bytes, check_by by);
/* A scalar instruction reads or writes memory.  Its address may belong to no variable, or to a stack.  base: the
 * constant in the address, which is that of the array where an index is added to it. */
void check_scalar(wse_fabric *fabric, uint32_t pe, uint16_t at, uint16_t base, int bytes, bool writes, check_by by);
/* Elements of an operand in memory: the address of the first one, the bytes between two and of each, their number. */
typedef struct {
  int32_t first, stride;
  uint32_t size, n;
} check_range;
/* Whether the elements of an operation that began at `base` lie in its region and have values, so that they have no
 * finding but that of two threads.  n is not 0. */
bool check_is_plain(const wse_fabric *fabric, uint32_t pe, uint16_t base, check_range range, bool writes);
/* They are read or written. */
void check_plain(wse_fabric *fabric, uint32_t pe, uint16_t base, check_range range, bool writes, check_by by);
/* Checks that an element is in the region of the first element of its operation, at `first`. */
void check_bounds(wse_fabric *fabric, uint32_t pe, uint16_t first, uint16_t at, int bytes, check_by by);
/* An element is written whose operation began at `first`: it may overwrite a stack. */
void check_stack(wse_fabric *fabric, uint32_t pe, uint16_t first, uint16_t at, check_by by);
/* Whether nothing but this thread may have used memory in an order that timing decides. */
bool check_is_alone(const wse_fabric *fabric, uint32_t pe, int thread);
/* A thread of the PE begins an operation with a fabric or FIFO operand. */
void check_begin(wse_fabric *fabric, uint32_t pe, int thread, uint64_t cycle);
/* Marks bytes as written without an access, as those of a FIFO. */
void check_written(wse_fabric *fabric, uint32_t pe, uint16_t at, int bytes);
/* A task is activated, by the instruction at pc. */
void check_activate(wse_fabric *fabric, uint32_t pe, int task, uint32_t pc, uint64_t cycle);
/* Adds a finding to a list.  Findings with the same kind, class, instruction and `what` are merged: the first is kept,
 * with their count.  Beyond `most` different ones, findings are dropped. */
void check_add(const wse_fabric *fabric, check_findings *to, uint32_t most, wse_finding finding);
void check_report(wse_fabric *fabric, wse_finding finding); /* adds a finding of the running program */
wse_finding check_finding(uint32_t pe, int kind, check_by by, int what);
void check_free(wse_fabric *fabric);

#endif
