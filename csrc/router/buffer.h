/* buffer.h - the buffers of a block of routers for one color and input: push, head, pop. */
#ifndef ROUTER_BUFFER_H
#define ROUTER_BUFFER_H

#include "state/bitplane.h"
#include "state/wake.h"

/* buffer.c */

/* Wavelets that are pushed into the buffers of the lanes.  data[i] is that of lane i.  They land in cycle `when`. */
typedef struct {
  uint32_t block;
  int color, port; /* color: index; port: the input */
  uint64_t lanes, control, advance;
  const uint32_t *data;
  uint64_t when;
} buffer_landing;

void router_push_one(wse_fabric *fabric, uint32_t pe, int color, int port, wavelet w, uint64_t when);
void routers_settle(wse_fabric *fabric, int strip); /* settles the `full` planes before the strip's next cycle */
void route_refresh(wse_fabric *fabric, uint32_t pe, int color); /* the route word of a PE changed; color: index */
/* Code of the PE changes the route or the queue of a color (index) in cycle `at`: the router keeps the color's heads in
 * this cycle, and sees the change in the next one, whether its block is stepped for something else or not. */
void route_hold(wse_fabric *fabric, uint32_t pe, int color, uint64_t at);

/* Whether the buffer had a free slot when the cycle began. */
static inline bool router_has_free_slot(const wse_fabric *fabric, uint32_t pe, int color, int port) {
  uint32_t at = fabric->router_lane[pe];
  return !(buffer_of(fabric, color, port, at / LANES)->full >> at % LANES & 1);
}

static inline bool bit(uint64_t plane, uint64_t lane) { return plane >> lane & 1; }

/* Records that a buffer changed: its `full` plane is settled before the strip's next cycle. */
static inline void mark_dirty(wse_fabric *fabric, uint32_t block, int color) {
  uint32_t strip = fabric->block_strip[block], column = block - strip * fabric->blocks_per_strip;
  fabric->routers[block].dirty |= 1u << color;
  fabric->dirty[strip * fabric->masks_per_strip + column / 64] |= (uint64_t)1 << column % 64;
  fabric->strips[strip].dirty = true;
}

static inline uint32_t *buffer_slot(buffer_block *buffer, uint32_t slot) { return buffer->data + slot * LANES; }

/* Copies the heads of the lanes. */
static inline void buffer_heads(const wse_fabric *fabric, buffer_block *buffer, uint64_t lanes, uint32_t to[LANES]) {
  for (uint32_t slot = 0; slot < 1u << fabric->ring_bits;
       slot++) /* without a branch: which slots are taken is hard to predict */
    lanes_copy(to, buffer_slot(buffer, slot), lanes & sliced_equal(buffer->at, slot));
}

/* The flags of the heads; plane: control or advance of the buffer. */
static inline uint64_t buffer_flags(const wse_fabric *fabric, const buffer_block *buffer,
                                    const uint64_t plane[MAX_RING]) {
  uint64_t of_heads = 0;
  if (!buffer->flagged) return 0;
  for (uint32_t slot = 0; slot < 1u << fabric->ring_bits; slot++)
    of_heads |= plane[slot] & sliced_equal(buffer->at, slot);
  return of_heads;
}

static inline void buffer_push(wse_fabric *fabric, buffer_block *buffer, const buffer_landing *landing) {
  uint64_t tail[SLICES];
  sliced_sum(tail, buffer->at, buffer->held, fabric->ring_bits);
  buffer->flagged |= landing->control | landing->advance;
  for (uint32_t slot = 0; slot < 1u << fabric->ring_bits; slot++) {
    uint64_t here = landing->lanes & sliced_equal(tail, slot);
    lanes_copy(buffer_slot(buffer, slot), landing->data, here);
    if (buffer->flagged) {
      buffer->control[slot] = (buffer->control[slot] & ~here) | (landing->control & here);
      buffer->advance[slot] = (buffer->advance[slot] & ~here) | (landing->advance & here);
    }
  }
  sliced_add(buffer->held, landing->lanes);
  buffer->in_flight[landing->when & (NEAR - 1)] |= landing->lanes;
}

static inline void buffer_pop(wse_fabric *fabric, buffer_block *buffer, uint64_t lanes) {
  uint64_t none[SLICES] = {lanes};
  sliced_sum(buffer->at, buffer->at, none, fabric->ring_bits);
  sliced_subtract(buffer->landed, lanes);
  sliced_subtract(buffer->held, lanes);
  for (int port = 0; port < WSE_PORTS; port++)
    buffer->sent[port] &= ~lanes;
  if (!buffer->flagged || sliced_nonzero(buffer->held)) return;
  buffer->flagged = 0;
  memset(buffer->control, 0, sizeof buffer->control);
  memset(buffer->advance, 0, sizeof buffer->advance);
}

/* A wavelet was pushed: the block's routers and the next settling see it. */
static inline void note_push(wse_fabric *fabric, uint32_t block, int color, uint64_t when) {
  fabric->routers[block].busy |= 1u << color;
  mark_dirty(fabric, block, color);
  wake_block(fabric, block, when);
}

static inline void push(wse_fabric *fabric, const buffer_landing *landing) {
  buffer_push(fabric, buffer_of(fabric, landing->color, landing->port, landing->block), landing);
  note_push(fabric, landing->block, landing->color, landing->when);
}

static inline void push_one(wse_fabric *fabric, uint32_t pe, int color, int port, wavelet w, uint64_t when) {
  uint32_t place = fabric->router_lane[pe], block = place / LANES, lane = place % LANES;
  buffer_block *buffer = buffer_of(fabric, color, port, block);
  uint32_t slot = (sliced_of(buffer->at, lane) + sliced_of(buffer->held, lane)) & ((1u << fabric->ring_bits) - 1);
  buffer_slot(buffer, slot)[lane] = w.data;
  uint64_t set = (uint64_t)1 << lane, control = w.meta & WAVELET_CONTROL ? set : 0,
           advance = w.meta & WAVELET_ADVANCE ? set : 0;
  buffer->flagged |= control | advance;
  if (buffer->flagged) {
    buffer->control[slot] = (buffer->control[slot] & ~set) | control;
    buffer->advance[slot] = (buffer->advance[slot] & ~set) | advance;
  }
  sliced_add(buffer->held, set);
  buffer->in_flight[when & (NEAR - 1)] |= set;
  note_push(fabric, block, color, when);
}

#endif
