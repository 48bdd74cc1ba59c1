/* ramp.c - the ramp between a CE and its router. */
#include "pe/ramp.h"

#include "observe/account.h"
#include "router/buffer.h"
#include "state/queue.h"

void ramp_refresh(wse_fabric *f, uint32_t pe, int color) {
  uint32_t at = f->place[pe];
  int q = queue_of_color(f, pe, f->color_of[color]);
  bit_assign(&f->routes[color][at / LANES].ramp_full, at % LANES, q < 0 || queue_full(iq_of(f, q, pe), f->iq_room[q]));
}

wavelet iq_take(wse_fabric *f, band *b, uint32_t pe, int q, uint64_t now) {
  queue *in = iq_of(f, q, pe);
  bool was_full = queue_full(in, f->iq_room[q]);
  wavelet w = queue_pop(in, f->iq_mask[q]);
  if (was_full) {
    int color = color_of_iq(f, pe, class_of(f, pe), q);
    if (color >= 0) ramp_refresh(f, pe, f->color_index[color]);
    wake_router(f, pe, now);
  }
  if (!in->count) {
    f->ces[pe].input_queues &= (uint8_t)~(1u << q);
    f->ces[pe].control_queues &= (uint8_t)~(1u << q);
  }
  counters_of(f, pe)[WSE_CTR_WAVELETS_IN]++;
  activity_last(b, now + 1);
  return w;
}

/* With one buffer for all inputs the ramp may only fill it if it is the input. */
static bool ramp_takes(const wse_fabric *f, uint32_t pe, int color) {
  uint32_t at = f->place[pe];
  return f->inputs[color] > 1 || f->routes[color][at / LANES].rx[WSE_RAMP] >> at % LANES & 1;
}

/* One wavelet from the output queues into the router, queues in turn; returns when to look again. */
uint64_t inject(wse_fabric *f, band *b, uint32_t pe, uint64_t now) {
  ce *c = &f->ces[pe];
  uint64_t again = NEVER;
  for (int k = 0; k < WSE_QUEUES; k++) {
    int n = (c->output_next + k) & 7;
    if (!(c->output_queues >> n & 1)) continue;
    queue *q = oq_of(f, n, pe);
    wavelet w = queue_head(q);
    if (!wavelet_ready(w, now)) {
      uint64_t when = wavelet_when(w, now);
      if (when < again) again = when;
      continue;
    }
    int color = ((uint8_t *)(q->ring + f->oq_mask[n] + 1))[q->head];
    if (!ramp_takes(f, pe, color)) continue;
    if (!router_has_room(f, pe, color, WSE_RAMP)) continue; /* the router wakes this CE when it pops */
    queue_pop(q, f->oq_mask[n]);
    if (!q->count) c->output_queues &= (uint8_t)~(1u << n);
    router_push_one(f, pe, color, WSE_RAMP, w, now + 1);
    activity_last(b, now + 1);
    c->output_next = (uint8_t)((n + 1) & 7);
    return c->output_queues ? now + 1 : NEVER;
  }
  return again;
}
