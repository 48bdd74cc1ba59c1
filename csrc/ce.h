/* ce.h - one compute element: tasks, the main thread, microthreads. */
#ifndef CE_H
#define CE_H

#include "fabric.h"

/* ce.c */
void ce_step(wse_fabric *f, band *b, uint32_t pe, uint64_t now);
void ce_fault(wse_fabric *f, band *b, uint32_t pe, uint64_t at, int kind, uint32_t pc, uint32_t detail);
void account(wse_fabric *f, band *b, uint32_t pe, uint64_t until, int cause);

/* task.c */
bool task_possible(const wse_fabric *f, uint32_t pe); /* a quick no for most */
bool task_pick(wse_fabric *f, band *b, uint32_t pe, uint64_t now); /* starts an eligible task; false if there is none */

/* scalar.c: executes a SCALAR row.  *next is the following instruction, *cost the cycles until the next may issue. */
void scalar_execute(wse_fabric *f, uint32_t pe, ce *c, const isa_ins *ins, uint64_t at, uint32_t *next, uint64_t *cost);
uint64_t scalar_ready(const ce *c, const isa_ins *ins); /* cycle from which its registers are there */

/* system.c: executes a SYSTEM row but done, mapstep and maploop.  False: it must wait; a fault is raised by it. */
enum { SYSTEM_DONE, SYSTEM_FAULTED };
int system_execute(wse_fabric *f, band *b, uint32_t pe, ce *c, const isa_ins *ins, uint64_t at);

#endif
