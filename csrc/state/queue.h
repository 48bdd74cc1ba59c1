/* queue.h - the queues between a router and its CE, and the colors they are bound to. */
#ifndef STATE_QUEUE_H
#define STATE_QUEUE_H

#include "state/state.h"

static inline bool queue_full(const queue *q, uint32_t room) { return q->count >= room; }
static inline wavelet queue_head(const queue *q) { return q->ring[q->head]; }
static inline void queue_push(queue *q, uint32_t mask, wavelet w) {
  q->ring[(q->head + q->count) & mask] = w;
  q->count++;
}
static inline wavelet queue_pop(queue *q, uint32_t mask) {
  wavelet w = q->ring[q->head];
  q->head = (q->head + 1) & mask;
  q->count--;
  return w;
}

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

#endif
