/* store_only.h - fast path for a PE that does nothing but store what arrives.
 *
 * While the main thread is idle and every microthread only copies wavelets to memory, each wavelet is stored in the
 * first cycle in which it can be: no two arrive in one cycle, and no other thread competes for the slot.  Then the
 * routers keep the wavelets for the PE (fast/store_rows.h), without a queue and without stepping the CE, until the
 * last few elements of the operation, which take the ordinary path and end it.  Counters are settled later.  Cycles,
 * counts and values are those of the ordinary path.
 */
#ifndef PE_STORE_ONLY_H
#define PE_STORE_ONLY_H

#include "state/state.h"

bool is_store_only(const vector_operation *operation); /* it copies wavelets to memory */
/* Whether all microthreads only store, at equal priority, each from a queue of its own, and find nothing but data
 * wavelets.  *rank: of these. */
bool may_store_only(const ce_state *ce, int *rank);
/* Stores a wavelet in cycle `now`, with the slot of that cycle, which a memory operation then does not have. */
void store_element(wse_fabric *fabric, band_state *band, uint32_t pe, int thread, uint32_t data, uint64_t now);
/* Steps a CE whose microthreads only store but have a backlog, so that the PE is not store-only yet.  False: not
 * applicable. */
bool store_only_step(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t now);
void store_only_begin(wse_fabric *fabric, band_state *band, uint32_t pe,
                      uint64_t now); /* makes the PE store-only if it can be */
/* Counts what was stored before cycle `now`, and the waits between up to cycle `until`, which is not after `now` and
 * not before the end of the last store before it. */
void store_only_settle(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t now, uint64_t until);
void store_only_end(wse_fabric *fabric, uint32_t pe); /* after settling: back to the ordinary path */

#endif
