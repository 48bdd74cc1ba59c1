/* waits.c - when nothing can move: who waits, and for what.  The edges of the deadlock report's graph. */
#include "router/route_register.h"
#include "state/bitplane.h"
#include "state/queue.h"

typedef struct {
  wse_wait *out;
  int64_t room, n;
  int pending;
} list;

static wse_wait wait_new(uint32_t pe, int who, int id, int why) {
  return (wse_wait){.pe = pe, .on_pe = pe, .pc = -1, .who = (int16_t)who, .id = (int16_t)id, .why = (int16_t)why,
                    .color = -1, .port = -1, .queue = -1, .task = -1};
}

static void add(list *l, wse_wait w, int pending) {
  if (l->n < l->room) l->out[l->n] = w;
  l->n++;
  l->pending |= pending;
}

static bool lane_bit(uint64_t plane, uint32_t lane) { return plane >> lane & 1; }

static void wait_of_operation(wse_fabric *f, uint32_t pe, int thread, list *l) {
  const operation *o = &f->operations[thread][pe];
  wse_wait w = wait_new(pe, thread == MAIN ? WSE_WAIT_MAIN : WSE_WAIT_MICROTHREAD, thread, WSE_FOR_WAVELET);
  const pe_class *k = class_of(f, pe);
  w.pc = (int32_t)o->pc;
  w.task = f->ces[pe].task;
  if (thread != MAIN && f->ces[pe].suspended >> thread & 1) {
    w.why = WSE_FOR_UNBLOCK;
    add(l, w, WSE_PENDING_OPERATIONS);
    return;
  }
  const operand *inputs[] = {&o->src0, &o->src1};
  for (int i = 0; i < 2; i++) {
    if (inputs[i]->is != OPERAND_IS_DSR) continue;
    if (inputs[i]->d.kind == DSD_FIFO && !f->xdsrs[inputs[i]->d.x & 15][pe].fifo.count) {
      w.why = WSE_FOR_FIFO;
      add(l, w, WSE_PENDING_OPERATIONS);
      return;
    }
    if (inputs[i]->d.kind != DSD_FABIN) continue;
    const queue *q = iq_of(f, inputs[i]->d.queue, pe);
    if (q->count && !(queue_head(q).meta & WAVELET_CONTROL)) continue;
    w.queue = inputs[i]->d.queue;
    w.color = (int16_t)color_of_iq(f, pe, k, w.queue);
    add(l, w, WSE_PENDING_OPERATIONS);
    return;
  }
  w.why = o->dst.is == OPERAND_IS_DSR && o->dst.d.kind == DSD_FIFO ? WSE_FOR_FIFO : WSE_FOR_ROOM;
  if (o->dst.is == OPERAND_IS_DSR && o->dst.d.kind == DSD_FABOUT) {
    w.queue = o->dst.d.queue;
    w.color = o->dst.d.color;
    w.port = WSE_RAMP;
  }
  add(l, w, WSE_PENDING_OPERATIONS);
}

static void waits_of_ce(wse_fabric *f, uint32_t pe, list *l) {
  const ce *c = &f->ces[pe];
  const pe_class *k = class_of(f, pe);
  if (!k) return;
  if (c->state == MAIN_OPERATION) wait_of_operation(f, pe, MAIN, l);
  if (c->state == MAIN_RUN) { /* an operation wants a microthread that is under way, or mapstep a wavelet */
    wse_wait w = wait_new(pe, WSE_WAIT_MAIN, MAIN, WSE_FOR_MICROTHREAD);
    w.pc = (int32_t)c->pc;
    w.task = c->task;
    const isa_ins *ins = &k->code[c->pc];
    int number = (ins->op & ~INS_IMMEDIATE) == OP_mapstep ? operand_dsr(ins->b) : -1;
    if (number >= 0) {
      w.why = WSE_FOR_WAVELET;
      w.queue = f->dsrs[number][pe].queue;
      w.color = (int16_t)color_of_iq(f, pe, k, w.queue & 7);
    }
    add(l, w, WSE_PENDING_OPERATIONS);
  }
  for (int t = 0; t < MAIN; t++)
    if (c->threads >> t & 1) wait_of_operation(f, pe, t, l);
  for (uint32_t queues = c->output_queues; queues; queues &= queues - 1) {
    int n = __builtin_ctz(queues);
    queue *q = oq_of(f, n, pe);
    wse_wait w = wait_new(pe, WSE_WAIT_OUTPUT_QUEUE, n, WSE_FOR_ROOM);
    int color = ((uint8_t *)(q->ring + f->oq_mask[n] + 1))[q->head];
    uint64_t route = f->route[color][pe];
    if (f->inputs[color] == 1 && !(route_rx(route, route_position(route)) >> WSE_RAMP & 1)) w.why = WSE_FOR_ROUTE;
    w.color = f->color_of[color];
    w.queue = (int16_t)n;
    w.port = WSE_RAMP;
    add(l, w, WSE_PENDING_QUEUES);
  }
  for (uint32_t queues = c->input_queues; queues; queues &= queues - 1) {
    int n = __builtin_ctz(queues);
    if (c->readers >> n & 1) continue;
    int color = color_of_iq(f, pe, k, n), task = P(f, data_task_by_color) ? color : n;
    wse_wait w = wait_new(pe, WSE_WAIT_INPUT_QUEUE, n, WSE_FOR_READER);
    w.queue = (int16_t)n;
    w.color = (int16_t)color;
    if (task >= 0 && k->task_kind[task] == WSE_TASK_DATA) w.task = (int16_t)task;
    if (task >= 0 && c->blocked >> task & 1) w.why = WSE_FOR_UNBLOCK;
    add(l, w, WSE_PENDING_QUEUES);
  }
  for (uint64_t tasks = c->active & c->blocked & k->local; tasks; tasks &= tasks - 1) {
    wse_wait w = wait_new(pe, WSE_WAIT_TASK, __builtin_ctzll(tasks), WSE_FOR_UNBLOCK);
    w.task = (int16_t)__builtin_ctzll(tasks);
    add(l, w, WSE_PENDING_TASKS);
  }
}

static void waits_of_router(wse_fabric *f, uint32_t pe, list *l) {
  uint32_t word = f->place[pe] / LANES, lane = f->place[pe] % LANES;
  for (uint32_t busy = f->routers[word].busy; busy; busy &= busy - 1) {
    int color = __builtin_ctz(busy);
    uint64_t route = f->route[color][pe];
    int position = route_position(route);
    for (int input = 0; input < f->inputs[color]; input++) {
      buffer_word *b = buffer_of(f, color, input, word);
      if (!lane_bit(digits_some(b->held), lane)) continue;
      int port = f->inputs[color] == 1 ? __builtin_ctz(route_rx(route, position) | 32) : input;
      wse_wait w = wait_new(pe, WSE_WAIT_ROUTER, port, WSE_FOR_ROUTE);
      w.color = f->color_of[color];
      w.port = (int16_t)port;
      uint32_t rest = 0, to;
      for (int out = 0; out < WSE_PORTS; out++)
        rest |= (uint32_t)(route_tx(route, position) >> out & 1 & !lane_bit(b->sent[out], lane)) << out;
      if (route >> WSE_ROUTE_TEARDOWN & 1) {
        w.why = WSE_FOR_TEARDOWN;
      } else if (route_rx(route, position) >> port & 1 && rest) {
        w.port = (int16_t)__builtin_ctz(rest);
        w.why = WSE_FOR_ROOM;
        if (w.port == WSE_RAMP) {
          w.queue = (int16_t)queue_of_color(f, pe, w.color);
          w.why = w.queue < 0 ? WSE_FOR_QUEUE : WSE_FOR_ROOM;
        } else if (beyond(f, pe, color, w.port, &to)) {
          w.on_pe = to;
        }
      }
      add(l, w, WSE_PENDING_ROUTERS);
    }
  }
}

static void collect(wse_fabric *f, list *l) {
  for (uint32_t pe = 0; pe < f->pes; pe++) {
    if (f->class_of[pe] != 0xffff) waits_of_ce(f, pe, l);
    if (f->routers[f->place[pe] / LANES].busy) waits_of_router(f, pe, l);
  }
}

int64_t wse_waits(wse_fabric *f, wse_wait *out, int64_t room) {
  list l = {.out = out, .room = room};
  collect(f, &l);
  return l.n;
}

int wse_pending(wse_fabric *f) {
  list l = {0};
  collect(f, &l);
  return l.pending;
}
