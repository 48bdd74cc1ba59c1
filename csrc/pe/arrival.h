/* arrival.h - what the arrival of wavelets says of the next cycles of a CE. */
#ifndef PE_ARRIVAL_H
#define PE_ARRIVAL_H

#include "state/state.h"

/* The first cycle in which a microthread may need the slot, at least now + 1.  *wake: the first one in which the CE has
 * to be stepped for that; the arrival of a wavelet wakes it. */
uint64_t arrival_until(const wse_fabric *fabric, uint32_t pe, uint64_t now, uint64_t *wake);
/* Whether a wavelet has woken the CE between two tasks, when nothing can happen before main_at; the next wake is set.
 */
bool arrival_is_early(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t now);
/* Whether every operation on the fabric takes wavelets, and none is on its way down the ramp to one of them. */
static inline bool arrival_none(const ce_state *ce) {
  uint32_t operations = ce->threads | (ce->state == MAIN_OPERATION ? 1u << MAIN : 0);
  return ce->threads && !(operations & ~(uint32_t)ce->fed) && !(ce->input_queues & ce->readers);
}
/* Of a CE for which arrival_none() is true.  Whether in cycle `at` every operation on the fabric waits for a wavelet or
 * for the cycle of its next element; and the main thread, if it has none, for the end of a microthread or for a task,
 * or it has the slot for an operation over memory.  *next: the first cycle in which one of them may act, if nothing
 * arrives.  *cause: the counter of the wait; NO_CAUSE: as before. */
bool arrival_awaited(wse_fabric *fabric, const band_state *band, uint32_t pe, uint64_t at, uint64_t *next, int *cause);
/* The operand that takes wavelets; NULL: none does. */
const vector_operand *arrival_input(const vector_operation *operation);

#endif
