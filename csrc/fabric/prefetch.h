/* prefetch.h - prefetches what the routers of the next strips will need.
 *
 * The state of a wafer does not fit a cache, and a block of routers needs a few dozen cache lines that depend on each
 * other: without prefetching a step waits for most of them in sequence.  Each stage reads what the stage before it
 * prefetched some strips earlier.  Prefetching has no effect on results.
 */
#ifndef FABRIC_PREFETCH_H
#define FABRIC_PREFETCH_H

#include "state/bitplane.h"

enum { PREFETCH_STAGES = 4, PREFETCH_STRIPS = 2 }; /* strips between stages */

static inline void prefetch_bytes(const void *p, size_t bytes) {
  for (const char *at = (const char *)((uintptr_t)p & ~(uintptr_t)(LINE - 1)); at < (const char *)p + bytes; at += LINE)
    __builtin_prefetch(at, 1);
}

/* What is kept per lane of a color, for the groups of 16 lanes in which some lane holds a wavelet. */
static inline void prefetch_lanes(const wse_fabric *fabric, uint32_t block, int color, buffer_block *buffer) {
  enum { GROUP_LANES = 16, GROUP_BYTES = GROUP_LANES * sizeof(uint32_t) };
  uint64_t held = sliced_nonzero(buffer->held);
  for (uint32_t first = 0; first < LANES; first += GROUP_LANES) {
    if (!(held >> first & 0xffff)) continue;
    prefetch_bytes(buffer->since + first, GROUP_BYTES);
    for (uint32_t row = 0; row < 1u << fabric->ring_bits; row++)
      prefetch_bytes(buffer->data + row * LANES + first, GROUP_BYTES);
    for (uint32_t ports = fabric->routes[color][block].ports; ports; ports &= ports - 1) {
      int port = __builtin_ctz(ports);
      prefetch_bytes(fabric->links[port] + block * LANES + first, GROUP_BYTES);
      prefetch_bytes(fabric->blocked[port] + block * LANES + first, GROUP_BYTES);
    }
    if (fabric->routes[color][block].store_targets >> first & 0xffff)
      prefetch_bytes(fabric->store_targets[color] + fabric->block_pe[block] + first,
                     GROUP_LANES * sizeof(store_target));
  }
}

/* Where the wavelets of store-only PEs go: mostly for the address translation, a page per PE. */
static inline void prefetch_sram(const wse_fabric *fabric, uint32_t block, int color, const buffer_block *buffer) {
  uint64_t lanes = sliced_nonzero(buffer->held) & fabric->routes[color][block].store_targets;
  if (!lanes_few(lanes)) return;
  EACH_LANE(lane, lanes) {
    uint32_t pe = fabric->block_pe[block] + (uint32_t)lane;
    prefetch_bytes(sram_of(fabric, pe) + fabric->store_targets[color][pe].at, 1);
  }
}

static inline void prefetch_block(const wse_fabric *fabric, uint32_t block, int stage) {
  if (stage == 0) {
    prefetch_bytes(&fabric->routers[block], sizeof *fabric->routers);
    prefetch_bytes(&fabric->store_times[block], sizeof *fabric->store_times);
    return;
  }
  for (uint32_t busy = fabric->routers[block].busy; busy; busy &= busy - 1) {
    int color = __builtin_ctz(busy);
    if (stage == 1) {
      prefetch_bytes(&fabric->routes[color][block], sizeof **fabric->routes);
      prefetch_bytes(&fabric->store_blocks[color][block], LINE);
    }
    for (int port = 0; port < fabric->inputs[color]; port++) {
      buffer_block *buffer = buffer_of(fabric, color, port, block);
      if (stage == 1) prefetch_bytes(buffer, offsetof(buffer_block, control));
      else if (stage == 2) prefetch_lanes(fabric, block, color, buffer);
      else prefetch_sram(fabric, block, color, buffer);
    }
  }
}

/* Called before a strip is stepped for the first time in a tile. */
static inline void prefetch_strips(const wse_fabric *fabric, int strip) {
  for (int stage = 0; stage < PREFETCH_STAGES; stage++) {
    int ahead = strip + (PREFETCH_STAGES - stage) * PREFETCH_STRIPS;
    if (ahead >= fabric->strip_total) continue;
    const uint64_t *wakes = &fabric->wakes_router[(size_t)ahead * NEAR * fabric->masks_per_strip];
    for (uint32_t i = 0; i < fabric->masks_per_strip; i++) {
      uint64_t blocks = 0;
      for (int slot = 0; slot < NEAR; slot++)
        blocks |= wakes[(uint32_t)slot * fabric->masks_per_strip + i];
      for (; blocks; blocks &= blocks - 1)
        prefetch_block(fabric, (uint32_t)ahead * fabric->blocks_per_strip + i * 64 + (uint32_t)__builtin_ctzll(blocks),
                       stage);
    }
  }
}

#endif
