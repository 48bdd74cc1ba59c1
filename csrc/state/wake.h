/* wake.h - who is looked at when.  A word of routers or a CE that cannot move is not looked at until something it waits for
 * happens: a landing, room downstream, a timer.  That is why an idle PE costs nothing, and why "nobody will ever wake" is a
 * deadlock. */
#ifndef STATE_WAKE_H
#define STATE_WAKE_H

#include "state/state.h"

/* The word of routers is looked at in cycle `when`, at most NEAR - 1 ahead. */
static inline void wake_word(const wse_fabric *f, uint32_t word, uint64_t when) {
  uint32_t y = f->word_row[word], column = word - y * f->row_words, slot = (uint32_t)when & (NEAR - 1);
  f->wakes_router[(y * NEAR + slot) * f->row_masks + column / 64] |= (uint64_t)1 << column % 64;
  f->rows[y].routers |= (uint8_t)(1u << slot);
}

static inline void wake_router(const wse_fabric *f, uint32_t pe, uint64_t when) { wake_word(f, f->place[pe] / LANES, when); }

static inline void wake_ce_near(const wse_fabric *f, uint32_t pe, uint64_t when) {
  uint32_t at = f->place[pe], word = at / LANES, slot = (uint32_t)when & (NEAR - 1);
  f->wakes_ce[word * NEAR + slot] |= (uint64_t)1 << at % LANES;
  f->rows[f->word_row[word]].ces |= (uint8_t)(1u << slot);
}

static inline void wheel_remove(wse_fabric *f, band *b, uint32_t pe) {
  ce *c = &f->ces[pe];
  if (!c->wheel_at) return;
  int32_t next = f->wheel_next[pe], prev = f->wheel_prev[pe];
  if (prev >= 0) f->wheel_next[b->pe0 + (uint32_t)prev] = next;
  else b->wheel_head[c->wheel_at & (WHEEL - 1)] = next;
  if (next >= 0) f->wheel_prev[b->pe0 + (uint32_t)next] = prev;
  c->wheel_at = 0;
}

/* At most one far wake per CE: the earliest asked for. */
static inline void wake_ce(wse_fabric *f, band *b, uint32_t pe, uint64_t now, uint64_t when) {
  if (when == NEVER) return;
  if (when - now < NEAR) {
    wake_ce_near(f, pe, when);
    return;
  }
  ce *c = &f->ces[pe];
  if (c->wheel_at) {
    if (c->wheel_at <= when && c->wheel_at > now) return;
    wheel_remove(f, b, pe);
  }
  int32_t *head = &b->wheel_head[when & (WHEEL - 1)], i = (int32_t)(pe - b->pe0);
  f->wheel_next[pe] = *head;
  f->wheel_prev[pe] = -1;
  if (*head >= 0) f->wheel_prev[b->pe0 + (uint32_t)*head] = i;
  *head = i;
  c->wheel_at = when;
}

#endif
