/* scout.h - how long a main thread does nothing that anything outside it can see. */
#ifndef PE_SCOUT_H
#define PE_SCOUT_H

#include "state/state.h"

/* The first cycle, at the earliest, in which the main thread, that runs or has a memory operation under way, issues an
 * instruction that something outside the thread can see, that may fault, or of which this is not certain.  from: its
 * cycles before are executed.  Changes nothing but the
 * band's memos. */
uint64_t scout(const wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t from);
/* Room for the results of a band's scouts; NULL: there is no memory. */
scout_memo *scout_memos(void);

#endif
