/* system.h - SYSTEM rows. */
#ifndef PE_SYSTEM_H
#define PE_SYSTEM_H

#include "state/state.h"

/* Executes a SYSTEM row but done, mapstep and maploop.  False: it must wait; a fault is raised by it. */
enum { SYSTEM_DONE, SYSTEM_FAULTED };
int system_execute(wse_fabric *f, band *b, uint32_t pe, ce *c, const isa_ins *ins, uint64_t at);

#endif
