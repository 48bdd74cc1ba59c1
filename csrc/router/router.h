/* router.h - one cycle of a block of routers. */
#ifndef ROUTER_ROUTER_H
#define ROUTER_ROUTER_H

#include "state/state.h"

typedef void (*step_function)(wse_fabric *fabric, band_state *band, uint32_t block, uint64_t now);

/* One cycle of a block of routers; compiled once per instruction set of the host. */
void routers_step_base(wse_fabric *fabric, band_state *band, uint32_t block, uint64_t now);
void routers_step_avx2(wse_fabric *fabric, band_state *band, uint32_t block, uint64_t now);
void routers_step_avx512(wse_fabric *fabric, band_state *band, uint32_t block, uint64_t now);
void routers_step_checked(wse_fabric *fabric, band_state *band, uint32_t block, uint64_t now); /* of checked runs */
step_function routers_step_for(int portable); /* the fastest this processor can run; portable: as in wse_desc */

#endif
