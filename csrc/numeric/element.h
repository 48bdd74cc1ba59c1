/* element.h - the value of one element of an instruction, by opcode and 16-bit format. */
#ifndef NUMERIC_ELEMENT_H
#define NUMERIC_ELEMENT_H

#include <stdint.h>

/* An element of the destination: a of src0, b of src1, x of extra. */
typedef uint32_t (*element_function)(uint32_t a, uint32_t b, uint32_t x);

extern const element_function elements[][3]; /* [OP_COUNT][wse_fp16] */

/* Of a VECTOR row; NULL if it has no destination. */
static inline element_function vector_element(int op, int fmt) { return elements[op][fmt]; }

#endif
