/* memory.h - allocation of state and SRAM. */
#ifndef STATE_MEMORY_H
#define STATE_MEMORY_H

#include "state/state.h"

void *plane_new(wse_fabric *fabric, size_t bytes);  /* zero, lazily committed; NULL without memory */
void *sram_new(wse_fabric *fabric);                 /* the same, of all PEs */
void *sparse_new(wse_fabric *fabric, size_t bytes); /* as plane_new, for an array of which little is touched */
void planes_free(wse_fabric *fabric);               /* what both gave */

/* Bytes of a checked fabric are written. */
static inline void memory_note_written(wse_fabric *fabric, uint32_t pe, uint32_t at, uint32_t bytes) {
  uint64_t *written = fabric->written + (size_t)pe * (WSE_SRAM / 64);
  for (uint32_t i = at; i < at + bytes && i < WSE_SRAM; i++)
    written[i / 64] |= (uint64_t)1 << i % 64;
}

#endif
