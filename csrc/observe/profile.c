/* profile.c - profiles: each cycle of a PE by instruction and cause. */
#include "observe/profile.h"

void profile_gap(wse_fabric *fabric, uint32_t pe, uint64_t until, uint32_t of, uint32_t cause) {
  profile_pe *profile = &fabric->profiles[pe];
  uint32_t n = profile->gap_total;
  if (until <= fabric->ces[pe].accounted || n == PROFILE_GAPS || (n && until <= profile->gaps[n - 1].until)) return;
  profile->gaps[n].until = until;
  profile->gaps[n].of = of;
  profile->gaps[n].cause = cause;
  profile->gap_total = n + 1;
}

/* Counts cycles `from` to `until` by the causes that are noted, what is left by `cause`. */
static void gaps_pass(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t from, uint64_t until,
                      uint32_t cause) {
  profile_pe *profile = &fabric->profiles[pe];
  uint32_t done = 0;
  for (; done < profile->gap_total && from < until; done++) {
    uint64_t end = profile->gaps[done].until;
    if (end <= from) continue;
    if (end > until) end = until;
    profile_of(fabric, band, pe, profile->gaps[done].of)[1 + profile->gaps[done].cause] += end - from;
    from = end;
    if (profile->gaps[done].until > until) break;
  }
  profile->gap_total -= done;
  memmove(profile->gaps, profile->gaps + done, profile->gap_total * sizeof *profile->gaps);
  profile_of(fabric, band, pe, profile->owner)[1 + cause] += until - from;
}

void profile_cycles(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t until, int counter) {
  const profile_pe *profile = &fabric->profiles[pe];
  uint32_t owner = profile->owner, cause;
  uint64_t from = fabric->ces[pe].accounted;
  if (fabric->class_of[pe] == 0xffff) return;
  switch (counter) {
    case WSE_CTR_BUSY_SCALAR: cause = WSE_CAUSE_ISSUE; break;
    case WSE_CTR_BUSY_VECTOR: cause = WSE_CAUSE_ELEMENTS; break;
    case WSE_CTR_BUSY_MICRO:
      cause = WSE_CAUSE_MICRO;
      owner = profile->thread;
      break;
    case WSE_CTR_STALL_INPUT:
    case WSE_CTR_STALL_OUTPUT:
      cause = counter == WSE_CTR_STALL_INPUT ? WSE_CAUSE_INPUT : WSE_CAUSE_OUTPUT;
      if (profile->waiting) owner = profile->waiting;
      else if (profile->for_thread) cause = WSE_CAUSE_THREAD;
      break;
    case WSE_CTR_STALL_BANK: cause = WSE_CAUSE_BANK; break;
    case WSE_CTR_STALL_TASK: cause = WSE_CAUSE_TASK; break;
    case WSE_CTR_IDLE:
      cause = WSE_CAUSE_IDLE;
      owner = 0;
      break;
    case WSE_CTR_STALL_BRANCH: gaps_pass(fabric, band, pe, from, until, WSE_CAUSE_BRANCH); return;
    case WSE_CTR_STALL_LATENCY: gaps_pass(fabric, band, pe, from, until, WSE_CAUSE_RESULT); return;
    default: gaps_pass(fabric, band, pe, from, until, WSE_CAUSE_START); return;
  }
  profile_of(fabric, band, pe, owner)[1 + cause] += until - from;
}

void profile_reaches(wse_fabric *fabric, uint32_t pe) {
  const ce_state *ce = &fabric->ces[pe];
  profile_pe *profile = &fabric->profiles[pe];
  if (ce->follows_vector) profile_gap(fabric, pe, ce->main_at, profile->owner, WSE_CAUSE_DRAIN);
  profile_waits(fabric, pe, false);
}

void profile_issue(wse_fabric *fabric, band_state *band, uint32_t pe, bool vector) {
  if (vector) profile_waits(fabric, pe, fabric->profiles[pe].for_thread);
  else profile_reaches(fabric, pe);
  profile_of(fabric, band, pe, fabric->profiles[pe].owner)[0]++;
}

void profile_vector(wse_fabric *fabric, uint32_t pe, uint64_t start, uint64_t first) {
  const ce_state *ce = &fabric->ces[pe];
  profile_pe *profile = &fabric->profiles[pe];
  if (!ce->follows_vector) {
    if (ce->result_register != OPERAND_NONE) profile_gap(fabric, pe, ce->result_at, profile->owner, profile->late);
    profile_gap(fabric, pe, ce->loaded_at, profile->owner, WSE_CAUSE_DSR);
  }
  profile_gap(fabric, pe, start, profile->owner, WSE_CAUSE_START);
  profile_gap(fabric, pe, first, profile->owner, WSE_CAUSE_REUSE);
}

void profile_waits(wse_fabric *fabric, uint32_t pe, bool for_thread) {
  profile_pe *profile = &fabric->profiles[pe];
  profile->owner = fabric->ces[pe].pc + 1;
  profile->waiting = 0;
  profile->for_thread = for_thread;
}

void profile_scalar(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t from, uint64_t at, uint32_t pc) {
  profile_pe *profile = &fabric->profiles[pe];
  profile->owner = pc + 1;
  if (from < at) gaps_pass(fabric, band, pe, from, at, WSE_CAUSE_RESULT);
  profile->gap_total = 0; /* what was noted ends here at the latest */
  uint64_t *counts = profile_of(fabric, band, pe, profile->owner);
  counts[0]++;
  counts[1 + WSE_CAUSE_ISSUE]++;
}

void profile_costs(wse_fabric *fabric, uint32_t pe, uint32_t op, uint64_t until) {
  profile_pe *profile = &fabric->profiles[pe];
  uint32_t cause = WSE_CAUSE_ROUTINE;
  switch (op) {
#define CAUSE_BR WSE_CAUSE_BRANCH
#define CAUSE_JMP WSE_CAUSE_BRANCH
#define CAUSE_JAL WSE_CAUSE_BRANCH
#define CAUSE_JR WSE_CAUSE_BRANCH
#define CAUSE_LD WSE_CAUSE_OFFSET
#define CAUSE_ST WSE_CAUSE_OFFSET
#define CAUSE_RX WSE_CAUSE_ROUTINE
#define CAUSE_RRX WSE_CAUSE_ROUTINE
#define CAUSE_RRRR WSE_CAUSE_ROUTINE
#define SCALAR(name, form, latency, bytes, effect) \
  case OP_##name: cause = CAUSE_##form; break;
#include "tables/isa.def"
    default: break;
  }
  profile_gap(fabric, pe, until, profile->owner, cause);
}
