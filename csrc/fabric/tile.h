/* tile.h - steps the strips of a band for the cycles of a tile. */
#ifndef FABRIC_TILE_H
#define FABRIC_TILE_H

#include "state/state.h"

/* Wakes of the wheel for this cycle become bits; entries of later rotations stay. */
void wheel_rotate(wse_fabric *fabric, band_state *band, uint64_t now);

/* A tile: `cycles` cycles of the band's strips, except those near its borders. */
void step_tile(wse_fabric *fabric, const band_state *band, uint64_t now, int cycles);

/* The strips that two bands left out at the border above strip `below`. */
void step_border(wse_fabric *fabric, int below, uint64_t now, int cycles);

/* The first cycle, `from` or later, in which something in the band is to be stepped. */
uint64_t band_next(const wse_fabric *fabric, const band_state *band, uint64_t from);

#endif
