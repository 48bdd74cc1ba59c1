/* vector_step.h - one element of a vector operation with a fabric or FIFO operand. */
#ifndef PE_VECTOR_STEP_H
#define PE_VECTOR_STEP_H

#include "state/state.h"

enum { STEP_WAITS, STEP_DID, STEP_ENDED };
/* Does the next element of a fabric operation if its operands are ready in this cycle. */
int vector_step(wse_fabric *fabric, band_state *band, uint32_t pe, vector_operation *operation, bool asynchronous,
                uint64_t now);

#endif
