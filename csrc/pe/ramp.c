/* ramp.c - the ramp between a CE and its router. */
#include "pe/ramp.h"

#include "observe/account.h"
#include "observe/senders.h"
#include "router/buffer.h"
#include "router/route_register.h"
#include "state/queue.h"
#include "state/wake.h"

void ramp_refresh(wse_fabric *fabric, uint32_t pe, int color) {
  uint32_t at = fabric->router_lane[pe];
  int q = queue_of_color(fabric, pe, fabric->color_of[color]);
  bit_assign(&fabric->routes[color][at / LANES].ramp_full, at % LANES, q < 0 || input_full(fabric, pe, q));
}

void ramp_flushed(wse_fabric *fabric, uint32_t pe, uint32_t queues, uint64_t now) {
  ce_state *ce = &fabric->ces[pe];
  uint32_t done = ce->flushing & queues & ~((ce->input_queues & 0xff) | (uint32_t)ce->output_queues << 8);
  if (!done) return;
  ce->flushing &= (uint16_t)~done;
  ce->flushed |= (uint16_t)done;
  ce->active |= (uint64_t)1 << TASK_TEARDOWN;
  wake_ce_near(fabric, pe, now + 1);
}

/* Code changes the queue of a color, or what the queue admits, in cycle `at`. */
static void queue_changes(wse_fabric *fabric, uint32_t pe, int color, uint64_t at) {
  route_hold(fabric, pe, fabric->color_index[color], at);
  ramp_refresh(fabric, pe, fabric->color_index[color]);
}

void ramp_bind(wse_fabric *fabric, uint32_t pe, int q, int color, uint32_t admits, uint64_t at) {
  rebinding *r = &fabric->rebound[pe];
  int old = color_of_iq(fabric, pe, class_of(fabric, pe), q);
  bool leaves = old >= 0 && queue_of_color(fabric, pe, old) == q;
  if (leaves) r->queue_of[old] = NO_BINDING;
  r->queue_of[color] = (uint8_t)(q + 1);
  r->iq[q] = (uint8_t)(color + 1);
  r->admits[q] = admits == UINT32_MAX ? 0 : admits + 1;
  atomic_store_explicit(&fabric->any_rebound, true, memory_order_relaxed);
  if (leaves) queue_changes(fabric, pe, old, at);
  queue_changes(fabric, pe, color, at);
}

bool ramp_bind_dsd(wse_fabric *fabric, uint32_t pe, const dsr *d, uint32_t admits, uint64_t at) {
  const pe_class *class = class_of(fabric, pe);
  if (class_binds(class, d->queue, d->color)) return true;
  uint32_t held = iq_of(fabric, d->queue, pe)->count;
  bool bound = color_of_iq(fabric, pe, class, d->queue) == d->color && queue_of_color(fabric, pe, d->color) == d->queue;
  if (held && !bound) return false;
  if (admits != UINT32_MAX) admits -= held < admits ? held : admits;
  ramp_bind(fabric, pe, d->queue, d->color, admits, at);
  return true;
}

void ramp_unbind_dsd(wse_fabric *fabric, uint32_t pe, const dsr *d, uint64_t at) {
  rebinding *r = &fabric->rebound[pe];
  const pe_class *class = class_of(fabric, pe);
  if (class_binds(class, d->queue, d->color)) return;
  r->admits[d->queue] = 0;
  if (!iq_of(fabric, d->queue, pe)->count) {
    r->iq[d->queue] = r->queue_of[d->color] = 0;
    int own = class->iq_color[d->queue];
    if (own >= 0) {
      r->queue_of[own] = 0;
      queue_changes(fabric, pe, own, at);
    }
  }
  queue_changes(fabric, pe, d->color, at);
}

wavelet iq_take(wse_fabric *fabric, band_state *band, uint32_t pe, int q, uint64_t now) {
  ramp_queue *in = iq_of(fabric, q, pe);
  bool was_full = input_full(fabric, pe, q);
  wavelet w = queue_pop(in, fabric->iq_mask[q]);
  if (w.meta & WAVELET_CONTROL && q < WSE_QUEUES && fabric->rebound[pe].admits[q])
    fabric->rebound[pe].admits[q]++; /* operations count data wavelets */
  if (was_full) {
    int color = color_of_iq(fabric, pe, class_of(fabric, pe), q);
    if (color >= 0) ramp_refresh(fabric, pe, fabric->color_index[color]);
    wake_router(fabric, pe, now);
  }
  if (!in->count) {
    fabric->ces[pe].input_queues &= ~(1u << q);
    fabric->ces[pe].control_queues &= ~(1u << q);
    if (q < WSE_QUEUES && fabric->ces[pe].flushing) ramp_flushed(fabric, pe, 1u << q, now);
  }
  counters_of(fabric, pe)[WSE_CTR_WAVELETS_IN]++;
  activity_last(band, now + 1);
  return w;
}

/* Whether the ramp may send the color: a buffer that all inputs share is that of the one input that all positions of
 * the switch have, also in teardown, when wavelets wait in it. */
static bool ramp_takes(const wse_fabric *fabric, uint32_t pe, int color) {
  return fabric->inputs[color] > 1 || route_all_rx(fabric->route[color][pe]) >> WSE_RAMP & 1;
}

uint64_t next_to_leave(const wse_fabric *fabric, uint32_t pe, uint64_t from) {
  uint64_t next = NEVER;
  for (uint32_t queues = fabric->ces[pe].output_queues; queues; queues &= queues - 1) {
    uint64_t when = wavelet_when(queue_head(oq_of(fabric, __builtin_ctz(queues), pe)), from);
    if (when < next) next = when;
  }
  return next > from ? next : from;
}

/* Moves one wavelet from the output queues into the router, queues round robin.  Returns the next cycle in which that
 * may be possible, NEVER if something else has to wake the CE. */
uint64_t inject(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t now) {
  ce_state *ce = &fabric->ces[pe];
  uint64_t again = NEVER;
  uint32_t turns = (ce->output_queues | (uint32_t)ce->output_queues << WSE_QUEUES) >> ce->output_next & 0xff;
  for (; turns; turns &= turns - 1) { /* bit i: queue output_next + i is not empty */
    int n = (ce->output_next + __builtin_ctz(turns)) & 7;
    ramp_queue *queue = oq_of(fabric, n, pe);
    wavelet w = queue_head(queue);
    if (!wavelet_ready(w, now)) {
      uint64_t when = wavelet_when(w, now);
      if (when < again) again = when;
      continue;
    }
    int color = ((uint8_t *)(queue->ring + fabric->oq_mask[n] + 1))[queue->head];
    if (!ramp_takes(fabric, pe, color)) continue;
    if (!router_has_free_slot(fabric, pe, color, WSE_RAMP)) continue; /* the router wakes this CE when it pops */
    if (fabric->check) senders_push(fabric, pe, color, WSE_RAMP, senders_of_output(fabric, pe, n, queue->head));
    queue_pop(queue, fabric->oq_mask[n]);
    if (!queue->count) ce->output_queues &= (uint8_t)~(1u << n);
    if (!queue->count && ce->flushing) ramp_flushed(fabric, pe, 1u << (n + 8), now);
    router_push_one(fabric, pe, color, WSE_RAMP, w, now + 1);
    activity_last(band, now + 1);
    ce->output_next = (uint8_t)((n + 1) & 7);
    return ce->output_queues ? now + 1 : NEVER;
  }
  return again;
}
