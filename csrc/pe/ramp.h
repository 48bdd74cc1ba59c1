/* ramp.h - the ramp: queues between a CE and its router. */
#ifndef PE_RAMP_H
#define PE_RAMP_H

#include "state/state.h"

/* Removes the head of an input queue, and wakes the router if the queue was full. */
wavelet iq_take(wse_fabric *fabric, band_state *band, uint32_t pe, int q, uint64_t now);
uint64_t inject(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t now);
void ramp_refresh(wse_fabric *fabric, uint32_t pe, int color); /* the queue of a color (index) changed */

/* Whether a control wavelet has commands for routers only, no entry point: the CE drops it. */
static inline bool control_for_routers(const pe_class *class, wavelet w) {
  enum { NO_ENTRY = 31 };
  return (w.data >> 16 & 63) == NO_ENTRY && class->task_kind[NO_ENTRY] != WSE_TASK_CONTROL;
}

#endif
