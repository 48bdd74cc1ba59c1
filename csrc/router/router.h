/* router.h - routers, 64 at a time: one cycle. */
#ifndef ROUTER_ROUTER_H
#define ROUTER_ROUTER_H

#include "state/state.h"

typedef void (*step_function)(wse_fabric *f, band *b, uint32_t word, uint64_t now);

/* One cycle of a word of routers; compiled for each instruction set of the host. */
void routers_step_base(wse_fabric *f, band *b, uint32_t word, uint64_t now);
void routers_step_avx2(wse_fabric *f, band *b, uint32_t word, uint64_t now);
void routers_step_avx512(wse_fabric *f, band *b, uint32_t word, uint64_t now);
step_function routers_step_for(bool portable); /* the fastest this processor can run; portable: the base */

#endif
