/* account.h - accounting of cycles: what each PE did, and the series over time. */
#ifndef OBSERVE_ACCOUNT_H
#define OBSERVE_ACCOUNT_H

#include "state/state.h"

uint64_t activity_end(const wse_fabric *f); /* the last cycle that any band recorded, plus one */
void series_halve(wse_fabric *f, band *b); /* doubles the width of the band's bins */
/* A memory operation that does not run ahead: settles the cycles since it was last looked at. */
void settle_memory(wse_fabric *f, band *b, uint32_t pe, uint64_t now);
/* n elements of a vector operation, each with so many bytes read and written and so many flops. */
void vector_count(wse_fabric *f, band *b, uint32_t pe, uint64_t reads, uint64_t writes, uint64_t flops, uint64_t n, uint64_t now);

static inline void activity_last(band *b, uint64_t end) {
  if (end > b->last) b->last = end;
}

/* Adds to the bin of `cycle`; the band's bins double in width when the run outgrows them. */
static inline void series_add(wse_fabric *f, band *b, uint64_t cycle, int what, uint64_t n) {
  if (!f->bins) return;
  while ((cycle >> b->series_shift) >= (uint64_t)f->bins) series_halve(f, b);
  b->series[(cycle >> b->series_shift) * SERIES_WIDTH + (uint64_t)what] += n;
}

/* n busy slots of a PE in the bin of `cycle`. */
static inline void series_busy(wse_fabric *f, band *b, uint32_t pe, uint64_t cycle, uint64_t n) {
  if (!f->bins || !n) return;
  series_add(f, b, cycle, SERIES_BUSY, n);
  if (!f->activity) return;
  f->activity[(cycle >> b->series_shift) * f->pes + pe] += n;
}

/* n slots one after the other from `cycle` on, which may cross bins. */
static inline void series_span(wse_fabric *f, band *b, uint32_t pe, uint64_t cycle, uint64_t n, int what) {
  if (!f->bins || !n) return;
  series_add(f, b, cycle + n - 1, what, 0); /* widens the bins first */
  while (n) {
    uint64_t end = ((cycle >> b->series_shift) + 1) << b->series_shift, part = end - cycle < n ? end - cycle : n;
    if (what == SERIES_BUSY) series_busy(f, b, pe, cycle, part);
    else series_add(f, b, cycle, what, part);
    cycle += part;
    n -= part;
  }
}

/* Cycles up to `until` that are not accounted for yet go to `cause`.  The run lasts at least as long, so that each PE's causes
 * sum up to its cycles. */
static inline void account(wse_fabric *f, band *b, uint32_t pe, uint64_t until, int cause) {
  ce *c = &f->ces[pe];
  if (until <= c->accounted) return;
  counters_of(f, pe)[cause] += until - c->accounted;
  if (cause == WSE_CTR_STALL_INPUT || cause == WSE_CTR_STALL_OUTPUT)
    series_span(f, b, pe, c->accounted, until - c->accounted, SERIES_STALLED);
  c->accounted = until;
  activity_last(b, until);
}

/* From cycle `now` on, cycles without a slot go to `cause`.  To be told twice changes nothing. */
static inline void gap_from(wse_fabric *f, band *b, uint32_t pe, uint64_t now, int cause) {
  ce *c = &f->ces[pe];
  if (c->gap == cause) return;
  account(f, b, pe, now, c->gap);
  c->gap = (uint8_t)cause;
}

/* The slot of cycle `at` is used for `cause`. */
static inline void use_slot(wse_fabric *f, band *b, uint32_t pe, uint64_t at, int cause) {
  ce *c = &f->ces[pe];
  account(f, b, pe, at, c->gap);
  account(f, b, pe, at + 1, cause);
  series_span(f, b, pe, at, 1, SERIES_BUSY);
  activity_last(b, at + 1);
}

static inline void after_vector(wse_fabric *f, ce *c, uint64_t last) {
  c->vector_at = last + 1 + (uint64_t)P(f, op_restart_cycles) - (uint64_t)P(f, op_start_cycles);
  c->main_at = last + 1 + (uint64_t)P(f, op_drain_cycles);
  c->follows_vector = 1;
  c->loaded_at = 0;
  c->state = MAIN_RUN;
  c->gap = WSE_CTR_STALL_START;
}

/* The main thread issues the instruction `pc` in cycle `at`; a profile is kept. */
static inline void profile_issue(const pe_class *k, band *b, ce *c, uint32_t pc, uint64_t at) {
  uint64_t(*of)[2] = b->profile + k->profile_at;
  if (c->profiled && at > c->profiled_at) of[c->profiled - 1][0] += at - c->profiled_at;
  if (!c->profiled || at > c->profiled_at) c->profiled_at = at;
  c->profiled = pc + 1;
  of[pc][1]++;
}

#endif
