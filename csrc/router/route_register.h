/* route_register.h - a router's configuration of one color: fields of the engine's route word (WSE_ROUTE_ of wse.h),
 * and its form as the machine's two 16-bit registers.
 *
 * Routes: bits 4:0 outputs, 9:5 inputs of position 0, each W E S N ramp from bit 0; bit 10 swaps colors between north
 * and south, 11 between east and west; 13:12 pop mode; 14 teardown.
 * Switch: bits 14:13 position, 12 ring; positions 1, 2, 3 in bits 3:0, 7:4, 11:8: direction 0 W, 1 E, 2 S, 3 N, 4
 * ramp, 5 none, and bit 3 whether it replaces the input, else the output.  The other side is that of the position
 * before.
 */
#ifndef ROUTER_ROUTE_REGISTER_H
#define ROUTER_ROUTE_REGISTER_H

#include <stdbool.h>
#include <stdint.h>

#include "wse.h"

static inline uint32_t route_rx(uint64_t route, int position) { return (route >> (10 * position + WSE_ROUTE_RX)) & 31; }
static inline uint32_t route_all_rx(uint64_t route) { /* of all positions */
  return route_rx(route, 0) | route_rx(route, 1) | route_rx(route, 2) | route_rx(route, 3);
}
static inline uint32_t route_tx(uint64_t route, int position) { return (route >> (10 * position + WSE_ROUTE_TX)) & 31; }
static inline int route_position(uint64_t route) { return (route >> WSE_ROUTE_POS) & 3; }

enum { CONFIG_SIDE = 31, CONFIG_NONE = 5 };

/* Converts masks between the machine's order W E S N ramp and ports N E S W ramp; its own inverse. */
static inline uint32_t config_mask(uint32_t mask) { return (mask & 0x16) | (mask & 1) << 3 | (mask >> 3 & 1); }

static inline uint64_t config_position(uint64_t route, int p, uint32_t rx, uint32_t tx) {
  route &= ~((uint64_t)0x3ff << 10 * p);
  return route | (uint64_t)rx << (10 * p + WSE_ROUTE_RX) | (uint64_t)tx << (10 * p + WSE_ROUTE_TX);
}

/* Whether position p replaces the input. */
static inline bool config_selects_input(uint64_t route, int p) { return route_tx(route, p) == route_tx(route, p - 1); }

static inline uint16_t config_color(uint64_t route) {
  return (uint16_t)(config_mask(route_tx(route, 0)) | config_mask(route_rx(route, 0)) << 5 |
                    (route >> WSE_ROUTE_SWAP_Y & 1) << 10 | (route >> WSE_ROUTE_SWAP_X & 1) << 11 |
                    (route >> WSE_ROUTE_POP & 3) << 12 | (route >> WSE_ROUTE_TEARDOWN & 1) << 14);
}

static inline uint64_t config_with_color(uint64_t route, uint16_t word) {
  uint32_t rx = config_mask(word >> 5 & CONFIG_SIDE), tx = config_mask(word & CONFIG_SIDE);
  int last = route >> WSE_ROUTE_LAST & 3;
  uint64_t to = config_position(route, 0, rx, tx);
  for (int p = 1; p <= last; p++)
    to = config_selects_input(route, p) ? config_position(to, p, route_rx(route, p), route_tx(to, p - 1))
                                        : config_position(to, p, route_rx(to, p - 1), route_tx(route, p));
  to &= ~((uint64_t)3 << WSE_ROUTE_POP | (uint64_t)7 << WSE_ROUTE_TEARDOWN);
  return to | (uint64_t)(word >> 12 & 3) << WSE_ROUTE_POP | (uint64_t)(word >> 14 & 1) << WSE_ROUTE_TEARDOWN |
         (uint64_t)(word >> 11 & 1) << WSE_ROUTE_SWAP_X | (uint64_t)(word >> 10 & 1) << WSE_ROUTE_SWAP_Y;
}

static inline uint32_t config_direction(uint32_t mask) {
  uint32_t hardware = config_mask(mask);
  return hardware ? (uint32_t)__builtin_ctz(hardware) : CONFIG_NONE;
}

static inline uint16_t config_switch(uint64_t route) {
  uint32_t word = (uint32_t)(route >> WSE_ROUTE_POS & 3) << 13 | (uint32_t)(route >> WSE_ROUTE_RING & 1) << 12;
  int last = route >> WSE_ROUTE_LAST & 3;
  for (int p = 1; p <= 3; p++) {
    bool input = p > last || config_selects_input(route, p);
    uint32_t direction = p > last ? CONFIG_NONE : config_direction(input ? route_rx(route, p) : route_tx(route, p));
    word |= (direction | (uint32_t)input << 3) << 4 * (p - 1);
  }
  return (uint16_t)word;
}

static inline uint64_t config_with_switch(uint64_t route, uint16_t word) {
  int last = 0, position = word >> 13 & 3;
  for (int p = 1; p <= 3; p++) {
    uint32_t field = word >> 4 * (p - 1) & 15, direction = field & 7;
    if (direction >= CONFIG_NONE) break;
    uint32_t side = config_mask(1u << direction);
    route = field & 8 ? config_position(route, p, side, route_tx(route, p - 1))
                      : config_position(route, p, route_rx(route, p - 1), side);
    last = p;
  }
  route &= ~((uint64_t)3 << WSE_ROUTE_POS | (uint64_t)3 << WSE_ROUTE_LAST | (uint64_t)1 << WSE_ROUTE_RING);
  return route | (uint64_t)(position < last ? position : last) << WSE_ROUTE_POS | (uint64_t)last << WSE_ROUTE_LAST |
         (uint64_t)(word >> 12 & 1) << WSE_ROUTE_RING;
}

#endif
