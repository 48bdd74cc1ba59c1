/* trace.h - events of the trace, recorded by band. */
#ifndef OBSERVE_TRACE_H
#define OBSERVE_TRACE_H

#include "state/state.h"

void trace_full(band_state *band, wse_event event); /* the band's buffer holds trace_capacity events, more than none */

static inline void trace_event(wse_fabric *fabric, band_state *band, uint64_t cycle, uint32_t pe, int kind, uint32_t a,
                               uint32_t value) {
  if (!fabric->trace_capacity) return;
  wse_event event = {cycle,       pe,    (uint16_t)kind,
                     (uint16_t)a, value, (uint32_t)(band->event_count + band->events_dropped)};
  if (band->event_count == fabric->trace_capacity) trace_full(band, event);
  else band->events[band->event_count++] = event;
}

#endif
