/* store_rows.c - stores the pending wavelets of store-only PEs, and counts the cycles in which these PEs wait. */
#include "fast/store_rows.h"

/* Transposes a 64 x 64 bit matrix by recursive blocks: from a set of lanes per entry to a set of entries per lane. */
static void transpose(uint64_t m[LANES]) {
  uint64_t keep = 0xffffffff;
  for (uint32_t j = LANES / 2; j; j >>= 1, keep ^= keep << j)
    for (uint32_t k = 0; k < LANES; k = ((k | j) + 1) & ~j) {
      uint64_t swap = (m[k] >> j ^ m[k | j]) & keep;
      m[k] ^= swap << j;
      m[k | j] ^= swap;
    }
}

void store_flush(wse_fabric *fabric, uint32_t block, int color) {
  enum { PREFETCH_LANES = 4 };
  store_block *pending = &fabric->store_blocks[color][block];
  route_block *route = &fabric->routes[color][block];
  uint64_t steps_of[LANES] = {0}, any = 0;
  for (uint32_t i = 0; i < pending->used; i++)
    any |= steps_of[i] = pending->lanes[i];
  if (any) transpose(steps_of);
  store_target *store_targets = fabric->store_targets[color] + fabric->block_pe[block];
  uint8_t *sram = sram_of(fabric, fabric->block_pe[block]);
  pending->budget = UINT32_MAX;
  EACH_LANE(lane, any | route->store_targets) {
    store_target *target = &store_targets[lane];
    uint64_t steps = steps_of[lane];
    if (lane + PREFETCH_LANES < LANES)
      __builtin_prefetch(sram + (lane + PREFETCH_LANES) * SRAM_PITCH + store_targets[lane + PREFETCH_LANES].at, 1);
    if (!target->step && steps) { /* the elements have one address: only the last stays */
      uint32_t last = 63u - (uint32_t)__builtin_clzll(steps);
      target->left -= ((uint32_t)__builtin_popcountll(steps) - 1) * target->wide;
      steps = (uint64_t)1 << last;
    }
    for (; steps; steps &= steps - 1)
      store_wavelet(sram + lane * SRAM_PITCH, target, pending->data[__builtin_ctzll(steps)][lane]);
    if (target->left <= 2 * STORE_LAST) route->store_targets &= ~((uint64_t)1 << lane);
    else if ((target->left - STORE_LAST) / target->wide < pending->budget)
      pending->budget = (target->left - STORE_LAST) / target->wide;
  }
  pending->used = 0;
}

void store_account(wse_fabric *fabric, band_state *band, uint32_t block, uint64_t now) {
  store_times *times = &fabric->store_times[block];
  if (times->closed >= now) return;
  if (fabric->bins && times->members) {
    uint64_t at = times->closed, last = now - at < NEAR ? now : at + NEAR;
    for (; at < last; at++)
      series_add(fabric, band, at, SERIES_STALLED,
                 (uint64_t)__builtin_popcountll(times->members & ~stores_at(times, at)));
    for (int all = __builtin_popcountll(times->members);
         at < now;) { /* no PE stored in these cycles: a bin at a time */
      uint64_t end = series_bin_end(fabric, band, at);
      if (end > now) end = now;
      series_add(fabric, band, at, SERIES_STALLED, (end - at) * (uint64_t)all);
      at = end;
    }
  }
  times->closed = now;
}
