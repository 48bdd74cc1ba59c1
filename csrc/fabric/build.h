/* build.h - the step from loading to running. */
#ifndef FABRIC_BUILD_H
#define FABRIC_BUILD_H

#include "state/state.h"

wse_status fabric_seal(wse_fabric *f); /* after loading, before the first cycle; does nothing the second time */

/* Rows on either side of a border between bands whose cycle i of a tile is not done by their own thread. */
static inline int border_rows(int i) { return 1 + 2 * i; }

#endif
