/* queue.h - the ramp: which queue takes a color, and events of the trace. */
#ifndef QUEUE_H
#define QUEUE_H

#include "state/state.h"

/* Input queue that takes a color, or -1. */
static inline int queue_of_color(wse_fabric *f, uint32_t pe, int color) {
  const pe_class *k = class_of(f, pe);
  if (!k) return -1;
  if (atomic_load_explicit(&f->any_rebound, memory_order_relaxed)) {
    uint8_t to = f->rebound[pe].queue_of[color];
    if (to) return to == NO_BINDING ? -1 : to - 1;
  }
  return k->queue_of_color[color];
}

static inline int color_of_iq(wse_fabric *f, uint32_t pe, const pe_class *k, int q) {
  if (atomic_load_explicit(&f->any_rebound, memory_order_relaxed) && f->rebound[pe].iq[q]) return f->rebound[pe].iq[q] - 1;
  return k->iq_color[q];
}

static inline int color_of_oq(wse_fabric *f, uint32_t pe, const pe_class *k, int q) {
  if (atomic_load_explicit(&f->any_rebound, memory_order_relaxed) && f->rebound[pe].oq[q]) return f->rebound[pe].oq[q] - 1;
  return k->oq_color[q];
}

/* A control wavelet without an entry point only had commands for routers: the CE drops it. */
static inline bool control_for_routers(const pe_class *k, wavelet w) {
  enum { NO_ENTRY = 31 };
  return (w.data >> 16 & 63) == NO_ENTRY && k->task_kind[NO_ENTRY] != WSE_TASK_CONTROL;
}

void trace_full(band *b, wse_event event); /* measure.c */

static inline void trace_event(wse_fabric *f, band *b, uint64_t cycle, uint32_t pe, int kind, uint32_t a, uint32_t value) {
  if (!f->trace_capacity) return;
  wse_event event = {cycle, pe, (uint16_t)kind, (uint16_t)a, value};
  if (b->event_count == f->trace_capacity) trace_full(b, event);
  else b->events[b->event_count++] = event;
}

static inline void activity_last(band *b, uint64_t end) {
  if (end > b->last) b->last = end;
}

void series_halve(wse_fabric *f, band *b); /* measure.c */

enum { SERIES_BUSY, SERIES_HOPS, SERIES_FLOPS, SERIES_STALLED, SERIES_WIDTH };

/* Adds to the bin of `cycle`; the band's bins double in width when the run outgrows them. */
static inline void series_add(wse_fabric *f, band *b, uint64_t cycle, int what, uint64_t n) {
  if (!f->bins) return;
  while ((cycle >> b->series_shift) >= (uint64_t)f->bins) series_halve(f, b);
  b->series[(cycle >> b->series_shift) * SERIES_WIDTH + (uint64_t)what] += n;
}

/* n busy slots of a PE in the bin of `cycle`. */
static inline void series_busy(wse_fabric *f, band *b, uint32_t pe, uint64_t cycle, uint64_t n) {
  if (!f->bins || !n) return;
  series_add(f, b, cycle, SERIES_BUSY, n);
  if (!f->activity) return;
  uint16_t *a = &f->activity[(cycle >> b->series_shift) * f->pes + pe];
  *a = (uint16_t)(*a + n > 0xffff ? 0xffff : *a + n);
}

/* n slots one after the other from `cycle` on, which may cross bins. */
static inline void series_span(wse_fabric *f, band *b, uint32_t pe, uint64_t cycle, uint64_t n, int what) {
  if (!f->bins || !n) return;
  series_add(f, b, cycle + n - 1, what, 0); /* widens the bins first */
  while (n) {
    uint64_t end = ((cycle >> b->series_shift) + 1) << b->series_shift, part = end - cycle < n ? end - cycle : n;
    if (what == SERIES_BUSY) series_busy(f, b, pe, cycle, part);
    else series_add(f, b, cycle, what, part);
    cycle += part;
    n -= part;
  }
}

#endif
