/* lanes.h - planes of 64 lanes: counts as binary digits, and moves of 64 words under a mask.
 *
 * A count of each lane lies in DIGITS bit planes, so that adding one to any set of lanes is three operations.  Moves of data
 * use 512-bit vectors where the processor has them and a loop over the set lanes elsewhere, to the same effect.
 */
#ifndef LANES_H
#define LANES_H

#include "fabric.h"

static inline void digits_add(uint64_t d[DIGITS], uint64_t lanes) {
  for (int k = 0; k < DIGITS && lanes; k++) {
    uint64_t carry = d[k] & lanes;
    d[k] ^= lanes;
    lanes = carry;
  }
}
static inline void digits_subtract(uint64_t d[DIGITS], uint64_t lanes) {
  for (int k = 0; k < DIGITS && lanes; k++) {
    uint64_t borrow = ~d[k] & lanes;
    d[k] ^= lanes;
    lanes = borrow;
  }
}
static inline uint64_t digits_some(const uint64_t d[DIGITS]) { return d[0] | d[1] | d[2]; }
static inline uint64_t digits_equal(const uint64_t d[DIGITS], uint32_t n) {
  uint64_t same = ~(uint64_t)0;
  for (int k = 0; k < DIGITS; k++) same &= n >> k & 1 ? d[k] : ~d[k];
  return same;
}
/* Lanes whose count is n or more. */
static inline uint64_t digits_least(const uint64_t d[DIGITS], uint32_t n) {
  uint64_t more = 0, same = ~(uint64_t)0;
  for (int k = DIGITS - 1; k >= 0; k--) {
    if (!(n >> k & 1)) more |= same & d[k];
    same &= n >> k & 1 ? d[k] : ~d[k];
  }
  return more | same;
}

#define EACH_LANE(lane, set) \
  for (uint64_t rest_ = (set), lane = 0; rest_ && (lane = (uint64_t)__builtin_ctzll(rest_), true); rest_ &= rest_ - 1)

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define WIDE __attribute__((target("avx512f")))

WIDE static inline void wide_copy(uint32_t *to, const uint32_t *from, uint64_t set) {
  for (int k = 0; k < 4; k++) {
    __mmask16 m = (__mmask16)(set >> 16 * k);
    if (m) _mm512_mask_storeu_epi32(to + 16 * k, m, _mm512_maskz_loadu_epi32(m, from + 16 * k));
  }
}
WIDE static inline void wide_fill(uint32_t *to, uint32_t value, uint64_t set) {
  __m512i v = _mm512_set1_epi32((int)value);
  for (int k = 0; k < 4; k++) {
    __mmask16 m = (__mmask16)(set >> 16 * k);
    if (m) _mm512_mask_storeu_epi32(to + 16 * k, m, v);
  }
}
WIDE static inline void wide_count(uint32_t *to, uint64_t set) {
  __m512i one = _mm512_set1_epi32(1);
  for (int k = 0; k < 4; k++) {
    __mmask16 m = (__mmask16)(set >> 16 * k);
    if (m) _mm512_mask_storeu_epi32(to + 16 * k, m, _mm512_add_epi32(_mm512_maskz_loadu_epi32(m, to + 16 * k), one));
  }
}
WIDE static inline uint64_t wide_wait(uint32_t *to, const uint32_t *since, uint32_t now, uint64_t set) {
  __m512i t = _mm512_set1_epi32((int)now);
  uint64_t sum = 0;
  for (int k = 0; k < 4; k++) {
    __mmask16 m = (__mmask16)(set >> 16 * k);
    if (!m) continue;
    __m512i waited = _mm512_maskz_sub_epi32(m, t, _mm512_maskz_loadu_epi32(m, since + 16 * k));
    m = _mm512_test_epi32_mask(waited, waited);
    if (!m) continue;
    _mm512_mask_storeu_epi32(to + 16 * k, m, _mm512_add_epi32(_mm512_maskz_loadu_epi32(m, to + 16 * k), waited));
    sum += (uint32_t)_mm512_reduce_add_epi32(waited);
  }
  return sum;
}
static inline bool lanes_wide(void) { return __builtin_cpu_supports("avx512f"); }
#else
#define wide_copy(to, from, set) ((void)0)
#define wide_fill(to, value, set) ((void)0)
#define wide_count(to, set) ((void)0)
#define wide_wait(to, since, now, set) 0
static inline bool lanes_wide(void) { return false; }
#endif

static inline void lanes_copy(const wse_fabric *f, uint32_t *to, const uint32_t *from, uint64_t set) {
  if (f->wide) wide_copy(to, from, set);
  else EACH_LANE(i, set) to[i] = from[i];
}
static inline void lanes_fill(const wse_fabric *f, uint32_t *to, uint32_t value, uint64_t set) {
  if (f->wide) wide_fill(to, value, set);
  else EACH_LANE(i, set) to[i] = value;
}
static inline void lanes_count(const wse_fabric *f, uint32_t *to, uint64_t set) {
  if (f->wide) wide_count(to, set);
  else EACH_LANE(i, set) to[i]++;
}
/* Adds to each lane the cycles since its `since`; returns their sum. */
static inline uint64_t lanes_wait(const wse_fabric *f, uint32_t *to, const uint32_t *since, uint64_t now, uint64_t set) {
  uint64_t sum = 0;
  if (f->wide) return wide_wait(to, since, (uint32_t)now, set);
  EACH_LANE(i, set) {
    uint32_t waited = (uint32_t)now - since[i];
    to[i] += waited;
    sum += waited;
  }
  return sum;
}

#endif
