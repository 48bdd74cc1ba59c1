/* trace.h - events of the trace, recorded by band. */
#ifndef OBSERVE_TRACE_H
#define OBSERVE_TRACE_H

#include "state/state.h"

void trace_full(band *b, wse_event event); /* the band's buffer holds trace_capacity events, more than none */

static inline void trace_event(wse_fabric *f, band *b, uint64_t cycle, uint32_t pe, int kind, uint32_t a, uint32_t value) {
  if (!f->trace_capacity) return;
  wse_event event = {cycle, pe, (uint16_t)kind, (uint16_t)a, value, (uint32_t)(b->event_count + b->events_dropped)};
  if (b->event_count == f->trace_capacity) trace_full(b, event);
  else b->events[b->event_count++] = event;
}

#endif
