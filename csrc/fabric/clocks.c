/* clocks.c - renewal of times and counts of 30 and 32 bits, in longer runs.
 *
 * Wavelets in queues and heads of router buffers have the cycle from which they may leave in 30 and 32 bits; links
 * count in 32 bits.  Every CLOCK_UNIT cycles of a band, before one of them becomes ambiguous, old values are renewed:
 *
 * - the arrival of a wavelet in its queue is set to the current cycle, because only the fact that it has arrived
 * matters;
 * - of a head that has waited for CLOCK_UNIT cycles or more, whole units are moved to waits_more;
 * - the upper half of a count is moved to links_more or blocked_more;
 * - compute elements that are executed later catch up: their logs have cycles of 32 bits.
 *
 * A head's wait that is added to a link's count is then less than two CLOCK_UNIT, so that the waits of 24 colors with
 * five inputs each do not overflow 32 bits.
 */
#include "fabric/clocks.h"

#include <stdlib.h>

#include "pe/behind.h"
#include "router/buffer.h"
#include "state/queue.h"

/* The plane at *at; allocates one of zeros if there is none.  Bands may call it concurrently. */
static uint32_t *plane_of(_Atomic(uint32_t *) *at, size_t n) {
  uint32_t *there = atomic_load(at);
  if (there) return there;
  uint32_t *fresh = calloc(n, sizeof *fresh);
  if (!fresh || atomic_compare_exchange_strong(at, &there, fresh)) return fresh;
  free(fresh);
  return there;
}

/* The cycle with the lower bits `low` that is within half their range of `near`. */
static uint64_t whole_cycle(uint32_t low, int bits, uint64_t near) {
  uint32_t up = 32 - (uint32_t)bits;
  return near + (uint64_t)((int64_t)(int32_t)((low - (uint32_t)near) << up) >> up);
}

static void renew_queue(ramp_queue *queue, uint32_t mask, uint64_t near, uint64_t now) {
  for (uint32_t i = 0; i < queue->count; i++) {
    wavelet *w = &queue->ring[(queue->head + i) & mask];
    if (whole_cycle(w->meta >> 2, 30, near) <= now) w->meta = wavelet_meta(now, w->meta & 3);
  }
}

static void renew_queues(wse_fabric *fabric, uint32_t pe, uint64_t near, uint64_t now) {
  const ce_state *ce = &fabric->ces[pe];
  for (uint32_t queues = ce->input_queues; queues; queues &= queues - 1) {
    int n = __builtin_ctz(queues);
    renew_queue(iq_of(fabric, n, pe), fabric->iq_mask[n], near, now);
  }
  for (uint32_t queues = ce->output_queues; queues; queues &= queues - 1) {
    int n = __builtin_ctz(queues);
    renew_queue(oq_of(fabric, n, pe), fabric->oq_mask[n], near, now);
  }
}

static bool renew_heads(wse_fabric *fabric, uint32_t block, int color, int port, uint64_t near, uint64_t now) {
  buffer_block *buffer = buffer_of(fabric, color, port, block);
  uint32_t *more = atomic_load(&fabric->waits_more[color][port]);
  EACH_LANE(lane, sliced_nonzero(buffer->landed)) {
    uint64_t units = (now - whole_cycle(buffer->since[lane], 32, near)) / CLOCK_UNIT;
    if ((int64_t)units <= 0) continue;
    if (!more && !(more = plane_of(&fabric->waits_more[color][port], (size_t)fabric->blocks * LANES))) return false;
    if (!plane_of(&fabric->blocked_more, (size_t)WSE_PORTS * fabric->blocks * LANES)) return false;
    more[block * LANES + lane] += (uint32_t)units;
    buffer->since[lane] += (uint32_t)(units * CLOCK_UNIT);
  }
  return true;
}

static bool renew_count(wse_fabric *fabric, uint32_t *count, _Atomic(uint32_t *) *more, int port, uint32_t block) {
  enum { HALF = 1u << 31 };
  for (uint32_t i = block * LANES; i < (block + 1) * LANES; i++) {
    if (count[i] < (uint32_t)HALF) continue;
    uint32_t *to = plane_of(more, (size_t)WSE_PORTS * fabric->blocks * LANES);
    if (!to) return false;
    to[(size_t)port * fabric->blocks * LANES + i] += (uint32_t)HALF / CLOCK_UNIT;
    count[i] -= (uint32_t)HALF;
  }
  return true;
}

/* A link that has rested has no streak any more: the cycle of its last wavelet may then be misread. */
static void renew_links(link_block *link, uint64_t near, uint64_t now) {
  for (int port = 0; port < WSE_RAMP; port++)
    for (int lane = 0; lane < LANES; lane++)
      if (whole_cycle(link->sent_at[port][lane], 32, near) + 1 < now) link->streak[port][lane] = 0;
}

static bool renew_block(wse_fabric *fabric, uint32_t block, uint64_t near, uint64_t now) {
  for (uint32_t busy = fabric->routers[block].busy; busy; busy &= busy - 1) {
    int color = __builtin_ctz(busy);
    for (int port = 0; port < fabric->inputs[color]; port++)
      if (!renew_heads(fabric, block, color, port, near, now)) return false;
  }
  for (int color = 0; color < fabric->colors; color++)
    fabric->routes[color][block].held = 0; /* of a cycle that is over */
  for (int port = 0; port < WSE_PORTS; port++)
    if (!renew_count(fabric, fabric->links[port], &fabric->links_more, port, block) ||
        !renew_count(fabric, fabric->blocked[port], &fabric->blocked_more, port, block))
      return false;
  for (int color = 0; color < fabric->colors && fabric->color_links[0]; color++)
    for (int port = 0; port < WSE_PORTS; port++)
      if (!renew_count(fabric, fabric->color_links[color] + (size_t)port * fabric->blocks * LANES,
                       &fabric->color_links_more[color], port, block))
        return false;
  if (fabric->links_rest) renew_links(&fabric->links_rest[block], near, now);
  return true;
}

bool clocks_renew_due(wse_fabric *fabric, band_state *band, uint64_t now) {
  uint64_t near = band->renewed;
  behind_end_band(fabric, band, now);
  for (uint32_t pe = band->pe0; pe < band->pe1; pe++)
    if (fabric->class_of[pe] != 0xffff) renew_queues(fabric, pe, near, now);
  for (uint32_t block = (uint32_t)band->first * fabric->blocks_per_strip;
       block < (uint32_t)band->end * fabric->blocks_per_strip; block++)
    if (!renew_block(fabric, block, near, now)) return false;
  band->renewed = now;
  return true;
}
