/* buffer.c - pushes from compute elements and streams, settling, and changed routes. */
#include "router/buffer.h"

#include "router/route_register.h"

void router_push_one(wse_fabric *fabric, uint32_t pe, int color, int port, wavelet w, uint64_t when) {
  push_one(fabric, pe, color, port, w, when);
}

static void settle_block(wse_fabric *fabric, uint32_t block) {
  router_block *router = &fabric->routers[block];
  for (uint32_t colors = router->dirty; colors; colors &= colors - 1) {
    int color = __builtin_ctz(colors);
    for (int port = 0; port < fabric->inputs[color]; port++) {
      buffer_block *buffer = buffer_of(fabric, color, port, block);
      buffer->full = sliced_at_least(buffer->held, fabric->router_capacity);
    }
  }
  router->dirty = 0;
}

void routers_settle(wse_fabric *fabric, int strip) {
  if (!fabric->strips[strip].dirty) return;
  fabric->strips[strip].dirty = false;
  uint64_t *dirty = fabric->dirty + (size_t)strip * fabric->masks_per_strip;
  for (uint32_t i = 0; i < fabric->masks_per_strip; i++, dirty++)
    for (; *dirty; *dirty &= *dirty - 1)
      settle_block(fabric, (uint32_t)strip * fabric->blocks_per_strip + i * 64 + (uint32_t)__builtin_ctzll(*dirty));
}

void route_refresh(wse_fabric *fabric, uint32_t pe, int color) {
  uint64_t route = fabric->route[color][pe];
  uint32_t at = fabric->router_lane[pe], lane = at % LANES;
  route_block *routes = &fabric->routes[color][at / LANES];
  bool torn = route >> WSE_ROUTE_TEARDOWN & 1;
  for (int port = 0; port < WSE_PORTS; port++) {
    bit_assign(&routes->rx[port], lane, !torn && route_rx(route, route_position(route)) >> port & 1);
    bit_assign(&routes->tx[port], lane, route_tx(route, route_position(route)) >> port & 1);
  }
  bit_assign(&routes->takes, lane, !torn && route_rx(route, route_position(route)));
  routes->ports |= route_tx(route, route_position(route));
  bit_assign(&routes->special, lane, route >> WSE_ROUTE_FILTER || route >> WSE_ROUTE_SWAP_X & 3);
}

void route_hold(wse_fabric *fabric, uint32_t pe, int color, uint64_t at) {
  uint32_t place = fabric->router_lane[pe];
  route_block *routes = &fabric->routes[color][place / LANES];
  if (routes->held_at != (uint32_t)at) {
    routes->held_at = (uint32_t)at;
    routes->held = 0;
  }
  routes->held |= (uint64_t)1 << place % LANES;
  wake_router(fabric, pe, at + 1);
  wake_ce_near(fabric, pe, at + 1); /* its output queue may go on, too */
}
