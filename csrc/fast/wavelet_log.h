/* wavelet_log.h - wavelets of compute elements that are behind (pe/behind.h, pe/wavelet_loop.h): routers log them
 * instead of waking the CE. */
#ifndef FAST_WAVELET_LOG_H
#define FAST_WAVELET_LOG_H

#include "fast/issue_rules.h"
#include "state/wake.h"

enum { LOG_ALMOST_FULL = LOG_WAVELETS - NEAR }; /* wavelets after which the CE has to be stepped soon */

/* Whether nothing that is observed needs each cycle of a CE when it comes. */
static inline bool log_may_begin(const wse_fabric *fabric) {
  return fabric->lanes && !fabric->by_element && !fabric->watch;
}

/* Of a PE: its lane, as a bit of its block; the routes of its block for a color (index). */
static inline uint64_t lane_of(const wse_fabric *fabric, uint32_t pe) {
  return (uint64_t)1 << fabric->router_lane[pe] % LANES;
}
static inline route_block *route_of(const wse_fabric *fabric, uint32_t pe, int color) {
  return &fabric->routes[color][fabric->router_lane[pe] / LANES];
}

static inline void log_push(ce_log *log, int thread, uint32_t data, uint64_t lands) {
  log->thread[log->count] = (uint8_t)thread;
  log->lands[log->count] = (uint32_t)lands;
  log->data[log->count++] = data;
}

/* The cycle in which wavelet i of a loop's log is taken: at most CLOCK_UNIT cycles before the last one (clocks.c). */
static inline uint64_t loop_taken_at(const ce_log *log, int i) {
  return log->loop.end - ((uint32_t)log->loop.end - log->lands[i]);
}

/* Wavelets in the log that are not taken in cycle `now` or before. */
static inline int loop_waiting(ce_log *log, uint64_t now) {
  while (log->loop.taken < log->count && loop_taken_at(log, log->loop.taken) <= now)
    log->loop.taken++;
  return log->count - log->loop.taken;
}

/* Wavelets of a loop that fill its queue: those of the log that are not taken, and those that took the ordinary path.
 */
static inline bool loop_is_full(const wse_fabric *fabric, uint32_t pe, ce_log *log, uint64_t now) {
  int q = log->loop.queue;
  return loop_waiting(log, now) + iq_of(fabric, q, pe)->count >= fabric->iq_capacity[q];
}

/* Logs a wavelet of a loop with the cycle in which it is taken, by the rules of issue_rules.h.  False: its round would
 * not end before the limit of the run. */
static inline bool loop_log(const wse_fabric *fabric, ce_log *log, uint32_t data, uint64_t lands) {
  wavelet_loop *loop = &log->loop;
  uint64_t dispatch, readable_at = loop->readable_at, at = loop->main_at;
  if (!loop->first)
    at = sequenced_cycle(fabric, true, drained_cycle(fabric, loop->end), restart_cycle(fabric, loop->end), 0, 0,
                         &dispatch);
  if (loop->first || lands > at) {
    if (lands > at) at = lands;
    dispatch = at;
  }
  uint64_t issues = at;
  if (loop->first) { /* mapstep takes a slot */
    issues = dispatch = at + 1 > loop->loaded_at ? at + 1 : loop->loaded_at;
    readable_at = 0;
  }
  uint64_t first = first_element(fabric, dispatch, issues, readable_at), end = first + loop->slots[loop->round];
  if (end > fabric->limit) return false;
  loop->readable_at = loop->readable[loop->round] ? first + loop->readable[loop->round] : 0;
  loop->round = (loop->round + 1) % LOOP_BANKS;
  loop->end = end;
  loop->first = false;
  log_push(log, MAIN, data, at);
  return true;
}

/* Nothing is logged any more: the loop ends when the last wavelet of the log is taken. */
static inline void loop_close(wse_fabric *fabric, band_state *band, uint32_t pe, ce_log *log, uint64_t now) {
  route_of(fabric, pe, log->loop.color)->logs &= ~lane_of(fabric, pe);
  log->loop.closing = true;
  if (loop_waiting(log, now)) wake_ce(fabric, band, pe, now, loop_taken_at(log, log->count - 1));
}

/* After a wavelet has come to the queue of a loop: notes whether the queue is full. */
static inline void loop_fills(wse_fabric *fabric, band_state *band, uint32_t pe, ce_log *log, uint64_t now) {
  if (!loop_is_full(fabric, pe, log, now)) return;
  route_of(fabric, pe, log->loop.color)->ramp_full |= lane_of(fabric, pe);
  log->loop.full = true;
  if (loop_waiting(log, now)) wake_ce(fabric, band, pe, now, loop_taken_at(log, log->loop.taken));
}

/* Logs a wavelet that lands in cycle `lands`.  False: it takes the ordinary path. */
static inline bool log_take(wse_fabric *fabric, band_state *band, uint32_t pe, int color, uint32_t data, uint64_t now,
                            uint64_t lands) {
  store_target *target = &fabric->store_targets[color][pe];
  ce_log *log = &fabric->logs[pe];
  if (!target->left || log->count == LOG_WAVELETS) return false;
  if (target->thread == MAIN) {
    if (!loop_log(fabric, log, data, lands)) return false;
    if (!--target->left) loop_close(fabric, band, pe, log, now);
    loop_fills(fabric, band, pe, log, now);
  } else {
    target->left -= target->left < target->wide ? target->left : target->wide;
    log_push(log, target->thread, data, lands);
  }
  if (log->count == LOG_ALMOST_FULL) wake_ce_near(fabric, pe, lands);
  return true;
}

/* A wavelet has taken the ordinary path to queue q, which may be that of a loop. */
static inline void log_passed_by(wse_fabric *fabric, band_state *band, uint32_t pe, int q, uint64_t now) {
  if (!fabric->ces[pe].behind) return;
  ce_log *log = &fabric->logs[pe];
  if (!log->loop.under_way || log->loop.queue != q) return;
  if (!log->loop.closing) loop_close(fabric, band, pe, log, now);
  loop_fills(fabric, band, pe, log, now);
}

#endif
