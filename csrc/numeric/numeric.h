/* numeric.h - the machine's numbers: three 16-bit float formats and f32, rounded once, to nearest even.
 *
 *   IEEE half  1 sign,  5 exponent, 10 mantissa bits        bf16  1, 8, 7        f32  1, 8, 23
 *   cb16       1 sign,  6 exponent,  9 mantissa bits, bias 42.  The types page of the CSL documentation (SDK 1.4 and
 *              2.10) says "6 bits, customized bias" and gives the bits of 6.0 = 1.5 * 2^2 as 0b0101100100000000: the
 *              exponent field is 44.  Assumed: subnormals, infinities and NaNs as IEEE 754 lays them out.
 *
 * A 16-bit float is in the low half of a uint32_t; the upper half of an operand is ignored, that of a result is 0.
 * Arithmetic is done in a wider format of the host and rounded to the result's by num_narrow (from float) or num_to_h
 * (from double).  One of three facts ensures that this equals one rounding of the exact value:
 *
 *   Exact.  The host's result is exact; then there is only one rounding.  Products of 16-bit floats are, as floats,
 *           except those of bf16 below 2^-134, which round to 0 either way: that is half of the smallest bf16,
 *           and a tie.
 *   Wide.   +, -, *, / and square root of p-bit numbers, rounded to at least 2 p + 2 bits and then to p, give the same
 *           as rounded once (Figueroa, SIGNUM Newsletter 30, 1995).  p is 11, 8, 10; float has 24, double 53.
 *           Subnormal results keep fewer bits, which only helps; subnormal sums are exact.
 *   Odd.    A sum rounded to odd with at least p + 2 bits may be rounded again to p (Boldo and Melquiond, IEEE
 *           Transactions on Computers 57, 2008): midpoints of the p-bit format have an even last bit, so that the first
 *           rounding moves a sum neither onto one nor across.
 *
 * NaN: moves, fabs*, fneg* and fnorm* keep the bits of a NaN.  All other instructions give the same NaN: quiet,
 * positive, no payload.  Hosts differ in the sign and payload of a NaN, and compilers swap operands; results must not
 * depend on either.
 *
 * `fmt` is a wse_fp16; it is a constant in callers, so that its branches fold.  Functions of vector elements select
 * between integers, not floats: with -fno-trapping-math (which changes no result), gcc makes loops without branches of
 * them that process 4 or 8 elements at a time.
 */
#ifndef NUMERIC_H
#define NUMERIC_H

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "wse.h"

_Static_assert(FLT_EVAL_METHOD == 0, "float and double must be evaluated in their own precision");

/* Always: a switch over all instructions is large enough for gcc to stop folding `fmt` otherwise. */
#define NUM_INLINE static inline __attribute__((always_inline))

enum { NUM_INF_S = 0x7f800000, NUM_NAN_S = 0x7fc00000 };

/* Mantissa bits, exponent bias, exponent that infinity's pattern has, and the bit patterns of infinity and NaN. */
NUM_INLINE int num_mantissa(int fmt) { return fmt == WSE_FP16_IEEE ? 10 : fmt == WSE_FP16_BF16 ? 7 : 9; }
NUM_INLINE int num_bias(int fmt) { return fmt == WSE_FP16_IEEE ? 15 : fmt == WSE_FP16_BF16 ? 127 : 42; }
NUM_INLINE int num_top(int fmt) { return fmt == WSE_FP16_IEEE ? 16 : fmt == WSE_FP16_BF16 ? 128 : 21; }
NUM_INLINE uint32_t num_inf_h(int fmt) { return 0x8000u - (1u << num_mantissa(fmt)); }
NUM_INLINE uint32_t num_nan_h(int fmt) { return 0x8000u - (1u << (num_mantissa(fmt) - 1)); }

NUM_INLINE float num_float(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

NUM_INLINE uint32_t num_float_bits(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

NUM_INLINE double num_double(uint64_t bits) {
  double x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

NUM_INLINE uint64_t num_double_bits(double x) {
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

/* 2^n, a normal double. */
NUM_INLINE double num_power(int n) { return num_double((uint64_t)(n + 1023) << 52); }

/* The value of a 16-bit float as an f32, which represents it exactly.  No intermediate value is a subnormal f32: hosts
 * compute with subnormals slowly. */
NUM_INLINE float num_widen(int fmt, uint32_t h) {
  if (fmt == WSE_FP16_BF16) return num_float(h << 16);
  const int m = num_mantissa(fmt), magnitude = h & 0x7fff;
  const uint32_t rebias = (uint32_t)(127 - num_bias(fmt)) << 23;
  uint32_t normal = ((uint32_t)magnitude << (23 - m)) + rebias;
  uint32_t special = magnitude >= (int)num_inf_h(fmt) ? (uint32_t)(128 - num_top(fmt)) << 23 : 0;
  uint32_t subnormal = num_float_bits((float)magnitude * (float)num_power(1 - num_bias(fmt) - m));
  return num_float((h & 0x8000) << 16 | (magnitude < 1 << m ? subnormal : normal + special));
}

NUM_INLINE double num_h(int fmt, uint32_t h) { return num_widen(fmt, h); }
NUM_INLINE float num_s(uint32_t s) { return num_float(s); }

/* The 16-bit float nearest to x.  Adding a power of two whose last bit is worth one unit of the result makes the adder
 * round x to that unit, ties to even; the sum's low bits then count the units.  A carry into the exponent gives the
 * correct result, up to infinity.  Larger magnitudes are replaced by 2^(largest exponent + 1), whose bit pattern is
 * that of infinity. */
NUM_INLINE uint32_t num_to_h(int fmt, double x) {
  const int m = num_mantissa(fmt);
  const double least = num_power(1 - num_bias(fmt)), beyond = num_power(num_top(fmt));
  double magnitude = num_double(num_double_bits(x) & 0x7fffffffffffffff);
  magnitude = magnitude < beyond ? magnitude : beyond;
  uint64_t exponent = num_double_bits(magnitude > least ? magnitude : least) & 0x7ff0000000000000;
  uint64_t unit = exponent + ((uint64_t)(52 - m) << 52);
  uint64_t units = num_double_bits(magnitude + num_double(unit)) - unit;
  uint64_t h = ((exponent - num_double_bits(least)) >> (52 - m)) + units;
  uint32_t sign = (uint32_t)(num_double_bits(x) >> 48) & 0x8000;
  return x == x ? sign | (uint32_t)h : num_nan_h(fmt);
}

/* The same from f32.  bf16 is the upper half of an f32, so that all exponents have the same unit to round to. */
NUM_INLINE uint32_t num_narrow(int fmt, float x) {
  const int m = num_mantissa(fmt);
  uint32_t bits = num_float_bits(x), h;
  int32_t magnitude = bits & 0x7fffffff;
  if (fmt == WSE_FP16_BF16) {
    h = ((uint32_t)magnitude + 0x7fff + (bits >> 16 & 1)) >> 16;
  } else {
    const int32_t least = (128 - num_bias(fmt)) << 23, beyond = (127 + num_top(fmt)) << 23;
    int32_t within = magnitude < beyond ? magnitude : beyond;
    int32_t exponent = (within > least ? within : least) & 0x7f800000;
    int32_t unit = exponent + ((23 - m) << 23);
    uint32_t units = num_float_bits(num_float((uint32_t)within) + num_float((uint32_t)unit)) - (uint32_t)unit;
    h = ((uint32_t)(exponent - least) >> (23 - m)) + units;
  }
  return magnitude > 0x7f800000 ? num_nan_h(fmt) : (bits >> 16 & 0x8000) | h;
}

/* The bits of an f32 result. */
NUM_INLINE uint32_t num_to_s(float x) { return x == x ? num_float_bits(x) : (uint32_t)NUM_NAN_S; }

/* a + b to odd: if the sum is inexact, the neighbor of it with last bit 1 on the exact sum's side.  The error of a sum
 * is a number of the same format, and Knuth's six operations find it; it is NaN if the sum is not finite. */
NUM_INLINE float num_add_odd(float a, float b) {
  float sum = a + b, b_used = sum - a, error = (a - (sum - b_used)) + (b - b_used);
  uint32_t bits = num_float_bits(sum), error_bits = num_float_bits(error);
  int32_t size = error_bits & 0x7fffffff;
  uint32_t odd = (bits - ((error_bits ^ bits) >> 31)) | 1;
  return num_float((size > 0) & (size < 0x7f800000) ? odd : bits);
}

NUM_INLINE double num_add_odd_double(double a, double b) {
  double sum = a + b, b_used = sum - a, error = (a - (sum - b_used)) + (b - b_used);
  uint64_t bits = num_double_bits(sum);
  return fabs(error) > 0 ? num_double((bits - ((num_double_bits(error) ^ bits) >> 63)) | 1) : sum;
}

/* a + b c, rounded once: the product is exact, the sum to odd.  Half and cb16: a product has at most 22 bits and lies
 * between 2^-100 and 2^42, a float holds it.  bf16: 16 bits between 2^-266 and 2^256, a double does. */
NUM_INLINE uint32_t num_fma_h(int fmt, uint32_t a, uint32_t b, uint32_t c) {
  if (fmt == WSE_FP16_BF16) return num_to_h(fmt, num_add_odd_double(num_h(fmt, a), num_h(fmt, b) * num_h(fmt, c)));
  return num_narrow(fmt, num_add_odd(num_widen(fmt, a), num_widen(fmt, b) * num_widen(fmt, c)));
}

/* a + b c with f32 a and 16-bit b and c, the product exact, rounded to double and then to f32, which equals rounding
 * once: Let x be the larger of a and b c, 2^e its leading bit, y the other.  If the double sum is inexact, y's last bit
 * lies below 2^(e-51), and, y having at most 24 bits, |y| < 2^(e-28).
 *   If x is an f32: a midpoint between neighbors in f32 is at least 2^(e-25) away from x, further than both the exact
 *   and the double sum, which therefore both round to x.
 *   If not: x is the product.  Of at most 22 bits, it can only be out of range.  Below: e < -126, but a, a multiple of
 *   2^-149, has no bit below 2^(e-51).  Above: e >= 128, and y < 2^(e-28) cannot bring the sum back to the overflow
 *   threshold of 2^128 - 2^103.
 * With c = 1 this also holds for a + b. */
NUM_INLINE float num_fma_hs(float a, double b, double c) { return (float)(a + b * c); }

/* The larger of two floats; a NaN loses to a number.  `inf` is infinity's pattern, `sign` the sign bit.  As integers,
 * floats are in order once the negative ones are reflected; -0 becomes -1, below +0. */
NUM_INLINE uint32_t num_max(uint32_t a, uint32_t b, uint32_t inf, uint32_t sign, uint32_t nan) {
  int32_t size_a = (int32_t)(a & (sign - 1)), size_b = (int32_t)(b & (sign - 1));
  int32_t rank_a = size_a ^ -(int32_t)((a & sign) != 0), rank_b = size_b ^ -(int32_t)((b & sign) != 0);
  int number_a = size_a <= (int32_t)inf, number_b = size_b <= (int32_t)inf;
  uint32_t larger = number_a & (!number_b | (rank_a > rank_b)) ? a : b;
  return number_a | number_b ? larger : nan;
}

/* x with its exponent set to 0; 0, infinities and NaN as they are.  x is not a subnormal double. */
NUM_INLINE double num_norm(double x) {
  uint64_t bits = num_double_bits(x), exponent = bits & 0x7ff0000000000000;
  return exponent == 0 || exponent == 0x7ff0000000000000 ? x : num_double((bits ^ exponent) | num_double_bits(1.0));
}

/* x * 2^n, n a signed 16-bit word.  2^+-400 takes a number of any of the formats out of its range, and is a normal
 * double. */
NUM_INLINE double num_scale(double x, uint32_t n) {
  int by = (int16_t)n;
  return x * num_power(by > 400 ? 400 : by < -400 ? -400 : by);
}

/* x rounded to an integer, ties to even, for |x| <= 2^51; callers saturate at smaller magnitudes. */
NUM_INLINE double num_nearest(double x) { return (x + 0x1.8p52) - 0x1.8p52; }

/* x toward zero, saturated at low and high, which are integers of less than 2^53; NaN gives 0. */
NUM_INLINE uint32_t num_integer(double x, double low, double high) {
  return x == x ? (uint32_t)(int64_t)(x < low ? low : x > high ? high : x) : 0;
}

#endif
