/* router.h - routers, 64 at a time: one cycle. */
#ifndef ROUTER_H
#define ROUTER_H

#include "state/state.h"

/* router.c, compiled for each instruction set of the host. */
void routers_step_base(wse_fabric *f, band *b, uint32_t word, uint64_t now);
void routers_step_avx2(wse_fabric *f, band *b, uint32_t word, uint64_t now);
void routers_step_avx512(wse_fabric *f, band *b, uint32_t word, uint64_t now);

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

void routers_settle(wse_fabric *f, int y);                    /* before a row's next cycle: who is full */
void route_refresh(wse_fabric *f, uint32_t pe, int color);    /* the route's word changed */
void ramp_refresh(wse_fabric *f, uint32_t pe, int color);     /* the queue of a color changed */

/* When the cycle began. */
static inline bool router_has_room(const wse_fabric *f, uint32_t pe, int color, int port) {
  uint32_t at = f->place[pe];
  return !(buffer_of(f, color, port, at / LANES)->full >> at % LANES & 1);
}

static inline uint32_t route_rx(uint64_t route, int position) { return (route >> (10 * position + WSE_ROUTE_RX)) & 31; }
static inline uint32_t route_tx(uint64_t route, int position) { return (route >> (10 * position + WSE_ROUTE_TX)) & 31; }
static inline int route_position(uint64_t route) { return (route >> WSE_ROUTE_POS) & 3; }

/* The PE on the other side of a port; false off the grid. */
static inline bool neighbor(const wse_fabric *f, uint32_t pe, int port, uint32_t *out) {
  uint32_t w = (uint32_t)f->width;
  switch (port) {
    case WSE_N: *out = pe - w; return pe >= w;
    case WSE_S: *out = pe + w; return pe + w < f->pes;
    case WSE_E: *out = pe + 1; return pe % w + 1 < w;
    default: *out = pe - 1; return pe % w > 0;
  }
}

/* The PE that gets what leaves as `color` (index) by a port; false if it goes to the host: off the grid, or a host color. */
static inline bool beyond(const wse_fabric *f, uint32_t pe, int color, int port, uint32_t *out) {
  return !f->host[color] && neighbor(f, pe, port, out);
}

/* switch.c */
uint32_t switch_commands(uint32_t word);
void switch_apply(wse_fabric *f, band *b, uint32_t pe, int color, wavelet w, uint64_t now);
uint32_t switch_pop(uint64_t route, uint32_t word);
bool filter_passes(wse_fabric *f, uint32_t pe, int color, uint64_t route, wavelet w);
void filter_count(wse_fabric *f, uint32_t pe, int color, uint64_t route, wavelet w);

/* edge.c */
stream *stream_out_at(wse_fabric *f, uint32_t pe, int port, int color);
bool stream_has_room(stream *s, uint64_t now, uint64_t *again);
void stream_take(stream *s, wavelet w, uint64_t now);
void streams_step(wse_fabric *f, band *b, int y, uint64_t now);
void streams_forget(wse_fabric *f, uint64_t cycle); /* what left after this cycle */
void streams_wake(wse_fabric *f, uint32_t pe, uint64_t when); /* of the PE's row: there may be room */

#endif
