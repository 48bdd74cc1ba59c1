/* store_only.c - beginning, settling and ending the fast path of store_only.h. */
#include "pe/store_only.h"

#include "fast/store_rows.h"
#include "observe/account.h"
#include "pe/operand.h"
#include "pe/ramp.h"
#include "pe/task.h"
#include "state/queue.h"
#include "state/wake.h"

bool only_stores(const operation *o) {
  return o->period == 1 && !o->conflicts && !(o->on_control & 3) && o->left != UINT32_MAX && !o->src1.size &&
         o->src0.is == OPERAND_IS_DSR && o->src0.d.kind == DSD_FABIN && o->dst.is == OPERAND_IS_DSR &&
         o->dst.d.kind == DSD_MEM1D && operand_in_sram(&o->dst, o->left) &&
         o->rule == ISA_COPY;
}

static void store_element(wse_fabric *f, band *b, uint32_t pe, int thread, uint64_t now) {
  ce *c = &f->ces[pe];
  operation *o = &f->operations[thread][pe];
  uint32_t data = iq_take(f, b, pe, o->src0.d.queue, now).data, n = o->wide;
  for (uint32_t i = 0; i < n; i++, o->done++, data >>= 16)
    sram_store(sram_of(f, pe), (uint16_t)(o->dst.d.base + (int32_t)o->done * o->dst.d.stride), o->dst.size, data);
  o->left -= n;
  o->next = now + 1;
  uint64_t *counters = counters_of(f, pe);
  counters[WSE_CTR_ELEMENTS] += n;
  counters[WSE_CTR_BUSY_MICRO]++;
  counters[WSE_CTR_SRAM_WRITE] += n * o->writes;
  if (c->accounted < now) account(f, b, pe, now, c->gap);
  c->accounted = now + 1;
  c->thread_next = (uint8_t)(thread + 1);
  series_busy(f, b, pe, now, 1);
}

/* Microthreads only store, take turns as equals, and have nothing but data wavelets before them. */
static bool stores_plainly(const ce *c) {
  return c->threads && c->storers == c->threads && !(c->suspended | c->thread_priority | c->main_priority | c->taken) &&
         !(c->control_queues & c->readers);
}

bool store_step(wse_fabric *f, band *b, uint32_t pe, uint64_t now) {
  ce *c = &f->ces[pe];
  if (!stores_plainly(c) || c->sinks || c->output_queues) return false;
  if (c->state == MAIN_MEMORY) {
    if (c->memory_mark > now || c->memory_mark + c->memory_left <= now) return false;
  } else if (c->state != MAIN_IDLE || c->main_at > now || c->gap != WSE_CTR_STALL_INPUT || c->just_ended || c->wheel_at ||
             task_possible(f, pe)) {
    return false;
  }
  uint32_t later = c->threads & ~((1u << c->thread_next) - 1), order[] = {later, c->threads & ~later};
  int next = -1;
  bool behind = false;
  for (int part = 0; part < 2; part++)
    for (uint32_t threads = order[part]; threads; threads &= threads - 1) {
      int thread = __builtin_ctz(threads);
      operation *o = &f->operations[thread][pe];
      const queue *q = iq_of(f, o->src0.d.queue, pe);
      if (o->next > now || o->left <= o->wide) return false;
      if (!q->count || !wavelet_ready(queue_head(q), now)) continue;
      if (next < 0) next = thread;
      else behind = true;
    }
  if (next < 0) return c->state == MAIN_IDLE; /* the next one that lands wakes it */
  settle_memory(f, b, pe, now);
  store_element(f, b, pe, next, now);
  if (c->state == MAIN_MEMORY) c->memory_mark = now + 1; /* it took the main thread's slot */
  const queue *q = iq_of(f, f->operations[next][pe].src0.d.queue, pe);
  if (q->count && wavelet_ready(queue_head(q), now)) behind = true;
  wheel_remove(f, b, pe);
  if (behind) wake_ce_near(f, pe, now + 1);
  else if (c->state == MAIN_MEMORY) wake_ce(f, b, pe, now, now + c->memory_left);
  else sink_begin(f, b, pe, now);
  return true;
}

/* Wavelets already on their way down the ramp. */
static void store_queued(wse_fabric *f, band *b, uint32_t pe, int color, uint64_t now) {
  ce *c = &f->ces[pe];
  uint32_t at = f->place[pe];
  sink *k = &f->sinks[color][pe];
  int n = f->operations[k->thread][pe].src0.d.queue;
  queue *q = iq_of(f, n, pe);
  bool was_full = queue_full(q, f->iq_room[n]);
  while (q->count) {
    wavelet w = queue_head(q);
    uint64_t when = wavelet_when(w, now);
    if (k->left <= SINK_LAST || when >= f->limit) break;
    sink_store(sram_of(f, pe), k, w.data);
    queue_pop(q, f->iq_mask[n]);
    sink_note(&f->sink_times[at / LANES], (uint64_t)1 << at % LANES, when);
    series_span(f, b, pe, when, 1, SERIES_BUSY);
    activity_last(b, when + 1);
  }
  if (!q->count) c->input_queues &= (uint8_t)~(1u << n);
  if (!was_full || queue_full(q, f->iq_room[n])) return;
  ramp_refresh(f, pe, color);
  wake_router(f, pe, now);
}

void sink_begin(wse_fabric *f, band *b, uint32_t pe, uint64_t now) {
  ce *c = &f->ces[pe];
  if (!stores_plainly(c) || c->state != MAIN_IDLE || c->main_at > now || task_possible(f, pe)) return;
  bool stored = c->accounted == now + 1; /* the slot of this cycle was used */
  if (!stored && (c->accounted != now || c->gap != WSE_CTR_STALL_INPUT)) return; /* the next element will do */
  for (uint32_t threads = c->threads; threads; threads &= threads - 1)
    if (f->operations[__builtin_ctz(threads)][pe].next > now + 1 || f->operations[__builtin_ctz(threads)][pe].left <= 2 * SINK_LAST)
      return;
  for (uint32_t queues = c->input_queues & c->readers; queues; queues &= queues - 1)
    if (wavelet_ready(queue_head(iq_of(f, __builtin_ctz(queues), pe)), now)) return; /* a backlog: one a cycle */
  c->gap = WSE_CTR_STALL_INPUT;
  uint32_t at = f->place[pe];
  sink_times *t = &f->sink_times[at / LANES];
  uint64_t lane = (uint64_t)1 << at % LANES;
  sink_close(f, b, at / LANES, now);
  t->members |= lane;
  if (stored) sink_note(t, lane, now);
  for (uint32_t threads = c->threads; threads; threads &= threads - 1) {
    int thread = __builtin_ctz(threads);
    operation *o = &f->operations[thread][pe];
    int color = f->color_index[color_of_iq(f, pe, class_of(f, pe), o->src0.d.queue)];
    f->sinks[color][pe] = (sink){.at = (uint16_t)(o->dst.d.base + (int32_t)o->done * o->dst.d.stride), .step = o->dst.d.stride,
                                 .left = o->left, .size = o->dst.size, .thread = (uint8_t)thread, .wide = o->wide};
    f->routes[color][at / LANES].sinks |= lane;
    c->sinks |= 1u << color;
    store_queued(f, b, pe, color, now);
    f->sink_words[color][at / LANES].room = 0; /* looked at when the next one comes */
  }
}

/* Elements that are stored in cycle `now` or later, as bits from `now` on. */
static uint8_t ahead_of(const sink_times *t, uint32_t lane, uint64_t now) {
  uint32_t bits = 0;
  for (uint32_t i = 0; i < NEAR; i++) bits |= (uint32_t)(stores_at(t, now + i) >> lane & 1) << i;
  return (uint8_t)bits;
}

void sink_settle(wse_fabric *f, band *b, uint32_t pe, uint64_t now) {
  ce *c = &f->ces[pe];
  uint64_t *counters = counters_of(f, pe);
  uint32_t word = f->place[pe] / LANES;
  sink_close(f, b, word, now);
  /* elements since the last time, and the ones that still lay ahead then */
  uint64_t stored = (uint64_t)__builtin_popcount(c->taken);
  for (uint32_t colors = c->sinks; colors; colors &= colors - 1) {
    int color = __builtin_ctz(colors);
    if (f->sink_words[color][word].used) sink_flush(f, word, color);
    sink *k = &f->sinks[color][pe];
    operation *o = &f->operations[k->thread][pe];
    uint32_t n = o->left - k->left;
    o->done += n;
    o->left = k->left;
    if (o->next < now) o->next = now;
    stored += n / k->wide;
    counters[WSE_CTR_ELEMENTS] += n;
    counters[WSE_CTR_WAVELETS_IN] += n / k->wide;
    counters[WSE_CTR_SRAM_WRITE] += n * (uint64_t)o->writes;
  }
  c->taken = ahead_of(&f->sink_times[word], f->place[pe] % LANES, now);
  c->taken_from = now;
  stored -= (uint64_t)__builtin_popcount(c->taken);
  if (now <= c->accounted) return;
  counters[WSE_CTR_BUSY_MICRO] += stored;
  counters[WSE_CTR_STALL_INPUT] += now - c->accounted - stored;
  c->accounted = now;
  activity_last(b, now);
}

void sink_end(wse_fabric *f, uint32_t pe) {
  ce *c = &f->ces[pe];
  uint32_t at = f->place[pe];
  uint64_t lane = (uint64_t)1 << at % LANES;
  for (uint32_t colors = c->sinks; colors; colors &= colors - 1) f->routes[__builtin_ctz(colors)][at / LANES].sinks &= ~lane;
  f->sink_times[at / LANES].members &= ~lane;
  c->sinks = 0;
}
