/* tile.c - a cycle of a strip, and tiles of several cycles.
 *
 * One cycle of a strip (a row, or several rows of a narrow grid): the `full` planes of its buffers are settled; streams
 * at the edge and compute elements act; then its routers act.  A router reads the settled `full` planes of the strips
 * above and below, and pushes wavelets into their buffers that land in a later cycle.  So a strip may be stepped a
 * cycle further as soon as the two strips on either side have been stepped as far as it has, and the order of strips
 * does not change results.  The fabric is stepped in tiles of several cycles, along diagonals of two strips per cycle,
 * so that a few strips stay in the cache for all cycles of the tile.
 */
#include "fabric/tile.h"

#include "fabric/build.h"
#include "fabric/prefetch.h"
#include "pe/ce.h"
#include "router/buffer.h"
#include "router/stream.h"
#include "state/wake.h"

void wheel_rotate(wse_fabric *fabric, band_state *band, uint64_t now) {
  int32_t i = band->wheel_head[now & (WHEEL - 1)];
  while (i >= 0) {
    uint32_t pe = band->pe0 + (uint32_t)i;
    int32_t next = fabric->wheel_next[pe];
    if (fabric->ces[pe].wheel_at <= now) {
      wheel_remove(fabric, band, pe);
      wake_ce_near(fabric, pe, now);
    }
    i = next;
  }
}

/* Reference: every PE and every router of a strip, whether woken or not. */
static void step_whole_strip(wse_fabric *fabric, band_state *band, int index, uint64_t now) {
  fabric_strip *strip = &fabric->strips[index];
  uint32_t slot = (uint32_t)now & (NEAR - 1), block0 = (uint32_t)index * fabric->blocks_per_strip,
           strip_pes = (uint32_t)(fabric->strip_rows * fabric->width), pe0 = (uint32_t)index * strip_pes;
  strip->ces &= (uint8_t)~(1u << slot);
  strip->routers &= (uint8_t)~(1u << slot);
  for (uint32_t block = block0; block < block0 + fabric->blocks_per_strip; block++)
    fabric->wakes_ce[block * NEAR + slot] = 0;
  memset(&fabric->wakes_router[((uint32_t)index * NEAR + slot) * fabric->masks_per_strip], 0,
         fabric->masks_per_strip * sizeof *fabric->wakes_router);
  for (uint32_t pe = pe0; pe < pe0 + strip_pes && pe < fabric->pes; pe++)
    if (fabric->class_of[pe] != 0xffff) ce_step(fabric, band, pe, now);
  for (uint32_t block = block0; block < block0 + fabric->blocks_per_strip; block++)
    if (fabric->routers[block].busy) fabric->routers_step(fabric, band, block, now);
}

static void step_strip(wse_fabric *fabric, int index, uint64_t now) {
  fabric_strip *strip = &fabric->strips[index];
  band_state *band = &fabric->bands[strip->band];
  uint32_t slot = (uint32_t)now & (NEAR - 1), block0 = (uint32_t)index * fabric->blocks_per_strip;
  streams_step(fabric, band, strip, now);
  if (fabric->reference) {
    step_whole_strip(fabric, band, index, now);
    return;
  }
  if (strip->ces >> slot & 1) {
    strip->ces &= (uint8_t)~(1u << slot);
    for (uint32_t block = block0; block < block0 + fabric->blocks_per_strip; block++) {
      uint64_t *wakes = &fabric->wakes_ce[block * NEAR + slot], awake = *wakes;
      if (!awake) continue;
      *wakes = 0;
      ces_step(fabric, band, block, awake, now);
    }
  }
  if (!(strip->routers >> slot & 1)) return;
  strip->routers &= (uint8_t)~(1u << slot);
  uint64_t *wakes = &fabric->wakes_router[((uint32_t)index * NEAR + slot) * fabric->masks_per_strip];
  for (uint32_t i = 0; i < fabric->masks_per_strip; i++, wakes++) {
    uint64_t awake = *wakes;
    *wakes = 0;
    for (; awake; awake &= awake - 1)
      fabric->routers_step(fabric, band, block0 + i * 64 + (uint32_t)__builtin_ctzll(awake), now);
  }
}

/* A strip is stepped in a cycle after the two strips below it were stepped in the cycle before. */
void step_tile(wse_fabric *fabric, const band_state *band, uint64_t now, int cycles) {
  bool above = band->first > 0, below = band->end < fabric->strip_total;
  for (int diagonal = band->first; diagonal < band->end + 2 * (cycles - 1); diagonal++)
    for (int i = 0; i < cycles; i++) {
      int strip = diagonal - 2 * i, first = band->first + (above ? border_strips(i) : 0),
          end = band->end - (below ? border_strips(i) : 0);
      if (strip < first || strip >= end) continue;
      if (strip == first) {
        if (above) routers_settle(fabric, strip - 1);
        routers_settle(fabric, strip);
      }
      if (strip + 1 < band->end) routers_settle(fabric, strip + 1);
      if (i == 0 && !fabric->in_cache && !fabric->reference) prefetch_strips(fabric, strip);
      step_strip(fabric, strip, now + (uint64_t)i);
    }
}

/* The outermost strips are settled already. */
void step_border(wse_fabric *fabric, int below, uint64_t now, int cycles) {
  for (int i = 0; i < cycles; i++) {
    int first = below - border_strips(i), end = below + border_strips(i);
    for (int k = first + 1; k < end - 1; k++)
      routers_settle(fabric, k);
    for (int k = first; k < end; k++)
      step_strip(fabric, k, now + (uint64_t)i);
  }
}

uint64_t band_next(const wse_fabric *fabric, const band_state *band, uint64_t from) {
  uint64_t next = NEVER;
  uint32_t slots = 0, phase = (uint32_t)from & (NEAR - 1);
  for (int i = band->first; i < band->end; i++) {
    const fabric_strip *strip = &fabric->strips[i];
    slots |= strip->ces | strip->routers | strip->streams;
    if (strip->streams_next < next) next = strip->streams_next < from ? from : strip->streams_next;
  }
  slots = (slots | slots << NEAR) >> phase & ((1u << NEAR) - 1);
  if (slots && from + (uint32_t)__builtin_ctz(slots) < next) next = from + (uint32_t)__builtin_ctz(slots);
  for (uint64_t t = from; t < from + WHEEL && t < next; t++)
    if (band->wheel_head[t & (WHEEL - 1)] >= 0) next = t;
  return next;
}
