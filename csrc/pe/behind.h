/* behind.h - compute elements that are stepped later than the fabric's cycle.
 *
 * While a main thread does nothing that anything outside it can see (scout.h), and every microthread only copies
 * wavelets to memory and gets the slot before the main thread, a CE has no effect on its router: each wavelet is
 * taken in the cycle in which it lands.  So the CE stays behind: routers log its wavelets, and the cycles are executed
 * later, in order, many at once.  Cycles, counts and values are those of the ordinary path.
 */
#ifndef PE_BEHIND_H
#define PE_BEHIND_H

#include "state/state.h"

/* After cycle `now`: the CE stays behind from here on if it can, and is woken when it has to be stepped.  Returns
 * whether it does. */
bool behind_begin(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t now);
/* Steps a CE that is behind.  True: it is so no longer, and cycle `now` takes the ordinary path. */
bool behind_step(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t now);
/* Executes all cycles before `now`, and goes back to the ordinary path.  Returns whether the CE has anything to do in
 * cycle `now` or later. */
bool behind_end(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t now);
/* The same for all compute elements of a band: whether one of them has. */
bool behind_end_band(wse_fabric *fabric, band_state *band, uint64_t now);

#endif
