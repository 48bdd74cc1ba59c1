/* task.c - which task runs next.
 *
 * A task is eligible if it is activated and not blocked; a data task while a data wavelet heads its queue and no operation reads
 * that queue; a control task while a control wavelet that names it heads a queue whose own data task is not blocked and of which
 * no operation takes control wavelets (on_control, dfilt).  High priority goes first; among equals the next id after the last
 * one run, in a circle.  Tasks run to completion.
 */
#include "pe/task.h"

#include "observe/fault.h"
#include "pe/ramp.h"
#include "state/queue.h"

typedef struct {
  uint64_t tasks;
  uint8_t queue_of[WSE_TASKS];
} eligible;

static void from_queue(wse_fabric *f, band *b, uint32_t pe, const pe_class *k, int q, uint64_t now, eligible *e) {
  ce *c = &f->ces[pe];
  queue *in = iq_of(f, q, pe);
  while (in->count && wavelet_ready(queue_head(in), now)) {
    wavelet w = queue_head(in);
    int color = color_of_iq(f, pe, k, q), data_task = P(f, data_task_by_color) ? color : q;
    if (w.meta & WAVELET_CONTROL) {
      if (c->control_readers >> q & 1) return;
      uint32_t entry = w.data >> 16 & 63;
      if (control_for_routers(k, w)) {
        iq_take(f, b, pe, q, now);
        continue;
      }
      if (data_task >= 0 && c->blocked >> data_task & 1) return;
      if (k->task_kind[entry] == WSE_TASK_UNBOUND) {
        wse_fault fault = fault_at(f, pe, now, WSE_FAULT_BAD_TASK);
        fault.task = (int32_t)entry;
        fault.color = color;
        fault.queue = q;
        fault_raise(b, fault);
        return;
      }
      if (c->blocked >> entry & 1) return;
      e->tasks |= (uint64_t)1 << entry;
      e->queue_of[entry] = (uint8_t)(q + 1);
      return;
    }
    if (c->readers >> q & 1 || data_task < 0 || k->task_kind[data_task] != WSE_TASK_DATA || c->blocked >> data_task & 1) return;
    e->tasks |= (uint64_t)1 << data_task;
    e->queue_of[data_task] = (uint8_t)(q + 1);
    return;
  }
}

/* Nothing is eligible unless a local task is activated, or a queue holds a control wavelet or one that no operation reads. */
bool task_possible(const wse_fabric *f, uint32_t pe) {
  const ce *c = &f->ces[pe];
  return (c->active & ~c->blocked) || (c->input_queues & (c->control_queues | (uint8_t)~c->readers));
}

bool task_pick(wse_fabric *f, band *b, uint32_t pe, uint64_t now) {
  ce *c = &f->ces[pe];
  const pe_class *k = class_of(f, pe);
  eligible e;
  e.tasks = c->active & ~c->blocked & k->local;
  uint64_t local = e.tasks;
  for (uint32_t queues = c->input_queues; queues; queues &= queues - 1)
    from_queue(f, b, pe, k, __builtin_ctz(queues), now, &e);
  if (!e.tasks) return false;
  uint64_t high = e.tasks & k->high, best = high ? high : e.tasks;
  uint64_t after = c->task < 63 ? best & ~(((uint64_t)2 << c->task) - 1) : 0;
  int task = __builtin_ctzll(after ? after : best);
  c->task = (uint8_t)task;
  if (local >> task & 1) {
    c->active &= ~((uint64_t)1 << task);
  } else {
    c->r[0] = iq_take(f, b, pe, e.queue_of[task] - 1, now).data;
    c->result_register = OPERAND_NONE;
  }
  c->pc = k->task_pc[task];
  c->state = MAIN_RUN;
  counters_of(f, pe)[WSE_CTR_TASKS]++;
  return true;
}

void task_then(wse_fabric *f, uint32_t pe, int what, int task) {
  ce *c = &f->ces[pe];
  if (what == OPT_THEN_ACTIVATE) c->active |= (uint64_t)1 << (task & 63);
  if (what == OPT_THEN_UNBLOCK) c->blocked &= ~((uint64_t)1 << (task & 63));
}
