/* priority.h - which thread of a CE gets a slot before which.
 *
 * Ranks: microthreads low 0, medium 2, high 4; the main thread medium-low 1, medium 2, medium-high 3, high 4.  What is
 * in the ramp when a task is picked is not held up: for the first cycles of a task microthreads of low priority go
 * before it.
 */
#ifndef PE_PRIORITY_H
#define PE_PRIORITY_H

#include "state/state.h"

enum { RANK_LOW = 0, RANK_MEDIUM = 2, RANK_HIGH = 4, RANK_LAST = -1 };

static inline int thread_rank(const ce_state *ce, int thread) {
  return 2 * ((ce->thread_priority >> 2 * thread & 3) ^ 1);
}

static inline int main_rank(const wse_fabric *fabric, const ce_state *ce, uint64_t now) {
  if (!ce->main_priority && now <= ce->picked_at + (uint64_t)P(fabric, ramp_in_cycles)) return RANK_LAST;
  return ce->main_priority + 1;
}

/* Whether all microthreads under way have one priority; *rank: it. */
static inline bool threads_alike(const ce_state *ce, int *rank) {
  *rank = RANK_MEDIUM;
  if (!ce->thread_priority) return true;
  uint32_t fields = ce->threads; /* bit 2 i: microthread i is under way */
  if (!fields) return true;
  *rank = thread_rank(ce, __builtin_ctz(fields));
  fields = (fields | fields << 4) & 0x0f0f;
  fields = (fields | fields << 2) & 0x3333;
  fields = (fields | fields << 1) & 0x5555;
  return (ce->thread_priority & 3 * fields) == ((uint32_t)(*rank / 2) ^ 1) * fields;
}

#endif
