/* build.c - a fabric is made, loaded with classes, filters and routes, and sealed before its first cycle. */
#include "fabric/build.h"

#include <stdlib.h>

#include "fast/span.h"
#include "observe/check.h"
#include "pe/issue.h"
#include "pe/lanes.h"
#include "pe/ramp.h"
#include "pe/rows.h"
#include "pe/scalar_block.h"
#include "pe/scout.h"
#include "router/buffer.h"
#include "router/route_register.h"
#include "router/router.h"
#include "router/stream.h"
#include "state/layout.h"
#include "state/memory.h"
#include "state/wake.h"

/* Every parameter is in the range that machine.def gives it, and the SRAM fits the engine's arrays. */
static bool figures_fit(const wse_desc *desc) {
  const wse_param_info *row = wse_param_table();
  for (int i = 0; i < WSE_PARAM_COUNT; i++)
    if (desc->params[i] < row[i].least || desc->params[i] > row[i].most) return false;
  return desc->params[WSE_sram_bytes] <= WSE_SRAM;
}

wse_fabric *wse_new(const wse_desc *desc) {
  if (desc->width < 1 || desc->height < 1 || desc->threads < 1 || desc->threads > WSE_MAX_THREADS ||
      (int64_t)desc->width * desc->height > INT32_MAX / 8 || desc->fp16 < 0 || desc->fp16 > WSE_FP16_CB16 ||
      desc->bins < 0 || desc->bins > 65536 || desc->bin_planes < 0 || desc->bin_planes > LANES ||
      (desc->bin_planes & (desc->bin_planes - 1)) || desc->tile < 0 || desc->tile > NEAR ||
      desc->team < WSE_TEAM_FASTEST || desc->team > WSE_TEAM_IN_TURN || !figures_fit(desc))
    return NULL;
  wse_fabric *fabric = calloc(1, sizeof *fabric);
  if (!fabric) return NULL;
  fabric->width = desc->width;
  fabric->height = desc->height;
  fabric->pes = (uint32_t)desc->width * (uint32_t)desc->height;
  fabric->fp16 = desc->fp16;
  fabric->tile = desc->tile;
  fabric->threads = desc->threads;
  fabric->team = desc->team;
  memcpy(fabric->params, desc->params, sizeof fabric->params);
  fabric->trace_capacity = desc->trace_capacity;
  fabric->trace_until = UINT64_MAX;
  fabric->bins = desc->bins;
  memset(fabric->color_index, -1, sizeof fabric->color_index);
  fabric->reference = fabric->by_element = desc->reference;
  fabric->drops_off_edge = desc->drops_off_edge;
  int portable = desc->reference ? WSE_PORTABLE : desc->portable;
  fabric->routers_step = routers_step_for(portable);
  fabric->spans = span_table(portable);
  fabric->scalar_rows = row_functions(desc->portable);
  if (!layout_fabric(fabric, desc)) {
    wse_free(fabric);
    return NULL;
  }
  return fabric;
}

static void band_free(band_state *band) {
  free(band->wheel_head);
  free(band->slots);
  free(band->memos);
  free(band->series);
  free(band->events);
  free(band->messages);
  free(band->profile);
}

static void class_free(pe_class *class) {
  free(class->code);
  free(class->block_at);
  free(class->blocks);
}

void wse_free(wse_fabric *fabric) {
  if (!fabric) return;
  for (int i = 0; i < fabric->band_total; i++)
    band_free(&fabric->bands[i]);
  for (int i = 0; i < fabric->class_total; i++)
    class_free(&fabric->classes[i]);
  free(fabric->classes);
  free(fabric->filters);
  for (int i = 0; i < fabric->stream_total; i++)
    stream_free(&fabric->streams[i]);
  free(fabric->streams);
  free(fabric->stream_at);
  free(fabric->delivered);
  free(fabric->merged);
  free(fabric->trace_pes);
  free(fabric->profiles);
  free(fabric->total_series);
  free(fabric->total_links);
  free(fabric->total_blocked);
  free(fabric->links_more);
  free(fabric->blocked_more);
  for (int c = 0; c < fabric->colors; c++) {
    free(fabric->color_links_more[c]);
    for (int port = 0; port < WSE_PORTS; port++)
      free(fabric->waits_more[c][port]);
  }
  check_free(fabric);
  planes_free(fabric);
  free(fabric);
}

int wse_add_class(wse_fabric *fabric, const wse_class *given) {
  if (fabric->sealed || fabric->class_total >= 0xffff) return -1;
  for (int t = 0; t < WSE_TASKS; t++)
    if (given->task_kind[t] > WSE_TASK_CONTROL || (given->task_kind[t] && given->task_pc[t] >= given->code_length) ||
        (given->control_task[t] >= WSE_TASKS && given->control_task[t] != 0xff))
      return -1;
  for (int q = 0; q < WSE_INPUTS; q++) {
    if (given->iq_color[q] >= WSE_COLORS) return -1;
    if (given->iq_color[q] >= 0 && q >= WSE_QUEUES && !layout_direct_input(fabric, q)) return -1;
    if (given->iq_color[q] >= 0 && !fabric->iq_capacity[q]) return -1;
  }
  for (int q = 0; q < WSE_QUEUES; q++)
    if (given->oq_color[q] >= WSE_COLORS || (given->oq_color[q] >= 0 && !fabric->oq_capacity[q]) ||
        given->control_first[q] >= WSE_TASKS)
      return -1;
  pe_class *grown = realloc(fabric->classes, (size_t)(fabric->class_total + 1) * sizeof *grown);
  if (!grown) return -1;
  fabric->classes = grown;
  pe_class *class = &fabric->classes[fabric->class_total];
  memset(class, 0, sizeof *class);
  class->code = malloc(given->code_length * (sizeof *class->code + sizeof *class->stretch + sizeof *class->kind) + 1);
  if (!class->code) return -1;
  memcpy(class->code, given->code, given->code_length * sizeof *class->code);
  class->code_length = given->code_length;
  class->stretch = (uint8_t *)(class->code + given->code_length);
  class->kind = class->stretch + given->code_length;
  lanes_stretches(class);
  issue_kinds(class);
  memcpy(class->task_kind, given->task_kind, sizeof class->task_kind);
  memcpy(class->task_pc, given->task_pc, sizeof class->task_pc);
  memcpy(class->control_task, given->control_task, sizeof class->control_task);
  memcpy(class->control_first, given->control_first, sizeof class->control_first);
  memset(class->queue_of_color, -1, sizeof class->queue_of_color);
  for (int q = 0; q < WSE_QUEUES; q++)
    class->oq_color[q] = given->oq_color[q] < 0 ? -1 : given->oq_color[q];
  for (int q = WSE_INPUTS - 1; q >= 0; q--) {
    class->iq_color[q] = given->iq_color[q] < 0 ? -1 : given->iq_color[q];
    if (class->iq_color[q] >= 0) class->queue_of_color[class->iq_color[q]] = (int8_t)q;
  }
  for (int t = 0; t < WSE_TASKS; t++) {
    if (given->task_priority[t]) class->high |= (uint64_t)1 << t;
    if (given->task_kind[t] == WSE_TASK_LOCAL) class->local |= (uint64_t)1 << t;
  }
  class->active = given->active;
  class->blocked = given->blocked;
  class->thread_priority = given->thread_priority;
  if (!scalar_blocks(fabric, class)) {
    class_free(class);
    return -1;
  }
  return fabric->class_total++;
}

wse_status wse_set_classes(wse_fabric *fabric, const uint16_t *class_of_pe) {
  if (fabric->sealed) return WSE_BADARG;
  for (uint32_t pe = 0; pe < fabric->pes; pe++)
    if (class_of_pe[pe] != 0xffff && class_of_pe[pe] >= fabric->class_total) return WSE_BADARG;
  memcpy(fabric->class_of, class_of_pe, fabric->pes * sizeof *fabric->class_of);
  return WSE_OK;
}

int wse_add_filter(wse_fabric *fabric, const wse_filter *filter) {
  if (fabric->sealed || fabric->filter_total >= 255 || filter->kind < WSE_FILTER_RANGE ||
      filter->kind > WSE_FILTER_SPARSE)
    return -1;
  wse_filter *grown = realloc(fabric->filters, (size_t)(fabric->filter_total + 1) * sizeof *grown);
  if (!grown) return -1;
  fabric->filters = grown;
  fabric->filters[fabric->filter_total] = *filter;
  return fabric->filter_total++;
}

static int color_new(wse_fabric *fabric, int color) {
  if (!layout_color(fabric, fabric->colors)) return -1;
  fabric->color_index[color] = (int8_t)fabric->colors;
  fabric->color_of[fabric->colors] = (uint8_t)color;
  return fabric->colors++;
}

wse_status wse_set_routes(wse_fabric *fabric, int color, const uint64_t *config) {
  if (fabric->sealed || color < 0 || color >= WSE_COLORS) return WSE_BADARG;
  for (uint32_t pe = 0; pe < fabric->pes; pe++)
    if (config[pe] >> WSE_ROUTE_FILTER > (uint64_t)fabric->filter_total) return WSE_BADARG;
  int c = fabric->color_index[color] >= 0 ? fabric->color_index[color] : color_new(fabric, color);
  if (c < 0) return WSE_NOMEM;
  memcpy(fabric->route[c], config, fabric->pes * sizeof *config);
  return WSE_OK;
}

wse_status wse_set_host(wse_fabric *fabric, int color) {
  if (fabric->sealed || color < 0 || color >= WSE_COLORS || fabric->color_index[color] < 0) return WSE_BADARG;
  fabric->host[fabric->color_index[color]] = true;
  return WSE_OK;
}

/* --- sealing: properties that depend on the whole program ----------------------------------------------- */

static uint32_t all_tx(uint64_t route) {
  return route_tx(route, 0) | route_tx(route, 1) | route_tx(route, 2) | route_tx(route, 3);
}

/* A router needs one buffer for a color, not one per input, if every router takes the color from one side only, and
 * only neighbors on that side send it. */
static bool one_input(const wse_fabric *fabric, int c, bool reconfigured) {
  if (reconfigured) return false;
  for (uint32_t pe = 0; pe < fabric->pes; pe++) {
    uint64_t route = fabric->route[c][pe];
    if (!route) continue;
    uint32_t rx = route_all_rx(route), to;
    if (rx & (rx - 1) || route >> WSE_ROUTE_SWAP_X & 3) return false;
    for (uint32_t tx = all_tx(route) & 15; tx; tx &= tx - 1) {
      int port = __builtin_ctz(tx);
      if (beyond(fabric, pe, c, port, &to) && route_all_rx(fabric->route[c][to]) != 1u << (port ^ 2)) return false;
    }
  }
  return true;
}

enum { LEAST_EVENTS = 1024 }; /* that a band's buffer begins with */

static int band_build(wse_fabric *fabric, uint32_t index, int first, int end) {
  band_state *band = &fabric->bands[index];
  uint32_t strip_pes = (uint32_t)(fabric->strip_rows * fabric->width), last = (uint32_t)end * strip_pes;
  band->first = first;
  band->end = end;
  band->pe0 = (uint32_t)first * strip_pes;
  band->pe1 = last < fabric->pes ? last : fabric->pes;
  band->wheel_head = malloc(WHEEL * sizeof *band->wheel_head);
  band->slots = calloc(SLOT_ENTRIES, sizeof *band->slots);
  band->memos = scout_memos();
  band->series = fabric->bins ? calloc((size_t)fabric->bins * SERIES_WIDTH, 8) : NULL;
  band->event_room = fabric->trace_capacity < LEAST_EVENTS ? fabric->trace_capacity : LEAST_EVENTS;
  band->events = fabric->trace_capacity ? malloc(band->event_room * sizeof *band->events) : NULL;
  if (!band->wheel_head || !band->slots || !band->memos || (fabric->bins && !band->series) ||
      (fabric->trace_capacity && !band->events))
    return -1;
  for (int i = 0; i < WHEEL; i++)
    band->wheel_head[i] = -1;
  for (int strip = first; strip < end; strip++)
    fabric->strips[strip].band = index;
  return 0;
}

/* Cycles of a tile.  A band must have more strips than its borders leave out.  If the host gave no number, the tile is
 * so short that few strips are at borders, where one thread waits for another. */
static int tile_of(const wse_fabric *fabric, int wanted) {
  int tile = fabric->trace_capacity || fabric->reference ? 1
             : wanted                                    ? wanted
                                                         : NEAR; /* events are recorded in order of cycles */
  for (int i = 0; i < fabric->band_total && fabric->band_total > 1; i++)
    while (tile > 1 &&
           fabric->bands[i].end - fabric->bands[i].first < (wanted ? 2 * border_strips(tile - 1) + 1 : 16 * tile))
      tile--;
  return tile;
}

static bool writes_routes(const isa_ins *ins) {
  int op = ins->op & ~INS_IMMEDIATE;
  return op < OP_COUNT && isa_rows[op].privacy == ISA_ROUTES;
}

wse_status fabric_seal(wse_fabric *fabric) {
  if (fabric->sealed) return WSE_OK;
  fabric->in_cache = fabric->blocks <= CACHED_BLOCKS;
  fabric->lanes = !fabric->reference && !fabric->trace_capacity && !fabric->profiles;
  bool reconfigures = false, swaps = false;
  for (int i = 0; i < fabric->class_total; i++)
    for (uint32_t pc = 0; pc < fabric->classes[i].code_length; pc++)
      reconfigures |= writes_routes(&fabric->classes[i].code[pc]);
  for (int c = 0; c < fabric->colors; c++)
    for (uint32_t pe = 0; pe < fabric->pes; pe++)
      swaps |= (fabric->route[c][pe] >> WSE_ROUTE_SWAP_X & 3) != 0;
  for (int c = 0; c < fabric->colors; c++) {
    fabric->inputs[c] = one_input(fabric, c, reconfigures || swaps) ? 1 : WSE_PORTS;
    if (!layout_buffers(fabric, c)) return WSE_NOMEM;
    for (uint32_t pe = 0; pe < fabric->pes; pe++) {
      if (!fabric->route[c][pe]) continue;
      route_refresh(fabric, pe, c);
      ramp_refresh(fabric, pe, c);
    }
    bool counts = false;
    for (uint32_t pe = 0; pe < fabric->pes && fabric->filter_total; pe++)
      counts |= fabric->route[c][pe] >> WSE_ROUTE_FILTER != 0;
    if (!counts) continue;
    if (!layout_filter_counts(fabric, c)) return WSE_NOMEM;
    for (uint32_t pe = 0; pe < fabric->pes; pe++) {
      uint32_t filter = (uint32_t)(fabric->route[c][pe] >> WSE_ROUTE_FILTER);
      if (!filter) continue;
      fabric->filter_count[c][pe] = fabric->filters[filter - 1].init_counter;
      fabric->filter_limit[c][pe] = fabric->filters[filter - 1].limit1;
      fabric->filter_most[c][pe] = fabric->filters[filter - 1].max_counter;
      if (fabric->filters[filter - 1].kind == WSE_FILTER_SPARSE && !fabric->filters[filter - 1].limit1)
        fabric->filter_most[c][pe] = FILTER_OPEN;
    }
  }
  while (1 << fabric->pointer_bits <= fabric->colors)
    fabric->pointer_bits++;
  int most = fabric->strip_total / BAND_STRIPS, bands = fabric->threads < most ? fabric->threads : most < 1 ? 1 : most;
  for (int i = 0; i < bands; i++) {
    fabric->band_total = i + 1;
    if (band_build(fabric, (uint32_t)i, fabric->strip_total * i / bands, fabric->strip_total * (i + 1) / bands))
      return WSE_NOMEM;
  }
  fabric->tile = tile_of(fabric, fabric->tile);
  for (int i = 0; i < bands; i++) {
    band_state *band = &fabric->bands[i];
    for (uint32_t pe = band->pe0; pe < band->pe1; pe++) {
      const pe_class *class = class_of(fabric, pe);
      if (!class) continue;
      fabric->ces[pe].gap = WSE_CTR_IDLE;
      fabric->ces[pe].active = class->active;
      fabric->ces[pe].blocked = class->blocked;
      fabric->ces[pe].thread_priority = class->thread_priority;
      fabric->ces[pe].task = 63; /* round robin starts at task 0 */
      if (class->active) wake_ce_near(fabric, pe, fabric->now);
    }
  }
  fabric->sealed = true;
  return WSE_OK;
}

wse_status wse_activate(wse_fabric *fabric, int x, int y, int w, int h, int task) {
  if (!in_grid(fabric, x, y, w, h) || task < 0 || task >= WSE_TASKS) return WSE_BADARG;
  wse_status status = fabric_seal(fabric);
  if (status != WSE_OK) return status;
  for (int j = y; j < y + h; j++)
    for (int i = x; i < x + w; i++) {
      uint32_t pe = (uint32_t)(j * fabric->width + i);
      const pe_class *class = class_of(fabric, pe);
      if (!class || class->task_kind[task] == WSE_TASK_UNBOUND) return WSE_BADARG;
    }
  for (int j = y; j < y + h; j++)
    for (int i = x; i < x + w; i++) {
      uint32_t pe = (uint32_t)(j * fabric->width + i);
      if (fabric->check) check_activate(fabric, pe, task, UINT32_MAX, fabric->now);
      fabric->ces[pe].active |= (uint64_t)1 << task;
      if (fabric->quiet) fabric->ces[pe].just_ended = 0; /* the PE was idle before the host activated the task */
      wake_ce_near(fabric, pe, fabric->now);
    }
  return WSE_OK;
}
