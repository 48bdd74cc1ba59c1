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

#endif
