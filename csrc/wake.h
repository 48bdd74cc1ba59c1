/* wake.h - who is looked at when.  A router or CE that cannot move is not looked at until something it waits for happens:
 * a landing, room downstream, a timer.  That is why an idle PE costs nothing, and why "nobody will ever wake" is a deadlock. */
#ifndef WAKE_H
#define WAKE_H

#include "fabric.h"

static inline void wake_router(wse_fabric *f, band *b, uint32_t pe, uint64_t now, uint64_t when) {
  if (in_band(b, pe)) {
    ring_set(&b->routers, b, pe, when);
    return;
  }
  int below = pe >= b->pe1;
  b->box[f->parity][below][b->box_count[f->parity][below]++] = (mail){pe, (uint16_t)(when - now), 0xff};
  if (when < b->mail_when) b->mail_when = when;
}

/* A wavelet of `color` (index) will land in the router's buffer. */
static inline void wake_landing(wse_fabric *f, band *b, uint32_t pe, int color, uint64_t now, uint64_t when) {
  if (in_band(b, pe)) {
    f->routers[pe].busy |= 1u << color;
    ring_set(&b->routers, b, pe, when);
    return;
  }
  int below = pe >= b->pe1;
  b->box[f->parity][below][b->box_count[f->parity][below]++] = (mail){pe, (uint16_t)(when - now), (uint8_t)color};
  if (when < b->mail_when) b->mail_when = when;
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
    ring_set(&b->ces, b, pe, when);
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
