/* ce.h - one compute element: tasks, the main thread, microthreads. */
#ifndef PE_CE_H
#define PE_CE_H

#include "state/state.h"

void ce_step(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t now);
void ces_step(wse_fabric *fabric, band_state *band, uint32_t block, uint64_t awake, uint64_t now); /* awake: lanes */

#endif
