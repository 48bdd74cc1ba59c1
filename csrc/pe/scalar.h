/* scalar.h - scalar instructions. */
#ifndef PE_SCALAR_H
#define PE_SCALAR_H

#include "state/state.h"

/* Executes scalar instructions in sequence, each in its own cycle, the first in cycle `at` or when its operands can be
 * read.  Stops at the first other instruction and before cycle `limit`; pc and main_at say what comes next.  Returns
 * the number executed. */
typedef uint64_t (*scalar_function)(wse_fabric *fabric, band_state *band, uint32_t pe, const isa_ins *code,
                                    uint32_t length, uint64_t at, uint64_t limit);
/* By format of 16-bit floats (wse_fp16); scalar.c is compiled once for each. */
extern const scalar_function scalar_run[];
uint64_t scalar_run_ieee(wse_fabric *fabric, band_state *band, uint32_t pe, const isa_ins *code, uint32_t length,
                         uint64_t at, uint64_t limit);
uint64_t scalar_run_bf16(wse_fabric *fabric, band_state *band, uint32_t pe, const isa_ins *code, uint32_t length,
                         uint64_t at, uint64_t limit);
uint64_t scalar_run_cb16(wse_fabric *fabric, band_state *band, uint32_t pe, const isa_ins *code, uint32_t length,
                         uint64_t at, uint64_t limit);
/* The same for all formats, on a fabric that keeps a profile. */
uint64_t scalar_run_profiled(wse_fabric *fabric, band_state *band, uint32_t pe, const isa_ins *code, uint32_t length,
                             uint64_t at, uint64_t limit);

#endif
