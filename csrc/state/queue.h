/* queue.h - the queues between a router and its CE, and the colors they are bound to. */
#ifndef STATE_QUEUE_H
#define STATE_QUEUE_H

#include "state/state.h"

static inline bool queue_full(const ramp_queue *queue, uint32_t capacity) { return queue->count >= capacity; }
static inline wavelet queue_head(const ramp_queue *queue) { return queue->ring[queue->head]; }
static inline void queue_push(ramp_queue *queue, uint32_t mask, wavelet w) {
  queue->ring[(queue->head + queue->count) & mask] = w;
  queue->count++;
}
static inline wavelet queue_pop(ramp_queue *queue, uint32_t mask) {
  wavelet w = queue->ring[queue->head];
  queue->head = (queue->head + 1) & mask;
  queue->count--;
  return w;
}
/* Puts a wavelet before the head. */
static inline void queue_return(ramp_queue *queue, uint32_t mask, wavelet w) {
  queue->head = (queue->head - 1) & mask;
  queue->ring[queue->head] = w;
  queue->count++;
}

/* The input queue of a color; -1: none. */
static inline int queue_of_color(wse_fabric *fabric, uint32_t pe, int color) {
  const pe_class *class = class_of(fabric, pe);
  if (!class) return -1;
  if (atomic_load_explicit(&fabric->any_rebound, memory_order_relaxed)) {
    uint8_t to = fabric->rebound[pe].queue_of[color];
    if (to) return to == NO_BINDING ? -1 : to - 1;
  }
  return class->queue_of_color[color];
}

/* Whether the class binds a queue to a color for good. */
static inline bool class_binds(const pe_class *class, int queue, int color) {
  return class->iq_color[queue] == color && class->queue_of_color[color] == queue;
}

/* Whether a queue may take no more wavelets: it is full, or holds all that its operation needs. */
static inline bool input_full(wse_fabric *fabric, uint32_t pe, int q) {
  if (queue_full(iq_of(fabric, q, pe), fabric->iq_capacity[q])) return true;
  return q < WSE_QUEUES && atomic_load_explicit(&fabric->any_rebound, memory_order_relaxed) &&
         fabric->rebound[pe].admits[q] == 1;
}

static inline int color_of_iq(const wse_fabric *fabric, uint32_t pe, const pe_class *class, int q) {
  if (q < WSE_QUEUES && atomic_load_explicit(&fabric->any_rebound, memory_order_relaxed) && fabric->rebound[pe].iq[q])
    return fabric->rebound[pe].iq[q] == NO_BINDING ? -1 : fabric->rebound[pe].iq[q] - 1;
  return class->iq_color[q];
}

static inline int color_of_oq(wse_fabric *fabric, uint32_t pe, const pe_class *class, int q) {
  if (atomic_load_explicit(&fabric->any_rebound, memory_order_relaxed) && fabric->rebound[pe].oq[q])
    return fabric->rebound[pe].oq[q] - 1;
  return class->oq_color[q];
}

#endif
