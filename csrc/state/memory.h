/* memory.h - allocation of state and SRAM. */
#ifndef STATE_MEMORY_H
#define STATE_MEMORY_H

#include "state/state.h"

void *plane_new(wse_fabric *f, size_t bytes); /* zero, lazily committed; NULL without memory */
void *sram_new(wse_fabric *f);                /* the same, of all PEs */
void planes_free(wse_fabric *f);              /* what both gave */

#endif
