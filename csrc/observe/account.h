/* account.h - accounting of cycles: what each PE did in each cycle, and the series over time. */
#ifndef OBSERVE_ACCOUNT_H
#define OBSERVE_ACCOUNT_H

#include "observe/profile.h"
#include "state/state.h"

uint64_t activity_end(const wse_fabric *fabric);         /* the last cycle that any band recorded, plus one */
void series_halve(wse_fabric *fabric, band_state *band); /* doubles the width of the band's bins */
/* Settles the slots of a memory operation that does not run ahead, up to cycle `now`. */
void settle_memory(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t now);
/* Counts n elements of a vector operation.  reads, writes: bytes per element; flops: per element. */
void vector_count(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t reads, uint64_t writes, uint64_t flops,
                  uint64_t n, uint64_t now);

static inline void activity_last(band_state *band, uint64_t end) {
  if (end > band->last) band->last = end;
}

/* The first cycle behind the bin of `cycle`; NEVER: there is no series. */
static inline uint64_t series_bin_end(const wse_fabric *fabric, const band_state *band, uint64_t cycle) {
  return fabric->bins ? ((cycle >> band->series_shift) + 1) << band->series_shift : NEVER;
}

/* Adds to the bin of `cycle`.  The band's bins double in width when the run outgrows them. */
static inline void series_add(wse_fabric *fabric, band_state *band, uint64_t cycle, int what, uint64_t n) {
  if (!fabric->bins) return;
  while ((cycle >> band->series_shift) >= (uint64_t)fabric->bins)
    series_halve(fabric, band);
  band->series[(cycle >> band->series_shift) * SERIES_WIDTH + (uint64_t)what] += n;
}

/* Adds n busy slots of a PE to the bin of `cycle`. */
static inline void series_busy(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t cycle, uint64_t n) {
  if (!fabric->bins || !n) return;
  series_add(fabric, band, cycle, SERIES_BUSY, n);
  if (!fabric->activity) return;
  size_t place = fabric->activity_bits ? fabric->router_lane[pe] >> fabric->activity_bits : pe;
  fabric->activity[(cycle >> band->series_shift) * fabric->activity_places + place] += n;
}

/* Adds n successive slots from `cycle` on, which may cross bins. */
static inline void series_span(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t cycle, uint64_t n,
                               int what) {
  if (!fabric->bins || !n) return;
  series_add(fabric, band, cycle + n - 1, what, 0); /* widens the bins first */
  while (n) {
    uint64_t end = series_bin_end(fabric, band, cycle), part = end - cycle < n ? end - cycle : n;
    if (what == SERIES_BUSY) series_busy(fabric, band, pe, cycle, part);
    else series_add(fabric, band, cycle, what, part);
    cycle += part;
    n -= part;
  }
}

/* Attributes the cycles before `until` that are not accounted for yet to the counter `cause`.  The run lasts at least
 * as long, so that the causes of each PE add up to its cycles. */
static inline void account(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t until, int cause) {
  ce_state *ce = &fabric->ces[pe];
  if (until <= ce->accounted) return;
  counters_of(fabric, pe)[cause] += until - ce->accounted;
  if (band->profile) profile_cycles(fabric, band, pe, until, cause);
  if (cause == WSE_CTR_STALL_INPUT || cause == WSE_CTR_STALL_OUTPUT)
    series_span(fabric, band, pe, ce->accounted, until - ce->accounted, SERIES_STALLED);
  ce->accounted = until;
  activity_last(band, until);
}

/* From cycle `now` on, cycles without a slot are attributed to `cause`.  Idempotent. */
static inline void gap_from(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t now, int cause) {
  ce_state *ce = &fabric->ces[pe];
  if (ce->gap == cause) return;
  account(fabric, band, pe, now, ce->gap);
  ce->gap = (uint8_t)cause;
}

/* Uses the slot of cycle `at` for `cause`. */
static inline void use_slot(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t at, int cause) {
  ce_state *ce = &fabric->ces[pe];
  account(fabric, band, pe, at, ce->gap);
  account(fabric, band, pe, at + 1, cause);
  series_span(fabric, band, pe, at, 1, SERIES_BUSY);
  activity_last(band, at + 1);
}

/* After the slots of an operation that end before cycle `end`: where another one, anything else may go on. */
static inline uint64_t restart_cycle(const wse_fabric *fabric, uint64_t end) {
  return end + (uint64_t)P(fabric, op_restart_cycles) - (uint64_t)P(fabric, op_start_cycles);
}
static inline uint64_t drained_cycle(const wse_fabric *fabric, uint64_t end) {
  return end + (uint64_t)P(fabric, op_drain_cycles);
}

static inline void after_vector(wse_fabric *fabric, ce_state *ce, uint64_t last) {
  ce->vector_at = restart_cycle(fabric, last + 1);
  ce->main_at = drained_cycle(fabric, last + 1);
  ce->follows_vector = 1;
  ce->loaded_at = 0;
  ce->state = MAIN_RUN;
  ce->gap = WSE_CTR_STALL_START;
}

#endif
