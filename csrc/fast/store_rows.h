/* store_rows.h - wavelets that routers keep for store-only PEs (pe/store_only.h).  An entry holds the wavelets that
 * the lanes of a block received in one cycle; entries are stored to memory when there are many, or when the memory or
 * state of such a PE is read. */
#ifndef FAST_STORE_ROWS_H
#define FAST_STORE_ROWS_H

#include "observe/account.h"
#include "state/bitplane.h"

enum { STORE_LAST = 8 }; /* elements at the end of an operation that take the ordinary path */

void store_flush(wse_fabric *fabric, uint32_t block, int color); /* stores the pending entries */
void store_account(wse_fabric *fabric, band_state *band, uint32_t block,
                   uint64_t now); /* counts the waiting cycles before cycle `now` */

static inline uint64_t stores_at(const store_times *times, uint64_t cycle) {
  return times->when[cycle & (NEAR - 1)] == cycle ? times->lanes[cycle & (NEAR - 1)] : 0;
}

/* Records that the lanes store in cycle `when`. */
static inline void store_note(store_times *times, uint64_t lanes, uint64_t when) {
  uint32_t slot = (uint32_t)when & (NEAR - 1);
  if (times->when[slot] != when) {
    times->when[slot] = when;
    times->lanes[slot] = 0;
  }
  times->lanes[slot] |= lanes;
}

static inline void store_wavelet(uint8_t *sram, store_target *target, uint32_t data) {
  for (int i = 0; i < target->wide; i++, data >>= 16) {
    uint16_t half = (uint16_t)data;
    if (target->size == 2) memcpy(sram + target->at, &half, 2);
    else memcpy(sram + target->at, &data, 4);
    target->at = (uint16_t)(target->at + target->step);
    target->left--;
  }
}

/* Takes the lanes' wavelets, which land in cycle `lands`.  Returns the lanes whose wavelets were taken; the others
 * take the ordinary path. */
static inline uint64_t store_take(wse_fabric *fabric, band_state *band, uint32_t block, int color, uint64_t lanes,
                                  const uint32_t *data, uint64_t now, uint64_t lands) {
  if (lands >= fabric->limit) return 0; /* cycles beyond the limit are not counted yet */
  store_block *pending = &fabric->store_blocks[color][block];
  if (pending->used == STORE_STEPS || !pending->budget) {
    store_flush(fabric, block, color);
    lanes &= fabric->routes[color][block].store_targets;
    if (!lanes) return 0;
  }
  if (!pending->used && lanes_few(lanes)) { /* for few wavelets an entry would cost more than direct stores */
    EACH_LANE(lane, lanes)
      store_wavelet(sram_of(fabric, fabric->block_pe[block] + (uint32_t)lane),
                    &fabric->store_targets[color][fabric->block_pe[block] + lane], data[lane]);
  } else {
    lanes_stream(pending->data[pending->used], data);
    pending->lanes[pending->used++] = lanes;
  }
  pending->budget--;
  store_account(fabric, band, block, now);
  store_note(&fabric->store_times[block], lanes, lands);
  activity_last(band, lands + 1);
  if (fabric->activity)
    EACH_LANE(lane, lanes)
      series_span(fabric, band, fabric->block_pe[block] + (uint32_t)lane, lands, 1, SERIES_BUSY);
  else series_add(fabric, band, lands, SERIES_BUSY, (uint64_t)__builtin_popcountll(lanes));
  return lanes;
}

#endif
