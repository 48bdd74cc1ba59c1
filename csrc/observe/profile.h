/* profile.h - profiles: each cycle of a PE by instruction and cause.
 *
 * A cycle that waits belongs to the instruction that waits, except that branches, divisions, sums of addresses, ends of
 * vector operations and loads of DSRs keep the cycles they cost.  A slot of a microthread belongs to the instruction
 * that started its operation.  Cycles without a task belong to no instruction.
 *
 * account() passes each cycle on with its counter (profile_cycles).  Counters do not say all: the causes of cycles to
 * come are noted when an instruction issues (profile_gap). */
#ifndef OBSERVE_PROFILE_H
#define OBSERVE_PROFILE_H

#include "state/state.h"

enum { PROFILE_GAPS = 8 };

typedef struct profile_pe {
  struct {
    uint64_t until; /* stalls before this cycle have the cause ... */
    uint32_t cause;
    uint32_t of; /* ... and belong to this instruction, as owner */
  } gaps[PROFILE_GAPS]; /* until rises */
  uint32_t gap_total;
  uint32_t owner;     /* 1 + pc of the main thread's instruction that works or waits; 0: none yet */
  uint32_t thread;    /* ... of the microthread that has the slot */
  uint32_t waiting;   /* ... of a microthread that waits while there is no task; 0: none */
  uint8_t for_thread; /* 1: the main thread waits for a busy microthread */
  uint8_t late;       /* WSE_CAUSE_LOAD or _RESULT: what the register that is late holds */
} profile_pe;

/* The counts of an instruction. */
static inline uint64_t *profile_of(const wse_fabric *fabric, const band_state *band, uint32_t pe, uint32_t owner) {
  const pe_class *class = &fabric->classes[fabric->class_of[pe]];
  return band->profile[class->profile_at + (owner ? owner - 1 : class->code_length)];
}

/* Cycles from ces[pe].accounted to `until` go to the counter. */
void profile_cycles(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t until, int counter);
/* The main thread issues the instruction at ces[pe].pc.  vector: it is one of the sequencer of vector operations. */
void profile_issue(wse_fabric *fabric, band_state *band, uint32_t pe, bool vector);
/* ... a vector operation: its first element could be in cycle `start` but for what it reads, and is in cycle `first`.
 * 0, 0: it runs on a microthread. */
void profile_vector(wse_fabric *fabric, uint32_t pe, uint64_t start, uint64_t first);
/* A task begins at ces[pe].pc, or the instruction there has to wait; for_thread: for a microthread. */
void profile_waits(wse_fabric *fabric, uint32_t pe, bool for_thread);
/* Cycles before `until` that are not noted yet will have this cause; of: 1 + pc. */
void profile_gap(wse_fabric *fabric, uint32_t pe, uint64_t until, uint32_t of, uint32_t cause);
/* Scalar instructions do without account(). */
/* The main thread comes to the scalar instruction at ces[pe].pc. */
void profile_reaches(wse_fabric *fabric, uint32_t pe);
/* Cycles `from` to `at` have passed, the instruction at pc issues. */
void profile_scalar(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t from, uint64_t at, uint32_t pc);
/* It keeps the cycles before `until`. */
void profile_costs(wse_fabric *fabric, uint32_t pe, uint32_t op, uint64_t until);

#endif
