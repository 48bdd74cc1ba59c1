/* debug.c - for debuggers: runs to the first cycle with a stop, and returns the state of a PE.
 *
 * The fabric is stepped one cycle at a time, and stops are tested between cycles, so that runs without a debugger are
 * not slower.  Steps of one cycle do not interrupt operations and compute elements do not run ahead, so that results
 * are those of any run.
 *
 * A main thread arrives at an instruction when it has issued the previous one, or started a task, and none of its own
 * operations is in progress.
 */
#include "wse_debug.h"

#include <stdlib.h>

#include "fabric/build.h"
#include "observe/account.h"
#include "observe/trace.h"
#include "observe/watch.h"
#include "router/route_register.h"
#include "state/bitplane.h"
#include "state/queue.h"

enum { EVENTS = 1 << 16 }; /* of a cycle and a band, in runs that stop at wavelets */

/* The state of a main thread when it last arrived at an instruction. */
typedef struct {
  uint64_t issued, picked_at;
  uint16_t group;
} standing;

/* A run to a stop.  first: index of a class's first instruction in stops->marks. */
typedef struct {
  wse_fabric *fabric;
  const wse_stops *stops;
  uint32_t *first;
  standing *before;
  uint8_t *memory; /* of stops->places, one after the other */
  wse_stop *found;
  uint32_t capacity, n;
} search;

static void found(search *s, uint32_t pe, int why, uint32_t id, uint32_t data) {
  if (s->n < s->capacity) s->found[s->n] = (wse_stop){.pe = pe, .why = (uint16_t)why, .id = (uint16_t)id, .data = data};
  s->n++;
}

static uint32_t pe_at(const search *s, uint32_t i) { return s->stops->pes ? s->stops->pes[i] : i; }
static uint32_t pe_count(const search *s) { return s->stops->pes ? s->stops->pe_count : s->fabric->pes; }

/* Records the state of a main thread and, if `told`, adds its stops. */
static void look_at_thread(search *s, uint32_t i, bool told) {
  wse_fabric *fabric = s->fabric;
  const wse_stops *stops = s->stops;
  uint32_t pe = pe_at(s, i), class = fabric->class_of[pe];
  if (class == 0xffff) return;
  const ce_state *ce = &fabric->ces[pe];
  const uint64_t *count = counters_of(fabric, pe);
  standing *before = &s->before[i];
  if (ce->state != MAIN_RUN) return;
  uint64_t issued = count[WSE_CTR_SCALARS] + count[WSE_CTR_VECTORS] + count[WSE_CTR_SYSTEMS];
  bool begins = ce->picked_at != before->picked_at, arrives = begins || issued != before->issued;
  const pe_class *code = &fabric->classes[class];
  const uint16_t *marks = stops->marks ? stops->marks + s->first[class] : NULL;
  uint16_t mark = marks && ce->pc < code->code_length ? marks[ce->pc] : 0, group = mark & (WSE_MARK_FIRST - 1);
  if (told && begins && stops->tasks && stops->tasks[class] >> ce->task & 1)
    found(s, pe, WSE_STOP_TASK, ce->task, ce->pc);
  if (told && arrives && stops->step_pe == pe + 1) found(s, pe, WSE_STOP_STEP, ce->task, ce->pc);
  if (told && arrives && group && (begins || group != before->group || mark & WSE_MARK_FIRST))
    found(s, pe, WSE_STOP_MARK, group, ce->pc);
  /* a task that follows another one may have executed its first instruction in the cycle in which it began */
  uint32_t begin = code->task_pc[ce->task];
  if (told && begins && marks && ce->pc != begin && marks[begin] && (marks[begin] & (WSE_MARK_FIRST - 1)) != group)
    found(s, pe, WSE_STOP_MARK, marks[begin] & (WSE_MARK_FIRST - 1), begin);
  *before = (standing){issued, ce->picked_at, group};
}

static void look_at_threads(search *s, bool told) {
  if (!s->stops->marks && !s->stops->tasks && !s->stops->step_pe) return;
  for (uint32_t i = 0; i < pe_count(s); i++)
    look_at_thread(s, i, told);
}

static void look_at_memory(search *s, bool told) {
  uint8_t *kept = s->memory;
  for (uint32_t i = 0; i < s->stops->place_count; i++) {
    const wse_place *place = &s->stops->places[i];
    const uint8_t *there = sram_of(s->fabric, place->pe) + place->address;
    if (told && memcmp(kept, there, place->bytes)) found(s, place->pe, WSE_STOP_MEMORY, i, 0);
    memcpy(kept, there, place->bytes);
    kept += place->bytes;
  }
}

static void look_at_wavelets(search *s) {
  for (int b = 0; b < s->fabric->band_total; b++)
    for (uint64_t i = 0; i < s->fabric->bands[b].event_count; i++) {
      const wse_event *event = &s->fabric->bands[b].events[i];
      if (event->kind == WSE_EV_LAND && s->stops->colors >> (event->a & 31) & 1)
        found(s, event->pe, WSE_STOP_WAVELET, event->a, event->b);
    }
  trace_forget(s->fabric);
}

/* The settings of a trace, which are replaced for a while. */
typedef struct {
  uint64_t capacity, from, until;
  uint8_t *pes;
  bool hops;
} tracing;

static tracing trace_set(wse_fabric *fabric, tracing to) {
  tracing was = {fabric->trace_capacity, fabric->trace_from, fabric->trace_until, fabric->trace_pes,
                 fabric->trace_hops};
  fabric->trace_capacity = to.capacity;
  fabric->trace_from = to.from;
  fabric->trace_until = to.until;
  fabric->trace_pes = to.pes;
  fabric->trace_hops = to.hops;
  return was;
}

/* Room for events in a fabric without a trace. */
static bool events_room(wse_fabric *fabric) {
  for (int b = 0; b < fabric->band_total; b++) {
    band_state *band = &fabric->bands[b];
    if (band->event_room >= EVENTS) continue;
    wse_event *grown = realloc(band->events, EVENTS * sizeof *grown);
    if (!grown) return false;
    band->events = grown;
    band->event_room = EVENTS;
  }
  return true;
}

/* Runs up to `end`, as a part of a run to `limit`. */
static wse_status run_part(wse_fabric *fabric, uint64_t end, uint64_t limit, const volatile int *stop) {
  uint64_t told = fabric->told;
  wse_status status = wse_run(fabric, end, end, stop);
  /* The host does not see the cycles between: the run ends in the cycle in which it would end without them. */
  if (status == WSE_QUIET) {
    uint64_t last = activity_end(fabric);
    fabric->now = fabric->told = last > told ? last : told;
  } else if (status == WSE_LIMIT && fabric->now < limit) {
    fabric->told = told;
  }
  return status;
}

/* Runs one cycle, or all up to `until` if there is nothing to test between cycles. */
static wse_status advance(search *s, uint64_t until, uint64_t limit, const volatile int *stop) {
  wse_fabric *fabric = s->fabric;
  const wse_stops *stops = s->stops;
  bool looks = stops->marks || stops->tasks || stops->step_pe || stops->colors || stops->place_count;
  uint64_t end = looks && fabric->now + 1 < until ? fabric->now + 1 : until;
  if (!stops->colors) return run_part(fabric, end, limit, stop);
  tracing mine = {EVENTS, 0, NEVER, (uint8_t *)stops->wavelet_pes, false}, was = trace_set(fabric, mine);
  wse_status status = run_part(fabric, end, limit, stop);
  trace_set(fabric, was);
  return status;
}

wse_status wse_run_to_stop(wse_fabric *fabric, uint64_t until, uint64_t limit, const wse_stops *stops, wse_stop *to,
                           uint32_t capacity, uint32_t *n, const volatile int *stop) {
  wse_status status = fabric_seal(fabric);
  *n = 0;
  if (status != WSE_OK) return status;
  if (stops->colors && fabric->trace_capacity) return WSE_BADARG; /* its events would be lost */
  size_t bytes = 0;
  for (uint32_t i = 0; i < stops->place_count; i++) {
    const wse_place *place = &stops->places[i];
    if (place->pe >= fabric->pes || place->address > WSE_SRAM || place->bytes > WSE_SRAM - place->address)
      return WSE_BADARG;
    bytes += place->bytes;
  }
  for (uint32_t i = 0; stops->pes && i < stops->pe_count; i++)
    if (stops->pes[i] >= fabric->pes) return WSE_BADARG;
  search s = {.fabric = fabric, .stops = stops, .found = to, .capacity = capacity};
  s.first = calloc((size_t)fabric->class_total + 1, sizeof *s.first);
  s.before = calloc((size_t)pe_count(&s) + 1, sizeof *s.before);
  s.memory = malloc(bytes + 1);
  status = s.first && s.before && s.memory ? WSE_LIMIT : WSE_NOMEM;
  for (int i = 1; i < fabric->class_total && status == WSE_LIMIT; i++)
    s.first[i] = s.first[i - 1] + fabric->classes[i - 1].code_length;
  if (stops->colors && status == WSE_LIMIT && !events_room(fabric)) status = WSE_NOMEM;
  if (status == WSE_LIMIT) {
    look_at_threads(&s, false);
    look_at_memory(&s, false);
  }
  while (status == WSE_LIMIT && !s.n && fabric->now < until && !(stop && *stop)) {
    status = advance(&s, until, limit, stop);
    look_at_threads(&s, true);
    look_at_memory(&s, true);
    if (stops->colors) look_at_wavelets(&s);
  }
  free(s.first);
  free(s.before);
  free(s.memory);
  *n = s.n;
  return status;
}

/* --- runs at full speed ----------------------------------------------------------------------------------- */

/* Whether a main thread of a class stops before an instruction. */
static bool is_watched(const wse_stops *stops, const pe_class *class, int index, uint32_t pc, const uint16_t *marks) {
  if (marks && marks[pc] & (WSE_MARK_FIRST - 1)) return true;
  for (uint64_t tasks = stops->tasks ? stops->tasks[index] : 0; tasks; tasks &= tasks - 1)
    if (class->task_kind[__builtin_ctzll(tasks)] != WSE_TASK_UNBOUND && class->task_pc[__builtin_ctzll(tasks)] == pc)
      return true;
  return false;
}

/* Replaces the instructions that are watched; a copy of the code goes to `watch`.  False: there is no memory. */
static bool watch_begin(wse_fabric *fabric, watch_state *watch, const wse_stops *stops) {
  watch->code = calloc((size_t)fabric->class_total + 1, sizeof *watch->code);
  if (!watch->code || (stops->pes && !(watch->pes = calloc(fabric->pes, 1)))) return false;
  for (uint32_t i = 0; watch->pes && i < stops->pe_count; i++)
    watch->pes[stops->pes[i]] = 1;
  for (int i = 0; i < fabric->class_total; i++) {
    const pe_class *class = &fabric->classes[i];
    watch->code[i] = malloc((class->code_length + 1) * sizeof *class->code);
    if (!watch->code[i]) return false;
    memcpy(watch->code[i], class->code, class->code_length * sizeof *class->code);
  }
  const uint16_t *marks = stops->marks;
  for (int i = 0; i < fabric->class_total; i++) {
    pe_class *class = &fabric->classes[i];
    for (uint32_t pc = 0; pc < class->code_length; pc++)
      if (is_watched(stops, class, i, pc, marks)) class->code[pc].op = OP_WATCHED;
    if (marks) marks += class->code_length;
  }
  return true;
}

static void watch_end(wse_fabric *fabric, watch_state *watch) {
  for (int i = 0; watch->code && i < fabric->class_total; i++) {
    pe_class *class = &fabric->classes[i];
    if (watch->code[i]) memcpy(class->code, watch->code[i], class->code_length * sizeof *class->code);
    free(watch->code[i]);
  }
  free(watch->code);
  free(watch->pes);
}

wse_status wse_run_watching(wse_fabric *fabric, uint64_t until, uint64_t limit, const wse_stops *stops, uint64_t *first,
                            const volatile int *stop) {
  wse_status status = fabric_seal(fabric);
  *first = NEVER;
  if (status != WSE_OK) return status;
  if (stops->step_pe || stops->place_count || fabric->check) return WSE_BADARG;
  for (uint32_t i = 0; stops->pes && i < stops->pe_count; i++)
    if (stops->pes[i] >= fabric->pes) return WSE_BADARG;
  watch_state watch = {.colors = stops->colors, .wavelet_pes = stops->wavelet_pes, .first = NEVER};
  status = WSE_NOMEM;
  if (watch_begin(fabric, &watch, stops)) {
    fabric->watch = &watch;
    status = run_part(fabric, until, limit, stop);
    fabric->watch = NULL;
  }
  watch_end(fabric, &watch);
  *first = atomic_load(&watch.first);
  return status;
}

/* --- the state of a PE ------------------------------------------------------------------------------------ */

/* The values of a state, of which at most `capacity` are stored. */
typedef struct {
  uint64_t *to;
  int64_t capacity, n;
} values;

static void put(values *v, uint64_t value) {
  if (v->n < v->capacity) v->to[v->n] = value;
  v->n++;
}

static void put_thread(values *v, const wse_fabric *fabric, uint32_t pe) {
  const ce_state *ce = &fabric->ces[pe];
  const uint64_t all[] = {ce->state,   ce->task,      ce->pc,      ce->active,       ce->blocked,
                          ce->threads, ce->suspended, ce->main_at, ce->main_priority};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    put(v, all[i]);
}

static void put_dsr(values *v, const dsr *d) {
  const uint64_t all[] = {
      d->kind,    d->flags, d->queue,      d->color, d->base, d->length, (uint64_t)(int64_t)d->stride,
      d->options, d->x,     d->on_control, d->index};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    put(v, all[i]);
}

static void put_operation(values *v, const wse_fabric *fabric, uint32_t pe, int thread) {
  const ce_state *ce = &fabric->ces[pe];
  const vector_operation *o = &fabric->operations[thread][pe];
  if (thread == MAIN ? ce->state != MAIN_OPERATION : !(ce->threads >> thread & 1)) return;
  const uint64_t all[] = {o->op, o->pc, o->done, o->left, o->wait, o->options};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    put(v, all[i]);
}

static uint64_t shown_wavelet(uint32_t data, bool control, bool advance) {
  return data | (uint64_t)control << 32 | (uint64_t)advance << 33;
}

static void put_queue(values *v, wse_fabric *fabric, uint32_t pe, int q, bool out) {
  const pe_class *class = class_of(fabric, pe);
  const ramp_queue *queue = out ? oq_of(fabric, q, pe) : iq_of(fabric, q, pe);
  uint32_t mask = out ? fabric->oq_mask[q] : fabric->iq_mask[q],
           capacity = (out ? fabric->oq_capacity : fabric->iq_capacity)[q];
  if (!class || !capacity) return;
  put(v, (uint64_t)(int64_t)(out ? color_of_oq(fabric, pe, class, q) : color_of_iq(fabric, pe, class, q)));
  put(v, capacity);
  for (uint32_t i = 0; i < queue->count; i++) {
    wavelet w = queue->ring[(queue->head + i) & mask];
    put(v, shown_wavelet(w.data, w.meta & WAVELET_CONTROL, w.meta & WAVELET_ADVANCE));
  }
}

static uint32_t sliced_lane(const uint64_t d[SLICES], uint32_t lane) {
  uint32_t n = 0;
  for (int k = 0; k < SLICES; k++)
    n |= (uint32_t)(d[k] >> lane & 1) << k;
  return n;
}

/* The input port whose wavelets are in the one buffer of a color: its routes take it from one side only. */
static int only_input(const wse_fabric *fabric, uint32_t pe, int c) {
  uint64_t route = fabric->route[c][pe];
  uint32_t rx = route_rx(route, 0) | route_rx(route, 1) | route_rx(route, 2) | route_rx(route, 3);
  return rx ? __builtin_ctz(rx) : WSE_RAMP;
}

static void put_buffer(values *v, const wse_fabric *fabric, uint32_t pe, int color, int port) {
  int index = fabric->color_index[color];
  if (index < 0 || (fabric->inputs[index] == 1 && port != only_input(fabric, pe, index))) return;
  uint32_t at = fabric->router_lane[pe], lane = at % LANES;
  buffer_block *buffer = buffer_of(fabric, index, fabric->inputs[index] == 1 ? 0 : port, at / LANES);
  uint32_t held = sliced_lane(buffer->held, lane), head = sliced_lane(buffer->at, lane);
  for (uint32_t i = 0; i < held; i++) {
    uint32_t slot = (head + i) & ((1u << fabric->ring_bits) - 1);
    put(v, shown_wavelet(buffer->data[slot * LANES + lane], buffer->control[slot] >> lane & 1,
                         buffer->advance[slot] >> lane & 1));
  }
}

int64_t wse_look(wse_fabric *fabric, int x, int y, int what, int index, uint64_t *to, int64_t capacity) {
  values v = {to, capacity, 0};
  static const int ends[] = {[WSE_LOOK_THREAD] = 1,
                             [WSE_LOOK_REGISTERS] = 1,
                             [WSE_LOOK_DSR] = 48,
                             [WSE_LOOK_XDSR] = 16,
                             [WSE_LOOK_OPERATION] = THREADS,
                             [WSE_LOOK_INPUT] = WSE_INPUTS,
                             [WSE_LOOK_OUTPUT] = WSE_QUEUES,
                             [WSE_LOOK_BUFFER] = WSE_COLORS * WSE_PORTS,
                             [WSE_LOOK_ROUTE] = WSE_COLORS};
  if (fabric_seal(fabric) != WSE_OK || !in_grid(fabric, x, y, 1, 1) || what < 0 || what > WSE_LOOK_ROUTE || index < 0 ||
      index >= ends[what])
    return -1;
  uint32_t pe = (uint32_t)y * (uint32_t)fabric->width + (uint32_t)x;
  switch (what) {
    case WSE_LOOK_THREAD: put_thread(&v, fabric, pe); break;
    case WSE_LOOK_REGISTERS:
      for (uint32_t i = 0; i < WSE_REGISTERS; i++)
        put(&v, *register_of(fabric, pe, i));
      break;
    case WSE_LOOK_DSR: put_dsr(&v, &fabric->dsrs[index][pe]); break;
    case WSE_LOOK_XDSR:
      for (int i = 0; i < 4; i++) {
        uint32_t word;
        memcpy(&word, (const char *)&fabric->xdsrs[index][pe] + 4 * i, sizeof word);
        put(&v, word);
      }
      break;
    case WSE_LOOK_OPERATION: put_operation(&v, fabric, pe, index); break;
    case WSE_LOOK_INPUT: put_queue(&v, fabric, pe, index, false); break;
    case WSE_LOOK_OUTPUT: put_queue(&v, fabric, pe, index, true); break;
    case WSE_LOOK_BUFFER: put_buffer(&v, fabric, pe, index / WSE_PORTS, index % WSE_PORTS); break;
    default:
      if (fabric->color_index[index] >= 0) put(&v, fabric->route[fabric->color_index[index]][pe]);
  }
  return v.n;
}
