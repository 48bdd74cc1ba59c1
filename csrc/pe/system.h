/* system.h - system instructions. */
#ifndef PE_SYSTEM_H
#define PE_SYSTEM_H

#include "state/state.h"

/* Executes a system instruction other than done, mapstep and maploop.  On SYSTEM_FAULTED a fault has been raised. */
enum { SYSTEM_DONE, SYSTEM_FAULTED };
int system_execute(wse_fabric *fabric, band_state *band, uint32_t pe, ce_state *ce, const isa_ins *ins, uint64_t at);

#endif
