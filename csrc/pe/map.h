/* map.h - loops over the elements of a descriptor. */
#ifndef PE_MAP_H
#define PE_MAP_H

#include "state/state.h"

/* Issues mapstep or maploop in cycle `at`, in a step of cycle `now`.  Returns what became of it (issue_rules.h). */
int issue_map(wse_fabric *fabric, band_state *band, uint32_t pe, const isa_ins *ins, uint64_t at, uint64_t now);
/* The rest of mapstep, which has looked for an element in cycle `at`. */
void map_issued(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t at);

#endif
