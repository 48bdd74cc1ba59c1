/* clocks.c - times and counts of 30 and 32 bits, in runs that are longer than that.
 *
 * Wavelets in queues and heads of router buffers keep the cycle from which they may leave in 30 and 32 bits, links count in 32.
 * Every CLOCK_UNIT cycles of a band, and so before any of them is ambiguous, what lies far back is moved up:
 *
 * - a wavelet that has arrived in its queue has arrived now: only that it has arrived matters;
 * - a head that has waited for CLOCK_UNIT cycles or more has begun later, and the rest is kept in waits_more;
 * - the upper half of a count goes to links_more, blocked_more.
 *
 * A head's wait that is added to a link's count is then less than two CLOCK_UNIT, and 24 colors of five inputs each fit in what
 * is left of 32 bits.
 */
#include "fabric/clocks.h"

#include <stdlib.h>

#include "router/buffer.h"
#include "state/queue.h"

/* A plane of zeros where there is none yet; bands may ask at once. */
static uint32_t *plane_of(_Atomic(uint32_t *) *at, size_t n) {
  uint32_t *there = atomic_load(at);
  if (there) return there;
  uint32_t *fresh = calloc(n, sizeof *fresh);
  if (!fresh || atomic_compare_exchange_strong(at, &there, fresh)) return fresh;
  free(fresh);
  return there;
}

/* A cycle of which the lower `bits` are known, and that lies within half their range of `near`. */
static uint64_t whole_cycle(uint32_t low, int bits, uint64_t near) {
  uint32_t up = 32 - (uint32_t)bits;
  return near + (uint64_t)((int64_t)(int32_t)((low - (uint32_t)near) << up) >> up);
}

static void renew_queue(queue *q, uint32_t mask, uint64_t near, uint64_t now) {
  for (uint32_t i = 0; i < q->count; i++) {
    wavelet *w = &q->ring[(q->head + i) & mask];
    if (whole_cycle(w->meta >> 2, 30, near) <= now) w->meta = wavelet_meta(now, w->meta & 3);
  }
}

static void renew_queues(wse_fabric *f, uint32_t pe, uint64_t near, uint64_t now) {
  const ce *c = &f->ces[pe];
  for (uint32_t queues = c->input_queues; queues; queues &= queues - 1) {
    int n = __builtin_ctz(queues);
    renew_queue(iq_of(f, n, pe), f->iq_mask[n], near, now);
  }
  for (uint32_t queues = c->output_queues; queues; queues &= queues - 1) {
    int n = __builtin_ctz(queues);
    renew_queue(oq_of(f, n, pe), f->oq_mask[n], near, now);
  }
}

static bool renew_heads(wse_fabric *f, uint32_t word, int color, int port, uint64_t near, uint64_t now) {
  buffer_word *q = buffer_of(f, color, port, word);
  uint32_t *more = atomic_load(&f->waits_more[color][port]);
  EACH_LANE(lane, digits_some(q->landed)) {
    uint64_t units = (now - whole_cycle(q->since[lane], 32, near)) / CLOCK_UNIT;
    if ((int64_t)units <= 0) continue;
    if (!more && !(more = plane_of(&f->waits_more[color][port], (size_t)f->words * LANES))) return false;
    if (!plane_of(&f->blocked_more, (size_t)WSE_PORTS * f->words * LANES)) return false;
    more[word * LANES + lane] += (uint32_t)units;
    q->since[lane] += (uint32_t)(units * CLOCK_UNIT);
  }
  return true;
}

static bool renew_count(wse_fabric *f, uint32_t *count, _Atomic(uint32_t *) *more, int port, uint32_t word) {
  enum { HALF = 1u << 31 };
  for (uint32_t i = word * LANES; i < (word + 1) * LANES; i++) {
    if (count[i] < (uint32_t)HALF) continue;
    uint32_t *to = plane_of(more, (size_t)WSE_PORTS * f->words * LANES);
    if (!to) return false;
    to[(size_t)port * f->words * LANES + i] += (uint32_t)HALF / CLOCK_UNIT;
    count[i] -= (uint32_t)HALF;
  }
  return true;
}

/* A link that has rested has no streak any more: the cycle of its last wavelet may then be misread. */
static void renew_links(link_word *l, uint64_t near, uint64_t now) {
  for (int port = 0; port < WSE_RAMP; port++)
    for (int lane = 0; lane < LANES; lane++)
      if (whole_cycle(l->sent_at[port][lane], 32, near) + 1 < now) l->streak[port][lane] = 0;
}

static bool renew_word(wse_fabric *f, uint32_t word, uint64_t near, uint64_t now) {
  for (uint32_t busy = f->routers[word].busy; busy; busy &= busy - 1) {
    int color = __builtin_ctz(busy);
    for (int port = 0; port < f->inputs[color]; port++)
      if (!renew_heads(f, word, color, port, near, now)) return false;
  }
  for (int port = 0; port < WSE_PORTS; port++)
    if (!renew_count(f, f->links[port], &f->links_more, port, word) || !renew_count(f, f->blocked[port], &f->blocked_more, port, word))
      return false;
  if (f->links_rest) renew_links(&f->links_rest[word], near, now);
  return true;
}

bool clocks_renew_due(wse_fabric *f, band *b, uint64_t now) {
  uint64_t near = b->renewed;
  for (uint32_t pe = b->pe0; pe < b->pe1; pe++)
    if (f->class_of[pe] != 0xffff) renew_queues(f, pe, near, now);
  for (uint32_t word = (uint32_t)b->y0 * f->row_words; word < (uint32_t)b->y1 * f->row_words; word++)
    if (!renew_word(f, word, near, now)) return false;
  b->renewed = now;
  return true;
}
