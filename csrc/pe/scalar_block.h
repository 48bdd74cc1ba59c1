/* scalar_block.h - the timing of scalar instructions that are executed one after the other.
 *
 * The cycles of a scalar instruction depend on the instructions before it, not on values.  So a block, which has no
 * branch but for its last instruction, is timed once for a class, as if nothing were under way when it begins.  Where
 * that is so, scalar.c only computes the values.
 */
#ifndef PE_SCALAR_BLOCK_H
#define PE_SCALAR_BLOCK_H

#include "state/state.h"

/* Cycles are counted from the block's first one. */
struct scalar_block {
  uint16_t n;                       /* instructions */
  uint16_t last, next;              /* cycle of the last instruction; of the one after it, if it does not branch */
  uint16_t loaded, stored;          /* bytes */
  uint16_t late_after, known_after; /* cycles from which these can be read: */
  uint8_t late, fresh[2];           /* registers as in ce_state; late: OPERAND_NONE: it leaves none */
  bool loads;                       /* it sets fresh */
  bool branches;                    /* its last instruction is a branch */
};

/* Times the blocks of a class: they begin where tasks do and branches lead to, and after branches and other kinds of
 * instructions.  False: there is no memory. */
bool scalar_blocks(const wse_fabric *fabric, pe_class *class);

#endif
