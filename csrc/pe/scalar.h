/* scalar.h - SCALAR rows. */
#ifndef PE_SCALAR_H
#define PE_SCALAR_H

#include "state/state.h"

/* SCALAR rows one after the other, each in its own cycle, the first in `at` or when its operands are there, while they
 * are before `limit` and at most `budget`; what comes next is in pc and main_at.  Returns how many. */
uint64_t scalar_run(wse_fabric *f, band *b, uint32_t pe, const isa_ins *code, uint32_t length, uint64_t at, uint64_t limit,
                    int budget);

#endif
