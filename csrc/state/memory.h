/* memory.h - allocation of state and SRAM. */
#ifndef STATE_MEMORY_H
#define STATE_MEMORY_H

#include "state/state.h"

void *plane_new(wse_fabric *fabric, size_t bytes); /* zero, lazily committed; NULL without memory */
void *sram_new(wse_fabric *fabric);                /* the same, of all PEs */
void planes_free(wse_fabric *fabric);              /* what both gave */

#endif
