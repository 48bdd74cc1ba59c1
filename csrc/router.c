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
#include "router.h"

#include "lanes.h"
#include "queue.h"
#include "sink.h"
#include "wake.h"

/* A color and input of the word that has something to send. */
typedef struct {
  buffer_word *buffer;
  route_word *route;
  uint64_t ready;              /* lanes whose head may leave */
  uint64_t drops;              /* lanes whose ramp takes the head and forgets it */
  uint64_t asks[WSE_PORTS];    /* lanes that want the output and find room */
  uint8_t color, port;
} candidate;

typedef struct {
  wse_fabric *f;
  band *b;
  router_word *r;
  uint32_t word, pe0;
  uint64_t now;
  bool again;                  /* somebody may go on in the next cycle */
  int count;
  candidate candidates[WSE_COLORS * WSE_PORTS];
} step;

static uint32_t *head_of(buffer_word *q) { return (uint32_t *)(void *)((char *)q + offsetof(buffer_word, data)); }
static bool bit(uint64_t plane, uint64_t lane) { return plane >> lane & 1; }
static void assign(uint64_t *plane, uint64_t lane, bool value) {
  *plane = (*plane & ~((uint64_t)1 << lane)) | (uint64_t)value << lane;
}
static wavelet wavelet_at(buffer_word *q, uint64_t lane) {
  return (wavelet){head_of(q)[lane], (bit(q->control[0], lane) ? WAVELET_CONTROL : 0u) | (bit(q->advance[0], lane) ? WAVELET_ADVANCE : 0u)};
}

/* --- what others put in ------------------------------------------------------------------------------------------------ */

static void mark_dirty(wse_fabric *f, band *b, uint32_t word, int color) {
  if (!f->routers[word].dirty) b->dirty[b->dirty_count++] = word;
  f->routers[word].dirty |= 1u << color;
}

void router_push(wse_fabric *f, band *b, const landing *l) {
  if (l->word < b->word0 || l->word >= b->word1) { /* another band's: by mail */
    mail *m = mail_new(b, l->word, b->now, l->when);
    m->color = (uint8_t)l->color;
    m->port = (uint8_t)l->port;
    m->lanes = l->lanes;
    m->control = l->control;
    m->advance = l->advance;
    lanes_copy(f, m->data, l->data, l->lanes);
    return;
  }
  buffer_word *q = buffer_of(f, l->color, l->port, l->word);
  uint64_t left = l->lanes;
  for (uint32_t place = 0; left; place++) {
    uint64_t here = left & digits_equal(q->held, place);
    if (!here) continue;
    lanes_copy(f, head_of(q) + place * LANES, l->data, here);
    q->control[place] = (q->control[place] & ~here) | (l->control & here);
    q->advance[place] = (q->advance[place] & ~here) | (l->advance & here);
    left &= ~here;
  }
  digits_add(q->held, l->lanes);
  q->air[l->when & (NEAR - 1)] |= l->lanes;
  f->routers[l->word].busy |= 1u << l->color;
  mark_dirty(f, b, l->word, l->color);
  ring_set(&b->routers, l->word - b->word0, l->when);
}

void router_push_one(wse_fabric *f, band *b, uint32_t pe, int color, int port, wavelet w, uint64_t when) {
  uint32_t at = f->place[pe], lane = at % LANES, data[LANES];
  uint64_t set = (uint64_t)1 << lane;
  data[lane] = w.data;
  router_push(f, b, &(landing){at / LANES, color, port, set, w.meta & WAVELET_CONTROL ? set : 0, w.meta & WAVELET_ADVANCE ? set : 0,
                               data, when});
}

bool router_has_room(const wse_fabric *f, uint32_t pe, int color, int port) {
  uint32_t at = f->place[pe];
  return !bit(buffer_of(f, color, port, at / LANES)->full, at % LANES);
}

void routers_settle(wse_fabric *f, band *b) {
  for (uint32_t i = 0; i < b->dirty_count; i++) {
    router_word *r = &f->routers[b->dirty[i]];
    for (uint32_t colors = r->dirty; colors; colors &= colors - 1) {
      int color = __builtin_ctz(colors);
      for (int port = 0; port < f->inputs[color]; port++) {
        buffer_word *q = buffer_of(f, color, port, b->dirty[i]);
        q->full = digits_least(q->held, f->router_room);
      }
    }
    r->dirty = 0;
  }
  b->dirty_count = 0;
}

void route_refresh(wse_fabric *f, uint32_t pe, int color) {
  uint64_t route = f->route[color][pe];
  uint32_t at = f->place[pe], lane = at % LANES;
  route_word *w = &f->routes[color][at / LANES];
  bool torn = route >> WSE_ROUTE_TEARDOWN & 1;
  for (int port = 0; port < WSE_PORTS; port++) {
    assign(&w->rx[port], lane, !torn && route_rx(route, route_position(route)) >> port & 1);
    assign(&w->tx[port], lane, route_tx(route, route_position(route)) >> port & 1);
  }
  assign(&w->special, lane, route >> WSE_ROUTE_FILTER || route >> WSE_ROUTE_SWAP_X & 3);
}

void ramp_refresh(wse_fabric *f, uint32_t pe, int color) {
  uint32_t at = f->place[pe];
  int q = queue_of_color(f, pe, f->color_of[color]);
  assign(&f->routes[color][at / LANES].ramp_full, at % LANES, q < 0 || queue_full(iq_of(f, q, pe), f->iq_room[q]));
}

/* --- who is ready -------------------------------------------------------------------------------------------------------- */

static void collide(step *s, int color, uint64_t lanes) {
  EACH_LANE(lane, lanes) {
    wse_fault fault = fault_at(s->f, s->pe0 + (uint32_t)lane, s->now, WSE_FAULT_COLLISION);
    fault.color = s->f->color_of[color];
    fault_raise(s->b, fault);
  }
}

/* Of the inputs of one color that are ready in a lane, all but one wait. */
static void choose_inputs(candidate *first, int n, uint64_t lanes) {
  EACH_LANE(lane, lanes) {
    candidate *best = NULL;
    for (candidate *c = first; c < first + n; c++) {
      if (!bit(c->ready, lane)) continue;
      bool taken = false, best_taken = false;
      for (int port = 0; port < WSE_PORTS; port++) {
        taken |= bit(c->buffer->sent[port], lane);
        best_taken |= best && bit(best->buffer->sent[port], lane);
      }
      bool longer = best && (int32_t)(best->buffer->since[lane] - c->buffer->since[lane]) > 0;
      if (!best || (taken && !best_taken) || (longer && taken == best_taken)) best = c;
    }
    for (candidate *c = first; c < first + n; c++)
      if (c != best) c->ready &= ~((uint64_t)1 << lane);
  }
}

static void gather(step *s, int color) {
  wse_fabric *f = s->f;
  route_word *route = &f->routes[color][s->word];
  candidate *first = &s->candidates[s->count];
  uint64_t landings = 0, together = 0, ready = 0, contested = 0;
  int n = 0;
  for (int port = 0; port < f->inputs[color]; port++) {
    buffer_word *q = buffer_of(f, color, port, s->word);
    if (!digits_some(q->held)) continue;
    uint64_t lands = q->air[s->now & (NEAR - 1)];
    if (lands) {
      q->air[s->now & (NEAR - 1)] = 0;
      lanes_fill(f, q->since, (uint32_t)s->now, lands & ~digits_some(q->landed));
      digits_add(q->landed, lands);
    }
    uint64_t enabled = f->inputs[color] > 1 ? route->rx[port] : route->rx[0] | route->rx[1] | route->rx[2] | route->rx[3] | route->rx[4];
    candidate *c = &s->candidates[s->count];
    c->ready = digits_some(q->landed) & enabled;
    together |= landings & lands & enabled;
    landings |= lands & enabled;
    if (!c->ready) continue;
    contested |= ready & c->ready;
    ready |= c->ready;
    c->buffer = q;
    c->route = route;
    c->color = (uint8_t)color;
    c->port = (uint8_t)port;
    s->count++;
    n++;
  }
  if (together) collide(s, color, together);
  if (contested) choose_inputs(first, n, contested);
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
    wavelet w = wavelet_at(c->buffer, lane);
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
  if (!room && again) wake_word(s->b, s->word, s->now, again - s->now < NEAR ? again : s->now + NEAR - 1);
  return room;
}

/* Lanes whose wavelets of a color leave to the host by this side. */
static uint64_t to_host(const step *s, int color, int port) { return s->f->host[color] ? ~(uint64_t)0 : s->r->edge[port]; }

static void ask(step *s, candidate *c) {
  c->drops = 0;
  for (int port = 0; port < WSE_PORTS; port++) {
    uint64_t wanted = c->ready & c->route->tx[port] & ~c->buffer->sent[port], rare, room;
    c->asks[port] = 0;
    if (!wanted) continue;
    if (port == WSE_RAMP) {
      rare = wanted & (c->route->special | c->buffer->control[0]);
      room = ~c->route->ramp_full;
    } else {
      rare = wanted & (c->route->special | to_host(s, c->color, port));
      room = wanted == rare ? 0 : ~full_beyond(s, c->color, port);
    }
    c->asks[port] = wanted & ~rare & room;
    EACH_LANE(lane, rare) if (lane_has_room(s, c, lane, port)) c->asks[port] |= (uint64_t)1 << lane;
  }
}

/* --- arbitration --------------------------------------------------------------------------------------------------------- */

/* Lanes whose turn pointer is at or before the color. */
static uint64_t turn_reached(const uint64_t next[5], uint32_t color) {
  uint64_t less = 0, same = ~(uint64_t)0;
  for (int k = 4; k >= 0; k--) {
    if (color >> k & 1) less |= same & ~next[k];
    same &= color >> k & 1 ? next[k] : ~next[k];
  }
  return less | same;
}

/* Round robin: of the colors that ask for the output, the first at or after its pointer; asks[] keep the winners only. */
static void arbitrate(step *s, int port) {
  uint64_t any = 0, contested = 0, *next = s->r->next[port];
  for (int i = 0; i < s->count; i++) {
    contested |= any & s->candidates[i].asks[port];
    any |= s->candidates[i].asks[port];
  }
  if (!any) return;
  s->again = true;
  uint64_t reached = 0, granted = 0; /* candidates are in order of color */
  for (int i = 0; contested && i < s->count; i++)
    reached |= s->candidates[i].asks[port] & turn_reached(next, s->candidates[i].color);
  for (int i = 0; i < s->count; i++) {
    candidate *c = &s->candidates[i];
    uint64_t asks = c->asks[port];
    if (!asks) continue;
    if (contested) {
      uint64_t late = reached & contested & ~turn_reached(next, c->color); /* somebody after the pointer asks: not my turn */
      c->asks[port] = asks & ~late & ~(granted & contested);
      granted |= c->asks[port];
    }
  }
  for (int i = 0; i < s->count; i++) {
    uint64_t won = s->candidates[i].asks[port];
    if (!won) continue;
    for (int k = 0; k < 5; k++) next[k] = (next[k] & ~won) | ((s->candidates[i].color + 1u) >> k & 1 ? won : 0);
  }
}

/* Lanes whose link may move this cycle, and the count of what they moved without a rest. */
static void rest_links(step *s, int port) {
  link_word *l = &s->f->links_rest[s->word];
  uint8_t every = (uint8_t)P(s->f, link_bubble_every);
  uint64_t any = 0, resting = 0;
  for (int i = 0; i < s->count; i++) any |= s->candidates[i].asks[port];
  EACH_LANE(lane, any) {
    if (l->sent_at[port][lane] != (uint32_t)(s->now - 1)) l->streak[port][lane] = 0; /* it has rested */
    if (l->streak[port][lane] >= every) {
      resting |= (uint64_t)1 << lane;
    } else {
      l->streak[port][lane]++;
      l->sent_at[port][lane] = (uint32_t)s->now;
    }
  }
  if (resting) s->again = true;
  for (int i = 0; i < s->count; i++) s->candidates[i].asks[port] &= ~resting;
}

/* --- moves --------------------------------------------------------------------------------------------------------------- */

static void send_down(step *s, candidate *c, uint64_t lanes) {
  wse_fabric *f = s->f;
  uint64_t lands = s->now + (uint64_t)P(f, ramp_in_cycles), stored = 0;
  EACH_LANE(lane, lanes & c->route->sinks & ~(c->buffer->control[0] | c->route->special))
    if (sink_take(f, s->b, s->pe0 + (uint32_t)lane, c->color, head_of(c->buffer)[lane], lands)) {
      stored |= (uint64_t)1 << lane;
      trace_event(f, s->b, s->now, s->pe0 + (uint32_t)lane, WSE_EV_LAND, f->color_of[c->color], head_of(c->buffer)[lane]);
    }
  if (stored) {
    activity_last(s->b, lands + 1);
    if (f->activity) EACH_LANE(lane, stored) series_span(f, s->b, s->pe0 + (uint32_t)lane, lands, 1, SERIES_BUSY);
    else series_add(f, s->b, lands, SERIES_BUSY, (uint64_t)__builtin_popcountll(stored));
  }
  EACH_LANE(lane, lanes & ~stored) {
    uint32_t pe = s->pe0 + (uint32_t)lane;
    wavelet w = wavelet_at(c->buffer, lane);
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
  wavelet w = wavelet_at(c->buffer, lane);
  if (w.meta & WAVELET_CONTROL) w.data = switch_pop(route, w.data);
  w.meta &= WAVELET_CONTROL; /* the last wavelet of an operation advances its own router's switch, no other */
  int leaves = color_after(f, route, c->color, port);
  if (beyond(f, pe, leaves, port, &to)) router_push_one(f, s->b, to, leaves, port ^ 2, w, s->now + (uint64_t)P(f, hop_cycles));
  else stream_take(stream_out_at(f, pe, port, f->color_of[leaves]), w, s->now);
}

static void send_lanes(step *s, candidate *c, uint64_t lanes, int port) {
  wse_fabric *f = s->f;
  uint32_t *head = head_of(c->buffer), rows = f->row_words;
  landing l = {s->word, c->color, port ^ 2, lanes, 0, 0, head, s->now + (uint64_t)P(f, hop_cycles)};
  uint64_t over; /* lanes that leave the word */
  switch (port) {
    case WSE_N: l.word -= rows; router_push(f, s->b, &l); return;
    case WSE_S: l.word += rows; router_push(f, s->b, &l); return;
    case WSE_E:
      over = lanes >> 63;
      l.lanes <<= 1;
      l.data = head - 1;
      if (l.lanes) router_push(f, s->b, &l);
      break;
    default:
      over = lanes & 1;
      l.lanes >>= 1;
      l.data = head + 1;
      if (l.lanes) router_push(f, s->b, &l);
  }
  if (over) send_one(s, c, port == WSE_E ? 63 : 0, port);
}

static void send(step *s, candidate *c, int port) {
  wse_fabric *f = s->f;
  uint64_t lanes = c->asks[port];
  uint64_t *total = s->b->colors[c->color][port];
  lanes_count(f, f->links[port] + s->pe0, lanes);
  total[0] += (uint64_t)__builtin_popcountll(lanes);
  total[1] += lanes_wait(f, f->blocked[port] + s->pe0, c->buffer->since, s->now, lanes);
  c->buffer->sent[port] |= lanes;
  if (port == WSE_RAMP) {
    send_down(s, c, lanes);
    return;
  }
  series_add(f, s->b, s->now, SERIES_HOPS, (uint64_t)__builtin_popcountll(lanes));
  uint64_t rare = lanes & (c->buffer->control[0] | c->route->special | to_host(s, c->color, port));
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
    if (outside) s->b->wake_streams = true;
    from &= ~outside;
    if (!from) continue;
    if (port == WSE_N) wake_word(s->b, s->word - rows, s->now, s->now + 1);
    if (port == WSE_S) wake_word(s->b, s->word + rows, s->now, s->now + 1);
    if (port == WSE_E || port == WSE_W) wake_word(s->b, s->word, s->now, s->now + 1);
    if (port == WSE_E && from >> 63 && column + 1 < rows) wake_word(s->b, s->word + 1, s->now, s->now + 1);
    if (port == WSE_W && from & 1 && column > 0) wake_word(s->b, s->word - 1, s->now, s->now + 1);
  }
}

static void pop(step *s, candidate *c) {
  wse_fabric *f = s->f;
  buffer_word *q = c->buffer;
  uint64_t gone = 0, some = 0;
  for (int port = 0; port < WSE_PORTS; port++) {
    gone |= c->route->tx[port] & ~q->sent[port]; /* lanes that are not gone */
    some |= c->route->tx[port];
  }
  gone = c->ready & some & ~gone;
  if (!gone) return;
  if (gone & q->full) wake_upstream(s, c, gone & q->full);
  EACH_LANE(lane, gone & (q->control[0] | q->advance[0]))
    switch_apply(f, s->b, s->pe0 + (uint32_t)lane, c->color, wavelet_at(q, lane), s->now);
  for (uint32_t place = 0; place + 1 < f->router_room; place++) {
    uint64_t moves = gone & digits_least(q->held, place + 2);
    if (!moves) break;
    lanes_copy(f, head_of(q) + place * LANES, head_of(q) + (place + 1) * LANES, moves);
    q->control[place] = (q->control[place] & ~moves) | (q->control[place + 1] & moves);
    q->advance[place] = (q->advance[place] & ~moves) | (q->advance[place + 1] & moves);
  }
  digits_subtract(q->landed, gone);
  digits_subtract(q->held, gone);
  for (int port = 0; port < WSE_PORTS; port++) q->sent[port] &= ~gone;
  lanes_fill(f, q->since, (uint32_t)s->now + 1, gone & digits_some(q->landed));
  mark_dirty(f, s->b, s->word, c->color);
  for (int port = 0; port < f->inputs[c->color]; port++)
    if (digits_some(buffer_of(f, c->color, port, s->word)->held)) return;
  s->r->busy &= ~(1u << c->color);
}

void routers_step(wse_fabric *f, band *b, uint32_t word, uint64_t now) {
  step s;
  s.f = f;
  s.b = b;
  s.r = &f->routers[word];
  s.word = word;
  s.pe0 = f->word_pe[word];
  s.now = now;
  s.again = false;
  s.count = 0;
  for (uint32_t busy = s.r->busy; busy; busy &= busy - 1) gather(&s, __builtin_ctz(busy));
  for (int i = 0; i < s.count; i++) ask(&s, &s.candidates[i]);
  for (int port = 0; port < WSE_PORTS; port++) {
    if (f->links_rest && port != WSE_RAMP) rest_links(&s, port);
    arbitrate(&s, port);
    for (int i = 0; i < s.count; i++)
      if (s.candidates[i].asks[port]) send(&s, &s.candidates[i], port);
  }
  if (!s.again) return;
  activity_last(b, now + 1);
  for (int i = 0; i < s.count; i++) pop(&s, &s.candidates[i]);
  if (s.r->busy) wake_word(b, word, now, now + 1);
}
