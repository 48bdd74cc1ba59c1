/* span_avx2_ops.h - the float operations of matrix products, 8 elements at a time; a part of span.c where 256-bit
 * vectors are compiled for.  As span_avx512_ops.h, but for fmach: the error of the sum says how to round it to odd
 * [numeric.h: num_add_odd]. */
#ifndef FAST_SPAN_AVX2_OPS_H
#define FAST_SPAN_AVX2_OPS_H

#include <immintrin.h>

#include "fast/span.h"
#include "numeric/numeric.h"

enum { EIGHT = 8 };

/* k elements of an operand, at most EIGHT, from element i on; the others are 0. */
static inline __m128i halves_at(const uint8_t *from, int32_t step, uint32_t value, uint32_t i, int k) {
  if (!from) return _mm_set1_epi16((short)value);
  const uint8_t *at = from + (int64_t)i * step;
  if (step == 2 && k == EIGHT) return _mm_loadu_si128((const __m128i *)(const void *)at);
  uint16_t h[EIGHT] = {0};
  for (int e = 0; e < k; e++)
    memcpy(&h[e], at + (int64_t)e * step, 2);
  return _mm_loadu_si128((const __m128i *)(const void *)h);
}
static inline __m256 floats_at(const uint8_t *from, int32_t step, uint32_t value, uint32_t i, int k) {
  if (!from) return _mm256_castsi256_ps(_mm256_set1_epi32((int)value));
  const uint8_t *at = from + (int64_t)i * step;
  if (step == 4 && k == EIGHT) return _mm256_loadu_ps((const float *)(const void *)at);
  uint32_t s[EIGHT] = {0};
  for (int e = 0; e < k; e++)
    memcpy(&s[e], at + (int64_t)e * step, 4);
  return _mm256_castsi256_ps(_mm256_loadu_si256((const __m256i *)(const void *)s));
}
static inline __m256 widened_at(const uint8_t *from, int32_t step, uint32_t value, uint32_t i, int k) {
  return _mm256_cvtph_ps(halves_at(from, step, value, i, k));
}

static inline __m256 without_nan_bits(__m256 x) {
  return _mm256_blendv_ps(x, _mm256_castsi256_ps(_mm256_set1_epi32(NUM_NAN_S)), _mm256_cmp_ps(x, x, _CMP_UNORD_Q));
}

/* The NaN of a float, cut to a half, is that of halves. */
static inline void halves_to(uint8_t *to, int32_t step, uint32_t i, int k, __m256 x) {
  __m128i h = _mm256_cvtps_ph(without_nan_bits(x), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  uint8_t *at = to + (int64_t)i * step;
  if (step == 2 && k == EIGHT) {
    _mm_storeu_si128((__m128i *)(void *)at, h);
    return;
  }
  uint16_t all[EIGHT];
  _mm_storeu_si128((__m128i *)(void *)all, h);
  for (int e = 0; e < k; e++)
    memcpy(at + (int64_t)e * step, &all[e], 2);
}
static inline void floats_to(uint8_t *to, int32_t step, uint32_t i, int k, __m256 x) {
  x = without_nan_bits(x);
  uint8_t *at = to + (int64_t)i * step;
  if (step == 4 && k == EIGHT) {
    _mm256_storeu_ps((float *)(void *)at, x);
    return;
  }
  uint32_t all[EIGHT];
  _mm256_storeu_si256((__m256i *)(void *)all, _mm256_castps_si256(x));
  for (int e = 0; e < k; e++)
    memcpy(at + (int64_t)e * step, &all[e], 4);
}

/* a + b to odd. */
static inline __m256 add_odd(__m256 a, __m256 b) {
  __m256 sum = _mm256_add_ps(a, b), b_used = _mm256_sub_ps(sum, a),
         error = _mm256_add_ps(_mm256_sub_ps(a, _mm256_sub_ps(sum, b_used)), _mm256_sub_ps(b, b_used));
  __m256i bits = _mm256_castps_si256(sum), error_bits = _mm256_castps_si256(error),
          size = _mm256_and_si256(error_bits, _mm256_set1_epi32(0x7fffffff)),
          odd = _mm256_or_si256(_mm256_sub_epi32(bits, _mm256_srli_epi32(_mm256_xor_si256(error_bits, bits), 31)),
                                _mm256_set1_epi32(1)),
          inexact = _mm256_and_si256(_mm256_cmpgt_epi32(size, _mm256_setzero_si256()),
                                     _mm256_cmpgt_epi32(_mm256_set1_epi32(NUM_INF_S), size));
  return _mm256_castsi256_ps(_mm256_blendv_epi8(bits, odd, inexact));
}

/* One instruction: a is an element of src0, b of src1, x of extra, each of the named kind. */
#define WIDE(name, kind_dst, kind0, kind1, kind_x, value)                                                            \
  static void wide_##name(const span *s) {                                                                           \
    const __m256 x = kind_x##_at(NULL, 0, s->extra, 0, EIGHT);                                                       \
    (void)x;                                                                                                         \
    for (uint32_t i = 0; i < s->n; i += EIGHT) {                                                                     \
      int k = s->n - i < EIGHT ? (int)(s->n - i) : EIGHT;                                                            \
      __m256 a = kind0##_at(s->src0, s->step0, s->value0, i, k), b = kind1##_at(s->src1, s->step1, s->value1, i, k); \
      kind_dst##_to(s->dst, s->step_dst, i, k, value);                                                               \
    }                                                                                                                \
  }
WIDE(faddh, halves, widened, widened, widened, _mm256_add_ps(a, b))
WIDE(fsubh, halves, widened, widened, widened, _mm256_sub_ps(a, b))
WIDE(fmulh, halves, widened, widened, widened, _mm256_mul_ps(a, b))
WIDE(fmach, halves, widened, widened, widened, add_odd(a, _mm256_mul_ps(b, x)))
WIDE(fmachs, floats, floats, widened, widened, _mm256_fmadd_ps(b, x, a))
WIDE(fmacs, floats, floats, floats, floats, _mm256_add_ps(a, _mm256_mul_ps(b, x)))
WIDE(fadds, floats, floats, floats, floats, _mm256_add_ps(a, b))
#undef WIDE

typedef void (*wide_function)(const span *s);
/* fmt: of 16-bit operands, IEEE if there are none. */
static wide_function wide_of(int op, int fmt) {
  if (fmt != WSE_FP16_IEEE) return NULL;
  switch (op) {
    case OP_faddh: return wide_faddh;
    case OP_fsubh: return wide_fsubh;
    case OP_fmulh: return wide_fmulh;
    case OP_fmach: return wide_fmach;
    case OP_fmachs: return wide_fmachs;
    case OP_fmacs: return wide_fmacs;
    case OP_fadds: return wide_fadds;
    default: return NULL;
  }
}

#endif
