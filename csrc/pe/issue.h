/* issue.h - the main thread's instructions, and the end of any operation. */
#ifndef PE_ISSUE_H
#define PE_ISSUE_H

#include "state/state.h"

/* The main thread's next instruction, or several.  *until: the first cycle in which a microthread may need the slot, at
 * least now + 1; NEVER: none is under way.  Set to the cycle in which this has to be found out again.  *next: when to
 * try again.  True if it used the slot. */
bool issue(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t *until, uint64_t now, uint64_t *next);
/* The microthread that the vector instruction at ce->pc waits for, or, with *queue true, the input queue. */
int issue_waits_for(wse_fabric *fabric, uint32_t pe, const isa_ins *ins, bool *queue);
/* The same of compute elements of a block whose main threads are alone.  next: by lane.  Returns the lanes that used
 * the slot. */
uint64_t issue_lanes(wse_fabric *fabric, band_state *band, uint32_t block, uint64_t lanes, uint64_t now,
                     uint64_t next[LANES]);
void operation_ended(wse_fabric *fabric, band_state *band, uint32_t pe, int thread, uint64_t now);

#endif
