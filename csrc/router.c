/* router.c - a router moves at most one wavelet per output and cycle.
 *
 * Every color has its own buffer per input, so a blocked color blocks nobody else.  In a cycle, each color whose head is ready
 * asks for the outputs of its route's current position that have not taken this wavelet yet and that have room; each output
 * takes the next color in turn (round robin).  A wavelet leaves its buffer when every output of its route has taken it
 * [shared/hardware.md U3, U4, U17].  Room is what the receiver had when the cycle began: the order of routers never matters.
 *
 * The arbitration rule stands in `arbitrate`, the latencies are hop_cycles and ramp_in_cycles of machine.def.
 */
#include "router.h"

#include "queue.h"
#include "wake.h"

typedef struct {
  router_buffer *buffer;
  wavelet head;
  uint64_t route;
  uint32_t fill;   /* of the buffer, when the cycle began */
  uint8_t port;    /* input */
  uint8_t ramp;    /* what the ramp does with it: RAMP_... */
} candidate;

enum { RAMP_REFUSES, RAMP_TAKES, RAMP_DROPS };

static int buffer_count(router_buffer *q) {
  return (uint8_t)(atomic_load_explicit(&q->pushes, memory_order_acquire) -
                   (uint8_t)atomic_load_explicit(&q->pops, memory_order_relaxed));
}

static wavelet buffer_head(const wse_fabric *f, router_buffer *q) {
  return q->ring[(uint8_t)atomic_load_explicit(&q->pops, memory_order_relaxed) & f->ring_mask];
}

/* A wavelet of this buffer landed in this very cycle. */
static bool lands_now(const wse_fabric *f, router_buffer *q, uint64_t now) {
  uint8_t first = (uint8_t)atomic_load_explicit(&q->pops, memory_order_relaxed);
  for (int i = 0, n = buffer_count(q); i < n; i++)
    if (wavelet_when(q->ring[(uint8_t)(first + i) & f->ring_mask], now) == now) return true;
  return false;
}

/* The input of a color whose turn it is: of the enabled ones with a ready head, the one that waits longest. */
static bool choose_input(wse_fabric *f, band *b, uint32_t pe, int color, uint64_t now, candidate *out) {
  uint64_t route = f->route[color][pe];
  if (route >> WSE_ROUTE_TEARDOWN & 1) return false;
  uint32_t rx = route_rx(route, route_position(route));
  out->route = route;
  if (f->inputs[color] == 1) {
    if (!rx) return false;
    out->port = (uint8_t)__builtin_ctz(rx);
    out->buffer = buffer_of(f, color, 0, pe);
    if (!buffer_count(out->buffer)) return false;
    out->head = buffer_head(f, out->buffer);
    return wavelet_ready(out->head, now);
  }
  bool found = false;
  int landings = 0;
  uint64_t oldest = 0;
  for (int port = 0; port < WSE_PORTS; port++) {
    if (!(rx >> port & 1)) continue;
    router_buffer *q = buffer_of(f, color, port, pe);
    if (!buffer_count(q)) continue;
    landings += lands_now(f, q, now);
    wavelet head = buffer_head(f, q);
    if (!wavelet_ready(head, now)) continue;
    uint64_t when = wavelet_when(head, now);
    /* a wavelet that some outputs have taken already goes first */
    if (!found || (q->sent && !out->buffer->sent) || (when < oldest && !out->buffer->sent)) {
      *out = (candidate){.buffer = q, .head = head, .route = route, .port = (uint8_t)port};
      oldest = when;
      found = true;
    }
  }
  if (landings > 1) {
    wse_fault fault = fault_at(f, pe, now, WSE_FAULT_COLLISION);
    fault.color = f->color_of[color];
    fault_raise(b, fault);
  }
  return found;
}

/* The color on which a wavelet leaves by `port`. */
static int color_after(const wse_fabric *f, uint64_t route, int color, int port) {
  bool swap = port == WSE_E || port == WSE_W ? route >> WSE_ROUTE_SWAP_X & 1
              : port != WSE_RAMP             ? route >> WSE_ROUTE_SWAP_Y & 1
                                             : 0;
  return swap ? f->color_index[f->color_of[color] ^ 1] : color;
}

static bool ramp_has_room(wse_fabric *f, uint32_t pe, int color, candidate *c) {
  bool control = c->head.meta & WAVELET_CONTROL;
  if ((control && (switch_commands(c->head.data) >> 2 & 1)) || !filter_passes(f, pe, color, c->route, c->head)) {
    c->ramp = RAMP_DROPS;
    return true;
  }
  c->ramp = RAMP_TAKES;
  int q = queue_of_color(f, pe, f->color_of[color]);
  return q >= 0 && !queue_full(iq_of(f, q, pe), f->iq_room[q]);
}

static bool has_room(wse_fabric *f, band *b, uint32_t pe, int color, int port, candidate *c, uint64_t now) {
  if (port == WSE_RAMP) return ramp_has_room(f, pe, color, c);
  int leaves = color_after(f, c->route, color, port);
  uint32_t to;
  if (leaves >= 0 && neighbor(f, pe, port, &to)) return buffer_fill(buffer_of(f, leaves, port ^ 2, to), now) < f->router_room;
  stream *s = leaves < 0 ? NULL : stream_out_at(f, pe, port, f->color_of[leaves]);
  if (!s) {
    wse_fault fault = fault_at(f, pe, now, WSE_FAULT_OFF_EDGE);
    fault.color = f->color_of[color];
    fault.port = port;
    fault_raise(b, fault);
    return false;
  }
  uint64_t again = 0;
  bool room = stream_has_room(s, now, &again);
  if (!room && again) wake_router(f, b, pe, now, again - now < NEAR ? again : now + NEAR - 1);
  return room;
}

/* Round robin: the first color at or after the output's pointer. */
static int arbitrate(router *r, int port, uint32_t asking) {
  uint32_t from = asking & ~((1u << r->next[port]) - 1);
  int color = __builtin_ctz(from ? from : asking);
  r->next[port] = (uint8_t)((color + 1) & 31);
  return color;
}

static void send(wse_fabric *f, band *b, uint32_t pe, int color, int port, candidate *c, uint64_t now) {
  uint32_t flags = c->head.meta & 3;
  uint32_t pops = atomic_load_explicit(&c->buffer->pops, memory_order_relaxed);
  uint64_t ready = wavelet_when(c->head, now), free = pops ? now - ((now - (pops >> 8)) & 0xffffff) + 1 : 0;
  uint64_t waited = now - (free > ready && free <= now ? free : ready);
  f->links[port][pe]++;
  f->blocked[port][pe] += (uint32_t)waited;
  b->colors[color][port][0]++;
  b->colors[color][port][1] += waited;
  c->buffer->sent |= (uint8_t)(1u << port);
  if (port == WSE_RAMP) {
    filter_count(f, pe, color, c->route, c->head);
    if (c->ramp == RAMP_DROPS) return;
    int q = queue_of_color(f, pe, f->color_of[color]);
    uint64_t lands = now + (uint64_t)P(f, ramp_in_cycles);
    queue_push(iq_of(f, q, pe), f->iq_mask[q], (wavelet){c->head.data, wavelet_meta(lands, flags & WAVELET_CONTROL)});
    f->ces[pe].input_queues |= (uint8_t)(1u << q);
    wake_ce(f, b, pe, now, lands);
    trace_event(f, b, now, pe, WSE_EV_LAND, (uint32_t)f->color_of[color] | (flags & WAVELET_CONTROL ? 32 : 0), c->head.data);
    return;
  }
  series_add(f, b, now, SERIES_HOPS, 1);
  uint32_t data = flags & WAVELET_CONTROL ? switch_pop(c->route, c->head.data) : c->head.data, to;
  int leaves = color_after(f, c->route, color, port);
  if (!neighbor(f, pe, port, &to)) {
    stream_take(stream_out_at(f, pe, port, f->color_of[leaves]), (wavelet){data, flags}, now);
    return;
  }
  uint64_t lands = now + (uint64_t)P(f, hop_cycles);
  buffer_push(f, buffer_of(f, leaves, port ^ 2, to), data, wavelet_meta(lands, flags));
  wake_landing(f, b, to, leaves, now, lands);
}

/* The head is gone: its room upstream, its switch commands, and the color's busy bit. */
static void pop(wse_fabric *f, band *b, uint32_t pe, int color, candidate *c, uint64_t now) {
  uint32_t pops = atomic_load_explicit(&c->buffer->pops, memory_order_relaxed);
  c->buffer->sent = 0;
  atomic_store_explicit(&c->buffer->pops, ((pops + 1) & 0xff) | (uint32_t)(now & 0xffffff) << 8, memory_order_release);
  if (c->fill >= f->router_room) {
    uint32_t from;
    if (c->port == WSE_RAMP) wake_ce(f, b, pe, now, now + 1);
    else if (neighbor(f, pe, c->port, &from)) wake_router(f, b, from, now, now + 1);
    else b->wake_streams = true;
  }
  if (c->head.meta & (WAVELET_CONTROL | WAVELET_ADVANCE)) switch_apply(f, b, pe, color, c->head, now);
  if (f->inputs[color] == 1) {
    if (!buffer_count(c->buffer)) f->routers[pe].busy &= ~(1u << color);
    return;
  }
  for (int port = 0; port < WSE_PORTS; port++)
    if (buffer_count(buffer_of(f, color, port, pe))) return;
  f->routers[pe].busy &= ~(1u << color);
}

void router_step(wse_fabric *f, band *b, uint32_t pe, uint64_t now) {
  router *r = &f->routers[pe];
  candidate candidates[WSE_COLORS];
  uint32_t asking[WSE_PORTS] = {0}, ready = 0;
  bool again = false;

  for (uint32_t busy = r->busy; busy; busy &= busy - 1) {
    int color = __builtin_ctz(busy);
    candidate *c = &candidates[color];
    if (!choose_input(f, b, pe, color, now, c)) continue;
    c->fill = buffer_fill(c->buffer, now);
    ready |= 1u << color;
    uint32_t wanted = route_tx(c->route, route_position(c->route)) & ~(uint32_t)c->buffer->sent;
    for (; wanted; wanted &= wanted - 1) {
      int port = __builtin_ctz(wanted);
      if (has_room(f, b, pe, color, port, c, now)) asking[port] |= 1u << color;
    }
  }

  uint32_t rest = (uint32_t)P(f, link_bubble_every);
  for (int port = 0; port < WSE_PORTS; port++) {
    if (!asking[port]) continue;
    again = true;
    if (rest && port != WSE_RAMP) {
      if (r->sent_at[port] != (uint8_t)(now - 1)) r->streak[port] = 0; /* it has rested */
      if (r->streak[port] >= rest) continue;
      r->streak[port]++;
      r->sent_at[port] = (uint8_t)now;
    }
    int color = arbitrate(r, port, asking[port]);
    send(f, b, pe, color, port, &candidates[color], now);
  }
  if (!again) return;

  activity_last(b, now + 1);
  for (; ready; ready &= ready - 1) {
    int color = __builtin_ctz(ready);
    candidate *c = &candidates[color];
    uint32_t tx = route_tx(c->route, route_position(c->route));
    if (tx && (tx & ~(uint32_t)c->buffer->sent) == 0) pop(f, b, pe, color, c, now);
  }
  if (r->busy) wake_router(f, b, pe, now, now + 1);
}
