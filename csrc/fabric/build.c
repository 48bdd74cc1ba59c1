/* build.c - a fabric is made, loaded with classes, filters and routes, and sealed before its first cycle. */
#include "fabric/build.h"

#include <stdlib.h>

#include "fast/span.h"
#include "pe/ramp.h"
#include "router/buffer.h"
#include "router/route_register.h"
#include "router/router.h"
#include "state/layout.h"
#include "state/memory.h"
#include "state/wake.h"

/* Every figure is in the range that machine.def gives it, and SRAM in the engine's own. */
static bool figures_fit(const wse_desc *d) {
  const wse_param_info *row = wse_param_table();
  for (int i = 0; i < WSE_PARAM_COUNT; i++)
    if (d->params[i] < row[i].least || d->params[i] > row[i].most) return false;
  return d->params[WSE_sram_bytes] <= WSE_SRAM;
}

wse_fabric *wse_new(const wse_desc *d) {
  if (d->width < 1 || d->height < 1 || d->threads < 1 || d->threads > WSE_MAX_THREADS || (int64_t)d->width * d->height > INT32_MAX / 8 || d->fp16 < 0 || d->fp16 > WSE_FP16_CB16 ||
      d->bins < 0 || d->bins > 65536 || d->tile < 0 || d->tile > NEAR || !figures_fit(d))
    return NULL;
  wse_fabric *f = calloc(1, sizeof *f);
  if (!f) return NULL;
  f->width = d->width;
  f->height = d->height;
  f->pes = (uint32_t)d->width * (uint32_t)d->height;
  f->fp16 = d->fp16;
  f->tile = d->tile;
  f->threads = d->threads;
  memcpy(f->params, d->params, sizeof f->params);
  f->trace_capacity = d->trace_capacity;
  f->bins = d->bins;
  memset(f->color_index, -1, sizeof f->color_index);
  f->reference = d->reference;
  f->routers_step = routers_step_for(d->portable || d->reference);
  f->spans = span_table(d->portable || d->reference);
  if (!layout_fabric(f, d)) {
    wse_free(f);
    return NULL;
  }
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
  free(f->links_more);
  free(f->blocked_more);
  for (int c = 0; c < f->colors; c++)
    for (int port = 0; port < WSE_PORTS; port++) free(f->waits_more[c][port]);
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
  if (!layout_color(f, f->colors)) return -1;
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

/* Cycles of a tile: no more than bands are high enough for; if nobody says how many, so that few rows are at borders, where one
 * thread waits for the other. */
static int tile_of(const wse_fabric *f, int wanted) {
  int tile = f->trace_capacity || f->reference ? 1 : wanted ? wanted : NEAR; /* events are kept in order of cycles */
  for (int i = 0; i < f->band_total && f->band_total > 1; i++)
    while (tile > 1 && f->bands[i].y1 - f->bands[i].y0 < (wanted ? 2 * border_rows(tile - 1) + 1 : 16 * tile)) tile--;
  return tile;
}

static bool writes_routes(const isa_ins *ins) {
  int op = ins->op & ~INS_IMMEDIATE;
  return op < OP_COUNT && isa_rows[op].privacy == ISA_ROUTES;
}

wse_status fabric_seal(wse_fabric *f) {
  if (f->sealed) return WSE_OK;
  bool reconfigures = false, swaps = false;
  for (int i = 0; i < f->class_total; i++)
    for (uint32_t pc = 0; pc < f->classes[i].code_length; pc++)
      reconfigures |= writes_routes(&f->classes[i].code[pc]);
  for (int c = 0; c < f->colors; c++)
    for (uint32_t pe = 0; pe < f->pes; pe++) swaps |= (f->route[c][pe] >> WSE_ROUTE_SWAP_X & 3) != 0;
  for (int c = 0; c < f->colors; c++) {
    f->inputs[c] = one_input(f, c, reconfigures || swaps) ? 1 : WSE_PORTS;
    if (!layout_buffers(f, c)) return WSE_NOMEM;
    for (uint32_t pe = 0; pe < f->pes; pe++) {
      if (!f->route[c][pe]) continue;
      route_refresh(f, pe, c);
      ramp_refresh(f, pe, c);
    }
    bool counts = false;
    for (uint32_t pe = 0; pe < f->pes && f->filter_total; pe++) counts |= f->route[c][pe] >> WSE_ROUTE_FILTER != 0;
    if (!counts) continue;
    if (!layout_filter_counts(f, c)) return WSE_NOMEM;
    for (uint32_t pe = 0; pe < f->pes; pe++) {
      uint32_t filter = (uint32_t)(f->route[c][pe] >> WSE_ROUTE_FILTER);
      if (filter) f->filter_count[c][pe] = f->filters[filter - 1].init_counter;
    }
  }
  while (1 << f->turn_bits <= f->colors) f->turn_bits++;
  int most = f->height / (2 * border_rows(0) + 1), bands = f->threads < most ? f->threads : most < 1 ? 1 : most;
  for (int i = 0; i < bands; i++) {
    f->band_total = i + 1;
    if (band_build(f, (uint32_t)i, f->height * i / bands, f->height * (i + 1) / bands)) return WSE_NOMEM;
  }
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
