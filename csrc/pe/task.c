/* task.c - the choice of the next task.
 *
 * A local task is eligible if it is activated and not blocked.  A data task is eligible while a data wavelet is the
 * head of its queue and no operation reads that queue.  A control task is eligible while a control wavelet that names
 * it is the head of a queue whose own data task is not blocked and of which no operation takes control wavelets
 * (on_control, dfilt).  High priority goes first, equal ones round robin by task number.  Tasks run to completion.
 */
#include "pe/task.h"

#include "observe/check.h"
#include "observe/fault.h"
#include "observe/senders.h"
#include "observe/watch.h"
#include "pe/ramp.h"
#include "state/queue.h"

typedef struct {
  uint64_t tasks, urgent; /* urgent: control tasks whose queue has got high priority */
  uint8_t queue_of[WSE_TASKS];
} eligible;

/* The data task of an input queue; -1: it is bound to no color. */
static int data_task_of(const wse_fabric *fabric, uint32_t pe, const pe_class *class, int q) {
  int color = color_of_iq(fabric, pe, class, q);
  return color < 0 || P(fabric, data_task_by_color) ? color : q;
}

static void from_queue(wse_fabric *fabric, band_state *band, uint32_t pe, const pe_class *class, int q, uint64_t now,
                       eligible *e) {
  ce_state *ce = &fabric->ces[pe];
  ramp_queue *in = iq_of(fabric, q, pe);
  while (in->count && wavelet_ready(queue_head(in), now)) {
    wavelet w = queue_head(in);
    int data_task = data_task_of(fabric, pe, class, q);
    if (w.meta & WAVELET_CONTROL) {
      if (ce->control_readers >> q & 1) return;
      uint32_t entry = w.data >> 16 & 63;
      if (control_for_routers(class, w)) {
        iq_take(fabric, band, pe, q, now);
        continue;
      }
      if (data_task >= 0 && ce->blocked >> data_task & 1) return;
      uint32_t named = entry;
      uint32_t place = named + class->control_first[q];
      entry = place < WSE_TASKS ? class->control_task[place] : WSE_TASKS;
      if (entry >= WSE_TASKS || class->task_kind[entry] == WSE_TASK_UNBOUND) {
        wse_fault fault = fault_at(fabric, pe, now, WSE_FAULT_BAD_TASK);
        fault.task = (int32_t)named;
        fault.color = color_of_iq(fabric, pe, class, q);
        fault.queue = q;
        fault_raise(band, fault);
        return;
      }
      if (ce->blocked >> entry & 1) return;
      e->tasks |= (uint64_t)1 << entry;
      if (data_task >= 0 && (ce->high_changed & ~class->high) >> data_task & 1) e->urgent |= (uint64_t)1 << entry;
      e->queue_of[entry] = (uint8_t)(q + 1);
      return;
    }
    if (ce->readers >> q & 1 || data_task < 0 || class->task_kind[data_task] != WSE_TASK_DATA ||
        ce->blocked >> data_task & 1)
      return;
    e->tasks |= (uint64_t)1 << data_task;
    e->queue_of[data_task] = (uint8_t)(q + 1);
    return;
  }
}

/* The queue with the wavelet of *task, if no other queue has one and it is data; -1: there may be others, or none. */
static int only_data(const wse_fabric *fabric, uint32_t pe, const pe_class *class, uint64_t now, int *task) {
  const ce_state *ce = &fabric->ces[pe];
  const uint32_t queues = ce->input_queues;
  if (!queues || queues & (queues - 1) || queues & (ce->control_queues | ce->readers)) return -1;
  int q = __builtin_ctz(queues);
  *task = data_task_of(fabric, pe, class, q);
  bool eligible = *task >= 0 && class->task_kind[*task] == WSE_TASK_DATA && !(ce->blocked >> *task & 1);
  return eligible && wavelet_ready(queue_head(iq_of(fabric, q, pe)), now) ? q : -1;
}

/* A checked run: a task gets the wavelet at the head of a queue.  A control task is not one of a message. */
static void note_sender(wse_fabric *fabric, uint32_t pe, const pe_class *class, int queue) {
  const ramp_queue *in = iq_of(fabric, queue, pe);
  bool is_data = !(queue_head(in).meta & WAVELET_CONTROL);
  senders_task(fabric, pe, is_data ? queue : -1, in->head, color_of_iq(fabric, pe, class, queue));
}

bool task_pick(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t now) {
  ce_state *ce = &fabric->ces[pe];
  const pe_class *class = class_of(fabric, pe);
  const uint64_t local = ce->active & ~ce->blocked & class->local;
  int task, queue = local ? -1 : only_data(fabric, pe, class, now, &task);
  if (queue < 0) {
    eligible e = {.tasks = local};
    for (uint32_t queues = ce->input_queues; queues; queues &= queues - 1)
      from_queue(fabric, band, pe, class, __builtin_ctz(queues), now, &e);
    if (!e.tasks) return false;
    uint64_t high = (e.tasks & (class->high ^ ce->high_changed)) | e.urgent, best = high ? high : e.tasks;
    uint64_t after = ce->task < 63 ? best & ~(((uint64_t)2 << ce->task) - 1) : 0;
    task = __builtin_ctzll(after ? after : best);
    queue = local >> task & 1 ? -1 : e.queue_of[task] - 1;
  }
  ce->task = (uint8_t)task;
  if (queue < 0) {
    ce->active &= ~((uint64_t)1 << task);
    if (fabric->check) senders_task(fabric, pe, -1, 0, -1);
  } else {
    if (fabric->check) note_sender(fabric, pe, class, queue);
    *register_of(fabric, pe, 0) = iq_take(fabric, band, pe, queue, now).data;
    ce->result_register = OPERAND_NONE;
  }
  ce->pc = class->task_pc[task];
  ce->state = MAIN_RUN;
  counters_of(fabric, pe)[WSE_CTR_TASKS]++;
  watch_arrives(fabric, pe, now);
  return true;
}

void task_then(wse_fabric *fabric, uint32_t pe, int what, int task) {
  ce_state *ce = &fabric->ces[pe];
  if (what == OPT_THEN_ACTIVATE) ce->active |= (uint64_t)1 << (task & 63);
  if (what == OPT_THEN_UNBLOCK) ce->blocked &= ~((uint64_t)1 << (task & 63));
}

void task_after(wse_fabric *fabric, band_state *band, uint32_t pe, int what, int task, uint32_t pc, uint64_t at) {
  if (what == OPT_THEN_ACTIVATE && class_of(fabric, pe)->task_kind[task & 63] == WSE_TASK_UNBOUND) {
    wse_fault fault = fault_at(fabric, pe, at, WSE_FAULT_BAD_TASK);
    fault.pc = (int32_t)pc;
    fault.detail = (uint32_t)task;
    fault_raise(band, fault);
  }
  if (what == OPT_THEN_ACTIVATE && fabric->check) check_activate(fabric, pe, task & 63, pc, at);
  task_then(fabric, pe, what, task);
}
