/* ramp.h - the ramp between a CE and its router: what goes up, what was taken from a queue. */
#ifndef PE_RAMP_H
#define PE_RAMP_H

#include "state/state.h"

/* Takes the head of an input queue, and wakes the router if it may have waited for the room. */
wavelet iq_take(wse_fabric *f, band *b, uint32_t pe, int q, uint64_t now);
uint64_t inject(wse_fabric *f, band *b, uint32_t pe, uint64_t now);
void ramp_refresh(wse_fabric *f, uint32_t pe, int color); /* the queue of a color (index) changed */

/* A control wavelet without an entry point only had commands for routers: the CE drops it. */
static inline bool control_for_routers(const pe_class *k, wavelet w) {
  enum { NO_ENTRY = 31 };
  return (w.data >> 16 & 63) == NO_ENTRY && k->task_kind[NO_ENTRY] != WSE_TASK_CONTROL;
}

#endif
