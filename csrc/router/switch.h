/* switch.h - control wavelets, switches and filters of one router. */
#ifndef ROUTER_SWITCH_H
#define ROUTER_SWITCH_H

#include "state/state.h"

uint32_t switch_commands(uint32_t word);
void switch_apply(wse_fabric *fabric, band_state *band, uint32_t pe, int color, wavelet w, uint64_t now);
uint32_t switch_pop(uint64_t route, uint32_t word);
bool filter_passes(wse_fabric *fabric, uint32_t pe, int color, uint64_t route, wavelet w);
void filter_count(wse_fabric *fabric, uint32_t pe, int color, uint64_t route, wavelet w);

#endif
