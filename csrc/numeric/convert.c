/* convert.c - conversions of arrays of 16-bit floats, for the host. */
#include "numeric/numeric.h"

#include "numeric/op_vector.h"

NUM_INLINE void h2s(int fmt, const uint16_t *from, float *to, size_t n) {
  for (size_t i = 0; i < n; i++)
    to[i] = num_float(op_fh2s(fmt, from[i], 0, 0));
}

NUM_INLINE void s2h(int fmt, const float *from, uint16_t *to, size_t n) {
  for (size_t i = 0; i < n; i++)
    to[i] = (uint16_t)op_fs2h(fmt, num_float_bits(from[i]), 0, 0);
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
