/* ramp.h - the ramp: queues between a CE and its router. */
#ifndef PE_RAMP_H
#define PE_RAMP_H

#include "state/state.h"

/* Marks queues that are flushing and hold nothing: bits as in ce_state.flushing. */
void ramp_flushed(wse_fabric *fabric, uint32_t pe, uint32_t queues, uint64_t now);
/* Binds an input queue to a color in cycle `at`.  admits: wavelets that may enter it; UINT32_MAX: no limit. */
void ramp_bind(wse_fabric *fabric, uint32_t pe, int q, int color, uint32_t admits, uint64_t at);
/* Binds the queue of a descriptor with DSD_BINDS to its color.  False if the queue holds wavelets of another color. */
bool ramp_bind_dsd(wse_fabric *fabric, uint32_t pe, const dsr *d, uint32_t admits, uint64_t at);
/* Binds that queue to the color that the class has for it, or to none, unless it holds wavelets of the descriptor. */
void ramp_unbind_dsd(wse_fabric *fabric, uint32_t pe, const dsr *d, uint64_t at);
/* Removes the head of an input queue, and wakes the router if the queue was full. */
wavelet iq_take(wse_fabric *fabric, band_state *band, uint32_t pe, int q, uint64_t now);
uint64_t inject(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t now);
void ramp_refresh(wse_fabric *fabric, uint32_t pe, int color); /* the queue of a color (index) changed */

/* Whether a control wavelet has commands for routers only, no entry point: the CE drops it. */
static inline bool control_for_routers(const pe_class *class, wavelet w) {
  enum { NO_ENTRY = 31 };
  if ((w.data >> 16 & 63) != NO_ENTRY) return false;
  uint32_t task = class->control_task[NO_ENTRY];
  return task >= WSE_TASKS || class->task_kind[task] != WSE_TASK_CONTROL;
}

/* The first cycle, `from` or later, in which the head of an output queue may leave by the ramp; NEVER: all are empty.
 */
uint64_t next_to_leave(const wse_fabric *fabric, uint32_t pe, uint64_t from);

#endif
