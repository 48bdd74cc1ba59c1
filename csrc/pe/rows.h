/* rows.h - scalar instructions on rows: one register of the 64 PEs of a block. */
#ifndef PE_ROWS_H
#define PE_ROWS_H

#include "state/state.h"

/* dst = op(a, b, c) in the lanes in which `lanes` is all ones; it is 0 in the others.  dst may be a, b or c. */
typedef void (*row_function)(uint32_t *dst, const uint32_t *a, const uint32_t *b, const uint32_t *c,
                             const uint32_t *lanes);

typedef struct row_table {
  row_function op[3][OP_COUNT]; /* by format of 16-bit floats and opcode, for forms RX (a), RRX, RRRR */
  uint64_t (*test[OP_COUNT])(const uint32_t *a); /* form BR: the lanes that branch */
  void (*spread)(uint32_t *row, uint64_t lanes); /* all ones in these lanes, 0 in the others */
} row_table;

extern const row_table rows_base, rows_avx2, rows_avx512;
const row_table *row_functions(int portable); /* the fastest this processor can run; portable: as in wse_desc */

#endif
