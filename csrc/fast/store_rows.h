/* store_rows.h - wavelets that routers keep for store-only PEs (pe/store_only.h): a row for the 64 of a word at a time, which goes to
 * memory when rows are many or when somebody looks. */
#ifndef FAST_STORE_ROWS_H
#define FAST_STORE_ROWS_H

#include "observe/account.h"
#include "state/bitplane.h"

enum { SINK_LAST = 8 }; /* elements of an operation that go the usual way */

void sink_flush(wse_fabric *f, uint32_t word, int color);            /* the rows to memory */
void sink_close(wse_fabric *f, band *b, uint32_t word, uint64_t now); /* counts who waited before cycle `now` */

static inline uint64_t stores_at(const sink_times *t, uint64_t cycle) {
  return t->when[cycle & (NEAR - 1)] == cycle ? t->lanes[cycle & (NEAR - 1)] : 0;
}

/* These lanes store in cycle `when`. */
static inline void sink_note(sink_times *t, uint64_t lanes, uint64_t when) {
  uint32_t slot = (uint32_t)when & (NEAR - 1);
  if (t->when[slot] != when) t->when[slot] = when, t->lanes[slot] = 0;
  t->lanes[slot] |= lanes;
}

static inline void sink_store(uint8_t *sram, sink *k, uint32_t data) {
  for (int i = 0; i < k->wide; i++, data >>= 16) {
    uint16_t half = (uint16_t)data;
    if (k->size == 2) memcpy(sram + k->at, &half, 2);
    else memcpy(sram + k->at, &data, 4);
    k->at = (uint16_t)(k->at + k->step);
    k->left--;
  }
}

/* Takes the lanes' wavelets, which land in cycle `lands`; returns whose: the others go the usual way. */
static inline uint64_t sinks_take(wse_fabric *f, band *b, uint32_t word, int color, uint64_t lanes, const uint32_t *data,
                                  uint64_t now, uint64_t lands) {
  if (lands >= f->limit) return 0; /* what lies beyond the limit is not counted yet */
  sink_word *w = &f->sink_words[color][word];
  if (w->used == SINK_ROWS || !w->room) {
    sink_flush(f, word, color);
    lanes &= f->routes[color][word].sinks;
    if (!lanes) return 0;
  }
  if (!w->used && lanes_few(lanes)) { /* a row of the cache for a wavelet would be much */
    EACH_LANE(lane, lanes)
      sink_store(sram_of(f, f->word_pe[word] + (uint32_t)lane), &f->sinks[color][f->word_pe[word] + lane], data[lane]);
  } else {
    lanes_stream(w->data[w->used], data);
    w->lanes[w->used++] = lanes;
  }
  w->room--;
  sink_close(f, b, word, now);
  sink_note(&f->sink_times[word], lanes, lands);
  activity_last(b, lands + 1);
  if (f->activity) EACH_LANE(lane, lanes) series_span(f, b, f->word_pe[word] + (uint32_t)lane, lands, 1, SERIES_BUSY);
  else series_add(f, b, lands, SERIES_BUSY, (uint64_t)__builtin_popcountll(lanes));
  return lanes;
}

#endif
