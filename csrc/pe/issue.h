/* issue.h - the main thread's instructions, and the end of any operation. */
#ifndef PE_ISSUE_H
#define PE_ISSUE_H

#include "fast/memory_op.h"
#include "state/state.h"

/* The grant of a cycle's slot. */
enum {
  GRANT_NONE,  /* no thread requested it */
  GRANT_SLOT,  /* one thread used it; others may have requested it */
  GRANT_HOLDS, /* the main thread has all slots until *next; settle_memory accounts for them */
  GRANT_AHEAD, /* as SLOT, by the main thread, with those of the cycles before *next: no other thread requested them */
  GRANT_KEPT,  /* as SLOT, by the main thread's memory operation; threads that wait for wavelets did not request it */
};

/* Sets `kind` of a class: what the issue of each instruction depends on. */
void issue_kinds(pe_class *class);
/* The main thread's next instruction, or several if it is alone or all microthreads wait.  *next: when to try again.
 * Returns a grant. */
int issue(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t now, uint64_t *next);
/* Issues instructions in cycles from .. to - 1, of a main thread that nothing outside sees and whose slots these are.
 * Returns whether it used one. */
bool issue_behind(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t from, uint64_t to);
/* Whether the main thread's next instruction begins a loop that can be executed later (pe/wavelet_loop.h). */
bool at_wavelet_loop(const wse_fabric *fabric, uint32_t pe);
/* Issues a memory operation in cycle `at`, dispatched in cycle `dispatch`.  alone: no microthread is under way. */
int issue_memory_op(wse_fabric *fabric, band_state *band, uint32_t pe, const isa_ins *ins, const memory_op *op,
                    uint64_t dispatch, uint64_t at, bool alone);
/* The microthread that the vector instruction at ce->pc waits for, or, with *queue true, the input queue. */
int issue_waits_for(wse_fabric *fabric, uint32_t pe, const isa_ins *ins, bool *queue);
/* As issue(), for compute elements of a block whose main threads are alone.  next: by lane.  Returns the lanes that
 * used the slot. */
uint64_t issue_lanes(wse_fabric *fabric, band_state *band, uint32_t block, uint64_t lanes, uint64_t now,
                     uint64_t next[LANES]);
void operation_ended(wse_fabric *fabric, band_state *band, uint32_t pe, int thread, uint64_t now);

#endif
