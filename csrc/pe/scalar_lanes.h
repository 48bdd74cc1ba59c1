/* scalar_lanes.h - scalar instructions of many compute elements of a block at once. */
#ifndef PE_SCALAR_LANES_H
#define PE_SCALAR_LANES_H

#include "state/state.h"

enum { LEAST_LANES = 4 }; /* fewer are faster one by one */

/* By lane: where a compute element stands. */
typedef struct {
  uint64_t at[LANES];     /* in: cycle of its next instruction */
  uint64_t issued[LANES]; /* out: instructions executed */
} scalar_start;

/* Executes scalar instructions as scalar_run does, of those of `lanes` that are in the class of the first of them and
 * of which LEAST_LANES or more are in the same state.  A group stops when its last lane has reached cycle `window`, and
 * none reaches the fabric's limit.  Returns the lanes that took part; of the others nothing has changed. */
uint64_t scalar_run_lanes(wse_fabric *fabric, band_state *band, uint32_t block, uint64_t lanes, uint64_t window,
                          scalar_start *start);

#endif
