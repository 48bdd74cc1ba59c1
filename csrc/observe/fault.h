/* fault.h - raising faults. */
#ifndef OBSERVE_FAULT_H
#define OBSERVE_FAULT_H

#include "state/state.h"

wse_fault fault_at(const wse_fabric *f, uint32_t pe, uint64_t cycle, int kind);
void fault_raise(band *b, wse_fault fault);
/* A fault of a PE's main thread, which stops. */
void ce_fault(wse_fabric *f, band *b, uint32_t pe, uint64_t at, int kind, uint32_t pc, uint32_t detail);

#endif
