/* store_rows.c - rows of wavelets to memory, and the cycles in which store-only PEs waited. */
#include "fast/store_rows.h"

/* From a set of lanes per row to a set of rows per lane: the matrix of bits turned over, blocks within blocks. */
static void turn(uint64_t m[LANES]) {
  uint64_t keep = 0xffffffff;
  for (uint32_t j = LANES / 2; j; j >>= 1, keep ^= keep << j)
    for (uint32_t k = 0; k < LANES; k = ((k | j) + 1) & ~j) {
      uint64_t swap = (m[k] >> j ^ m[k | j]) & keep;
      m[k] ^= swap << j;
      m[k | j] ^= swap;
    }
}

void sink_flush(wse_fabric *f, uint32_t word, int color) {
  enum { AHEAD = 4 };
  sink_word *w = &f->sink_words[color][word];
  route_word *route = &f->routes[color][word];
  uint64_t rows_of[LANES] = {0}, any = 0;
  for (uint32_t i = 0; i < w->used; i++) any |= rows_of[i] = w->lanes[i];
  if (any) turn(rows_of);
  sink *sinks = f->sinks[color] + f->word_pe[word];
  uint8_t *sram = sram_of(f, f->word_pe[word]);
  w->room = UINT32_MAX;
  EACH_LANE(lane, any | route->sinks) {
    sink *k = &sinks[lane];
    uint64_t rows = rows_of[lane];
    if (lane + AHEAD < LANES) __builtin_prefetch(sram + (lane + AHEAD) * WSE_SRAM + sinks[lane + AHEAD].at, 1);
    if (!k->step && rows) { /* only the last one stays */
      uint32_t last = 63u - (uint32_t)__builtin_clzll(rows);
      k->left -= ((uint32_t)__builtin_popcountll(rows) - 1) * k->wide;
      rows = (uint64_t)1 << last;
    }
    for (; rows; rows &= rows - 1) sink_store(sram + lane * WSE_SRAM, k, w->data[__builtin_ctzll(rows)][lane]);
    if (k->left <= 2 * SINK_LAST) route->sinks &= ~((uint64_t)1 << lane);
    else if ((k->left - SINK_LAST) / k->wide < w->room) w->room = (k->left - SINK_LAST) / k->wide;
  }
  w->used = 0;
}

void sink_close(wse_fabric *f, band *b, uint32_t word, uint64_t now) {
  sink_times *t = &f->sink_times[word];
  if (t->closed >= now) return;
  if (f->bins && t->members) {
    uint64_t at = t->closed, last = now - at < NEAR ? now : at + NEAR;
    for (; at < last; at++) series_add(f, b, at, SERIES_STALLED, (uint64_t)__builtin_popcountll(t->members & ~stores_at(t, at)));
    for (int all = __builtin_popcountll(t->members); at < now;) { /* nobody stored any more: a bin at a time */
      uint64_t end = ((at >> b->series_shift) + 1) << b->series_shift;
      if (end > now) end = now;
      series_add(f, b, at, SERIES_STALLED, (end - at) * (uint64_t)all);
      at = end;
    }
  }
  t->closed = now;
}
