/* numeric.c - conversions for the host, and one element of any instruction by its opcode. */
#include "numeric/numeric.h"

#include "tables/isa.h"
#include "numeric/op_scalar.h"
#include "numeric/op_vector.h"

NUM_INLINE void h2s(int fmt, const uint16_t *from, float *to, size_t n) {
  for (size_t i = 0; i < n; i++) to[i] = num_float(op_fh2s(fmt, from[i], 0, 0));
}

NUM_INLINE void s2h(int fmt, const float *from, uint16_t *to, size_t n) {
  for (size_t i = 0; i < n; i++) to[i] = (uint16_t)op_fs2h(fmt, num_float_bits(from[i]), 0, 0);
}

void wse_h2s(int fp16, const uint16_t *from, float *to, size_t n) {
  if (fp16 == WSE_FP16_IEEE) h2s(WSE_FP16_IEEE, from, to, n);
  if (fp16 == WSE_FP16_BF16) h2s(WSE_FP16_BF16, from, to, n);
  if (fp16 == WSE_FP16_CB16) h2s(WSE_FP16_CB16, from, to, n);
}

void wse_s2h(int fp16, const float *from, uint16_t *to, size_t n) {
  if (fp16 == WSE_FP16_IEEE) s2h(WSE_FP16_IEEE, from, to, n);
  if (fp16 == WSE_FP16_BF16) s2h(WSE_FP16_BF16, from, to, n);
  if (fp16 == WSE_FP16_CB16) s2h(WSE_FP16_CB16, from, to, n);
}

/* Which rows have a value: those of VECTOR with a destination, those of SCALAR that neither load, store nor branch. */
#define VECTOR_VALUE(name) \
  case OP_##name: *result = op_##name(fmt, a, b, c); return 1;
#define SCALAR_VALUE(name) \
  case OP_##name: *result = sc_##name(fmt, a, b, c); return 1;
#define DST_W VECTOR_VALUE
#define DST_D VECTOR_VALUE
#define DST_H VECTOR_VALUE
#define DST_S VECTOR_VALUE
#define DST_NONE(name)
#define FORM_RX SCALAR_VALUE
#define FORM_RRX SCALAR_VALUE
#define FORM_RRRR SCALAR_VALUE
#define FORM_LD(name)
#define FORM_ST(name)
#define FORM_BR(name)
#define FORM_JMP(name)
#define FORM_JAL(name)
#define FORM_JR(name)

NUM_INLINE int element(int fmt, int opcode, uint32_t a, uint32_t b, uint32_t c, uint32_t *result) {
  switch (opcode) {
#define VECTOR(name, dst, ...) DST_##dst(name)
#define SCALAR(name, form, ...) FORM_##form(name)
#include "tables/isa.def"
  default: return 0;
  }
}

int wse_element(int opcode, int fp16, uint32_t a, uint32_t b, uint32_t c, uint32_t *result) {
  switch (fp16) {
  case WSE_FP16_IEEE: return element(WSE_FP16_IEEE, opcode, a, b, c, result);
  case WSE_FP16_BF16: return element(WSE_FP16_BF16, opcode, a, b, c, result);
  case WSE_FP16_CB16: return element(WSE_FP16_CB16, opcode, a, b, c, result);
  default: return 0;
  }
}
