/* ce.h - one compute element: tasks, the main thread, microthreads. */
#ifndef CE_H
#define CE_H

#include "state/state.h"

/* ce.c */
void ce_step(wse_fabric *f, band *b, uint32_t pe, uint64_t now);
void ce_fault(wse_fabric *f, band *b, uint32_t pe, uint64_t at, int kind, uint32_t pc, uint32_t detail);
void settle_memory(wse_fabric *f, band *b, uint32_t pe, uint64_t now);
void account(wse_fabric *f, band *b, uint32_t pe, uint64_t until, int cause);

/* task.c */
bool task_possible(const wse_fabric *f, uint32_t pe); /* a quick no for most */
bool task_pick(wse_fabric *f, band *b, uint32_t pe, uint64_t now); /* starts an eligible task; false if there is none */

/* scalar.c: SCALAR rows one after the other, each in its own cycle, the first in `at` or when its operands are there, while they
 * are before `limit` and at most `budget`; what comes next is in pc and main_at.  Returns how many. */
uint64_t scalar_run(wse_fabric *f, band *b, uint32_t pe, const isa_ins *code, uint32_t length, uint64_t at, uint64_t limit,
                    int budget);

/* system.c: executes a SYSTEM row but done, mapstep and maploop.  False: it must wait; a fault is raised by it. */
enum { SYSTEM_DONE, SYSTEM_FAULTED };
int system_execute(wse_fabric *f, band *b, uint32_t pe, ce *c, const isa_ins *ins, uint64_t at);

#endif
