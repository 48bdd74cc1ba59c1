/* clocks.h - renewal of times and counts of 30 and 32 bits, in longer runs. */
#ifndef FABRIC_CLOCKS_H
#define FABRIC_CLOCKS_H

#include "state/state.h"

bool clocks_renew_due(wse_fabric *fabric, band_state *band, uint64_t now);

/* Called before a band is stepped in cycle `now`: renews old times and counts if due.  False without memory. */
static inline bool clocks_renew(wse_fabric *fabric, band_state *band, uint64_t now) {
  return now - band->renewed < CLOCK_UNIT || clocks_renew_due(fabric, band, now);
}

#endif
