/* fabric.c - the machine as a whole: it is built, loaded, and run.
 *
 * A row's cycle: which of its buffers are full is settled; streams at the edge and compute elements act; then its routers, which
 * look at how full the buffers of the rows above and below were settled to be, and put wavelets into them that land in a later
 * cycle.  So a row may go a cycle further as soon as the two rows on either side have gone as far as it has, and the order
 * among rows changes nothing: the fabric is stepped in tiles of several cycles, a row after the other along a slope of two rows
 * a cycle, and what a few rows hold stays in the cache for all of them.
 *
 * Threads own bands of rows.  Near a border they stop short, more with every cycle of the tile; when both are done, one of
 * them steps what is missing on both sides.  Then they agree on the next cycle in which anything can happen.  The cycles
 * between cost nothing.
 */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "fabric/prefetch.h"
#include "pe/ce.h"
#include "state/bitplane.h"
#include "pe/ramp.h"
#include "router/router.h"
#include "pe/vector.h"
#include "state/wake.h"

/* --- building ---------------------------------------------------------------------------------------------------------- */

static uint32_t power_of_two(uint32_t n) {
  uint32_t p = 1;
  while (p < n) p *= 2;
  return p;
}

static size_t queue_bytes(uint32_t room, bool colors) {
  uint32_t ring = power_of_two(room ? room : 1);
  size_t bytes = sizeof(queue) + ring * sizeof(wavelet) + (colors ? ring : 0);
  return (bytes + 7) / 8 * 8;
}

static void *rows_of(wse_fabric *f, bool *failed, size_t bytes, size_t n) {
  void *p = plane_new(f, bytes * n);
  if (!p) *failed = true;
  return p;
}
static void *plane(wse_fabric *f, bool *failed, size_t per_pe) { return rows_of(f, failed, per_pe, f->pes); }
static void *word_plane(wse_fabric *f, bool *failed, size_t per_word) { return rows_of(f, failed, per_word, f->words); }

static bool figures_fit(const wse_desc *d) {
  const int64_t *p = d->params;
  bool ok = p[WSE_hop_cycles] >= 1 && p[WSE_hop_cycles] < NEAR && p[WSE_ramp_in_cycles] >= 1 && p[WSE_ramp_in_cycles] < NEAR &&
            p[WSE_ramp_out_cycles] >= 2 && p[WSE_ramp_out_cycles] < AHEAD_OF_NOW && p[WSE_link_bubble_every] < 256 &&
            p[WSE_router_depth] >= 1 && p[WSE_router_depth] <= MAX_ROOM &&
            p[WSE_sram_banks] >= 1 && p[WSE_sram_banks] <= 32 && p[WSE_bank_conflict_factor] >= 1 &&
            p[WSE_bank_conflict_factor] <= 100 && p[WSE_simd_column] >= 0 && p[WSE_simd_column] <= 1;
  for (int q = 0; q < WSE_QUEUES; q++)
    ok = ok && p[WSE_iq0_depth + q] >= 0 && p[WSE_iq0_depth + q] <= 64 && p[WSE_oq0_depth + q] >= 0 && p[WSE_oq0_depth + q] <= 64;
  for (int i = 0; i < WSE_PARAM_COUNT; i++) ok = ok && p[i] >= 0;
  return ok;
}

typedef void (*step_function)(wse_fabric *f, band *b, uint32_t i, uint64_t now);

static step_function step_of(bool portable) {
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
  if (!portable && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    return routers_step_avx512;
  if (!portable && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2")) return routers_step_avx2;
#endif
  (void)portable;
  return routers_step_base;
}

static void lay_out_words(wse_fabric *f) {
  for (uint32_t pe = 0; pe < f->pes; pe++) {
    uint32_t x = pe % (uint32_t)f->width, y = pe / (uint32_t)f->width, word = y * f->row_words + x / LANES, outside;
    f->place[pe] = word * LANES + x % LANES;
    if (x % LANES == 0) f->word_pe[word] = pe, f->word_row[word] = y;
    for (int port = 0; port < WSE_RAMP; port++)
      if (!neighbor(f, pe, port, &outside)) f->routers[word].edge[port] |= (uint64_t)1 << x % LANES;
  }
  for (int y = 0; y < f->height; y++) f->rows[y].streams_next = NEVER;
}

wse_fabric *wse_new(const wse_desc *d) {
  if (d->width < 1 || d->height < 1 || (int64_t)d->width * d->height > INT32_MAX / 8 || d->fp16 < 0 || d->fp16 > WSE_FP16_CB16 ||
      d->bins < 0 || d->bins > 65536 || d->tile < 0 || d->tile > NEAR || !figures_fit(d))
    return NULL;
  wse_fabric *f = calloc(1, sizeof *f);
  if (!f) return NULL;
  f->width = d->width;
  f->height = d->height;
  f->pes = (uint32_t)d->width * (uint32_t)d->height;
  f->fp16 = d->fp16;
  f->tile = d->tile;
  f->threads = d->threads < 1 ? 1 : d->threads > MAX_BANDS ? MAX_BANDS : d->threads;
  memcpy(f->params, d->params, sizeof f->params);
  f->trace_capacity = d->trace_capacity;
  f->bins = d->bins;
  memset(f->color_index, -1, sizeof f->color_index);
  f->router_room = (uint32_t)P(f, router_depth);
  while (1u << f->ring_bits < f->router_room) f->ring_bits++;
  f->buffer_bytes = sizeof(buffer_word) + ((size_t)LANES * sizeof(uint32_t) << f->ring_bits);
  f->row_words = ((uint32_t)d->width + LANES - 1) / LANES;
  f->words = f->row_words * (uint32_t)d->height;
  f->routers_step = step_of(d->portable);
  f->spans = span_table(d->portable);

  bool failed = false;
  f->routers = word_plane(f, &failed, sizeof *f->routers);
  f->word_pe = word_plane(f, &failed, sizeof *f->word_pe);
  f->word_row = word_plane(f, &failed, sizeof *f->word_row);
  f->wakes_ce = word_plane(f, &failed, NEAR * sizeof *f->wakes_ce);
  f->row_masks = (f->row_words + 63) / 64;
  f->rows = rows_of(f, &failed, sizeof *f->rows, (size_t)f->height);
  f->wakes_router = rows_of(f, &failed, NEAR * f->row_masks * sizeof *f->wakes_router, (size_t)f->height);
  f->dirty = rows_of(f, &failed, f->row_masks * sizeof *f->dirty, (size_t)f->height);
  f->place = plane(f, &failed, sizeof *f->place);
  if (P(f, link_bubble_every)) f->links_rest = word_plane(f, &failed, sizeof *f->links_rest);
  f->ces = plane(f, &failed, sizeof *f->ces);
  f->class_of = plane(f, &failed, sizeof *f->class_of);
  f->wheel_next = plane(f, &failed, sizeof *f->wheel_next);
  f->wheel_prev = plane(f, &failed, sizeof *f->wheel_prev);
  f->host_signal = plane(f, &failed, sizeof *f->host_signal);
  f->rebound = plane(f, &failed, sizeof *f->rebound);
  f->counters = plane(f, &failed, sizeof *f->counters * WSE_CTR_COUNT);
  f->links[0] = word_plane(f, &failed, WSE_PORTS * LANES * sizeof *f->links[0]);
  f->blocked[0] = word_plane(f, &failed, WSE_PORTS * LANES * sizeof *f->blocked[0]);
  for (size_t i = 1; i < WSE_PORTS; i++) f->links[i] = f->links[0] + i * f->words * LANES, f->blocked[i] = f->blocked[0] + i * f->words * LANES;
  f->sink_times = word_plane(f, &failed, sizeof *f->sink_times);
  for (int i = 0; i < 48; i++) f->dsrs[i] = plane(f, &failed, sizeof(dsr));
  for (int i = 0; i < 16; i++) f->xdsrs[i] = plane(f, &failed, sizeof(xdsr));
  for (int i = 0; i < THREADS; i++) f->operations[i] = plane(f, &failed, sizeof(operation));
  for (int q = 0; q < WSE_QUEUES; q++) {
    /* the ramp's pipeline holds what is on its way, the queue what has arrived */
    uint32_t in = (uint32_t)P(f, iq0_depth + q), out = (uint32_t)P(f, oq0_depth + q);
    f->iq_room[q] = (uint8_t)(in ? in + (uint32_t)P(f, ramp_in_cycles) - 1 : 0);
    f->oq_room[q] = (uint8_t)out;
    f->iq_mask[q] = (uint8_t)(power_of_two(f->iq_room[q] ? f->iq_room[q] : 1) - 1);
    f->oq_mask[q] = (uint8_t)(power_of_two(out ? out : 1) - 1);
    f->iq_bytes[q] = queue_bytes(f->iq_room[q], false);
    f->oq_bytes[q] = queue_bytes(out, true);
    f->iq[q] = plane(f, &failed, f->iq_bytes[q]);
    f->oq[q] = plane(f, &failed, f->oq_bytes[q]);
  }
  if (f->bins && d->bin_planes) f->activity = plane(f, &failed, sizeof *f->activity * (size_t)f->bins);
  failed |= !(f->sram = sram_new(f));
  f->total_series = f->bins ? calloc((size_t)f->bins * SERIES_WIDTH, sizeof *f->total_series) : NULL;
  if (failed || (f->bins && !f->total_series)) {
    wse_free(f);
    return NULL;
  }
  memset(f->class_of, 0xff, sizeof *f->class_of * f->pes);
  lay_out_words(f);
  return f;
}

static void band_free(band *b) {
  free(b->wheel_head);
  free(b->slots);
  free(b->series);
  free(b->events);
  free(b->said);
  free(b->profile);
}

void wse_free(wse_fabric *f) {
  if (!f) return;
  for (int i = 0; i < f->band_total; i++) band_free(&f->bands[i]);
  for (int i = 0; i < f->class_total; i++) free(f->classes[i].code);
  free(f->classes);
  free(f->filters);
  for (int i = 0; i < f->stream_total; i++) {
    free(f->streams[i].data);
    free(f->streams[i].control);
    free(f->streams[i].cycles);
    free(f->streams[i].segments);
  }
  free(f->streams);
  free(f->stream_at);
  free(f->heard);
  free(f->merged);
  free(f->total_series);
  planes_free(f);
  free(f);
}

int wse_add_class(wse_fabric *f, const wse_class *c) {
  if (f->sealed || f->class_total >= 0xffff) return -1;
  for (int t = 0; t < WSE_TASKS; t++)
    if (c->task_kind[t] > WSE_TASK_CONTROL || (c->task_kind[t] && c->task_pc[t] >= c->code_length)) return -1;
  for (int q = 0; q < WSE_QUEUES; q++)
    if (c->iq_color[q] >= WSE_COLORS || c->oq_color[q] >= WSE_COLORS || (c->iq_color[q] >= 0 && !f->iq_room[q]) ||
        (c->oq_color[q] >= 0 && !f->oq_room[q]))
      return -1;
  pe_class *grown = realloc(f->classes, (size_t)(f->class_total + 1) * sizeof *grown);
  if (!grown) return -1;
  f->classes = grown;
  pe_class *k = &f->classes[f->class_total];
  memset(k, 0, sizeof *k);
  k->code = malloc(c->code_length ? c->code_length * sizeof *k->code : 1);
  if (!k->code) return -1;
  memcpy(k->code, c->code, c->code_length * sizeof *k->code);
  k->code_length = c->code_length;
  memcpy(k->task_kind, c->task_kind, sizeof k->task_kind);
  memcpy(k->task_pc, c->task_pc, sizeof k->task_pc);
  memset(k->queue_of_color, -1, sizeof k->queue_of_color);
  for (int q = WSE_QUEUES - 1; q >= 0; q--) {
    k->iq_color[q] = c->iq_color[q] < 0 ? -1 : c->iq_color[q];
    k->oq_color[q] = c->oq_color[q] < 0 ? -1 : c->oq_color[q];
    if (k->iq_color[q] >= 0) k->queue_of_color[k->iq_color[q]] = (int8_t)q;
  }
  for (int t = 0; t < WSE_TASKS; t++) {
    if (c->task_priority[t]) k->high |= (uint64_t)1 << t;
    if (c->task_kind[t] == WSE_TASK_LOCAL) k->local |= (uint64_t)1 << t;
  }
  k->active = c->active;
  k->blocked = c->blocked;
  return f->class_total++;
}

wse_status wse_set_classes(wse_fabric *f, const uint16_t *class_of_pe) {
  if (f->sealed) return WSE_BADARG;
  for (uint32_t pe = 0; pe < f->pes; pe++)
    if (class_of_pe[pe] != 0xffff && class_of_pe[pe] >= f->class_total) return WSE_BADARG;
  memcpy(f->class_of, class_of_pe, f->pes * sizeof *f->class_of);
  return WSE_OK;
}

int wse_add_filter(wse_fabric *f, const wse_filter *filter) {
  if (f->sealed || f->filter_total >= 255 || filter->kind < WSE_FILTER_RANGE || filter->kind > WSE_FILTER_SPARSE) return -1;
  wse_filter *grown = realloc(f->filters, (size_t)(f->filter_total + 1) * sizeof *grown);
  if (!grown) return -1;
  f->filters = grown;
  f->filters[f->filter_total] = *filter;
  return f->filter_total++;
}

static int color_new(wse_fabric *f, int color) {
  bool failed = false;
  f->route[f->colors] = plane(f, &failed, sizeof **f->route);
  f->routes[f->colors] = word_plane(f, &failed, sizeof **f->routes);
  f->sinks[f->colors] = plane(f, &failed, sizeof **f->sinks);
  f->sink_words[f->colors] = word_plane(f, &failed, sizeof **f->sink_words);
  if (failed) return -1;
  f->color_index[color] = (int8_t)f->colors;
  f->color_of[f->colors] = (uint8_t)color;
  return f->colors++;
}

wse_status wse_set_routes(wse_fabric *f, int color, const uint64_t *config) {
  if (f->sealed || color < 0 || color >= WSE_COLORS) return WSE_BADARG;
  for (uint32_t pe = 0; pe < f->pes; pe++)
    if (config[pe] >> WSE_ROUTE_FILTER > (uint64_t)f->filter_total) return WSE_BADARG;
  int c = f->color_index[color] >= 0 ? f->color_index[color] : color_new(f, color);
  if (c < 0) return WSE_NOMEM;
  memcpy(f->route[c], config, f->pes * sizeof *config);
  return WSE_OK;
}

wse_status wse_set_host(wse_fabric *f, int color) {
  if (f->sealed || color < 0 || color >= WSE_COLORS || f->color_index[color] < 0) return WSE_BADARG;
  f->host[f->color_index[color]] = true;
  return WSE_OK;
}

/* --- sealing: what is only known when everything has been loaded -------------------------------------------------------- */

static uint32_t all_rx(uint64_t route) {
  return route_rx(route, 0) | route_rx(route, 1) | route_rx(route, 2) | route_rx(route, 3);
}
static uint32_t all_tx(uint64_t route) {
  return route_tx(route, 0) | route_tx(route, 1) | route_tx(route, 2) | route_tx(route, 3);
}

/* One buffer per PE does if every router only ever takes the color from one side, and only neighbors on that side send it. */
static bool one_input(const wse_fabric *f, int c, bool reconfigured) {
  if (reconfigured) return false;
  for (uint32_t pe = 0; pe < f->pes; pe++) {
    uint64_t route = f->route[c][pe];
    if (!route) continue;
    uint32_t rx = all_rx(route), to;
    if (rx & (rx - 1) || route >> WSE_ROUTE_SWAP_X & 3) return false;
    for (uint32_t tx = all_tx(route) & 15; tx; tx &= tx - 1) {
      int port = __builtin_ctz(tx);
      if (beyond(f, pe, c, port, &to) && all_rx(f->route[c][to]) != 1u << (port ^ 2)) return false;
    }
  }
  return true;
}

static int band_build(wse_fabric *f, uint32_t index, int y0, int y1) {
  band *b = &f->bands[index];
  b->y0 = y0;
  b->y1 = y1;
  b->pe0 = (uint32_t)(y0 * f->width);
  b->pe1 = (uint32_t)(y1 * f->width);
  b->wheel_head = malloc(WHEEL * sizeof *b->wheel_head);
  b->slots = calloc(SLOT_ENTRIES, sizeof *b->slots);
  b->series = f->bins ? calloc((size_t)f->bins * SERIES_WIDTH, 8) : NULL;
  b->events = f->trace_capacity ? malloc(f->trace_capacity * sizeof *b->events) : NULL;
  if (!b->wheel_head || !b->slots || (f->bins && !b->series) || (f->trace_capacity && !b->events)) return -1;
  for (int i = 0; i < WHEEL; i++) b->wheel_head[i] = -1;
  for (int y = y0; y < y1; y++) f->rows[y].band = index;
  return 0;
}

/* Rows on either side of a border between bands whose cycle i of a tile is not done by their own thread. */
static int border_rows(int i) { return 1 + 2 * i; }

/* Cycles of a tile: no more than bands are high enough for; if nobody says how many, so that few rows are at borders, where one
 * thread waits for the other. */
static int tile_of(const wse_fabric *f, int wanted) {
  int tile = f->trace_capacity ? 1 : wanted ? wanted : NEAR; /* events are kept in order of cycles */
  for (int i = 0; i < f->band_total && f->band_total > 1; i++)
    while (tile > 1 && f->bands[i].y1 - f->bands[i].y0 < (wanted ? 2 * border_rows(tile - 1) + 1 : 16 * tile)) tile--;
  return tile;
}

wse_status fabric_seal(wse_fabric *f) {
  if (f->sealed) return WSE_OK;
  bool reconfigures = false, swaps = false, failed = false;
  for (int i = 0; i < f->class_total; i++)
    for (uint32_t pc = 0; pc < f->classes[i].code_length; pc++)
      reconfigures |= (f->classes[i].code[pc].op & ~INS_IMMEDIATE) == OP_colorst ||
                      (f->classes[i].code[pc].op & ~INS_IMMEDIATE) == OP_cfgst;
  for (int c = 0; c < f->colors; c++)
    for (uint32_t pe = 0; pe < f->pes; pe++) swaps |= (f->route[c][pe] >> WSE_ROUTE_SWAP_X & 3) != 0;
  for (int c = 0; c < f->colors; c++) {
    f->inputs[c] = one_input(f, c, reconfigures || swaps) ? 1 : WSE_PORTS;
    for (int port = 0; port < f->inputs[c]; port++) f->buffer[c][port] = word_plane(f, &failed, f->buffer_bytes);
    for (uint32_t pe = 0; pe < f->pes; pe++) {
      if (!f->route[c][pe]) continue;
      route_refresh(f, pe, c);
      ramp_refresh(f, pe, c);
    }
    bool counts = false;
    for (uint32_t pe = 0; pe < f->pes && f->filter_total; pe++) counts |= f->route[c][pe] >> WSE_ROUTE_FILTER != 0;
    if (!counts) continue;
    f->filter_count[c] = plane(f, &failed, sizeof *f->filter_count[c]);
    if (failed) return WSE_NOMEM;
    for (uint32_t pe = 0; pe < f->pes; pe++) {
      uint32_t filter = (uint32_t)(f->route[c][pe] >> WSE_ROUTE_FILTER);
      if (filter) f->filter_count[c][pe] = f->filters[filter - 1].init_counter;
    }
  }
  while (1 << f->turn_bits <= f->colors) f->turn_bits++;
  int most = f->height / (2 * border_rows(0) + 1), bands = f->threads < most ? f->threads : most < 1 ? 1 : most;
  for (int i = 0; i < bands; i++) {
    f->band_total = i + 1;
    if (band_build(f, (uint32_t)i, f->height * i / bands, f->height * (i + 1) / bands)) failed = true;
  }
  if (failed) return WSE_NOMEM;
  f->tile = tile_of(f, f->tile);
  for (int i = 0; i < bands; i++) {
    band *b = &f->bands[i];
    for (uint32_t pe = b->pe0; pe < b->pe1; pe++) {
      const pe_class *k = class_of(f, pe);
      if (!k) continue;
      f->ces[pe].gap = WSE_CTR_IDLE;
      f->ces[pe].active = k->active;
      f->ces[pe].blocked = k->blocked;
      f->ces[pe].task = 63; /* the first in the circle is task 0 */
      if (k->active) wake_ce_near(f, pe, f->now);
    }
  }
  f->sealed = true;
  return WSE_OK;
}

wse_status wse_activate(wse_fabric *f, int x, int y, int w, int h, int task) {
  if (!in_grid(f, x, y, w, h) || task < 0 || task >= WSE_TASKS) return WSE_BADARG;
  wse_status status = fabric_seal(f);
  if (status != WSE_OK) return status;
  for (int j = y; j < y + h; j++)
    for (int i = x; i < x + w; i++) {
      uint32_t pe = (uint32_t)(j * f->width + i);
      const pe_class *k = class_of(f, pe);
      if (!k || k->task_kind[task] == WSE_TASK_UNBOUND) return WSE_BADARG;
    }
  for (int j = y; j < y + h; j++)
    for (int i = x; i < x + w; i++) {
      uint32_t pe = (uint32_t)(j * f->width + i);
      f->ces[pe].active |= (uint64_t)1 << task;
      wake_ce_near(f, pe, f->now);
    }
  return WSE_OK;
}

/* --- running ------------------------------------------------------------------------------------------------------------ */

/* Wheel entries of this cycle become bits; entries of a later turn stay. */
static void turn_wheel(wse_fabric *f, band *b, uint64_t now) {
  int32_t i = b->wheel_head[now & (WHEEL - 1)];
  while (i >= 0) {
    uint32_t pe = b->pe0 + (uint32_t)i;
    int32_t next = f->wheel_next[pe];
    if (f->ces[pe].wheel_at <= now) {
      wheel_remove(f, b, pe);
      wake_ce_near(f, pe, now);
    }
    i = next;
  }
}

static void step_row(wse_fabric *f, int y, uint64_t now) {
  fabric_row *row = &f->rows[y];
  band *b = &f->bands[row->band];
  uint32_t slot = (uint32_t)now & (NEAR - 1), word0 = (uint32_t)y * f->row_words;
  streams_step(f, b, y, now);
  if (row->ces >> slot & 1) {
    row->ces &= (uint8_t)~(1u << slot);
    for (uint32_t word = word0; word < word0 + f->row_words; word++) {
      uint64_t *wakes = &f->wakes_ce[word * NEAR + slot], awake = *wakes;
      if (!awake) continue;
      *wakes = 0;
      for (; awake; awake &= awake - 1) ce_step(f, b, f->word_pe[word] + (uint32_t)__builtin_ctzll(awake), now);
    }
  }
  if (!(row->routers >> slot & 1)) return;
  row->routers &= (uint8_t)~(1u << slot);
  uint64_t *wakes = &f->wakes_router[((uint32_t)y * NEAR + slot) * f->row_masks];
  for (uint32_t i = 0; i < f->row_masks; i++, wakes++) {
    uint64_t awake = *wakes;
    *wakes = 0;
    for (; awake; awake &= awake - 1) f->routers_step(f, b, word0 + i * 64 + (uint32_t)__builtin_ctzll(awake), now);
  }
}

enum { AHEAD_WORDS = 512 }; /* smaller fabrics stay in the cache */

/* A tile: `cycles` cycles of the band's rows, all but those near its borders, in an order in which a row and its cycle is
 * stepped after the two rows below it were stepped one cycle less far. */
static void step_tile(wse_fabric *f, const band *b, uint64_t now, int cycles) {
  bool above = b->y0 > 0, below = b->y1 < f->height;
  for (int diagonal = b->y0; diagonal < b->y1 + 2 * (cycles - 1); diagonal++)
    for (int i = 0; i < cycles; i++) {
      int y = diagonal - 2 * i, first = b->y0 + (above ? border_rows(i) : 0), end = b->y1 - (below ? border_rows(i) : 0);
      if (y < first || y >= end) continue;
      if (y == first) {
        if (above) routers_settle(f, y - 1);
        routers_settle(f, y);
      }
      if (y + 1 < b->y1) routers_settle(f, y + 1);
      if (i == 0 && f->words > AHEAD_WORDS) ask_for_rows(f, y);
      step_row(f, y, now + (uint64_t)i);
    }
}

/* The rows that two bands left out at the border above row y; their outermost ones are settled. */
static void step_border(wse_fabric *f, int y, uint64_t now, int cycles) {
  for (int i = 0; i < cycles; i++) {
    int first = y - border_rows(i), end = y + border_rows(i);
    for (int k = first + 1; k < end - 1; k++) routers_settle(f, k);
    for (int k = first; k < end; k++) step_row(f, k, now + (uint64_t)i);
  }
}

/* The next cycle, `from` or later, in which the band has something to look at. */
static uint64_t band_next(const wse_fabric *f, const band *b, uint64_t from) {
  uint64_t next = NEVER;
  uint32_t slots = 0, turn = (uint32_t)from & (NEAR - 1);
  for (int y = b->y0; y < b->y1; y++) {
    const fabric_row *row = &f->rows[y];
    slots |= row->ces | row->routers | row->streams;
    if (row->streams_next < next) next = row->streams_next < from ? from : row->streams_next;
  }
  slots = (slots | slots << NEAR) >> turn & ((1u << NEAR) - 1);
  if (slots && from + (uint32_t)__builtin_ctz(slots) < next) next = from + (uint32_t)__builtin_ctz(slots);
  for (uint64_t t = from; t < from + WHEEL && t < next; t++)
    if (b->wheel_head[t & (WHEEL - 1)] >= 0) next = t;
  return next;
}

/* Threads that live for one call.  Each publishes when its band wants to go on, and the cycle of its fault. */
typedef struct {
  _Atomic uint64_t want, fault;
  char pad[48];
} published;

typedef struct {
  wse_fabric *f;
  const volatile int *stop;
  uint64_t until;
  _Atomic uint32_t arrived;
  _Atomic uint32_t round;
  _Atomic int stopped;
  published band[MAX_BANDS];
  wse_status status;
  uint64_t end;
} team;

/* Spins a few microseconds, then lets others run: processes may outnumber the cores. */
static void meet(team *t, uint32_t members) {
  uint32_t round = atomic_load_explicit(&t->round, memory_order_relaxed);
  if (atomic_fetch_add_explicit(&t->arrived, 1, memory_order_acq_rel) + 1 == members) {
    atomic_store_explicit(&t->arrived, 0, memory_order_relaxed);
    atomic_store_explicit(&t->round, round + 1, memory_order_release);
    return;
  }
  for (uint32_t spins = 0; atomic_load_explicit(&t->round, memory_order_acquire) == round; spins++)
    if (spins > 4000) sched_yield();
}

enum { LOOK_EVERY = 32 }; /* tiles between looks at *stop */

static uint64_t last_of(const wse_fabric *f) {
  uint64_t last = 0;
  for (int i = 0; i < f->band_total; i++)
    if (f->bands[i].last > last) last = f->bands[i].last;
  return last;
}

/* A tile of the whole fabric; *next: when the band wants to go on. */
static void run_tile(team *t, int index, uint64_t now, int cycles) {
  wse_fabric *f = t->f;
  band *b = &f->bands[index];
  uint32_t members = (uint32_t)f->band_total;
  for (int i = 0; i < cycles; i++) turn_wheel(f, b, now + (uint64_t)i);
  step_tile(f, b, now, cycles);
  for (int turn = 0; turn < 2 && turn + 1 < (int)members; turn++) { /* no two borders of one band at once */
    meet(t, members);
    if (index % 2 == turn && index + 1 < (int)members) step_border(f, b->y1, now, cycles);
  }
  if (members > 1) meet(t, members);
}

static void run_band(team *t, int index) {
  wse_fabric *f = t->f;
  band *b = &f->bands[index];
  uint32_t members = (uint32_t)f->band_total;
  uint64_t start = f->now, now = start;
  for (uint32_t looked = 0;; looked++) {
    int cycles = t->until - now < (uint64_t)f->tile ? (int)(t->until - now) : f->tile;
    uint64_t end = now + (uint64_t)cycles;
    run_tile(t, index, now, cycles);
    if (index == 0 && looked % LOOK_EVERY == 0 && t->stop && *t->stop) atomic_store_explicit(&t->stopped, 1, memory_order_relaxed);
    atomic_store_explicit(&t->band[index].want, band_next(f, b, end), memory_order_relaxed);
    atomic_store_explicit(&t->band[index].fault, b->fault.kind == WSE_FAULT_NONE ? NEVER : b->fault.cycle, memory_order_relaxed);
    if (members > 1) meet(t, members);
    uint64_t next = NEVER, fault = NEVER;
    for (uint32_t i = 0; i < members; i++) {
      uint64_t w = atomic_load_explicit(&t->band[i].want, memory_order_relaxed);
      uint64_t c = atomic_load_explicit(&t->band[i].fault, memory_order_relaxed);
      if (w < next) next = w;
      if (c < fault) fault = c;
    }
    wse_status status = WSE_OK;
    if (fault < end || fault < next) status = WSE_FAULTED;
    else if (next == NEVER) status = WSE_QUIET;
    else if (next >= t->until || atomic_load_explicit(&t->stopped, memory_order_relaxed)) status = WSE_LIMIT;
    if (status == WSE_OK) {
      now = next;
      continue;
    }
    lanes_stream_end();
    if (index != 0) return;
    t->status = status;
    t->end = status == WSE_FAULTED ? fault + 1 : next < t->until ? next : t->until;
    if (status == WSE_FAULTED) streams_forget(f, fault); /* the tile went on to its end */
    if (status != WSE_QUIET) return;
    uint64_t last = last_of(f); /* the last elements of a sink may still be on their way */
    if (last > t->until) t->status = WSE_LIMIT, t->end = t->until;
    else t->end = last > start ? last : start;
    return;
  }
}

typedef struct {
  team *t;
  int index;
} member;

static void *run_member(void *p) {
  member *m = p;
  run_band(m->t, m->index);
  return NULL;
}

wse_status wse_run(wse_fabric *f, uint64_t until, uint64_t limit, const volatile int *stop) {
  wse_status status = fabric_seal(f);
  if (status != WSE_OK) return status;
  wse_fault fault;
  wse_fault_of(f, &fault);
  if (fault.kind != WSE_FAULT_NONE) return WSE_FAULTED;
  if (until > limit) until = limit;
  if (until <= f->now) return WSE_LIMIT;
  team *t = aligned_alloc(64, (sizeof(team) + 63) / 64 * 64);
  if (!t) return WSE_NOMEM;
  memset(t, 0, sizeof *t);
  t->f = f;
  t->stop = stop;
  t->until = until;
  f->limit = limit;
  pthread_t threads[MAX_BANDS];
  member members[MAX_BANDS];
  for (int started = 1; started < f->band_total; started++) {
    members[started] = (member){t, started};
    /* the ones that started wait at the barrier, so there is no way back: try until there is room for another */
    while (pthread_create(&threads[started], NULL, run_member, &members[started])) sched_yield();
  }
  run_band(t, 0);
  for (int i = 1; i < f->band_total; i++) pthread_join(threads[i], NULL);
  f->now = t->end;
  status = t->status;
  free(t);
  return status;
}

uint64_t wse_cycle(const wse_fabric *f) { return f->now; }

/* Main threads may have run ahead of a limit: that lies in the future. */
uint64_t wse_last_activity(const wse_fabric *f) {
  uint64_t last = last_of(f);
  return last < f->now ? last : f->now;
}

uint64_t wse_bytes(const wse_fabric *f) { return f->bytes; }
