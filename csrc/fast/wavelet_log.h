/* wavelet_log.h - wavelets of compute elements that are behind (pe/behind.h): routers log them instead of waking the
 * CE. */
#ifndef FAST_WAVELET_LOG_H
#define FAST_WAVELET_LOG_H

#include "state/wake.h"

enum { LOG_ALMOST_FULL = LOG_WAVELETS - NEAR }; /* wavelets after which the CE has to be stepped soon */

static inline void log_push(ce_log *log, int thread, uint32_t data, uint64_t lands) {
  log->thread[log->count] = (uint8_t)thread;
  log->lands[log->count] = (uint32_t)lands;
  log->data[log->count++] = data;
}

/* Logs a wavelet that lands in cycle `lands`.  False: it takes the ordinary path. */
static inline bool log_take(wse_fabric *fabric, uint32_t pe, int color, uint32_t data, uint64_t lands) {
  store_target *target = &fabric->store_targets[color][pe];
  ce_log *log = &fabric->logs[pe];
  if (!target->left || log->count == LOG_WAVELETS) return false;
  target->left -= target->left < target->wide ? target->left : target->wide;
  log_push(log, target->thread, data, lands);
  if (log->count == LOG_ALMOST_FULL) wake_ce_near(fabric, pe, lands);
  return true;
}

#endif
