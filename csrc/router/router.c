/* router.c - one cycle of a block of 64 routers; each moves at most one wavelet per output and cycle.
 *
 * Every color has a buffer of its own per input, so that a blocked color does not block others.  In a cycle, each
 * color whose head has landed requests the outputs of its route's current position that have not taken this wavelet
 * yet and whose receiver has a free slot; each output grants one color, round robin.  A wavelet leaves its buffer when
 * every output of its route has taken it [docs/machine.md: assumptions].  Free slots are those of the beginning of the
 * cycle, so that the order of routers does not matter.  If a route names several inputs, the input wins whose head
 * some outputs have taken already, else the one that has waited longest, else the first of N E S W RAMP.
 *
 * The arbitration rule is in `arbitrate`; latencies are hop_cycles and ramp_in_cycles of machine.def.  Bit i of a
 * plane is lane i, the i-th router of the block.  Rare cases (control wavelets, filters, color swaps, streams at the
 * edge) are handled lane by lane.
 */
#include "router/router.h"

#include "fast/store_rows.h"
#include "fast/wavelet_log.h"
#include "numeric/host.h"
#include "observe/account.h"
#include "observe/fault.h"
#include "observe/senders.h"
#include "observe/trace.h"
#include "observe/watch.h"
#include "router/buffer.h"
#include "router/stream.h"
#include "router/switch.h"
#include "state/queue.h"

#ifndef ROUTERS_STEP /* router_avx2.c and router_avx512.c include this file */
#define ROUTERS_STEP routers_step_base
#define ROUTERS_BASE
#endif
#ifndef ROUTERS_CHECKED
#define ROUTERS_CHECKED 0
#endif

/* A color and input of the block that has a wavelet to send. */
typedef struct {
  buffer_block *buffer;
  route_block *route;
  uint64_t ready;               /* lanes whose head may leave */
  uint64_t control, advance;    /* ... and is a control wavelet, or advances the switch */
  uint64_t drops;               /* lanes whose wavelet the ramp drops: filtered, or not for the CE */
  uint64_t requests[WSE_PORTS]; /* lanes that request the output and whose receiver has a free slot */
  uint8_t color, port;
  bool read;                                 /* heads[] is valid */
  _Alignas(LINE) uint32_t pad_before[LANES]; /* padding: data are read as far off as the neighbor's lane is */
  uint32_t heads[LANES];
  uint32_t pad_after[LANES];
} router_sender;

typedef struct {
  wse_fabric *fabric;
  band_state *band;
  router_block *router;
  uint32_t block, pe0;
  uint64_t now;
  uint64_t requested[WSE_PORTS], contested[WSE_PORTS]; /* lanes requested by one sender; by several */
  int count;
  router_sender candidates[WSE_COLORS * WSE_PORTS];
} router_step;

static uint32_t *heads_of(const router_step *step, router_sender *sender) {
  if (!sender->read) buffer_heads(step->fabric, sender->buffer, sender->ready, sender->heads);
  sender->read = true;
  return sender->heads;
}

/* The part of the waits of a sender's lanes that 32 bits do not hold; NULL while there is none. */
static uint32_t *waits_more(const router_step *step, const router_sender *sender) {
  uint32_t *more = atomic_load_explicit(&step->fabric->waits_more[sender->color][sender->port], memory_order_relaxed);
  return more ? more + (size_t)step->block * LANES : NULL;
}

static wavelet head_of(const router_step *step, router_sender *sender, uint64_t lane) {
  return (wavelet){heads_of(step, sender)[lane], (bit(sender->control, lane) ? WAVELET_CONTROL : 0u) |
                                                     (bit(sender->advance, lane) ? WAVELET_ADVANCE : 0u)};
}

/* --- senders that are ready ---------------------------------------------------------------------------- */

static void collide(router_step *step, int color, uint64_t lanes) {
  EACH_LANE(lane, lanes) {
    wse_fault fault = fault_at(step->fabric, step->pe0 + (uint32_t)lane, step->now, WSE_FAULT_COLLISION);
    fault.color = step->fabric->color_of[color];
    fault_raise(step->band, fault);
  }
}

/* Cycles that the head of a sender's lane has waited. */
static uint64_t waited(const router_step *step, const router_sender *sender, uint64_t lane) {
  const uint32_t *more = waits_more(step, sender);
  return (uint64_t)((uint32_t)step->now - sender->buffer->since[lane]) + (more ? (uint64_t)more[lane] * CLOCK_UNIT : 0);
}

/* Chooses one of the inputs of a color that are ready in a lane; the others wait. */
static void choose_inputs(const router_step *step, router_sender *first, int n, uint64_t lanes) {
  EACH_LANE(lane, lanes) {
    router_sender *best = NULL;
    for (router_sender *sender = first; sender < first + n; sender++) {
      if (!bit(sender->ready, lane)) continue;
      bool taken = false, best_taken = false;
      for (int port = 0; port < WSE_PORTS; port++) {
        taken |= bit(sender->buffer->sent[port], lane);
        best_taken |= best && bit(best->buffer->sent[port], lane);
      }
      bool longer = best && waited(step, best, lane) < waited(step, sender, lane);
      if (!best || (taken && !best_taken) || (longer && taken == best_taken)) best = sender;
    }
    for (router_sender *sender = first; sender < first + n; sender++)
      if (sender != best) sender->ready &= ~((uint64_t)1 << lane);
  }
}

/* Lands the wavelets of this cycle in one buffer; returns their lanes. */
static uint64_t land(router_step *step, buffer_block *buffer) {
  uint64_t *in_flight = &buffer->in_flight[step->now & (NEAR - 1)], lands = *in_flight;
  if (lands) {
    *in_flight = 0;
    lanes_fill(buffer->since, (uint32_t)step->now, lands & ~sliced_nonzero(buffer->landed));
    sliced_add(buffer->landed, lands);
  }
  return lands;
}

static void add_candidate(router_step *step, buffer_block *buffer, route_block *route, uint64_t ready, int color,
                          int port) {
  router_sender *sender = &step->candidates[step->count++];
  sender->buffer = buffer;
  sender->route = route;
  sender->ready = ready;
  sender->control = buffer_flags(step->fabric, buffer, buffer->control);
  sender->advance = buffer_flags(step->fabric, buffer, buffer->advance);
  sender->color = (uint8_t)color;
  sender->port = (uint8_t)port;
  sender->read = false;
}

static void gather(router_step *step, int color) {
  wse_fabric *fabric = step->fabric;
  route_block *route = &fabric->routes[color][step->block];
  uint64_t held = route->held_at == (uint32_t)step->now ? route->held : 0;
  if (fabric->inputs[color] == 1) {
    buffer_block *buffer = buffer_of(fabric, color, 0, step->block);
    land(step, buffer);
    uint64_t ready = sliced_nonzero(buffer->landed) & route->takes & ~held;
    if (ready) add_candidate(step, buffer, route, ready, color, 0);
    return;
  }
  router_sender *first = &step->candidates[step->count];
  uint64_t landings = 0, together = 0, ready = 0, contested = 0;
  for (int port = 0; port < WSE_PORTS; port++) {
    buffer_block *buffer = buffer_of(fabric, color, port, step->block);
    if (!sliced_nonzero(buffer->held)) continue;
    uint64_t enabled = route->rx[port], lands = land(step, buffer) & enabled,
             mine = sliced_nonzero(buffer->landed) & enabled & ~held;
    together |= landings & lands;
    landings |= lands;
    if (!mine) continue;
    contested |= ready & mine;
    ready |= mine;
    add_candidate(step, buffer, route, mine, color, port);
  }
  if (together) collide(step, color, together);
  if (contested) choose_inputs(step, first, (int)(&step->candidates[step->count] - first), contested);
}

/* --- free slots ---------------------------------------------------------------------------------------------- */

/* Moves lane i of a plane to lane i + by. */
static uint64_t plane_shift(uint64_t plane, int by) { return by < 0 ? plane >> -by : plane << by; }

/* The block in which the lanes that cross have their neighbors; the block itself if they have none. */
static uint32_t block_beyond(const router_step *step, int port) {
  const lane_neighbors *side = &step->fabric->beside[port];
  return side->crosses & ~step->router->edge[port] ? step->block + (uint32_t)side->blocks : step->block;
}

/* The `full` plane of the neighbors on one side, aligned with the lanes of this block. */
static uint64_t full_beyond(const router_step *step, int color, int port) {
  const wse_fabric *fabric = step->fabric;
  const lane_neighbors *side = &fabric->beside[port];
  uint64_t own = ~side->crosses ? buffer_of(fabric, color, port ^ 2, step->block)->full : 0,
           other = buffer_of(fabric, color, port ^ 2, block_beyond(step, port))->full;
  return (plane_shift(own, -side->lanes) & ~side->crosses) | (plane_shift(other, -side->beyond) & side->crosses);
}

/* The color index with which a wavelet leaves by `port`; -1 if its swapped color is not in the program. */
static int color_after(const wse_fabric *fabric, uint64_t route, int color, int port) {
  bool swap = port == WSE_E || port == WSE_W ? route >> WSE_ROUTE_SWAP_X & 1
              : port != WSE_RAMP             ? route >> WSE_ROUTE_SWAP_Y & 1
                                             : 0;
  return swap ? fabric->color_index[fabric->color_of[color] ^ 1] : color;
}

static bool lane_has_free_slot(router_step *step, router_sender *sender, uint64_t lane, int port) {
  wse_fabric *fabric = step->fabric;
  uint32_t pe = step->pe0 + (uint32_t)lane, to;
  uint64_t route = fabric->route[sender->color][pe];
  if (port == WSE_RAMP) {
    wavelet w = head_of(step, sender, lane);
    bool refused = w.meta & WAVELET_CONTROL && switch_commands(w.data) >> 2 & 1;
    if (!refused && filter_passes(fabric, pe, sender->color, route, w)) return !bit(sender->route->ramp_full, lane);
    sender->drops |= (uint64_t)1 << lane;
    return true;
  }
  int leaves = color_after(fabric, route, sender->color, port);
  if (leaves >= 0 && beyond(fabric, pe, leaves, port, &to)) return router_has_free_slot(fabric, to, leaves, port ^ 2);
  edge_stream *out = leaves < 0 ? NULL : stream_out_at(fabric, pe, port, fabric->color_of[leaves]);
  if (!out && leaves >= 0 && fabric->host[leaves]) return false; /* until wse_host_ask adds capacity */
  if (!out && fabric->drops_off_edge && leaves >= 0) return true;
  if (!out) {
    wse_fault fault = fault_at(fabric, pe, step->now, WSE_FAULT_OFF_EDGE);
    fault.color = fabric->color_of[sender->color];
    fault.port = port;
    fault_raise(step->band, fault);
    return false;
  }
  uint64_t again = 0;
  bool free = stream_has_free_slot(out, step->now, &again);
  if (!free && again) wake_block(fabric, step->block, again - step->now < NEAR ? again : step->now + NEAR - 1);
  return free;
}

/* Lanes whose wavelets of a color leave to the host by this side. */
static uint64_t to_host(const router_step *step, int color, int port) {
  return step->fabric->host[color] ? ~(uint64_t)0 : step->router->edge[port];
}

static void request(router_step *step, router_sender *sender) {
  sender->drops = 0;
  for (uint32_t ports = sender->route->ports; ports; ports &= ports - 1) {
    int port = __builtin_ctz(ports);
    uint64_t wanted = sender->ready & sender->route->tx[port] & ~sender->buffer->sent[port], rare, free;
    sender->requests[port] = 0;
    if (!wanted) continue;
    if (port == WSE_RAMP) {
      rare = wanted & (sender->route->special | sender->control);
      free = ~sender->route->ramp_full;
    } else {
      rare = wanted & (sender->route->special | to_host(step, sender->color, port));
      free = wanted == rare ? 0 : ~full_beyond(step, sender->color, port);
    }
    uint64_t requests = wanted & ~rare & free;
    EACH_LANE(lane, rare)
      if (lane_has_free_slot(step, sender, lane, port)) requests |= (uint64_t)1 << lane;
    sender->requests[port] = requests;
    step->contested[port] |= step->requested[port] & requests;
    step->requested[port] |= requests;
  }
}

/* All senders that request an output. */
#define EACH_SENDER(sender, s, port)                                                             \
  for (router_sender *sender = (s)->candidates; sender < (s)->candidates + (s)->count; sender++) \
    if (sender->route->ports >> (port) & 1 && sender->requests[port])

/* --- arbitration --------------------------------------------------------------------------------------- */

/* Lanes whose round-robin pointer is at or before the color. */
static uint64_t pointer_reached(const router_step *step, int port, uint32_t color) {
  uint64_t less = 0, same = ~(uint64_t)0;
  for (int k = (int)step->fabric->pointer_bits - 1; k >= 0; k--) {
    uint64_t next = step->router->next[port][k];
    if (color >> k & 1) less |= same & ~next;
    same &= color >> k & 1 ? next : ~next;
  }
  return less | same;
}

/* Round robin: grants each lane's output to the first requesting color at or after its pointer.  requests[] keeps the
 * winners. */
static void arbitrate(router_step *step, int port) {
  uint64_t contested = step->contested[port], reached = 0, granted = 0;
  if (contested)
    EACH_SENDER(c, step, port)
      reached |= c->requests[port] & pointer_reached(step, port, c->color);
  EACH_SENDER(c, step, port) { /* in order of color */
    if (contested) {
      uint64_t late =
          reached & contested &
          ~pointer_reached(step, port, c->color); /* a color at or after the pointer requests as well: it comes first */
      c->requests[port] &= ~late & ~(granted & contested);
      granted |= c->requests[port];
    }
    uint64_t won = c->requests[port], *next = step->router->next[port];
    for (uint32_t k = 0; k < step->fabric->pointer_bits; k++)
      next[k] = (next[k] & ~won) | ((c->color + 1u) >> k & 1 ? won : 0);
  }
}

/* Withdraws requests for links that rest in this cycle, and counts wavelets since the last rest. */
static void rest_links(router_step *step, int port) {
  link_block *link = &step->fabric->links_rest[step->block];
  uint8_t every = (uint8_t)P(step->fabric, link_bubble_every);
  uint64_t resting = 0;
  EACH_LANE(lane, step->requested[port]) {
    if (link->sent_at[port][lane] != (uint32_t)(step->now - 1)) link->streak[port][lane] = 0; /* it has rested */
    if (link->streak[port][lane] >= every) {
      resting |= (uint64_t)1 << lane;
    } else {
      link->streak[port][lane]++;
      link->sent_at[port][lane] = (uint32_t)step->now;
    }
  }
  EACH_SENDER(c, step, port)
    c->requests[port] &= ~resting;
  step->contested[port] &= ~resting;
}

/* --- moves --------------------------------------------------------------------------------------------- */

static void send_down(router_step *step, router_sender *sender, uint64_t lanes) {
  wse_fabric *fabric = step->fabric;
  uint64_t lands = step->now + (uint64_t)P(fabric, ramp_in_cycles);
  uint64_t stored = lanes & sender->route->store_targets & ~(sender->control | sender->route->special);
  if (stored)
    stored =
        store_take(fabric, step->band, step->block, sender->color, stored, heads_of(step, sender), step->now, lands);
  sender->route->store_targets &= ~(lanes & ~stored); /* a wavelet must not overtake one that takes the ordinary path */
  if (fabric->trace_capacity || fabric->watch)
    EACH_LANE(lane, stored) {
      uint32_t pe = step->pe0 + (uint32_t)lane;
      watch_lands(fabric, pe, fabric->color_of[sender->color], step->now);
      trace_event(fabric, step->band, step->now, pe, WSE_EV_LAND, fabric->color_of[sender->color], sender->heads[lane]);
    }
  uint64_t logged = lanes & sender->route->logs & ~(sender->control | sender->route->special);
  EACH_LANE(lane, logged) {
    uint32_t pe = step->pe0 + (uint32_t)lane;
    if (!log_take(fabric, step->band, pe, sender->color, heads_of(step, sender)[lane], step->now, lands))
      logged &= ~((uint64_t)1 << lane);
  }
  sender->route->logs &= ~(lanes & ~logged); /* as above */
  EACH_LANE(lane, lanes & ~stored & ~logged) {
    uint32_t pe = step->pe0 + (uint32_t)lane;
    wavelet w = head_of(step, sender, lane);
    if (bit(sender->route->special, lane)) filter_count(fabric, pe, sender->color, fabric->route[sender->color][pe], w);
    if (bit(sender->drops, lane)) continue;
    int n = queue_of_color(fabric, pe, fabric->color_of[sender->color]);
    ramp_queue *queue = iq_of(fabric, n, pe);
    if (ROUTERS_CHECKED)
      senders_landed(fabric, pe, n, (queue->head + queue->count) & fabric->iq_mask[n],
                     senders_head(fabric, pe, sender->color, sender->port));
    queue_push(queue, fabric->iq_mask[n], (wavelet){w.data, wavelet_meta(lands, w.meta & WAVELET_CONTROL)});
    if (n < WSE_QUEUES && fabric->rebound[pe].admits[n] > 1) fabric->rebound[pe].admits[n]--;
    if (input_full(fabric, pe, n)) sender->route->ramp_full |= (uint64_t)1 << lane;
    log_passed_by(fabric, step->band, pe, n, step->now);
    fabric->ces[pe].input_queues |= 1u << n;
    if (w.meta & WAVELET_CONTROL) fabric->ces[pe].control_queues |= 1u << n;
    const ce_state *ce = &fabric->ces[pe];
    wake_ce(fabric, step->band, pe, step->now, between_tasks(fabric, ce, lands) ? ce->main_at : lands);
    watch_lands(fabric, pe, fabric->color_of[sender->color], step->now);
    trace_event(fabric, step->band, step->now, pe, WSE_EV_LAND,
                (uint32_t)fabric->color_of[sender->color] | (w.meta & WAVELET_CONTROL ? 32 : 0), w.data);
  }
}

static void send_one(router_step *step, router_sender *sender, uint64_t lane, int port) {
  wse_fabric *fabric = step->fabric;
  uint32_t pe = step->pe0 + (uint32_t)lane, to;
  uint64_t route = fabric->route[sender->color][pe];
  wavelet w = head_of(step, sender, lane);
  if (w.meta & WAVELET_CONTROL) w.data = switch_pop(route, w.data);
  w.meta &= WAVELET_CONTROL; /* the last wavelet of an operation advances the switch of its own router only */
  int leaves = color_after(fabric, route, sender->color, port);
  if (beyond(fabric, pe, leaves, port, &to)) {
    push_one(fabric, to, leaves, port ^ 2, w, step->now + (uint64_t)P(fabric, hop_cycles));
    return;
  }
  edge_stream *out = stream_out_at(fabric, pe, port, fabric->color_of[leaves]);
  if (out) stream_take(out, w, step->now);
  else step->band->dropped[leaves] |= (uint8_t)(1u << port);
}

static void send_lanes(router_step *step, router_sender *sender, uint64_t lanes, int port) {
  wse_fabric *fabric = step->fabric;
  const lane_neighbors *side = &fabric->beside[port];
  uint32_t *head = heads_of(step, sender);
  uint64_t near = lanes & ~side->crosses, far = lanes & side->crosses;
  buffer_landing landing = {step->block,
                            sender->color,
                            port ^ 2,
                            plane_shift(near, side->lanes),
                            0,
                            0,
                            head - side->lanes,
                            step->now + (uint64_t)P(fabric, hop_cycles)};
  if (near) push(fabric, &landing);
  if (!far) return;
  landing.block += (uint32_t)side->blocks;
  landing.lanes = plane_shift(far, side->beyond);
  landing.data = head - side->beyond;
  push(fabric, &landing);
}

/* Adds the part of the waits that is kept in waits_more. */
static void send_late(router_step *step, const router_sender *sender, uint64_t lanes, int port) {
  wse_fabric *fabric = step->fabric;
  const uint32_t *more = waits_more(step, sender);
  uint32_t *to = atomic_load_explicit(&fabric->blocked_more, memory_order_relaxed) +
                 ((size_t)port * fabric->blocks + step->block) * LANES;
  EACH_LANE(lane, lanes) {
    to[lane] += more[lane];
    step->band->colors[sender->color][port][1] += (uint64_t)more[lane] * CLOCK_UNIT;
  }
}

/* The tags of the wavelets go with them. */
static void send_tags(router_step *step, const router_sender *sender, uint64_t lanes, int port) {
  wse_fabric *fabric = step->fabric;
  EACH_LANE(lane, lanes) {
    uint32_t pe = step->pe0 + (uint32_t)lane, to;
    int leaves = color_after(fabric, fabric->route[sender->color][pe], sender->color, port);
    if (beyond(fabric, pe, leaves, port, &to))
      senders_push(fabric, to, leaves, port ^ 2, senders_head(fabric, pe, sender->color, sender->port));
  }
}

static void send(router_step *step, router_sender *sender, int port) {
  wse_fabric *fabric = step->fabric;
  uint64_t lanes = sender->requests[port];
  uint64_t *total = step->band->colors[sender->color][port];
  lanes_count(fabric->links[port] + step->block * LANES, lanes);
  if (fabric->color_links[sender->color])
    lanes_count(fabric->color_links[sender->color] + ((size_t)port * fabric->blocks + step->block) * LANES, lanes);
  total[0] += (uint64_t)__builtin_popcountll(lanes);
  total[1] +=
      lanes_wait(fabric->blocked[port] + step->block * LANES, sender->buffer->since, (uint32_t)step->now, lanes);
  if (waits_more(step, sender)) send_late(step, sender, lanes, port);
  sender->buffer->sent[port] |= lanes;
  if (port == WSE_RAMP) {
    send_down(step, sender, lanes);
    return;
  }
  if (ROUTERS_CHECKED) send_tags(step, sender, lanes, port);
  series_add(fabric, step->band, step->now, SERIES_HOPS, (uint64_t)__builtin_popcountll(lanes));
  if (fabric->trace_hops)
    EACH_LANE(lane, lanes)
      trace_event(fabric, step->band, step->now, step->pe0 + (uint32_t)lane, WSE_EV_HOP,
                  (uint32_t)fabric->color_of[sender->color] | (bit(sender->control, lane) ? 32 : 0) |
                      (uint32_t)port << 6,
                  heads_of(step, sender)[lane]);
  uint64_t rare = lanes & (sender->control | sender->route->special | to_host(step, sender->color, port));
  if (lanes & ~rare) send_lanes(step, sender, lanes & ~rare, port);
  EACH_LANE(lane, rare)
    send_one(step, sender, lane, port);
}

/* --- wavelets that have been sent to all outputs ------------------------------------------------------- */

/* Wakes the senders that found the buffers full. */
static void wake_upstream(router_step *step, router_sender *sender, uint64_t lanes) {
  wse_fabric *fabric = step->fabric;
  for (int port = 0; port < WSE_PORTS; port++) {
    uint64_t from = fabric->inputs[sender->color] == 1 ? lanes & sender->route->rx[port]
                    : port == sender->port             ? lanes
                                                       : 0;
    if (!from) continue;
    if (port == WSE_RAMP) {
      EACH_LANE(lane, from)
        wake_ce(fabric, step->band, step->pe0 + (uint32_t)lane, step->now, step->now + 1);
      continue;
    }
    uint64_t outside = from & to_host(step, sender->color, port);
    if (outside) streams_wake(fabric, step->pe0, step->now + 1);
    from &= ~outside;
    if (!from) continue;
    uint64_t crosses = fabric->beside[port].crosses;
    if (from & ~crosses) wake_block(fabric, step->block, step->now + 1);
    if (from & crosses) wake_block(fabric, block_beyond(step, port), step->now + 1);
  }
}

static void pop(router_step *step, router_sender *sender) {
  wse_fabric *fabric = step->fabric;
  buffer_block *buffer = sender->buffer;
  uint64_t stays = 0, some = 0;
  for (uint32_t ports = sender->route->ports; ports; ports &= ports - 1) {
    int port = __builtin_ctz(ports);
    stays |= sender->route->tx[port] & ~buffer->sent[port];
    some |= sender->route->tx[port];
  }
  uint64_t gone = sender->ready & some & ~stays;
  if (!gone) return;
  if (gone & buffer->full) wake_upstream(step, sender, gone & buffer->full);
  EACH_LANE(lane, gone & (sender->control | sender->advance))
    switch_apply(fabric, step->band, step->pe0 + (uint32_t)lane, sender->color, head_of(step, sender, lane), step->now);
  if (ROUTERS_CHECKED)
    EACH_LANE(lane, gone)
      senders_pop(fabric, step->pe0 + (uint32_t)lane, sender->color, sender->port, step->now);
  buffer_pop(fabric, buffer, gone);
  uint32_t *more = waits_more(step, sender);
  if (more)
    EACH_LANE(lane, gone)
      more[lane] = 0;
  lanes_fill(buffer->since, (uint32_t)step->now + 1, gone & sliced_nonzero(buffer->landed));
  mark_dirty(fabric, step->block, sender->color);
  for (int port = 0; port < fabric->inputs[sender->color]; port++)
    if (sliced_nonzero(buffer_of(fabric, sender->color, port, step->block)->held)) return;
  step->router->busy &= ~(1u << sender->color);
}

void ROUTERS_STEP(wse_fabric *fabric, band_state *band, uint32_t block, uint64_t now) {
  router_step step;
  step.fabric = fabric;
  step.band = band;
  step.router = &fabric->routers[block];
  step.block = block;
  step.pe0 = fabric->block_pe[block];
  step.now = now;
  step.count = 0;
  memset(step.requested, 0, sizeof step.requested);
  memset(step.contested, 0, sizeof step.contested);
  for (uint32_t busy = step.router->busy; busy; busy &= busy - 1)
    gather(&step, __builtin_ctz(busy));
  for (int i = 0; i < step.count; i++)
    request(&step, &step.candidates[i]);
  bool moves = false;
  for (int port = 0; port < WSE_PORTS; port++) {
    if (!step.requested[port]) continue;
    moves = true;
    if (fabric->links_rest && port != WSE_RAMP) rest_links(&step, port);
    arbitrate(&step, port);
    EACH_SENDER(c, &step, port)
      send(&step, c, port);
  }
  if (!moves) return;
  activity_last(band, now + 1);
  for (int i = 0; i < step.count; i++)
    pop(&step, &step.candidates[i]);
  if (step.router->busy) wake_block(fabric, block, now + 1);
}

#ifdef ROUTERS_BASE
step_function routers_step_for(int portable) {
  return HOST_PICK(portable, routers_step_base, routers_step_avx2, routers_step_avx512);
}
#endif
