/* wake.h - scheduling: which blocks of routers and CEs are stepped in a cycle.  One that cannot move is not stepped
 * until an event that it waits for: a landing, a free slot downstream, a timer.  So an idle PE costs nothing; and if
 * there is no wake left, the fabric is quiet or deadlocked. */
#ifndef STATE_WAKE_H
#define STATE_WAKE_H

#include "state/state.h"

/* Steps the block of routers in cycle `when`, at most NEAR - 1 ahead. */
static inline void wake_block(const wse_fabric *fabric, uint32_t block, uint64_t when) {
  uint32_t strip = fabric->block_strip[block], column = block - strip * fabric->blocks_per_strip,
           slot = (uint32_t)when & (NEAR - 1);
  fabric->wakes_router[(strip * NEAR + slot) * fabric->masks_per_strip + column / 64] |= (uint64_t)1 << column % 64;
  fabric->strips[strip].routers |= (uint8_t)(1u << slot);
}

static inline void wake_router(const wse_fabric *fabric, uint32_t pe, uint64_t when) {
  wake_block(fabric, fabric->router_lane[pe] / LANES, when);
}

static inline void wake_ce_near(const wse_fabric *fabric, uint32_t pe, uint64_t when) {
  uint32_t at = fabric->router_lane[pe], block = at / LANES, slot = (uint32_t)when & (NEAR - 1);
  fabric->wakes_ce[block * NEAR + slot] |= (uint64_t)1 << at % LANES;
  fabric->strips[fabric->block_strip[block]].ces |= (uint8_t)(1u << slot);
}

static inline void wheel_remove(wse_fabric *fabric, band_state *band, uint32_t pe) {
  ce_state *ce = &fabric->ces[pe];
  if (!ce->wheel_at) return;
  int32_t next = fabric->wheel_next[pe], prev = fabric->wheel_prev[pe];
  if (prev >= 0) fabric->wheel_next[band->pe0 + (uint32_t)prev] = next;
  else band->wheel_head[ce->wheel_at & (WHEEL - 1)] = next;
  if (next >= 0) fabric->wheel_prev[band->pe0 + (uint32_t)next] = prev;
  ce->wheel_at = 0;
}

/* Whether nothing can happen in a CE in cycle `when`, because a task has ended and the next one cannot begin yet. */
static inline bool between_tasks(const wse_fabric *fabric, const ce_state *ce, uint64_t when) {
  return ce->state == MAIN_IDLE && ce->main_at > when && !ce->besides && !fabric->reference;
}

/* Steps the CE in cycle `when`.  A CE has at most one entry in the wheel: the earliest. */
static inline void wake_ce(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t now, uint64_t when) {
  if (when == NEVER) return;
  if (when - now < NEAR) {
    wake_ce_near(fabric, pe, when);
    return;
  }
  ce_state *ce = &fabric->ces[pe];
  if (ce->wheel_at) {
    if (ce->wheel_at <= when && ce->wheel_at > now) return;
    wheel_remove(fabric, band, pe);
  }
  int32_t *head = &band->wheel_head[when & (WHEEL - 1)], i = (int32_t)(pe - band->pe0);
  fabric->wheel_next[pe] = *head;
  fabric->wheel_prev[pe] = -1;
  if (*head >= 0) fabric->wheel_prev[band->pe0 + (uint32_t)*head] = i;
  *head = i;
  ce->wheel_at = when;
}

#endif
