/* ramp.c - the ramp between a CE and its router. */
#include "pe/ramp.h"

#include "observe/account.h"
#include "router/buffer.h"
#include "state/queue.h"

void ramp_refresh(wse_fabric *fabric, uint32_t pe, int color) {
  uint32_t at = fabric->router_lane[pe];
  int q = queue_of_color(fabric, pe, fabric->color_of[color]);
  bit_assign(&fabric->routes[color][at / LANES].ramp_full, at % LANES,
             q < 0 || queue_full(iq_of(fabric, q, pe), fabric->iq_capacity[q]));
}

wavelet iq_take(wse_fabric *fabric, band_state *band, uint32_t pe, int q, uint64_t now) {
  ramp_queue *in = iq_of(fabric, q, pe);
  bool was_full = queue_full(in, fabric->iq_capacity[q]);
  wavelet w = queue_pop(in, fabric->iq_mask[q]);
  if (was_full) {
    int color = color_of_iq(fabric, pe, class_of(fabric, pe), q);
    if (color >= 0) ramp_refresh(fabric, pe, fabric->color_index[color]);
    wake_router(fabric, pe, now);
  }
  if (!in->count) {
    fabric->ces[pe].input_queues &= (uint8_t)~(1u << q);
    fabric->ces[pe].control_queues &= (uint8_t)~(1u << q);
  }
  counters_of(fabric, pe)[WSE_CTR_WAVELETS_IN]++;
  activity_last(band, now + 1);
  return w;
}

/* Whether the ramp may send the color: a buffer that all inputs share takes from the current input only. */
static bool ramp_takes(const wse_fabric *fabric, uint32_t pe, int color) {
  uint32_t at = fabric->router_lane[pe];
  return fabric->inputs[color] > 1 || fabric->routes[color][at / LANES].rx[WSE_RAMP] >> at % LANES & 1;
}

/* Moves one wavelet from the output queues into the router, queues round robin.  Returns the next cycle in which that
 * may be possible, NEVER if something else has to wake the CE. */
uint64_t inject(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t now) {
  ce_state *ce = &fabric->ces[pe];
  uint64_t again = NEVER;
  for (int k = 0; k < WSE_QUEUES; k++) {
    int n = (ce->output_next + k) & 7;
    if (!(ce->output_queues >> n & 1)) continue;
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
    queue_pop(queue, fabric->oq_mask[n]);
    if (!queue->count) ce->output_queues &= (uint8_t)~(1u << n);
    router_push_one(fabric, pe, color, WSE_RAMP, w, now + 1);
    activity_last(band, now + 1);
    ce->output_next = (uint8_t)((n + 1) & 7);
    return ce->output_queues ? now + 1 : NEVER;
  }
  return again;
}
