/* trace.h - events of the trace, recorded by band. */
#ifndef OBSERVE_TRACE_H
#define OBSERVE_TRACE_H

#include "state/state.h"

/* Records an event when the band's buffer is full: it grows up to trace_capacity events, then the first ones stay. */
void trace_full(wse_fabric *fabric, band_state *band, wse_event event);
void trace_forget(wse_fabric *fabric); /* the events so far have been taken */

static inline void trace_event(wse_fabric *fabric, band_state *band, uint64_t cycle, uint32_t pe, int kind, uint32_t a,
                               uint32_t value) {
  if (!fabric->trace_capacity || cycle < fabric->trace_from || cycle >= fabric->trace_until) return;
  if (fabric->trace_pes && !fabric->trace_pes[pe]) return;
  wse_event event = {cycle,       pe,    (uint16_t)kind,
                     (uint16_t)a, value, (uint32_t)(band->event_count + band->events_dropped)};
  if (band->event_count == band->event_room) trace_full(fabric, band, event);
  else band->events[band->event_count++] = event;
}

/* An operation that has begun gets its slot, or waits. */
static inline void trace_wait(wse_fabric *fabric, band_state *band, uint32_t pe, int thread,
                              vector_operation *operation, bool waits, uint64_t now) {
  if (!fabric->trace_capacity || operation->waiting == waits) return;
  operation->waiting = waits;
  trace_event(fabric, band, now, pe, waits ? WSE_EV_WAIT_START : WSE_EV_WAIT_END, operation->wait,
              thread == MAIN ? 255 : (uint32_t)thread);
}

#endif
