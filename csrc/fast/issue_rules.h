/* issue_rules.h - when a vector operation is dispatched and begins, and what it and a load of a DSR leave behind.
 *
 * issue.c applies the rules to one compute element, lane_operations.c to a group of them, each to its own clock,
 * wavelet_log.h to the rounds of a loop before they are executed. */
#ifndef FAST_ISSUE_RULES_H
#define FAST_ISSUE_RULES_H

#include "observe/account.h"

enum { ISSUED, WAITS, STOPS }; /* what became of an instruction */
enum { SEQUENCED = 8 };        /* instructions that take no time which may execute in one cycle beside one that does */

/* The first cycle in which an operation may issue.  Right after another one it is dispatched while the other still
 * runs, and issues after the other's last element.  The times are as in ce_state; 0: nothing to wait for. */
static inline uint64_t sequenced_cycle(const wse_fabric *fabric, bool follows_vector, uint64_t main_at,
                                       uint64_t vector_at, uint64_t loaded_at, uint64_t result_at, uint64_t *dispatch) {
  uint64_t need = follows_vector ? vector_at : main_at,
           ended = follows_vector ? main_at - (uint64_t)P(fabric, op_drain_cycles) : 0;
  if (loaded_at > need) need = loaded_at;
  if (result_at > need) need = result_at;
  *dispatch = need;
  return need > ended ? need : ended;
}

/* The first cycle in which the next instruction of a main thread may issue, for an operation *dispatch too. */
static inline uint64_t issue_cycle(const wse_fabric *fabric, const ce_state *ce, bool vector, bool map,
                                   uint64_t *dispatch) {
  *dispatch = ce->main_at;
  if (!vector && !map) return ce->main_at;
  uint64_t result_at = ce->result_register != OPERAND_NONE ? ce->result_at : 0;
  return sequenced_cycle(fabric, ce->follows_vector, ce->main_at, ce->vector_at, vector ? ce->loaded_at : 0,
                         vector ? result_at : 0, dispatch);
}

/* The cycle of the first element of an operation dispatched in cycle `dispatch` that issues in cycle `at`.
 * readable_at: of what it reads of the operation before it; 0: nothing. */
static inline uint64_t first_element(const wse_fabric *fabric, uint64_t dispatch, uint64_t at, uint64_t readable_at) {
  uint64_t first = dispatch + (uint64_t)P(fabric, op_start_cycles);
  if (first < at) first = at;
  return readable_at > first ? readable_at : first;
}

/* The cycle from which an operation may be dispatched after a load of a DSR in cycle `at`. */
static inline uint64_t loaded_cycle(const wse_fabric *fabric, uint64_t at) {
  return at + (uint64_t)P(fabric, dsr_load_cycles) - 1 + (uint64_t)P(fabric, dsr_to_op_cycles);
}

/* Whether a main thread has waited for a wavelet or a microthread until its next instruction. */
static inline bool has_waited(const ce_state *ce) {
  return ce->gap == WSE_CTR_STALL_INPUT || ce->gap == WSE_CTR_STALL_OUTPUT;
}

/* The main thread's instruction continues in cycle `at`.  Returns whether it had waited. */
static inline bool end_wait(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t at) {
  ce_state *ce = &fabric->ces[pe];
  if (!has_waited(ce)) return false;
  account(fabric, band, pe, at, ce->gap);
  ce->gap = WSE_CTR_STALL_START;
  return true;
}

#endif
