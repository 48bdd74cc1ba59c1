/* arrival.c - what the arrival of wavelets says of the next cycles of a CE. */
#include "pe/arrival.h"

#include "pe/task.h"
#include "state/queue.h"
#include "state/wake.h"

const vector_operand *arrival_input(const vector_operation *operation) {
  const vector_operand *inputs[] = {&operation->src0, &operation->src1};
  for (int i = 0; i < 2; i++)
    if (inputs[i]->is == OPERAND_IS_DSR && inputs[i]->d.kind == DSD_FABIN) return inputs[i];
  return NULL;
}

/* The first cycle in which a wavelet that a router has not sent down yet may be in the queue. */
static uint64_t next_arrival(const wse_fabric *fabric, uint32_t pe, int q, uint64_t now) {
  int color = color_of_iq(fabric, pe, class_of(fabric, pe), q);
  bool near = color < 0 || fabric->routers[fabric->router_lane[pe] / LANES].busy >> fabric->color_index[color] & 1;
  return now + (uint64_t)P(fabric, ramp_in_cycles) + !near; /* if the router sends it in this cycle, or in the next */
}

uint64_t arrival_until(const wse_fabric *fabric, uint32_t pe, uint64_t now, uint64_t *wake) {
  const ce_state *ce = &fabric->ces[pe];
  uint64_t until = now + NEAR;
  *wake = NEVER;
  if (ce->taken || fabric->by_element || fabric->trace_capacity || fabric->profiles) return now + 1;
  for (uint32_t threads = ce->threads & ~(uint32_t)ce->suspended; threads; threads &= threads - 1) {
    const vector_operation *operation = &fabric->operations[__builtin_ctz(threads)][pe];
    const vector_operand *in = operation->simple && operation->left ? arrival_input(operation) : NULL;
    if (!in) return now + 1;
    const ramp_queue *queue = iq_of(fabric, in->d.queue, pe);
    uint64_t acts = queue->count ? wavelet_when(queue_head(queue), now) : next_arrival(fabric, pe, in->d.queue, now);
    if (acts < operation->next) acts = operation->next;
    if (acts <= now + 1) return now + 1;
    if (acts < until) until = acts;
    if (queue->count && acts < *wake) *wake = acts;
  }
  return until;
}

bool arrival_awaited(wse_fabric *fabric, const band_state *band, uint32_t pe, uint64_t at, uint64_t *next, int *cause) {
  ce_state *ce = &fabric->ces[pe];
  const bool receives = ce->state == MAIN_OPERATION;
  const uint32_t operations = ce->threads | (uint32_t)receives << MAIN;
  if (ce->suspended || ce->taken || ce->behind || ce->store_threads || band->profile || fabric->trace_capacity)
    return false;
  *next = NEVER;
  *cause = NO_CAUSE;
  if (ce->state == MAIN_MEMORY) {
    uint64_t last = ce->memory_mark + ce->memory_left - 1;
    if (ce->thread_priority || ce->main_priority || ce->memory_mark > at || last <= at) return false;
    ce->thread_next = 0; /* the main thread has the slot */
    *next = last;
    return true;
  }
  bool idle = ce->state == MAIN_IDLE && ce->main_at <= at && !ce->just_ended && !task_possible(fabric, pe);
  if (!idle && !receives && !(ce->state == MAIN_RUN && ce->stuck)) return false;
  for (uint32_t rest = operations; rest; rest &= rest - 1) {
    const int thread = __builtin_ctz(rest);
    vector_operation *operation = &fabric->operations[thread][pe];
    if (operation->next > at) {
      if (operation->next < *next) *next = operation->next;
      continue;
    }
    operation->wait = WSE_CTR_STALL_INPUT;
    if (idle || thread == MAIN) *cause = WSE_CTR_STALL_INPUT;
  }
  if (ce->state == MAIN_RUN) *cause = fabric->operations[ce->stuck - 1][pe].wait;
  return true;
}

bool arrival_is_early(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t now) {
  const ce_state *ce = &fabric->ces[pe];
  if (!between_tasks(fabric, ce, now)) return false;
  if (task_possible(fabric, pe)) wake_ce(fabric, band, pe, now, ce->main_at);
  return true;
}
