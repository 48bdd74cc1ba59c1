/* check.h - a checked run: what a program does that the machine allows and that is nearly always a mistake.
 *
 * Shadow arrays hold, for each byte of SRAM, whether it was written, and for each word the last accesses.  The places
 * of the engine that access memory or activate tasks report to this file if fabric->check is set.  A checked fabric
 * takes its elements one by one (fabric->by_element) and keeps a profile, so that no fast path accesses memory. */
#ifndef OBSERVE_CHECK_H
#define OBSERVE_CHECK_H

#include "state/state.h"

enum { CHECK_WORDS = WSE_SRAM / 2 };

/* Where a task was activated last. */
typedef struct {
  uint64_t cycle;
  uint32_t pc; /* plus one; 0: by no instruction */
} check_activation;

typedef struct {
  uint16_t region[WSE_SRAM]; /* by byte: number of its region; 0: none */
  uint8_t flags[WSE_SRAM];   /* WSE_CHECK_... */
} check_memory;

typedef struct {
  wse_finding *found; /* [] */
  uint32_t count;
} check_findings;

struct check_state {
  check_memory **memory;          /* [class_total]; NULL: nothing is known of the class */
  uint64_t *reads, *writes;       /* [pe][CHECK_WORDS]: the last access while a microthread ran; 0: none */
  uint64_t *begun;                /* [pe][THREADS]: the cycle in which the thread's operation began */
  check_activation *activations;        /* [pe][WSE_TASKS] */
  uint64_t *routes[WSE_COLORS];   /* [color][pe]: as at the start */
  uint32_t *filters[WSE_COLORS];  /* [color][pe]: filter_count as at the start; NULL: none counts */
  struct senders_state *senders; /* senders.h */
  check_findings bands[MAX_BANDS];
};

/* An access of the thread `by` of a PE: MAIN or a microthread. */
typedef struct {
  uint32_t pc;
  int thread;
  uint64_t cycle;
} check_by;

/* Elements of memory that are read, written; at: byte address. */
void check_load(wse_fabric *fabric, uint32_t pe, uint16_t at, int bytes, check_by by);
void check_store(wse_fabric *fabric, uint32_t pe, uint16_t at, int bytes, check_by by);
/* The same of scalar instructions, whose address may be anywhere. */
void check_scalar(wse_fabric *fabric, uint32_t pe, uint16_t at, int bytes, bool writes, check_by by);
/* Whether nothing can be found in accesses of a range, from `first` to one end of it, by a thread that is alone. */
bool check_is_plain(const wse_fabric *fabric, uint32_t pe, uint16_t first, uint16_t low, uint16_t high);
/* An element of an operation that began at address `first`. */
void check_bounds(wse_fabric *fabric, uint32_t pe, uint16_t first, uint16_t at, int bytes, check_by by);
/* A microthread of the PE begins an operation. */
void check_begin(wse_fabric *fabric, uint32_t pe, int thread, uint64_t cycle);
/* Bytes that are in use without being accessed by name, as those of a FIFO. */
void check_written(wse_fabric *fabric, uint32_t pe, uint16_t at, int bytes);
/* A task is activated, by the instruction at pc. */
void check_activate(wse_fabric *fabric, uint32_t pe, int task, uint32_t pc, uint64_t cycle);
/* Adds a finding.  Those of one kind, class, instruction and `what` are one: the first, with their number. */
void check_add(const wse_fabric *fabric, check_findings *to, uint32_t most, wse_finding finding);
void check_report(wse_fabric *fabric, wse_finding finding);           /* adds one of the running program */
wse_finding check_finding(uint32_t pe, int kind, check_by by, int what);
void check_free(wse_fabric *fabric);

#endif
