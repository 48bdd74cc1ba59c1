/* sink.c - beginning, settling and ending the short way of sink.h. */
#include "sink.h"

#include "ce.h"
#include "queue.h"
#include "router.h"
#include "vector.h"
#include "wake.h"

static bool only_stores(const operation *o, uint64_t now) {
  return o->plain && o->period == 1 && !o->conflicts && o->next <= now + 1 && o->left > 1 && o->left != UINT32_MAX && !o->src1.size &&
         o->src0.is == OPERAND_IS_DSR && o->src0.d.kind == DSD_FABIN && o->dst.d.kind == DSD_MEM1D &&
         (o->op == OP_mov16 || o->op == OP_mov32 || o->op == OP_fmovh || o->op == OP_fmovs);
}

/* Wavelets already on their way down the ramp. */
static void store_queued(wse_fabric *f, band *b, uint32_t pe, int color, uint64_t now) {
  ce *c = &f->ces[pe];
  int n = f->operations[f->sinks[color][pe].thread][pe].src0.d.queue;
  queue *q = iq_of(f, n, pe);
  bool was_full = queue_full(q, f->iq_room[n]);
  while (q->count) {
    wavelet w = queue_head(q);
    if (!sink_take(f, b, pe, color, w.data, wavelet_when(w, now))) break;
    queue_pop(q, f->iq_mask[n]);
    series_span(f, b, pe, wavelet_when(w, now), 1, SERIES_BUSY);
    activity_last(b, wavelet_when(w, now) + 1);
  }
  if (!q->count) c->input_queues &= (uint8_t)~(1u << n);
  if (!was_full || queue_full(q, f->iq_room[n])) return;
  ramp_refresh(f, pe, color);
  wake_router(f, b, pe, now, now);
}

void sink_begin(wse_fabric *f, band *b, uint32_t pe, uint64_t now) {
  ce *c = &f->ces[pe];
  if (c->state != MAIN_IDLE || c->main_at > now || !c->threads || c->suspended || c->thread_priority || c->main_priority ||
      c->taken || (c->control_queues & c->readers) || task_possible(f, pe))
    return;
  for (uint32_t threads = c->threads; threads; threads &= threads - 1)
    if (!only_stores(&f->operations[__builtin_ctz(threads)][pe], now)) return;
  for (uint32_t queues = c->input_queues & c->readers; queues; queues &= queues - 1)
    if (wavelet_ready(queue_head(iq_of(f, __builtin_ctz(queues), pe)), now)) return; /* a backlog: one a cycle */
  if (c->gap != WSE_CTR_STALL_INPUT) account(f, b, pe, now + 1, c->gap); /* nobody has waited yet */
  c->gap = WSE_CTR_STALL_INPUT;
  uint32_t at = f->place[pe];
  int first = 0;
  for (uint32_t threads = c->threads; threads; threads &= threads - 1) {
    int thread = __builtin_ctz(threads);
    operation *o = &f->operations[thread][pe];
    int color = f->color_index[color_of_iq(f, pe, class_of(f, pe), o->src0.d.queue)];
    f->sinks[color][pe] = (sink){.at = (uint16_t)(o->dst.d.base + (int32_t)o->done * o->dst.d.stride), .step = o->dst.d.stride,
                                 .left = o->left, .last = (uint32_t)c->accounted - 1, .size = o->dst.size, .thread = (uint8_t)thread};
    if (!c->sinks) first = color;
    f->sinks[color][pe].first = (uint8_t)first;
    f->routes[color][at / LANES].sinks |= (uint64_t)1 << at % LANES;
    c->sinks |= 1u << color;
  }
  for (uint32_t colors = c->sinks; colors; colors &= colors - 1) store_queued(f, b, pe, __builtin_ctz(colors), now);
}

/* Elements that were stored in cycle `now` or later, as bits from `now` on. */
static uint32_t ahead_of(const sink *k, uint64_t now) {
  uint32_t bits = 0;
  for (uint32_t i = 0; i < 8; i++) {
    int32_t after = (int32_t)(k->last - i - (uint32_t)now);
    if (k->pattern >> i & 1 && after >= 0 && after < 8) bits |= 1u << after;
  }
  return bits;
}

void sink_settle(wse_fabric *f, band *b, uint32_t pe, uint64_t now) {
  ce *c = &f->ces[pe];
  uint64_t *counters = counters_of(f, pe);
  /* elements since the last time, and the ones that still lay ahead then */
  uint64_t stored = (uint64_t)__builtin_popcount(c->taken);
  sink *first = NULL;
  for (uint32_t colors = c->sinks; colors; colors &= colors - 1) {
    sink *k = &f->sinks[__builtin_ctz(colors)][pe];
    operation *o = &f->operations[k->thread][pe];
    uint32_t n = o->left - k->left;
    first = &f->sinks[k->first][pe];
    o->done += n;
    o->left = k->left;
    if (o->next < now) o->next = now;
    stored += n;
    counters[WSE_CTR_ELEMENTS] += n;
    counters[WSE_CTR_WAVELETS_IN] += n;
    counters[WSE_CTR_SRAM_WRITE] += n * (uint64_t)o->writes;
  }
  c->taken = (uint8_t)ahead_of(first, now);
  c->taken_from = now;
  stored -= (uint64_t)__builtin_popcount(c->taken);
  if (now <= c->accounted) return;
  counters[WSE_CTR_BUSY_MICRO] += stored;
  counters[WSE_CTR_STALL_INPUT] += now - c->accounted - stored;
  c->accounted = now;
  int32_t waited = (int32_t)((uint32_t)now - 1 - first->last);
  if (waited <= 0) return;
  series_span(f, b, pe, now - (uint64_t)waited, (uint64_t)waited, SERIES_STALLED);
  first->pattern = (uint8_t)(waited < 8 ? first->pattern << waited : 0);
  first->last = (uint32_t)now - 1;
}

void sink_end(wse_fabric *f, uint32_t pe) {
  ce *c = &f->ces[pe];
  uint32_t at = f->place[pe];
  for (uint32_t colors = c->sinks; colors; colors &= colors - 1)
    f->routes[__builtin_ctz(colors)][at / LANES].sinks &= ~((uint64_t)1 << at % LANES);
  c->sinks = 0;
}
