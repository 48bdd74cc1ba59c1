/* task.h - the choice of the next task. */
#ifndef PE_TASK_H
#define PE_TASK_H

#include "state/state.h"

/* A cheap test: false if no task can be eligible.  One can only if a local task is activated, or a queue holds a
 * control wavelet or is read by no operation. */
static inline bool task_possible(const wse_fabric *fabric, uint32_t pe) {
  const ce_state *ce = &fabric->ces[pe];
  return (ce->active & ~ce->blocked) || (ce->input_queues & (ce->control_queues | ~(uint32_t)ce->readers));
}

bool task_pick(wse_fabric *fabric, band_state *band, uint32_t pe,
               uint64_t now); /* starts an eligible task; false if there is none */
/* Applies what the end of an operation does to a task: OPT_THEN_ACTIVATE, OPT_THEN_UNBLOCK or nothing. */
void task_then(wse_fabric *fabric, uint32_t pe, int what, int task);
/* The same, for the operation at `pc` that ends in cycle `at`: a fault if the task that it activates is not bound. */
void task_after(wse_fabric *fabric, band_state *band, uint32_t pe, int what, int task, uint32_t pc, uint64_t at);

#endif
