/* lanes.h - main threads of many compute elements of a block run ahead together. */
#ifndef PE_LANES_H
#define PE_LANES_H

#include "state/state.h"

enum {
  LEAST_LANES = 4,    /* fewer are faster one by one */
  LEAST_STRETCH = 10, /* and so are fewer instructions */
};

/* Sets `stretch` of a class: the number of instructions from each one on that lanes can execute, at most 255, which
 * also stands for a branch on the way. */
void lanes_stretches(pe_class *class);

/* By lane: where a compute element stands. */
typedef struct {
  uint64_t at[LANES];       /* in: cycle of its next instruction; out: of the last one */
  uint64_t issued[LANES];   /* out: instructions executed */
  uint8_t budget[LANES];    /* out: whether the slot of cycle `at` is still free */
  uint8_t sequenced[LANES]; /* instructions that took no time in cycle `at` */
  bool scattered;           /* out: too few lanes were at one place: they should go on one by one */
} lanes_start;

/* Executes instructions from one on that lanes can execute, of those of `lanes` that are in the class of the first of
 * them, if they are LEAST_LANES or more.  A group stops when its last lane has reached cycle `window`, and none reaches
 * the fabric's limit.  Returns the lanes that took part; of the others nothing has changed. */
uint64_t lanes_run(wse_fabric *fabric, band_state *band, uint32_t block, uint64_t lanes, uint64_t window,
                   lanes_start *start);

#endif
