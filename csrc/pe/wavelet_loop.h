/* wavelet_loop.h - loops that take a wavelet in each round, and are executed later than the fabric's cycle.
 *
 * The loop is mapstep on a fabric input, one operation over memory, maploop: the inner loop of a product whose weights
 * are streamed.  While the main thread is in it and no microthread is under way, the cycle in which each wavelet is
 * taken follows from the one before it and from when the wavelet lands.  So routers log the wavelets with these cycles
 * (fast/wavelet_log.h), and the rounds are executed later, many at once.  The compute element is stepped only when the
 * log is almost full, when a place gets free in a queue that has been full, and when the last wavelet that is logged is
 * taken: then it goes back to the ordinary path.  Cycles, counts and values are those of that path.
 */
#ifndef PE_WAVELET_LOOP_H
#define PE_WAVELET_LOOP_H

#include "state/state.h"

/* The main thread waits in cycle `now` at the beginning of such a loop: the rounds from here on are executed later, if
 * they can be.  Returns whether they are. */
bool wavelet_loop_begin(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t now);
/* Steps a CE whose loop is executed later.  True: it is so no longer, and cycle `now` takes the ordinary path. */
bool wavelet_loop_step(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t now);
/* Executes what comes before cycle `now`, and goes back to the ordinary path.  Returns whether the main thread has
 * anything to do in cycle `now` or later. */
bool wavelet_loop_end(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t now);

#endif
