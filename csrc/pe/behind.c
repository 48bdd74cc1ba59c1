/* behind.c - compute elements that are stepped later than the fabric's cycle. */
#include "pe/behind.h"

#include "fast/wavelet_log.h"
#include "observe/account.h"
#include "pe/issue.h"
#include "pe/priority.h"
#include "pe/ramp.h"
#include "pe/scout.h"
#include "pe/store_only.h"
#include "pe/wavelet_loop.h"
#include "state/bitplane.h"
#include "state/queue.h"

enum { LEAST_CYCLES = 12 }; /* that a CE stays behind: fewer are not worth it */

static int color_of_thread(const wse_fabric *fabric, uint32_t pe, int thread) {
  int queue = fabric->operations[thread][pe].src0.d.queue;
  return fabric->color_index[color_of_iq(fabric, pe, class_of(fabric, pe), queue)];
}

/* Whether all microthreads only store, and no queue will be full: in each cycle one wavelet is taken if there is one,
 * and one is sent down at most. */
static bool may_stay_behind(const wse_fabric *fabric, uint32_t pe) {
  const ce_state *ce = &fabric->ces[pe];
  int rank;
  if (!may_store_only(ce, &rank) || rank < RANK_MEDIUM || ce->output_queues || ce->store_targets) return false;
  int waiting = 0, room = INT32_MAX;
  for (uint32_t threads = ce->threads; threads; threads &= threads - 1) {
    const vector_operation *operation = &fabric->operations[__builtin_ctz(threads)][pe];
    int q = operation->src0.d.queue;
    const ramp_queue *queue = iq_of(fabric, q, pe);
    if (operation->left <= (uint32_t)queue->count * operation->wide) return false;
    waiting += queue->count;
    if (fabric->iq_capacity[q] < room) room = fabric->iq_capacity[q];
  }
  return waiting + 1 < room && P(fabric, ramp_in_cycles) < room;
}

/* The cycle in which wavelet i of the log is in its queue. */
static uint64_t lands(const ce_log *log, int i) { return log->from + (log->lands[i] - (uint32_t)log->from); }

/* Takes the wavelets out of the queues of the microthreads, in the order in which they land. */
static void log_queued(wse_fabric *fabric, uint32_t pe, uint64_t now) {
  ce_state *ce = &fabric->ces[pe];
  ce_log *log = &fabric->logs[pe];
  for (;;) {
    int next = -1;
    uint64_t first = NEVER;
    for (uint32_t threads = ce->threads; threads; threads &= threads - 1) {
      int thread = __builtin_ctz(threads);
      const ramp_queue *queue = iq_of(fabric, fabric->operations[thread][pe].src0.d.queue, pe);
      if (!queue->count || wavelet_when(queue_head(queue), now) >= first) continue;
      next = thread;
      first = wavelet_when(queue_head(queue), now);
    }
    if (next < 0) return;
    int q = fabric->operations[next][pe].src0.d.queue;
    ramp_queue *queue = iq_of(fabric, q, pe);
    /* one that waits already is there in the next cycle, too */
    log_push(log, next, queue_pop(queue, fabric->iq_mask[q]).data, first > now ? first : now + 1);
    if (!queue->count) ce->input_queues &= ~(1u << q);
  }
}

bool behind_begin(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t now) {
  ce_state *ce = &fabric->ces[pe];
  ce_log *log = &fabric->logs[pe];
  /* in a fabric beyond the cache, fetching the log and what the scout reads costs more than the steps */
  if (!fabric->in_cache || !log_may_begin(fabric)) return false;
  if (now < log->retry || !may_stay_behind(fabric, pe)) return false;
  for (uint32_t threads = ce->threads; threads; threads &= threads - 1) {
    uint64_t next = fabric->operations[__builtin_ctz(threads)][pe].next;
    if (next > now + 1) {
      log->retry = next - 1;
      return false;
    }
  }
  uint64_t until = scout(fabric, band, pe, now + 1);
  if (until < now + LEAST_CYCLES) {
    log->retry = until + 1;
    return false;
  }
  uint64_t lane = lane_of(fabric, pe);
  log->from = now + 1;
  log->until = until;
  log->count = 0;
  log_queued(fabric, pe, now);
  for (uint32_t threads = ce->threads; threads; threads &= threads - 1) {
    int thread = __builtin_ctz(threads), color = color_of_thread(fabric, pe, thread);
    const vector_operation *operation = &fabric->operations[thread][pe];
    uint32_t logged = 0;
    for (int i = 0; i < log->count; i++)
      logged += log->thread[i] == thread;
    fabric->store_targets[color][pe] = (store_target){
        .left = operation->left - logged * operation->wide, .thread = (uint8_t)thread, .wide = operation->wide};
    route_of(fabric, pe, color)->logs |= lane;
  }
  ce->behind = 1;
  fabric->store_times[fabric->router_lane[pe] / LANES].behind |= lane;
  wheel_remove(fabric, band, pe);
  wake_ce(fabric, band, pe, now, until);
  return true;
}

/* The main thread executes cycles from .. to - 1, the slots of which are its own. */
static void advance_main(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t from, uint64_t to) {
  ce_state *ce = &fabric->ces[pe];
  while (from < to) {
    if (ce->state == MAIN_MEMORY) {
      settle_memory(fabric, band, pe, to);
      if (ce->state == MAIN_MEMORY) return;
      if (ce->memory_mark > from) from = ce->memory_mark;
      ce->thread_next = 0;
      continue;
    }
    if (!issue_behind(fabric, band, pe, from, to)) return;
    ce->thread_next = 0;
  }
}

/* Of the wavelets from i on, brings the one that is stored in cycle `at` to place i: the first of each thread is ready
 * if it has landed, and threads take turns. */
static void bring_next(const wse_fabric *fabric, uint32_t pe, ce_log *log, int i, uint64_t at) {
  const int first = fabric->ces[pe].thread_next;
  int next = i;
  for (int k = i + 1; k < log->count && lands(log, k) <= at; k++)
    if (((log->thread[k] - first) & 15) < ((log->thread[next] - first) & 15)) next = k;
  if (next == i) return;
  uint8_t thread = log->thread[next];
  uint32_t data = log->data[next], when = log->lands[next];
  memmove(log->thread + i + 1, log->thread + i, (size_t)(next - i));
  memmove(log->data + i + 1, log->data + i, (size_t)(next - i) * sizeof *log->data);
  memmove(log->lands + i + 1, log->lands + i, (size_t)(next - i) * sizeof *log->lands);
  log->thread[i] = thread;
  log->data[i] = data;
  log->lands[i] = when;
}

/* Executes the cycles before `now`. */
static void catch_up(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t now) {
  ce_state *ce = &fabric->ces[pe];
  ce_log *log = &fabric->logs[pe];
  uint64_t from = log->from;
  int i = 0;
  for (; i < log->count; i++) {
    uint64_t at = lands(log, i) > from ? lands(log, i) : from;
    if (at >= now) break;
    bring_next(fabric, pe, log, i, at);
    advance_main(fabric, band, pe, from, at);
    settle_memory(fabric, band, pe, at);
    counters_of(fabric, pe)[WSE_CTR_WAVELETS_IN]++;
    int thread = log->thread[i];
    store_element(fabric, band, pe, thread, log->data[i], at);
    activity_last(band, at + 1);
    if (!fabric->operations[thread][pe].left) operation_ended(fabric, band, pe, thread, at);
    from = at + 1;
  }
  advance_main(fabric, band, pe, from, now);
  log->count = (uint8_t)(log->count - i);
  memmove(log->lands, log->lands + i, log->count * sizeof *log->lands);
  memmove(log->data, log->data + i, log->count * sizeof *log->data);
  memmove(log->thread, log->thread + i, log->count);
  for (i = 0; i < log->count && lands(log, i) < now; i++)
    log->lands[i] = (uint32_t)now; /* it still waits */
  log->from = now;
}

/* The wavelets of the log that land later go into the queues, before those that took the ordinary path. */
static void return_wavelets(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t now) {
  ce_state *ce = &fabric->ces[pe];
  ce_log *log = &fabric->logs[pe];
  for (int i = log->count; i-- > 0;) {
    int q = fabric->operations[log->thread[i]][pe].src0.d.queue;
    ramp_queue *queue = iq_of(fabric, q, pe);
    queue_return(queue, fabric->iq_mask[q], (wavelet){log->data[i], wavelet_meta(lands(log, i), 0)});
    ce->input_queues |= 1u << q;
    if (input_full(fabric, pe, q)) ramp_refresh(fabric, pe, color_of_thread(fabric, pe, log->thread[i]));
    wake_ce(fabric, band, pe, now, lands(log, i));
  }
  log->count = 0;
}

bool behind_end(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t now) {
  ce_state *ce = &fabric->ces[pe];
  if (fabric->logs[pe].loop.under_way) return wavelet_loop_end(fabric, band, pe, now);
  catch_up(fabric, band, pe, now);
  uint64_t lane = lane_of(fabric, pe);
  for (uint32_t threads = ce->threads; threads; threads &= threads - 1)
    route_of(fabric, pe, color_of_thread(fabric, pe, __builtin_ctz(threads)))->logs &= ~lane;
  ce->behind = 0;
  fabric->store_times[fabric->router_lane[pe] / LANES].behind &= ~lane;
  return_wavelets(fabric, band, pe, now);
  return true;
}

bool behind_step(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t now) {
  const ce_state *ce = &fabric->ces[pe];
  ce_log *log = &fabric->logs[pe];
  if (log->loop.under_way) return wavelet_loop_step(fabric, band, pe, now);
  bool ends = (ce->input_queues & ce->readers) || ce->output_queues;
  if (!ends && now < log->until && log->count < LOG_ALMOST_FULL) {
    wake_ce(fabric, band, pe, now, log->until); /* this wake may have taken the place of that one */
    return false;
  }
  if (!ends) {
    catch_up(fabric, band, pe, now);
    if (now >= log->until) log->until = scout(fabric, band, pe, now);
    if (ce->threads && log->until >= now + LEAST_CYCLES) {
      wake_ce(fabric, band, pe, now, log->until);
      return false;
    }
    log->retry = log->until + 1;
  }
  behind_end(fabric, band, pe, now);
  return true;
}

bool behind_end_band(wse_fabric *fabric, band_state *band, uint64_t now) {
  bool goes_on = false;
  for (uint32_t block = (uint32_t)band->first * fabric->blocks_per_strip;
       block < (uint32_t)band->end * fabric->blocks_per_strip; block++)
    EACH_LANE(l, fabric->store_times[block].behind) {
      uint32_t pe = fabric->block_pe[block] + (uint32_t)l;
      if (!behind_end(fabric, band, pe, now)) continue;
      wake_ce(fabric, band, pe, now, now);
      goes_on = true;
    }
  return goes_on;
}
