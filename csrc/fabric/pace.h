/* pace.h - whether the next cycles are stepped by all threads of a run or by one.
 *
 * Threads meet several times in a tile.  Where a tile is little work, or other processes use the processors, one thread
 * is faster.  Which is the case changes during a run, so both are measured: the run is divided into stretches of about
 * a millisecond, and from time to time one stretch is stepped the other way.  The intervals between these trials grow
 * while their outcome stays the same.  Results do not depend on it.
 */
#ifndef FABRIC_PACE_H
#define FABRIC_PACE_H

#include "state/state.h"

/* Tiles to be stepped one way. */
typedef struct {
  int way; /* PACE_... */
  uint32_t tiles;
} pace_stretch;

pace_stretch pace_next(const pace *p);
void pace_measured(pace *p, pace_stretch stretch, uint64_t ns); /* all tiles of the stretch were stepped, in ns */
uint64_t pace_clock(void);                                      /* nanoseconds of a steady clock */

#endif
