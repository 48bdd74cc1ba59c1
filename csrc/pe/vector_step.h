/* vector_step.h - one element of a vector operation with a fabric or FIFO operand. */
#ifndef PE_VECTOR_STEP_H
#define PE_VECTOR_STEP_H

#include "state/state.h"

enum { STEP_WAITS, STEP_DID, STEP_ENDED };
/* The next element of a fabric operation, if what it needs is there in this cycle. */
int vector_step(wse_fabric *f, band *b, uint32_t pe, operation *o, bool asynchronous, uint64_t now);

#endif
