/* fault.h - raising faults. */
#ifndef OBSERVE_FAULT_H
#define OBSERVE_FAULT_H

#include "state/state.h"

wse_fault fault_at(const wse_fabric *fabric, uint32_t pe, uint64_t cycle, int kind);
void fault_raise(band_state *band, wse_fault fault);
/* Raises a fault of a PE's main thread, and stops that thread. */
void ce_fault(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t at, int kind, uint32_t pc, uint32_t detail);

#endif
