/* fabric.c - the machine as a whole: it is built, loaded, and run.
 *
 * The cycle, in `band_cycle`: mail from the neighboring bands, streams at the edge, compute elements, routers.  Every part reads
 * what the last cycle left and only writes what the next one reads, but for a PE's own ramp.  Then all threads meet and agree on
 * the next cycle in which anything can happen; the cycles between cost nothing.
 */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "ce.h"
#include "queue.h"
#include "router.h"
#include "wake.h"

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

static void *plane(wse_fabric *f, bool *failed, size_t per_pe) {
  void *p = plane_new(f, per_pe * f->pes);
  if (!p) *failed = true;
  return p;
}

static bool figures_fit(const wse_desc *d) {
  const int64_t *p = d->params;
  bool ok = p[WSE_hop_cycles] >= 1 && p[WSE_hop_cycles] < NEAR && p[WSE_ramp_in_cycles] >= 1 && p[WSE_ramp_in_cycles] < NEAR &&
            p[WSE_ramp_out_cycles] >= 1 && p[WSE_ramp_out_cycles] < 1000 && p[WSE_router_depth] >= 1 && p[WSE_router_depth] <= 64 &&
            p[WSE_sram_banks] >= 1 && p[WSE_sram_banks] <= 32 && p[WSE_bank_conflict_factor] >= 1 &&
            p[WSE_bank_conflict_factor] <= 100 && p[WSE_simd_column] >= 0 && p[WSE_simd_column] <= 1;
  for (int q = 0; q < WSE_QUEUES; q++)
    ok = ok && p[WSE_iq0_depth + q] >= 0 && p[WSE_iq0_depth + q] <= 64 && p[WSE_oq0_depth + q] >= 0 && p[WSE_oq0_depth + q] <= 64;
  for (int i = 0; i < WSE_PARAM_COUNT; i++) ok = ok && p[i] >= 0;
  return ok;
}

wse_fabric *wse_new(const wse_desc *d) {
  if (d->width < 1 || d->height < 1 || (int64_t)d->width * d->height > INT32_MAX / 8 || d->fp16 < 0 || d->fp16 > WSE_FP16_CB16 ||
      d->bins < 0 || d->bins > 65536 || !figures_fit(d))
    return NULL;
  wse_fabric *f = calloc(1, sizeof *f);
  if (!f) return NULL;
  f->width = d->width;
  f->height = d->height;
  f->pes = (uint32_t)d->width * (uint32_t)d->height;
  f->fp16 = d->fp16;
  f->threads = d->threads < 1 ? 1 : d->threads > MAX_BANDS ? MAX_BANDS : d->threads;
  memcpy(f->params, d->params, sizeof f->params);
  f->trace_capacity = d->trace_capacity;
  f->bins = d->bins;
  memset(f->color_index, -1, sizeof f->color_index);
  f->router_room = (uint32_t)P(f, router_depth);
  f->ring_mask = power_of_two(f->router_room) - 1;
  f->buffer_bytes = sizeof(router_buffer) + (f->ring_mask + 1) * sizeof(wavelet);

  bool failed = false;
  f->routers = plane(f, &failed, sizeof *f->routers);
  f->ces = plane(f, &failed, sizeof *f->ces);
  f->class_of = plane(f, &failed, sizeof *f->class_of);
  f->wheel_next = plane(f, &failed, sizeof *f->wheel_next);
  f->wheel_prev = plane(f, &failed, sizeof *f->wheel_prev);
  f->host_signal = plane(f, &failed, sizeof *f->host_signal);
  f->rebound = plane(f, &failed, sizeof *f->rebound);
  f->counters = plane(f, &failed, sizeof *f->counters * WSE_CTR_COUNT);
  f->links[0] = plane(f, &failed, WSE_PORTS * sizeof *f->links[0]);
  f->blocked[0] = plane(f, &failed, WSE_PORTS * sizeof *f->blocked[0]);
  for (int i = 1; i < WSE_PORTS; i++) f->links[i] = f->links[0] + i * (size_t)f->pes, f->blocked[i] = f->blocked[0] + i * (size_t)f->pes;
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
  uint64_t state = f->bytes;
  f->sram = plane(f, &failed, WSE_SRAM);
  f->bytes = state; /* SRAM is told apart */
  f->total_series = f->bins ? calloc((size_t)f->bins * SERIES_WIDTH, sizeof *f->total_series) : NULL;
  if (failed || (f->bins && !f->total_series)) {
    wse_free(f);
    return NULL;
  }
  memset(f->class_of, 0xff, sizeof *f->class_of * f->pes);
  return f;
}

static void band_free(band *b) {
  free(b->ces.bits);
  free(b->routers.bits);
  free(b->wheel_head);
  free(b->series);
  free(b->events);
  for (int parity = 0; parity < 2; parity++)
    for (int side = 0; side < 2; side++) free(b->box[parity][side]);
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
  }
  free(f->streams);
  free(f->stream_at);
  free(f->merged);
  free(f->total_series);
  size_t n = f->pes;
  plane_free(f->routers, n * sizeof *f->routers);
  plane_free(f->ces, n * sizeof *f->ces);
  plane_free(f->class_of, n * sizeof *f->class_of);
  plane_free(f->wheel_next, n * sizeof *f->wheel_next);
  plane_free(f->wheel_prev, n * sizeof *f->wheel_prev);
  plane_free(f->host_signal, n * sizeof *f->host_signal);
  plane_free(f->rebound, n * sizeof *f->rebound);
  plane_free(f->counters, n * sizeof *f->counters * WSE_CTR_COUNT);
  plane_free(f->links[0], n * WSE_PORTS * sizeof *f->links[0]);
  plane_free(f->blocked[0], n * WSE_PORTS * sizeof *f->blocked[0]);
  for (int i = 0; i < 48; i++) plane_free(f->dsrs[i], n * sizeof(dsr));
  for (int i = 0; i < 16; i++) plane_free(f->xdsrs[i], n * sizeof(xdsr));
  for (int i = 0; i < THREADS; i++) plane_free(f->operations[i], n * sizeof(operation));
  for (int q = 0; q < WSE_QUEUES; q++) plane_free(f->iq[q], n * f->iq_bytes[q]), plane_free(f->oq[q], n * f->oq_bytes[q]);
  for (int c = 0; c < f->colors; c++) {
    plane_free(f->route[c], n * sizeof *f->route[c]);
    plane_free(f->filter_count[c], n * sizeof *f->filter_count[c]);
    for (int port = 0; port < f->inputs[c]; port++) plane_free(f->buffer[c][port], n * f->buffer_bytes);
  }
  plane_free(f->activity, n * sizeof *f->activity * (size_t)f->bins);
  plane_free(f->sram, n * WSE_SRAM);
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
  uint64_t *route = plane(f, &failed, sizeof *route);
  if (failed) return -1;
  f->route[f->colors] = route;
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
      if (neighbor(f, pe, port, &to) && all_rx(f->route[c][to]) != 1u << (port ^ 2)) return false;
    }
  }
  return true;
}

static int band_build(wse_fabric *f, band *b, int y0, int y1) {
  b->pe0 = (uint32_t)(y0 * f->width);
  b->pe1 = (uint32_t)(y1 * f->width);
  b->words = (b->pe1 - b->pe0 + 63) / 64;
  b->ces.bits = calloc((size_t)NEAR * b->words, 8);
  b->routers.bits = calloc((size_t)NEAR * b->words, 8);
  b->wheel_head = malloc(WHEEL * sizeof *b->wheel_head);
  b->series = f->bins ? calloc((size_t)f->bins * SERIES_WIDTH, 8) : NULL;
  b->events = f->trace_capacity ? malloc(f->trace_capacity * sizeof *b->events) : NULL;
  /* in a cycle a router may send one wavelet over the border and wake the neighbor for each color's buffer */
  size_t box = (size_t)f->width * (WSE_COLORS + 2) * 2;
  for (int parity = 0; parity < 2; parity++)
    for (int side = 0; side < 2; side++) b->box[parity][side] = malloc(box * sizeof(mail));
  if (!b->ces.bits || !b->routers.bits || !b->wheel_head || (f->bins && !b->series) || (f->trace_capacity && !b->events))
    return -1;
  for (int parity = 0; parity < 2; parity++)
    for (int side = 0; side < 2; side++)
      if (!b->box[parity][side]) return -1;
  for (int i = 0; i < WHEEL; i++) b->wheel_head[i] = -1;
  return 0;
}

static wse_status seal(wse_fabric *f) {
  if (f->sealed) return WSE_OK;
  bool reconfigures = false, swaps = false, failed = false;
  for (int i = 0; i < f->class_total; i++)
    for (uint32_t pc = 0; pc < f->classes[i].code_length; pc++)
      reconfigures |= (f->classes[i].code[pc].op & ~INS_IMMEDIATE) == OP_colorst;
  for (int c = 0; c < f->colors; c++)
    for (uint32_t pe = 0; pe < f->pes; pe++) swaps |= (f->route[c][pe] >> WSE_ROUTE_SWAP_X & 3) != 0;
  for (int c = 0; c < f->colors; c++) {
    f->inputs[c] = one_input(f, c, reconfigures || swaps) ? 1 : WSE_PORTS;
    for (int port = 0; port < f->inputs[c]; port++) f->buffer[c][port] = plane(f, &failed, f->buffer_bytes);
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
  int bands = f->threads < f->height ? f->threads : f->height;
  for (int i = 0; i < bands; i++) {
    f->band_total = i + 1;
    if (band_build(f, &f->bands[i], f->height * i / bands, f->height * (i + 1) / bands)) failed = true;
  }
  if (failed) return WSE_NOMEM;
  for (int i = 0; i < bands; i++) {
    band *b = &f->bands[i];
    for (uint32_t pe = b->pe0; pe < b->pe1; pe++) {
      const pe_class *k = class_of(f, pe);
      if (!k) continue;
      f->ces[pe].gap = WSE_CTR_IDLE;
      f->ces[pe].active = k->active;
      f->ces[pe].blocked = k->blocked;
      f->ces[pe].task = 63; /* the first in the circle is task 0 */
      if (k->active) ring_set(&b->ces, b, pe, f->now);
    }
  }
  f->sealed = true;
  return WSE_OK;
}

wse_status wse_activate(wse_fabric *f, int x, int y, int w, int h, int task) {
  if (x < 0 || y < 0 || w < 0 || h < 0 || w > f->width - x || h > f->height - y || task < 0 || task >= WSE_TASKS)
    return WSE_BADARG;
  wse_status status = seal(f);
  if (status != WSE_OK) return status;
  for (int j = y; j < y + h; j++)
    for (int i = x; i < x + w; i++) {
      uint32_t pe = (uint32_t)(j * f->width + i);
      const pe_class *k = class_of(f, pe);
      if (!k || k->task_kind[task] == WSE_TASK_UNBOUND) return WSE_BADARG;
    }
  for (int k = 0; k < f->band_total; k++) {
    band *b = &f->bands[k];
    for (int j = y; j < y + h; j++)
      for (int i = x; i < x + w; i++) {
        uint32_t pe = (uint32_t)(j * f->width + i);
        if (!in_band(b, pe)) continue;
        f->ces[pe].active |= (uint64_t)1 << task;
        ring_set(&b->ces, b, pe, f->now);
      }
  }
  return WSE_OK;
}

/* --- running ------------------------------------------------------------------------------------------------------------ */

static void open_mail(wse_fabric *f, int index, uint64_t sent, int parity) {
  band *b = &f->bands[index];
  for (int from = index - 1; from <= index + 1; from += 2) {
    if (from < 0 || from >= f->band_total) continue;
    band *other = &f->bands[from];
    int side = from < index;
    for (uint32_t i = 0; i < other->box_count[parity][side]; i++) {
      mail m = other->box[parity][side][i];
      if (m.color != 0xff) f->routers[m.pe].busy |= 1u << m.color;
      ring_set(&b->routers, b, m.pe, sent + m.after);
    }
  }
}

/* Wheel entries of this cycle become bits; entries of a later turn stay. */
static void turn_wheel(wse_fabric *f, band *b, uint64_t now) {
  int32_t i = b->wheel_head[now & (WHEEL - 1)];
  while (i >= 0) {
    uint32_t pe = b->pe0 + (uint32_t)i;
    int32_t next = f->wheel_next[pe];
    if (f->ces[pe].wheel_at <= now) {
      wheel_remove(f, b, pe);
      ring_set(&b->ces, b, pe, now);
    }
    i = next;
  }
}

typedef void (*step_function)(wse_fabric *f, band *b, uint32_t pe, uint64_t now);

static inline void each_awake(wse_fabric *f, band *b, wake_ring *ring, uint64_t now, step_function step) {
  uint32_t slot = (uint32_t)now & (NEAR - 1);
  if (!ring->some[slot]) return;
  ring->some[slot] = 0;
  uint64_t *bits = ring->bits + (size_t)slot * b->words;
  for (uint32_t word = 0; word < b->words; word++) {
    uint64_t awake = bits[word];
    if (!awake) continue;
    bits[word] = 0;
    for (; awake; awake &= awake - 1) step(f, b, b->pe0 + word * 64 + (uint32_t)__builtin_ctzll(awake), now);
  }
}

/* The next cycle in which the band has something to look at. */
static uint64_t band_next(const band *b, uint64_t now, uint64_t streams) {
  uint64_t next = b->mail_when < streams ? b->mail_when : streams;
  if (b->wake_streams) next = now + 1;
  for (uint64_t t = now + 1; t < now + NEAR && t < next; t++)
    if (b->ces.some[t & (NEAR - 1)] || b->routers.some[t & (NEAR - 1)]) next = t;
  for (uint64_t t = now + 1; t <= now + WHEEL && t < next; t++)
    if (b->wheel_head[t & (WHEEL - 1)] >= 0) next = t;
  return next;
}

static uint64_t band_cycle(wse_fabric *f, int index, uint64_t now, uint64_t before, int parity) {
  band *b = &f->bands[index];
  uint64_t streams = NEVER;
  if (f->band_total > 1) open_mail(f, index, before, parity ^ 1);
  b->box_count[parity][0] = b->box_count[parity][1] = 0;
  b->mail_when = NEVER;
  turn_wheel(f, b, now);
  if (f->stream_total) streams_step(f, b, now, &streams);
  each_awake(f, b, &b->ces, now, ce_step);
  each_awake(f, b, &b->routers, now, router_step);
  return band_next(b, now, streams);
}

/* Threads that live for one call.  Each publishes, per parity of the cycle, when its band wants to go on. */
typedef struct {
  _Atomic uint64_t want[2];
  char pad[48];
} published;

typedef struct {
  wse_fabric *f;
  const volatile int *stop;
  uint64_t limit;
  _Atomic uint32_t arrived;
  _Atomic uint32_t round;
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

static bool stops(const wse_fabric *f, uint64_t next) {
  for (int i = 0; i < f->band_total; i++)
    if (f->bands[i].fault.kind != WSE_FAULT_NONE && f->bands[i].fault.cycle < next) return true;
  return false;
}

enum { LOOK_EVERY = 256 }; /* cycles between looks at *stop */

static void run_band(team *t, int index) {
  wse_fabric *f = t->f;
  uint32_t members = (uint32_t)f->band_total;
  uint64_t now = f->now, before = now;
  int parity = f->parity;
  for (uint32_t looked = 0;; looked++) {
    if (index == 0) f->parity = parity, f->now = now;
    if (members > 1) meet(t, members); /* everybody sees the same parity */
    uint64_t want = now < t->limit ? band_cycle(f, index, now, before, parity) : now;
    if (index == 0 && looked % LOOK_EVERY == 0 && t->stop && *t->stop) want = now | (uint64_t)1 << 63;
    atomic_store_explicit(&t->band[index].want[parity], want, memory_order_release);
    if (members > 1) meet(t, members);
    uint64_t next = NEVER;
    bool stopped = false;
    for (uint32_t i = 0; i < members; i++) {
      uint64_t w = atomic_load_explicit(&t->band[i].want[parity], memory_order_acquire);
      if (w != NEVER && w >> 63) stopped = true, w = now + 1;
      if (w < next) next = w;
    }
    wse_status status = WSE_OK;
    if (stops(f, next)) status = WSE_FAULTED;
    else if (next == NEVER) status = WSE_QUIET;
    else if (next >= t->limit || stopped) status = WSE_LIMIT;
    if (status != WSE_OK) {
      if (members > 1) meet(t, members); /* nobody leaves while others read */
      if (index != 0) return;
      t->status = status;
      t->end = status == WSE_QUIET ? now + 1 : next == NEVER ? now + 1 : next < t->limit ? next : t->limit;
      f->parity = parity ^ 1;
      if (members > 1) /* mail of the last cycle is delivered before anybody can look */
        for (int i = 0; i < f->band_total; i++) open_mail(f, i, now, parity);
      for (int i = 0; i < f->band_total; i++)
        f->bands[i].box_count[parity][0] = f->bands[i].box_count[parity][1] = 0;
      return;
    }
    before = now;
    now = next;
    parity ^= 1;
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

wse_status wse_run(wse_fabric *f, uint64_t limit, const volatile int *stop) {
  wse_status status = seal(f);
  if (status != WSE_OK) return status;
  wse_fault fault;
  wse_fault_of(f, &fault);
  if (fault.kind != WSE_FAULT_NONE) return WSE_FAULTED;
  if (limit <= f->now) return WSE_LIMIT;
  team *t = aligned_alloc(64, (sizeof(team) + 63) / 64 * 64);
  if (!t) return WSE_NOMEM;
  memset(t, 0, sizeof *t);
  t->f = f;
  t->stop = stop;
  t->limit = f->limit = limit;
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

uint64_t wse_last_activity(const wse_fabric *f) {
  uint64_t last = 0;
  for (int i = 0; i < f->band_total; i++)
    if (f->bands[i].last > last) last = f->bands[i].last;
  return last;
}

uint64_t wse_bytes(const wse_fabric *f) { return f->bytes; }
