/* router.c - 64 routers of a row in one step; each moves at most one wavelet per output and cycle.
 *
 * Every color has its own buffer per input, so a blocked color blocks nobody else.  In a cycle, each color whose head has landed
 * asks for the outputs of its route's current position that have not taken this wavelet yet and that have room; each output
 * takes the next color in turn (round robin).  A wavelet leaves its buffer when every output of its route has taken it
 * [docs/machine.md: assumptions].  Room is what the receiver had when the cycle began: the order of routers never matters.
 * If a route names several inputs, the one goes whose head some outputs have taken already, else the one that waits longest,
 * else the first of N E S W RAMP.
 *
 * The arbitration rule stands in `arbitrate`; the latencies are hop_cycles and ramp_in_cycles of machine.def.  Lane i of a plane
 * is the i-th router of the word.  What is rare (control wavelets, filters, color swaps, streams at the edge) goes lane by lane.
 */
#include "router/router.h"

#include "fast/store_rows.h"
#include "observe/account.h"
#include "observe/fault.h"
#include "observe/trace.h"
#include "router/buffer.h"
#include "router/stream.h"
#include "router/switch.h"
#include "state/queue.h"

#ifndef ROUTERS_STEP /* router_avx2.c and router_avx512.c include this file, too */
#define ROUTERS_STEP routers_step_base
#define ROUTERS_BASE
#endif

/* A color and input of the word that has something to send. */
typedef struct {
  buffer_word *buffer;
  route_word *route;
  uint64_t ready;              /* lanes whose head may leave */
  uint64_t control, advance;   /* ... and is a control wavelet, or advances the switch */
  uint64_t drops;              /* lanes whose ramp takes the head and forgets it */
  uint64_t asks[WSE_PORTS];    /* lanes that want the output and find room */
  uint8_t color, port;
  bool read;                   /* heads are there */
  _Alignas(LINE) uint32_t room_before[LINE / 4]; /* for who reads a row one lane off */
  uint32_t heads[LANES];
  uint32_t room_after[LINE / 4];
} candidate;

typedef struct {
  wse_fabric *f;
  band *b;
  router_word *r;
  uint32_t word, pe0;
  uint64_t now;
  uint64_t asked[WSE_PORTS], contested[WSE_PORTS]; /* lanes, by candidates: by one, by several */
  int count;
  candidate candidates[WSE_COLORS * WSE_PORTS];
} step;

static uint32_t *heads_of(const step *s, candidate *c) {
  if (!c->read) buffer_heads(s->f, c->buffer, c->ready, c->heads);
  c->read = true;
  return c->heads;
}

/* What 32 bits do not hold of the waits of a candidate's lanes; NULL as long as no run is that long. */
static uint32_t *waits_more(const step *s, const candidate *c) {
  uint32_t *more = atomic_load_explicit(&s->f->waits_more[c->color][c->port], memory_order_relaxed);
  return more ? more + (size_t)s->word * LANES : NULL;
}

static wavelet head_of(const step *s, candidate *c, uint64_t lane) {
  return (wavelet){heads_of(s, c)[lane],
                   (bit(c->control, lane) ? WAVELET_CONTROL : 0u) | (bit(c->advance, lane) ? WAVELET_ADVANCE : 0u)};
}

/* --- who is ready -------------------------------------------------------------------------------------------------------- */

static void collide(step *s, int color, uint64_t lanes) {
  EACH_LANE(lane, lanes) {
    wse_fault fault = fault_at(s->f, s->pe0 + (uint32_t)lane, s->now, WSE_FAULT_COLLISION);
    fault.color = s->f->color_of[color];
    fault_raise(s->b, fault);
  }
}

/* Cycles that the head in a lane of a candidate has waited. */
static uint64_t waited(const step *s, const candidate *c, uint64_t lane) {
  const uint32_t *more = waits_more(s, c);
  return (uint64_t)((uint32_t)s->now - c->buffer->since[lane]) + (more ? (uint64_t)more[lane] * CLOCK_UNIT : 0);
}

/* Of the inputs of one color that are ready in a lane, all but one wait. */
static void choose_inputs(const step *s, candidate *first, int n, uint64_t lanes) {
  EACH_LANE(lane, lanes) {
    candidate *best = NULL;
    for (candidate *c = first; c < first + n; c++) {
      if (!bit(c->ready, lane)) continue;
      bool taken = false, best_taken = false;
      for (int port = 0; port < WSE_PORTS; port++) {
        taken |= bit(c->buffer->sent[port], lane);
        best_taken |= best && bit(best->buffer->sent[port], lane);
      }
      bool longer = best && waited(s, best, lane) < waited(s, c, lane);
      if (!best || (taken && !best_taken) || (longer && taken == best_taken)) best = c;
    }
    for (candidate *c = first; c < first + n; c++)
      if (c != best) c->ready &= ~((uint64_t)1 << lane);
  }
}

/* What has landed in one buffer, and the lanes whose head may leave it. */
static uint64_t land(step *s, buffer_word *q) {
  uint64_t *air = &q->air[s->now & (NEAR - 1)], lands = *air;
  if (lands) {
    *air = 0;
    lanes_fill(q->since, (uint32_t)s->now, lands & ~digits_some(q->landed));
    digits_add(q->landed, lands);
  }
  return lands;
}

static void add_candidate(step *s, buffer_word *q, route_word *route, uint64_t ready, int color, int port) {
  candidate *c = &s->candidates[s->count++];
  c->buffer = q;
  c->route = route;
  c->ready = ready;
  c->control = buffer_flags(s->f, q, q->control);
  c->advance = buffer_flags(s->f, q, q->advance);
  c->color = (uint8_t)color;
  c->port = (uint8_t)port;
  c->read = false;
}

static void gather(step *s, int color) {
  wse_fabric *f = s->f;
  route_word *route = &f->routes[color][s->word];
  if (f->inputs[color] == 1) {
    buffer_word *q = buffer_of(f, color, 0, s->word);
    land(s, q);
    uint64_t ready = digits_some(q->landed) & route->takes;
    if (ready) add_candidate(s, q, route, ready, color, 0);
    return;
  }
  candidate *first = &s->candidates[s->count];
  uint64_t landings = 0, together = 0, ready = 0, contested = 0;
  for (int port = 0; port < WSE_PORTS; port++) {
    buffer_word *q = buffer_of(f, color, port, s->word);
    if (!digits_some(q->held)) continue;
    uint64_t enabled = route->rx[port], lands = land(s, q) & enabled, mine = digits_some(q->landed) & enabled;
    together |= landings & lands;
    landings |= lands;
    if (!mine) continue;
    contested |= ready & mine;
    ready |= mine;
    add_candidate(s, q, route, mine, color, port);
  }
  if (together) collide(s, color, together);
  if (contested) choose_inputs(s, first, (int)(&s->candidates[s->count] - first), contested);
}

/* --- room ---------------------------------------------------------------------------------------------------------------- */

/* The plane `full` of the neighbors on one side, aligned with this word's lanes. */
static uint64_t full_beyond(const step *s, int color, int port) {
  const wse_fabric *f = s->f;
  uint32_t word = s->word, rows = f->row_words, column = word % rows;
  switch (port) {
    case WSE_N: return word >= rows ? buffer_of(f, color, WSE_S, word - rows)->full : 0;
    case WSE_S: return word + rows < f->words ? buffer_of(f, color, WSE_N, word + rows)->full : 0;
    case WSE_E:
      return buffer_of(f, color, WSE_W, word)->full >> 1 | (column + 1 < rows ? buffer_of(f, color, WSE_W, word + 1)->full << 63 : 0);
    default:
      return buffer_of(f, color, WSE_E, word)->full << 1 | (column > 0 ? buffer_of(f, color, WSE_E, word - 1)->full >> 63 : 0);
  }
}

/* The color (index) on which a wavelet leaves by `port`; -1 if its swapped color is not in the program. */
static int color_after(const wse_fabric *f, uint64_t route, int color, int port) {
  bool swap = port == WSE_E || port == WSE_W ? route >> WSE_ROUTE_SWAP_X & 1
              : port != WSE_RAMP             ? route >> WSE_ROUTE_SWAP_Y & 1
                                             : 0;
  return swap ? f->color_index[f->color_of[color] ^ 1] : color;
}

static bool lane_has_room(step *s, candidate *c, uint64_t lane, int port) {
  wse_fabric *f = s->f;
  uint32_t pe = s->pe0 + (uint32_t)lane, to;
  uint64_t route = f->route[c->color][pe];
  if (port == WSE_RAMP) {
    wavelet w = head_of(s, c, lane);
    bool refused = w.meta & WAVELET_CONTROL && switch_commands(w.data) >> 2 & 1;
    if (!refused && filter_passes(f, pe, c->color, route, w)) return !bit(c->route->ramp_full, lane);
    c->drops |= (uint64_t)1 << lane;
    return true;
  }
  int leaves = color_after(f, route, c->color, port);
  if (leaves >= 0 && beyond(f, pe, leaves, port, &to)) return router_has_room(f, to, leaves, port ^ 2);
  stream *out = leaves < 0 ? NULL : stream_out_at(f, pe, port, f->color_of[leaves]);
  if (!out && leaves >= 0 && f->host[leaves]) return false; /* until the host asks for it */
  if (!out) {
    wse_fault fault = fault_at(f, pe, s->now, WSE_FAULT_OFF_EDGE);
    fault.color = f->color_of[c->color];
    fault.port = port;
    fault_raise(s->b, fault);
    return false;
  }
  uint64_t again = 0;
  bool room = stream_has_room(out, s->now, &again);
  if (!room && again) wake_word(f, s->word, again - s->now < NEAR ? again : s->now + NEAR - 1);
  return room;
}

/* Lanes whose wavelets of a color leave to the host by this side. */
static uint64_t to_host(const step *s, int color, int port) { return s->f->host[color] ? ~(uint64_t)0 : s->r->edge[port]; }

static void ask(step *s, candidate *c) {
  c->drops = 0;
  for (uint32_t ports = c->route->ports; ports; ports &= ports - 1) {
    int port = __builtin_ctz(ports);
    uint64_t wanted = c->ready & c->route->tx[port] & ~c->buffer->sent[port], rare, room;
    c->asks[port] = 0;
    if (!wanted) continue;
    if (port == WSE_RAMP) {
      rare = wanted & (c->route->special | c->control);
      room = ~c->route->ramp_full;
    } else {
      rare = wanted & (c->route->special | to_host(s, c->color, port));
      room = wanted == rare ? 0 : ~full_beyond(s, c->color, port);
    }
    uint64_t asks = wanted & ~rare & room;
    EACH_LANE(lane, rare) if (lane_has_room(s, c, lane, port)) asks |= (uint64_t)1 << lane;
    c->asks[port] = asks;
    s->contested[port] |= s->asked[port] & asks;
    s->asked[port] |= asks;
  }
}

/* The candidates that ask for an output. */
#define EACH_ASKING(c, s, port)                                                \
  for (candidate *c = (s)->candidates; c < (s)->candidates + (s)->count; c++)  \
    if (c->route->ports >> (port) & 1 && c->asks[port])

/* --- arbitration --------------------------------------------------------------------------------------------------------- */

/* Lanes whose turn pointer is at or before the color. */
static uint64_t turn_reached(const step *s, int port, uint32_t color) {
  uint64_t less = 0, same = ~(uint64_t)0;
  for (int k = (int)s->f->turn_bits - 1; k >= 0; k--) {
    uint64_t next = s->r->next[port][k];
    if (color >> k & 1) less |= same & ~next;
    same &= color >> k & 1 ? next : ~next;
  }
  return less | same;
}

/* Round robin: of the colors that ask for the output, the first at or after its pointer; asks[] keep the winners only. */
static void arbitrate(step *s, int port) {
  uint64_t contested = s->contested[port], reached = 0, granted = 0;
  if (contested) EACH_ASKING(c, s, port) reached |= c->asks[port] & turn_reached(s, port, c->color);
  EACH_ASKING(c, s, port) { /* in order of color */
    if (contested) {
      uint64_t late = reached & contested & ~turn_reached(s, port, c->color); /* somebody after the pointer asks: not my turn */
      c->asks[port] &= ~late & ~(granted & contested);
      granted |= c->asks[port];
    }
    uint64_t won = c->asks[port], *next = s->r->next[port];
    for (uint32_t k = 0; k < s->f->turn_bits; k++) next[k] = (next[k] & ~won) | ((c->color + 1u) >> k & 1 ? won : 0);
  }
}

/* Lanes whose link may move this cycle, and the count of what they moved without a rest. */
static void rest_links(step *s, int port) {
  link_word *l = &s->f->links_rest[s->word];
  uint8_t every = (uint8_t)P(s->f, link_bubble_every);
  uint64_t resting = 0;
  EACH_LANE(lane, s->asked[port]) {
    if (l->sent_at[port][lane] != (uint32_t)(s->now - 1)) l->streak[port][lane] = 0; /* it has rested */
    if (l->streak[port][lane] >= every) {
      resting |= (uint64_t)1 << lane;
    } else {
      l->streak[port][lane]++;
      l->sent_at[port][lane] = (uint32_t)s->now;
    }
  }
  EACH_ASKING(c, s, port) c->asks[port] &= ~resting;
  s->contested[port] &= ~resting;
}

/* --- moves --------------------------------------------------------------------------------------------------------------- */

static void send_down(step *s, candidate *c, uint64_t lanes) {
  wse_fabric *f = s->f;
  uint64_t lands = s->now + (uint64_t)P(f, ramp_in_cycles);
  uint64_t stored = lanes & c->route->sinks & ~(c->control | c->route->special);
  if (stored) stored = sinks_take(f, s->b, s->word, c->color, stored, heads_of(s, c), s->now, lands);
  c->route->sinks &= ~(lanes & ~stored); /* nobody overtakes a wavelet that goes the usual way */
  if (f->trace_capacity)
    EACH_LANE(lane, stored) trace_event(f, s->b, s->now, s->pe0 + (uint32_t)lane, WSE_EV_LAND, f->color_of[c->color], c->heads[lane]);
  EACH_LANE(lane, lanes & ~stored) {
    uint32_t pe = s->pe0 + (uint32_t)lane;
    wavelet w = head_of(s, c, lane);
    if (bit(c->route->special, lane)) filter_count(f, pe, c->color, f->route[c->color][pe], w);
    if (bit(c->drops, lane)) continue;
    int n = queue_of_color(f, pe, f->color_of[c->color]);
    queue *q = iq_of(f, n, pe);
    queue_push(q, f->iq_mask[n], (wavelet){w.data, wavelet_meta(lands, w.meta & WAVELET_CONTROL)});
    if (queue_full(q, f->iq_room[n])) c->route->ramp_full |= (uint64_t)1 << lane;
    f->ces[pe].input_queues |= (uint8_t)(1u << n);
    if (w.meta & WAVELET_CONTROL) f->ces[pe].control_queues |= (uint8_t)(1u << n);
    wake_ce(f, s->b, pe, s->now, lands);
    trace_event(f, s->b, s->now, pe, WSE_EV_LAND, (uint32_t)f->color_of[c->color] | (w.meta & WAVELET_CONTROL ? 32 : 0), w.data);
  }
}

static void send_one(step *s, candidate *c, uint64_t lane, int port) {
  wse_fabric *f = s->f;
  uint32_t pe = s->pe0 + (uint32_t)lane, to;
  uint64_t route = f->route[c->color][pe];
  wavelet w = head_of(s, c, lane);
  if (w.meta & WAVELET_CONTROL) w.data = switch_pop(route, w.data);
  w.meta &= WAVELET_CONTROL; /* the last wavelet of an operation advances its own router's switch, no other */
  int leaves = color_after(f, route, c->color, port);
  if (beyond(f, pe, leaves, port, &to)) push_one(f, to, leaves, port ^ 2, w, s->now + (uint64_t)P(f, hop_cycles));
  else stream_take(stream_out_at(f, pe, port, f->color_of[leaves]), w, s->now);
}

static void send_lanes(step *s, candidate *c, uint64_t lanes, int port) {
  wse_fabric *f = s->f;
  uint32_t *head = heads_of(s, c), rows = f->row_words;
  landing l = {s->word, c->color, port ^ 2, lanes, 0, 0, head, s->now + (uint64_t)P(f, hop_cycles)};
  uint64_t over; /* lanes that leave the word */
  switch (port) {
    case WSE_N: l.word -= rows; push(f, &l); return;
    case WSE_S: l.word += rows; push(f, &l); return;
    case WSE_E:
      over = lanes >> 63;
      l.lanes <<= 1;
      l.data = head - 1;
      if (l.lanes) push(f, &l);
      break;
    default:
      over = lanes & 1;
      l.lanes >>= 1;
      l.data = head + 1;
      if (l.lanes) push(f, &l);
  }
  if (!over) return;
  l.word = port == WSE_E ? s->word + 1 : s->word - 1;
  l.lanes = port == WSE_E ? 1 : (uint64_t)1 << 63;
  l.data = port == WSE_E ? head + 63 : head - 63;
  push(f, &l);
}

/* Of waits that 32 bits do not hold, the part that is kept in waits_more. */
static void send_late(step *s, const candidate *c, uint64_t lanes, int port) {
  wse_fabric *f = s->f;
  const uint32_t *more = waits_more(s, c);
  uint32_t *to = atomic_load_explicit(&f->blocked_more, memory_order_relaxed) + ((size_t)port * f->words + s->word) * LANES;
  EACH_LANE(lane, lanes) {
    to[lane] += more[lane];
    s->b->colors[c->color][port][1] += (uint64_t)more[lane] * CLOCK_UNIT;
  }
}

static void send(step *s, candidate *c, int port) {
  wse_fabric *f = s->f;
  uint64_t lanes = c->asks[port];
  uint64_t *total = s->b->colors[c->color][port];
  lanes_count(f->links[port] + s->word * LANES, lanes);
  total[0] += (uint64_t)__builtin_popcountll(lanes);
  total[1] += lanes_wait(f->blocked[port] + s->word * LANES, c->buffer->since, (uint32_t)s->now, lanes);
  if (waits_more(s, c)) send_late(s, c, lanes, port);
  c->buffer->sent[port] |= lanes;
  if (port == WSE_RAMP) {
    send_down(s, c, lanes);
    return;
  }
  series_add(f, s->b, s->now, SERIES_HOPS, (uint64_t)__builtin_popcountll(lanes));
  uint64_t rare = lanes & (c->control | c->route->special | to_host(s, c->color, port));
  if (lanes & ~rare) send_lanes(s, c, lanes & ~rare, port);
  EACH_LANE(lane, rare) send_one(s, c, lane, port);
}

/* --- what has gone everywhere -------------------------------------------------------------------------------------------- */

/* The senders of buffers that had no room may try again. */
static void wake_upstream(step *s, candidate *c, uint64_t lanes) {
  wse_fabric *f = s->f;
  uint32_t rows = f->row_words, column = s->word % rows;
  for (int port = 0; port < WSE_PORTS; port++) {
    uint64_t from = f->inputs[c->color] == 1 ? lanes & c->route->rx[port] : port == c->port ? lanes : 0;
    if (!from) continue;
    if (port == WSE_RAMP) {
      EACH_LANE(lane, from) wake_ce(f, s->b, s->pe0 + (uint32_t)lane, s->now, s->now + 1);
      continue;
    }
    uint64_t outside = from & to_host(s, c->color, port);
    if (outside) streams_wake(f, s->pe0, s->now + 1);
    from &= ~outside;
    if (!from) continue;
    if (port == WSE_N) wake_word(f, s->word - rows, s->now + 1);
    if (port == WSE_S) wake_word(f, s->word + rows, s->now + 1);
    if (port == WSE_E || port == WSE_W) wake_word(f, s->word, s->now + 1);
    if (port == WSE_E && from >> 63 && column + 1 < rows) wake_word(f, s->word + 1, s->now + 1);
    if (port == WSE_W && from & 1 && column > 0) wake_word(f, s->word - 1, s->now + 1);
  }
}

static void pop(step *s, candidate *c) {
  wse_fabric *f = s->f;
  buffer_word *q = c->buffer;
  uint64_t stays = 0, some = 0;
  for (uint32_t ports = c->route->ports; ports; ports &= ports - 1) {
    int port = __builtin_ctz(ports);
    stays |= c->route->tx[port] & ~q->sent[port];
    some |= c->route->tx[port];
  }
  uint64_t gone = c->ready & some & ~stays;
  if (!gone) return;
  if (gone & q->full) wake_upstream(s, c, gone & q->full);
  EACH_LANE(lane, gone & (c->control | c->advance))
    switch_apply(f, s->b, s->pe0 + (uint32_t)lane, c->color, head_of(s, c, lane), s->now);
  buffer_pop(f, q, gone);
  uint32_t *more = waits_more(s, c);
  if (more) EACH_LANE(lane, gone) more[lane] = 0;
  lanes_fill(q->since, (uint32_t)s->now + 1, gone & digits_some(q->landed));
  mark_dirty(f, s->word, c->color);
  for (int port = 0; port < f->inputs[c->color]; port++)
    if (digits_some(buffer_of(f, c->color, port, s->word)->held)) return;
  s->r->busy &= ~(1u << c->color);
}

void ROUTERS_STEP(wse_fabric *f, band *b, uint32_t word, uint64_t now) {
  step s;
  s.f = f;
  s.b = b;
  s.r = &f->routers[word];
  s.word = word;
  s.pe0 = f->word_pe[word];
  s.now = now;
  s.count = 0;
  memset(s.asked, 0, sizeof s.asked);
  memset(s.contested, 0, sizeof s.contested);
  for (uint32_t busy = s.r->busy; busy; busy &= busy - 1) gather(&s, __builtin_ctz(busy));
  for (int i = 0; i < s.count; i++) ask(&s, &s.candidates[i]);
  bool moves = false;
  for (int port = 0; port < WSE_PORTS; port++) {
    if (!s.asked[port]) continue;
    moves = true;
    if (f->links_rest && port != WSE_RAMP) rest_links(&s, port);
    arbitrate(&s, port);
    EACH_ASKING(c, &s, port) send(&s, c, port);
  }
  if (!moves) return;
  activity_last(b, now + 1);
  for (int i = 0; i < s.count; i++) pop(&s, &s.candidates[i]);
  if (s.r->busy) wake_word(f, word, now + 1);
}

#ifdef ROUTERS_BASE
step_function routers_step_for(bool portable) {
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
  if (!portable && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    return routers_step_avx512;
  if (!portable && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2")) return routers_step_avx2;
#endif
  (void)portable;
  return routers_step_base;
}
#endif
