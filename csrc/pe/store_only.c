/* store_only.c - begin, settle and end of the store-only mode. */
#include "pe/store_only.h"

#include "fast/store_rows.h"
#include "observe/account.h"
#include "pe/operand.h"
#include "pe/priority.h"
#include "pe/ramp.h"
#include "pe/task.h"
#include "state/queue.h"
#include "state/wake.h"

bool is_store_only(const vector_operation *operation) {
  return operation->period == 1 && !operation->conflicts && operation->wide == operation->per_wavelet &&
         !(operation->on_control & 3) && operation->left != UINT32_MAX && !operation->src1.size &&
         operation->src0.is == OPERAND_IS_DSR && operation->src0.d.kind == DSD_FABIN &&
         operation->dst.is == OPERAND_IS_DSR && operation->dst.d.kind == DSD_MEM1D &&
         operand_in_sram(&operation->dst, operation->left) && operation->rule == ISA_COPY &&
         !(operation->src0.d.flags & DSD_BINDS);
}

void store_element(wse_fabric *fabric, band_state *band, uint32_t pe, int thread, uint32_t data, uint64_t now) {
  ce_state *ce = &fabric->ces[pe];
  vector_operation *operation = &fabric->operations[thread][pe];
  uint32_t n = operation->left < operation->wide ? operation->left : operation->wide;
  for (uint32_t i = 0; i < n; i++, operation->done++, data >>= 16)
    sram_store(sram_of(fabric, pe),
               (uint16_t)(operation->dst.d.base + (int32_t)operation->done * operation->dst.d.stride),
               operation->dst.size, data);
  operation->left -= n;
  operation->next = now + 1;
  uint64_t *counters = counters_of(fabric, pe);
  counters[WSE_CTR_ELEMENTS] += n;
  counters[WSE_CTR_BUSY_MICRO]++;
  counters[WSE_CTR_SRAM_WRITE] += n * operation->writes;
  if (ce->accounted < now) account(fabric, band, pe, now, ce->gap);
  ce->accounted = now + 1;
  ce->thread_next = (uint8_t)(thread + 1);
  series_busy(fabric, band, pe, now, 1);
  if (ce->state == MAIN_MEMORY && ce->memory_mark <= now) ce->memory_mark = now + 1;
}

bool may_store_only(const ce_state *ce, int *rank) {
  return ce->threads && ce->store_threads == ce->threads &&
         __builtin_popcount(ce->readers) == __builtin_popcount(ce->threads) && /* no two take from one queue */
         !(ce->suspended | ce->main_priority | ce->taken | ce->flushing) && !(ce->control_queues & ce->readers) &&
         threads_alike(ce, rank);
}

bool store_only_step(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t now) {
  ce_state *ce = &fabric->ces[pe];
  int rank;
  if (!may_store_only(ce, &rank) || ce->store_targets || ce->output_queues) return false;
  if (ce->state == MAIN_MEMORY) {
    if (main_rank(fabric, ce, now) > rank) return false;
    if (ce->memory_mark > now || ce->memory_mark + ce->memory_left <= now) return false;
  } else if (ce->state != MAIN_IDLE || ce->main_at > now || ce->gap != WSE_CTR_STALL_INPUT || ce->just_ended ||
             ce->wheel_at || task_possible(fabric, pe)) {
    return false;
  }
  uint32_t later = ce->threads & ~((1u << ce->thread_next) - 1), order[] = {later, ce->threads & ~later};
  int next = -1;
  bool behind = false;
  for (int part = 0; part < 2; part++)
    for (uint32_t threads = order[part]; threads; threads &= threads - 1) {
      int thread = __builtin_ctz(threads);
      vector_operation *operation = &fabric->operations[thread][pe];
      const ramp_queue *queue = iq_of(fabric, operation->src0.d.queue, pe);
      if (operation->next > now || operation->left <= operation->wide) return false;
      if (!queue->count || !wavelet_ready(queue_head(queue), now)) continue;
      if (next < 0) next = thread;
      else behind = true;
    }
  if (next < 0) return ce->state == MAIN_IDLE; /* the next wavelet that lands wakes it */
  settle_memory(fabric, band, pe, now);
  int q = fabric->operations[next][pe].src0.d.queue;
  store_element(fabric, band, pe, next, iq_take(fabric, band, pe, q, now).data, now);
  const ramp_queue *queue = iq_of(fabric, q, pe);
  if (queue->count && wavelet_ready(queue_head(queue), now)) behind = true;
  wheel_remove(fabric, band, pe);
  if (behind) wake_ce_near(fabric, pe, now + 1);
  else if (ce->state == MAIN_MEMORY) wake_ce(fabric, band, pe, now, now + ce->memory_left);
  else store_only_begin(fabric, band, pe, now);
  return true;
}

/* Stores the wavelets that are already in the ramp's pipeline or queue. */
static void store_queued(wse_fabric *fabric, band_state *band, uint32_t pe, int color, uint64_t now) {
  ce_state *ce = &fabric->ces[pe];
  uint32_t at = fabric->router_lane[pe];
  store_target *target = &fabric->store_targets[color][pe];
  int n = fabric->operations[target->thread][pe].src0.d.queue;
  ramp_queue *queue = iq_of(fabric, n, pe);
  bool was_full = input_full(fabric, pe, n);
  while (queue->count) {
    wavelet w = queue_head(queue);
    uint64_t when = wavelet_when(w, now);
    if (target->left <= STORE_LAST || when >= fabric->limit) break;
    store_wavelet(sram_of(fabric, pe), target, w.data);
    queue_pop(queue, fabric->iq_mask[n]);
    store_note(&fabric->store_times[at / LANES], (uint64_t)1 << at % LANES, when);
    series_span(fabric, band, pe, when, 1, SERIES_BUSY);
    activity_last(band, when + 1);
  }
  if (!queue->count) ce->input_queues &= ~(1u << n);
  if (!was_full || input_full(fabric, pe, n)) return;
  ramp_refresh(fabric, pe, color);
  wake_router(fabric, pe, now);
}

/* Whether two of the microthreads store to the same bytes.  The routers keep the wavelets of each color by themselves:
 * of two colors, the later one would not always come last. */
static bool stores_overlap(const wse_fabric *fabric, uint32_t pe, uint32_t threads) {
  uint16_t low[THREADS], high[THREADS];
  int n = 0;
  if (!(threads & (threads - 1))) return false;
  for (; threads; threads &= threads - 1, n++) {
    const vector_operation *operation = &fabric->operations[__builtin_ctz(threads)][pe];
    if (!operand_range(fabric, pe, &operation->dst, operation->done + operation->left, &low[n], &high[n])) return true;
    for (int i = 0; i < n; i++)
      if (low[i] <= high[n] && low[n] <= high[i]) return true;
  }
  return false;
}

void store_only_begin(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t now) {
  ce_state *ce = &fabric->ces[pe];
  int rank;
  if (!may_store_only(ce, &rank) || ce->state != MAIN_IDLE || ce->main_at > now || task_possible(fabric, pe)) return;
  bool stored = ce->accounted == now + 1;                                          /* the slot of this cycle was used */
  if (!stored && (ce->accounted != now || ce->gap != WSE_CTR_STALL_INPUT)) return; /* retry with the next element */
  for (uint32_t threads = ce->threads; threads; threads &= threads - 1)
    if (fabric->operations[__builtin_ctz(threads)][pe].next > now + 1 ||
        fabric->operations[__builtin_ctz(threads)][pe].left <= 2 * STORE_LAST)
      return;
  for (uint32_t queues = ce->input_queues & ce->readers; queues; queues &= queues - 1)
    if (wavelet_ready(queue_head(iq_of(fabric, __builtin_ctz(queues), pe)), now))
      return; /* a backlog is stored one element a cycle */
  if (stores_overlap(fabric, pe, ce->threads)) return;
  ce->gap = WSE_CTR_STALL_INPUT;
  uint32_t at = fabric->router_lane[pe];
  store_times *times = &fabric->store_times[at / LANES];
  uint64_t lane = (uint64_t)1 << at % LANES;
  store_account(fabric, band, at / LANES, now);
  times->members |= lane;
  if (stored) store_note(times, lane, now);
  for (uint32_t threads = ce->threads; threads; threads &= threads - 1) {
    int thread = __builtin_ctz(threads);
    vector_operation *operation = &fabric->operations[thread][pe];
    int color = fabric->color_index[color_of_iq(fabric, pe, class_of(fabric, pe), operation->src0.d.queue)];
    fabric->store_targets[color][pe] =
        (store_target){.at = (uint16_t)(operation->dst.d.base + (int32_t)operation->done * operation->dst.d.stride),
                       .step = operation->dst.d.stride,
                       .left = operation->left,
                       .size = operation->dst.size,
                       .thread = (uint8_t)thread,
                       .wide = operation->wide};
    fabric->routes[color][at / LANES].store_targets |= lane;
    ce->store_targets |= 1u << color;
    store_queued(fabric, band, pe, color, now);
    fabric->store_blocks[color][at / LANES].budget = 0; /* forces a check when the next wavelet comes */
  }
}

/* Cycles from `now` on in which an element is stored: bit i is cycle now + i. */
static uint8_t stores_after(const store_times *times, uint32_t lane, uint64_t now) {
  uint32_t bits = 0;
  for (uint32_t i = 0; i < NEAR; i++)
    bits |= (uint32_t)(stores_at(times, now + i) >> lane & 1) << i;
  return (uint8_t)bits;
}

void store_only_settle(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t now, uint64_t until) {
  ce_state *ce = &fabric->ces[pe];
  uint64_t *counters = counters_of(fabric, pe);
  uint32_t block = fabric->router_lane[pe] / LANES;
  store_account(fabric, band, block, until);
  /* elements since the last call, and those that were still in the future then */
  uint64_t stored = (uint64_t)__builtin_popcount(ce->taken);
  for (uint32_t colors = ce->store_targets; colors; colors &= colors - 1) {
    int color = __builtin_ctz(colors);
    if (fabric->store_blocks[color][block].used) store_flush(fabric, block, color);
    store_target *target = &fabric->store_targets[color][pe];
    vector_operation *operation = &fabric->operations[target->thread][pe];
    uint32_t n = operation->left - target->left;
    operation->done += n;
    operation->left = target->left;
    if (operation->next < now) operation->next = now;
    stored += n / target->wide;
    counters[WSE_CTR_ELEMENTS] += n;
    counters[WSE_CTR_WAVELETS_IN] += n / target->wide;
    counters[WSE_CTR_SRAM_WRITE] += n * (uint64_t)operation->writes;
  }
  ce->taken = stores_after(&fabric->store_times[block], fabric->router_lane[pe] % LANES, now);
  ce->stored_from = now;
  stored -= (uint64_t)__builtin_popcount(ce->taken);
  if (until <= ce->accounted) return;
  counters[WSE_CTR_BUSY_MICRO] += stored;
  counters[WSE_CTR_STALL_INPUT] += until - ce->accounted - stored;
  ce->accounted = until;
  activity_last(band, until);
}

void store_only_end(wse_fabric *fabric, uint32_t pe) {
  ce_state *ce = &fabric->ces[pe];
  uint32_t at = fabric->router_lane[pe];
  uint64_t lane = (uint64_t)1 << at % LANES;
  for (uint32_t colors = ce->store_targets; colors; colors &= colors - 1)
    fabric->routes[__builtin_ctz(colors)][at / LANES].store_targets &= ~lane;
  fabric->store_times[at / LANES].members &= ~lane;
  ce->store_targets = 0;
}
