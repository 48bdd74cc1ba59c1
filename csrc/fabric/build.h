/* build.h - sealing: the step from loading a fabric to running it. */
#ifndef FABRIC_BUILD_H
#define FABRIC_BUILD_H

#include "state/state.h"

wse_status fabric_seal(wse_fabric *fabric); /* prepares the first cycle; idempotent */

/* Strips on either side of a border between bands that are not stepped with cycle i of a tile, but with the border. */
static inline int border_strips(int i) { return BAND_STRIPS / 2 + 2 * i; }

#endif
