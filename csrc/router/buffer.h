/* buffer.h - the buffers of 64 routers for one color and input: what goes in, the head, what has gone. */
#ifndef ROUTER_BUFFER_H
#define ROUTER_BUFFER_H

#include "state/bitplane.h"
#include "state/wake.h"

/* buffer.c */

/* Wavelets into one buffer of the lanes; data[i] is lane i's.  They land in cycle `when`. */
typedef struct {
  uint32_t word;
  int color, port; /* color by index; port: the input they come by */
  uint64_t lanes, control, advance;
  const uint32_t *data;
  uint64_t when;
} landing;

void router_push_one(wse_fabric *f, uint32_t pe, int color, int port, wavelet w, uint64_t when);
void routers_settle(wse_fabric *f, int y);                 /* before a row's next cycle: who is full */
void route_refresh(wse_fabric *f, uint32_t pe, int color); /* the route's word changed */

/* When the cycle began. */
static inline bool router_has_room(const wse_fabric *f, uint32_t pe, int color, int port) {
  uint32_t at = f->place[pe];
  return !(buffer_of(f, color, port, at / LANES)->full >> at % LANES & 1);
}

static inline bool bit(uint64_t plane, uint64_t lane) { return plane >> lane & 1; }

/* A buffer changed: whether it is full is settled before its row's next cycle. */
static inline void mark_dirty(wse_fabric *f, uint32_t word, int color) {
  uint32_t y = f->word_row[word], column = word - y * f->row_words;
  f->routers[word].dirty |= 1u << color;
  f->dirty[y * f->row_masks + column / 64] |= (uint64_t)1 << column % 64;
  f->rows[y].dirty = true;
}

static inline uint32_t *buffer_row(buffer_word *q, uint32_t row) { return q->data + row * LANES; }

/* The heads of these lanes. */
static inline void buffer_heads(const wse_fabric *f, buffer_word *q, uint64_t lanes, uint32_t to[LANES]) {
  for (uint32_t row = 0; row < 1u << f->ring_bits; row++) /* no branch: which rows are taken is hard to predict */
    lanes_copy(to, buffer_row(q, row), lanes & digits_equal(q->at, row));
}

/* One of the planes control and advance, of the heads. */
static inline uint64_t buffer_flags(const wse_fabric *f, const buffer_word *q, const uint64_t plane[MAX_RING]) {
  uint64_t of_heads = 0;
  if (!q->flagged) return 0;
  for (uint32_t row = 0; row < 1u << f->ring_bits; row++) of_heads |= plane[row] & digits_equal(q->at, row);
  return of_heads;
}

static inline void buffer_push(wse_fabric *f, buffer_word *q, const landing *l) {
  uint64_t tail[DIGITS];
  digits_sum(tail, q->at, q->held, f->ring_bits);
  q->flagged |= l->control | l->advance;
  for (uint32_t row = 0; row < 1u << f->ring_bits; row++) {
    uint64_t here = l->lanes & digits_equal(tail, row);
    lanes_copy(buffer_row(q, row), l->data, here);
    if (q->flagged) {
      q->control[row] = (q->control[row] & ~here) | (l->control & here);
      q->advance[row] = (q->advance[row] & ~here) | (l->advance & here);
    }
  }
  digits_add(q->held, l->lanes);
  q->air[l->when & (NEAR - 1)] |= l->lanes;
}

static inline void buffer_pop(wse_fabric *f, buffer_word *q, uint64_t lanes) {
  uint64_t none[DIGITS] = {lanes};
  digits_sum(q->at, q->at, none, f->ring_bits);
  digits_subtract(q->landed, lanes);
  digits_subtract(q->held, lanes);
  for (int port = 0; port < WSE_PORTS; port++) q->sent[port] &= ~lanes;
  if (!q->flagged || digits_some(q->held)) return;
  q->flagged = 0;
  memset(q->control, 0, sizeof q->control);
  memset(q->advance, 0, sizeof q->advance);
}

static inline void push(wse_fabric *f, const landing *l) {
  buffer_push(f, buffer_of(f, l->color, l->port, l->word), l);
  f->routers[l->word].busy |= 1u << l->color;
  mark_dirty(f, l->word, l->color);
  wake_word(f, l->word, l->when);
}

static inline void push_one(wse_fabric *f, uint32_t pe, int color, int port, wavelet w, uint64_t when) {
  uint32_t at = f->place[pe], lane = at % LANES, data[LANES];
  uint64_t set = (uint64_t)1 << lane;
  data[lane] = w.data;
  push(f, &(landing){at / LANES, color, port, set, w.meta & WAVELET_CONTROL ? set : 0, w.meta & WAVELET_ADVANCE ? set : 0,
                        data, when});
}

#endif
