/* buffer.c - what compute elements and streams put into routers, and what follows from a changed route. */
#include "router/buffer.h"

#include "router/route_register.h"

void router_push_one(wse_fabric *f, uint32_t pe, int color, int port, wavelet w, uint64_t when) {
  push_one(f, pe, color, port, w, when);
}

static void settle_word(wse_fabric *f, uint32_t word) {
  router_word *r = &f->routers[word];
  for (uint32_t colors = r->dirty; colors; colors &= colors - 1) {
    int color = __builtin_ctz(colors);
    for (int port = 0; port < f->inputs[color]; port++) {
      buffer_word *q = buffer_of(f, color, port, word);
      q->full = digits_least(q->held, f->router_room);
    }
  }
  r->dirty = 0;
}

void routers_settle(wse_fabric *f, int y) {
  if (!f->rows[y].dirty) return;
  f->rows[y].dirty = false;
  uint64_t *dirty = f->dirty + (size_t)y * f->row_masks;
  for (uint32_t i = 0; i < f->row_masks; i++, dirty++)
    for (; *dirty; *dirty &= *dirty - 1)
      settle_word(f, (uint32_t)y * f->row_words + i * 64 + (uint32_t)__builtin_ctzll(*dirty));
}



void route_refresh(wse_fabric *f, uint32_t pe, int color) {
  uint64_t route = f->route[color][pe];
  uint32_t at = f->place[pe], lane = at % LANES;
  route_word *w = &f->routes[color][at / LANES];
  bool torn = route >> WSE_ROUTE_TEARDOWN & 1;
  for (int port = 0; port < WSE_PORTS; port++) {
    bit_assign(&w->rx[port], lane, !torn && route_rx(route, route_position(route)) >> port & 1);
    bit_assign(&w->tx[port], lane, route_tx(route, route_position(route)) >> port & 1);
  }
  bit_assign(&w->takes, lane, !torn && route_rx(route, route_position(route)));
  w->ports |= route_tx(route, route_position(route));
  bit_assign(&w->special, lane, route >> WSE_ROUTE_FILTER || route >> WSE_ROUTE_SWAP_X & 3);
}
