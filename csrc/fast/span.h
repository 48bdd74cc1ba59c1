/* span.h - vector instructions over whole operands in memory. */
#ifndef FAST_SPAN_H
#define FAST_SPAN_H

#include "state/state.h"

/* n elements with constant strides (step, in bytes) in SRAM; a source that is NULL has the same value for all
 * elements.  A source without gaps may be read up to 60 bytes beyond its end, which is behind SRAM at most
 * (SRAM_PITCH). */
typedef struct span {
  uint8_t *dst;
  const uint8_t *src0, *src1;
  int32_t step_dst, step0, step1;
  uint32_t value0, value1, extra, n;
  bool overlaps; /* an element may be written before it is read */
} span;

extern const span_function span_base[], span_avx2[], span_avx512[], span_avx512_fp16[]; /* by opcode */
const span_function *span_table(int portable); /* the fastest this processor can run; portable: as in wse_desc */

#endif
