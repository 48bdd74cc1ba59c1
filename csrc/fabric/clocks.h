/* clocks.h - times and counts of 30 and 32 bits, in runs that are longer than that. */
#ifndef FABRIC_CLOCKS_H
#define FABRIC_CLOCKS_H

#include "state/state.h"

bool clocks_renew_due(wse_fabric *fabric, band_state *band, uint64_t now);

/* Before a band is stepped in cycle `now`: if it is time, moves up what lies far back.  False without memory. */
static inline bool clocks_renew(wse_fabric *fabric, band_state *band, uint64_t now) {
  return now - band->renewed < CLOCK_UNIT || clocks_renew_due(fabric, band, now);
}

#endif
