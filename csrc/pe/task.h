/* task.h - which task runs next. */
#ifndef PE_TASK_H
#define PE_TASK_H

#include "state/state.h"

bool task_possible(const wse_fabric *f, uint32_t pe); /* a quick no for most */
bool task_pick(wse_fabric *f, band *b, uint32_t pe, uint64_t now); /* starts an eligible task; false if there is none */
/* What an operation does when it ends: what is OPT_THEN_ACTIVATE, OPT_THEN_UNBLOCK or neither. */
void task_then(wse_fabric *f, uint32_t pe, int what, int task);

#endif
