/* span_avx512_ops.h - the float operations of matrix products, 16 elements at a time; a part of span.c where 512-bit
 * vectors are compiled for.  The same bits as op_vector.h:
 *
 *   faddh fsubh fmulh  rounded to float, then to half, equals one rounding [numeric.h: Wide].
 *   fmach              the product is exact, the sum is rounded to odd, then to half [numeric.h: Odd].  To round to
 * odd, the sum is rounded toward zero, and its last bit is set if rounding down and up differ. fmachs             one
 * rounding, the host's fused multiply-add; also for bf16 and cb16. fmacs              the product is rounded, then the
 * sum.
 */
#ifndef FAST_SPAN_AVX512_OPS_H
#define FAST_SPAN_AVX512_OPS_H

#include <immintrin.h>

#include "fast/span.h"
#include "numeric/numeric.h"

enum { PAGE = 4096 };

/* Up to 16 elements of an operand, from element i on. */
static inline __m256i halves_at(const uint8_t *from, int32_t step, uint32_t value, uint32_t i, __mmask16 m) {
  if (!from) return _mm256_set1_epi16((short)value);
  const uint8_t *at = from + (int64_t)i * step;
  if (step == 2) return _mm256_maskz_loadu_epi16(m, at);
  const uint8_t *last = at + (int64_t)(__builtin_popcount(m) - 1) * step;
  if (step == 4 && ((uintptr_t)last & (PAGE - 1)) <= PAGE - 4) /* the two bytes after the last one can be read */
    return _mm512_cvtepi32_epi16(_mm512_maskz_loadu_epi32(m, at));
  uint16_t h[GROUP] = {0};
  for (int k = 0; k < __builtin_popcount(m); k++)
    memcpy(&h[k], at + (int64_t)k * step, 2);
  return _mm256_loadu_si256((const __m256i *)(const void *)h);
}
static inline __m512 floats_at(const uint8_t *from, int32_t step, uint32_t value, uint32_t i, __mmask16 m) {
  if (!from) return _mm512_castsi512_ps(_mm512_set1_epi32((int)value));
  const uint8_t *at = from + (int64_t)i * step;
  if (step == 4) return _mm512_maskz_loadu_ps(m, at);
  uint32_t s[GROUP] = {0};
  for (int k = 0; k < __builtin_popcount(m); k++)
    memcpy(&s[k], at + (int64_t)k * step, 4);
  return _mm512_loadu_ps(s);
}
static inline __m512 widened_at(const uint8_t *from, int32_t step, uint32_t value, uint32_t i, __mmask16 m) {
  return _mm512_cvtph_ps(halves_at(from, step, value, i, m));
}

/* bf16 is the upper half of a float.  cb16 is shifted to the exponent and mantissa of a float, whose value is then
 * 2^(42 - 127) times the one that is meant, also for subnormals; infinities and NaN need a float's exponent. */
static inline __m512 bf16_at(const uint8_t *from, int32_t step, uint32_t value, uint32_t i, __mmask16 m) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves_at(from, step, value, i, m)), 16));
}
static inline __m512 cb16_at(const uint8_t *from, int32_t step, uint32_t value, uint32_t i, __mmask16 m) {
  __m512i h = _mm512_cvtepu16_epi32(halves_at(from, step, value, i, m)),
          magnitude = _mm512_and_si512(h, _mm512_set1_epi32(0x7fff));
  __m512i scaled = _mm512_castps_si512(
      _mm512_mul_ps(_mm512_castsi512_ps(_mm512_slli_epi32(magnitude, 14)), _mm512_set1_ps(0x1p85f)));
  __mmask16 special = _mm512_cmpge_epi32_mask(magnitude, _mm512_set1_epi32((int)num_inf_h(WSE_FP16_CB16)));
  __m512i all = _mm512_slli_epi32(_mm512_or_si512(magnitude, _mm512_set1_epi32(0x7f800000 >> 14)), 14);
  __m512i sign = _mm512_slli_epi32(_mm512_and_si512(h, _mm512_set1_epi32(0x8000)), 16);
  return _mm512_castsi512_ps(_mm512_or_si512(sign, _mm512_mask_mov_epi32(scaled, special, all)));
}

static inline void halves_to(uint8_t *to, int32_t step, uint32_t i, __mmask16 m, __m512 x) {
  __m256i h = _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  h = _mm256_mask_mov_epi16(h, _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q),
                            _mm256_set1_epi16((short)num_nan_h(WSE_FP16_IEEE)));
  uint8_t *at = to + (int64_t)i * step;
  if (step == 2) {
    _mm256_mask_storeu_epi16(at, m, h);
    return;
  }
  uint16_t all[GROUP];
  _mm256_storeu_si256((__m256i *)(void *)all, h);
  for (int k = 0; k < __builtin_popcount(m); k++)
    memcpy(at + (int64_t)k * step, &all[k], 2);
}
static inline void floats_to(uint8_t *to, int32_t step, uint32_t i, __mmask16 m, __m512 x) {
  x = _mm512_mask_mov_ps(x, _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q), _mm512_castsi512_ps(_mm512_set1_epi32(NUM_NAN_S)));
  uint8_t *at = to + (int64_t)i * step;
  if (step == 4) {
    _mm512_mask_storeu_ps(at, m, x);
    return;
  }
  uint32_t all[GROUP];
  _mm512_storeu_ps(all, x);
  for (int k = 0; k < __builtin_popcount(m); k++)
    memcpy(at + (int64_t)k * step, &all[k], 4);
}

static inline __m512 add_odd_product(__m512 a, __m512 b, __m512 x) {
  __m512 cut = _mm512_fmadd_round_ps(b, x, a, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC);
  __m512 down = _mm512_fmadd_round_ps(b, x, a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
  __m512 up = _mm512_fmadd_round_ps(b, x, a, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC);
  __m512i bits = _mm512_castps_si512(cut), one = _mm512_set1_epi32(1);
  return _mm512_castsi512_ps(_mm512_mask_or_epi32(bits, _mm512_cmp_ps_mask(down, up, _CMP_NEQ_OQ), bits, one));
}

/* One instruction: a is an element of src0, b of src1, x of extra, each of the named kind. */
#define WIDE(name, kind_dst, kind0, kind1, kind_x, value)                                                            \
  static void wide_##name(const span *s) {                                                                           \
    const __m512 x = kind_x##_at(NULL, 0, s->extra, 0, 0xffff);                                                      \
    (void)x;                                                                                                         \
    for (uint32_t i = 0; i < s->n; i += GROUP) {                                                                     \
      __mmask16 m = (__mmask16)(s->n - i < GROUP ? (1u << (s->n - i)) - 1 : 0xffff);                                 \
      __m512 a = kind0##_at(s->src0, s->step0, s->value0, i, m), b = kind1##_at(s->src1, s->step1, s->value1, i, m); \
      kind_dst##_to(s->dst, s->step_dst, i, m, value);                                                               \
    }                                                                                                                \
  }
WIDE(faddh, halves, widened, widened, widened, _mm512_add_ps(a, b))
WIDE(fsubh, halves, widened, widened, widened, _mm512_sub_ps(a, b))
WIDE(fmulh, halves, widened, widened, widened, _mm512_mul_ps(a, b))
WIDE(fmach, halves, widened, widened, widened, add_odd_product(a, b, x))
WIDE(fmachs, floats, floats, widened, widened, _mm512_fmadd_ps(b, x, a))
WIDE(fmachs_bf16, floats, floats, bf16, bf16, _mm512_fmadd_ps(b, x, a))
WIDE(fmachs_cb16, floats, floats, cb16, cb16, _mm512_fmadd_ps(b, x, a))
WIDE(fmacs, floats, floats, floats, floats, _mm512_add_ps(a, _mm512_mul_ps(b, x)))
WIDE(fadds, floats, floats, floats, floats, _mm512_add_ps(a, b))
#undef WIDE

#ifdef __AVX512FP16__
/* Halves that lie one after the other: 32 at a time, with the one rounding of the host's arithmetic on halves. */
enum { HALVES = 32 };

static inline bool halves_adjoin(const span *s) {
  return s->step_dst == 2 && (!s->src0 || s->step0 == 2) && (!s->src1 || s->step1 == 2);
}
static inline __m512h adjoining_at(const uint8_t *from, uint32_t value, uint32_t i, __mmask32 m) {
  return _mm512_castsi512_ph(from ? _mm512_maskz_loadu_epi16(m, from + 2 * i) : _mm512_set1_epi16((short)value));
}
static inline void adjoining_to(uint8_t *to, uint32_t i, __mmask32 m, __m512h x) {
  __m512i nan = _mm512_set1_epi16((short)num_nan_h(WSE_FP16_IEEE));
  __mmask32 is_nan = _mm512_cmp_ph_mask(x, x, _CMP_UNORD_Q);
  _mm512_mask_storeu_epi16(to + 2 * i, m, _mm512_mask_mov_epi16(_mm512_castph_si512(x), is_nan, nan));
}

#define ADJOINING(name, value)                                                                        \
  static void adjoining_##name(const span *s) {                                                       \
    if (!halves_adjoin(s)) {                                                                          \
      wide_##name(s);                                                                                 \
      return;                                                                                         \
    }                                                                                                 \
    const __m512h x = adjoining_at(NULL, s->extra, 0, 0);                                             \
    (void)x;                                                                                          \
    for (uint32_t i = 0; i < s->n; i += HALVES) {                                                     \
      __mmask32 m = s->n - i < HALVES ? (1u << (s->n - i)) - 1 : UINT32_MAX;                          \
      __m512h a = adjoining_at(s->src0, s->value0, i, m), b = adjoining_at(s->src1, s->value1, i, m); \
      adjoining_to(s->dst, i, m, value);                                                              \
    }                                                                                                 \
  }
ADJOINING(faddh, _mm512_add_ph(a, b))
ADJOINING(fsubh, _mm512_sub_ph(a, b))
ADJOINING(fmulh, _mm512_mul_ph(a, b))
ADJOINING(fmach, _mm512_fmadd_ph(b, x, a))
#undef ADJOINING
#define WIDE_HALF(name) adjoining_##name
#else
#define WIDE_HALF(name) wide_##name
#endif

typedef void (*wide_function)(const span *s);
/* fmt: of 16-bit operands, IEEE if there are none. */
static wide_function wide_of(int op, int fmt) {
  if (op == OP_fmachs)
    return fmt == WSE_FP16_IEEE ? wide_fmachs : fmt == WSE_FP16_BF16 ? wide_fmachs_bf16 : wide_fmachs_cb16;
  if (fmt != WSE_FP16_IEEE) return NULL;
  switch (op) {
    case OP_faddh: return WIDE_HALF(faddh);
    case OP_fsubh: return WIDE_HALF(fsubh);
    case OP_fmulh: return WIDE_HALF(fmulh);
    case OP_fmach: return WIDE_HALF(fmach);
    case OP_fmacs: return wide_fmacs;
    case OP_fadds: return wide_fadds;
    default: return NULL;
  }
}

#endif
