/* waits.c - the edges of the deadlock report's graph: what waits, and for what. */
#include "pe/issue.h"
#include "router/route_register.h"
#include "state/bitplane.h"
#include "state/queue.h"

typedef struct {
  wse_wait *out;
  int64_t capacity, n;
  int pending;
} wait_list;

static wse_wait wait_new(uint32_t pe, int who, int id, int why) {
  return (wse_wait){.pe = pe,
                    .on_pe = pe,
                    .pc = -1,
                    .who = (int16_t)who,
                    .id = (int16_t)id,
                    .why = (int16_t)why,
                    .color = -1,
                    .port = -1,
                    .queue = -1,
                    .task = -1};
}

static void add(wait_list *list, wse_wait w, int pending) {
  if (list->n < list->capacity) list->out[list->n] = w;
  list->n++;
  list->pending |= pending;
}

static bool lane_bit(uint64_t plane, uint32_t lane) { return plane >> lane & 1; }

static void wait_of_operation(wse_fabric *fabric, uint32_t pe, int thread, wait_list *list) {
  const vector_operation *operation = &fabric->operations[thread][pe];
  wse_wait w = wait_new(pe, thread == MAIN ? WSE_WAIT_MAIN : WSE_WAIT_MICROTHREAD, thread, WSE_FOR_WAVELET);
  const pe_class *class = class_of(fabric, pe);
  w.pc = (int32_t)operation->pc;
  w.task = fabric->ces[pe].task;
  if (thread != MAIN && fabric->ces[pe].suspended >> thread & 1) {
    w.why = WSE_FOR_UNBLOCK;
    add(list, w, WSE_PENDING_OPERATIONS);
    return;
  }
  const vector_operand *inputs[] = {&operation->src0, &operation->src1};
  for (int i = 0; i < 2; i++) {
    if (inputs[i]->is != OPERAND_IS_DSR) continue;
    if (inputs[i]->d.kind == DSD_FIFO && !fabric->xdsrs[inputs[i]->d.x & 15][pe].fifo.count) {
      w.why = WSE_FOR_FIFO;
      add(list, w, WSE_PENDING_OPERATIONS);
      return;
    }
    if (inputs[i]->d.kind != DSD_FABIN) continue;
    const ramp_queue *queue = iq_of(fabric, inputs[i]->d.queue, pe);
    if (queue->count && !(queue_head(queue).meta & WAVELET_CONTROL)) continue;
    w.queue = inputs[i]->d.queue;
    w.color = (int16_t)color_of_iq(fabric, pe, class, w.queue);
    add(list, w, WSE_PENDING_OPERATIONS);
    return;
  }
  w.why = operation->dst.is == OPERAND_IS_DSR && operation->dst.d.kind == DSD_FIFO ? WSE_FOR_FIFO : WSE_FOR_ROOM;
  if (operation->dst.is == OPERAND_IS_DSR && operation->dst.d.kind == DSD_FABOUT) {
    w.queue = operation->dst.d.queue;
    w.color = operation->dst.d.color;
    w.port = WSE_RAMP;
  }
  add(list, w, WSE_PENDING_OPERATIONS);
}

static void waits_of_ce(wse_fabric *fabric, uint32_t pe, wait_list *list) {
  const ce_state *ce = &fabric->ces[pe];
  const pe_class *class = class_of(fabric, pe);
  if (!class) return;
  if (ce->state == MAIN_OPERATION) wait_of_operation(fabric, pe, MAIN, list);
  if (ce->state == MAIN_RUN) { /* an operation needs a microthread that is busy, or mapstep a wavelet */
    wse_wait w = wait_new(pe, WSE_WAIT_MAIN, MAIN, WSE_FOR_MICROTHREAD);
    w.pc = (int32_t)ce->pc;
    w.task = ce->task;
    const isa_ins *ins = &class->code[ce->pc];
    int number = (ins->op & ~INS_IMMEDIATE) == OP_mapstep ? operand_dsr(ins->b) : -1;
    bool binding;
    if (number >= 0) {
      w.why = WSE_FOR_WAVELET;
      w.queue = fabric->dsrs[number][pe].queue;
      w.color = (int16_t)color_of_iq(fabric, pe, class, w.queue & 7);
    } else {
      w.queue = (int16_t)issue_waits_for(fabric, pe, ins, &binding);
      if (binding) {
        w.why = WSE_FOR_BINDING;
        w.color = (int16_t)color_of_iq(fabric, pe, class, w.queue & 7);
      }
    }
    add(list, w, WSE_PENDING_OPERATIONS);
  }
  for (int t = 0; t < MAIN; t++)
    if (ce->threads >> t & 1) wait_of_operation(fabric, pe, t, list);
  for (uint32_t queues = ce->output_queues; queues; queues &= queues - 1) {
    int n = __builtin_ctz(queues);
    ramp_queue *queue = oq_of(fabric, n, pe);
    wse_wait w = wait_new(pe, WSE_WAIT_OUTPUT_QUEUE, n, WSE_FOR_ROOM);
    int color = ((uint8_t *)(queue->ring + fabric->oq_mask[n] + 1))[queue->head];
    uint64_t route = fabric->route[color][pe];
    if (fabric->inputs[color] == 1 && !(route_rx(route, route_position(route)) >> WSE_RAMP & 1)) w.why = WSE_FOR_ROUTE;
    w.color = fabric->color_of[color];
    w.queue = (int16_t)n;
    w.port = WSE_RAMP;
    add(list, w, WSE_PENDING_QUEUES);
  }
  for (uint32_t queues = ce->input_queues; queues; queues &= queues - 1) {
    int n = __builtin_ctz(queues);
    if (ce->readers >> n & 1) continue;
    int color = color_of_iq(fabric, pe, class, n), task = P(fabric, data_task_by_color) ? color : n;
    wse_wait w = wait_new(pe, WSE_WAIT_INPUT_QUEUE, n, WSE_FOR_READER);
    w.queue = (int16_t)n;
    w.color = (int16_t)color;
    if (task >= 0 && class->task_kind[task] == WSE_TASK_DATA) w.task = (int16_t)task;
    if (task >= 0 && ce->blocked >> task & 1) w.why = WSE_FOR_UNBLOCK;
    add(list, w, WSE_PENDING_QUEUES);
  }
  for (uint64_t tasks = ce->active & ce->blocked & class->local; tasks; tasks &= tasks - 1) {
    wse_wait w = wait_new(pe, WSE_WAIT_TASK, __builtin_ctzll(tasks), WSE_FOR_UNBLOCK);
    w.task = (int16_t)__builtin_ctzll(tasks);
    add(list, w, WSE_PENDING_TASKS);
  }
}

static void waits_of_router(wse_fabric *fabric, uint32_t pe, wait_list *list) {
  uint32_t block = fabric->router_lane[pe] / LANES, lane = fabric->router_lane[pe] % LANES;
  for (uint32_t busy = fabric->routers[block].busy; busy; busy &= busy - 1) {
    int color = __builtin_ctz(busy);
    uint64_t route = fabric->route[color][pe];
    int position = route_position(route);
    for (int input = 0; input < fabric->inputs[color]; input++) {
      buffer_block *buffer = buffer_of(fabric, color, input, block);
      if (!lane_bit(sliced_nonzero(buffer->held), lane)) continue;
      int port = fabric->inputs[color] == 1 ? __builtin_ctz(route_rx(route, position) | 32) : input;
      wse_wait w = wait_new(pe, WSE_WAIT_ROUTER, port, WSE_FOR_ROUTE);
      w.color = fabric->color_of[color];
      w.port = (int16_t)port;
      uint32_t rest = 0, to;
      for (int out = 0; out < WSE_PORTS; out++)
        rest |= (uint32_t)(route_tx(route, position) >> out & 1 & !lane_bit(buffer->sent[out], lane)) << out;
      if (route >> WSE_ROUTE_TEARDOWN & 1) {
        w.why = WSE_FOR_TEARDOWN;
      } else if (route_rx(route, position) >> port & 1 && rest) {
        w.port = (int16_t)__builtin_ctz(rest);
        w.why = WSE_FOR_ROOM;
        if (w.port == WSE_RAMP) {
          w.queue = (int16_t)queue_of_color(fabric, pe, w.color);
          w.why = w.queue < 0 ? WSE_FOR_QUEUE : WSE_FOR_ROOM;
        } else if (beyond(fabric, pe, color, w.port, &to)) {
          w.on_pe = to;
        }
      }
      add(list, w, WSE_PENDING_ROUTERS);
    }
  }
}

static void collect(wse_fabric *fabric, wait_list *list) {
  for (uint32_t pe = 0; pe < fabric->pes; pe++) {
    if (fabric->class_of[pe] != 0xffff) waits_of_ce(fabric, pe, list);
    if (fabric->routers[fabric->router_lane[pe] / LANES].busy) waits_of_router(fabric, pe, list);
  }
}

int64_t wse_waits(wse_fabric *fabric, wse_wait *out, int64_t capacity) {
  wait_list list = {.out = out, .capacity = capacity};
  collect(fabric, &list);
  return list.n;
}

int wse_pending(wse_fabric *fabric) {
  wait_list list = {0};
  collect(fabric, &list);
  return list.pending;
}
