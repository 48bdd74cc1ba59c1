/* bitplane.h - planes of 64 lanes: counts as binary digits, and moves of 64 words under a mask.
 *
 * A count of each lane lies in DIGITS bit planes, so that adding one to any set of lanes is three operations.  Moves of data
 * use 512-bit vectors where they are compiled for and loops elsewhere, to the same effect.
 */
#ifndef STATE_BITPLANE_H
#define STATE_BITPLANE_H

#include "state/state.h"

static inline void bit_assign(uint64_t *plane, uint64_t lane, bool value) {
  *plane = (*plane & ~((uint64_t)1 << lane)) | (uint64_t)value << lane;
}

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

/* a + b mod 2^bits, lane by lane. */
static inline void digits_sum(uint64_t to[DIGITS], const uint64_t a[DIGITS], const uint64_t b[DIGITS], uint32_t bits) {
  uint64_t carry = 0;
  for (uint32_t k = 0; k < DIGITS; k++) {
    uint64_t one = a[k] ^ b[k], both = a[k] & b[k];
    to[k] = k < bits ? one ^ carry : 0;
    carry = both | (carry & one);
  }
}

#define EACH_LANE(lane, set) \
  for (uint64_t rest_ = (set), lane = 0; rest_ && (lane = (uint64_t)__builtin_ctzll(rest_), true); rest_ &= rest_ - 1)

/* All 64 words past the caches: they are read much later, and to fetch the lines they overwrite would cost more than to write
 * them.  `to` is aligned to a line. */
#if defined(__SSE2__)
#include <emmintrin.h>
static inline void lanes_stream(uint32_t *to, const uint32_t *from) {
  for (int i = 0; i < LANES; i += 4) _mm_stream_si128((__m128i *)(void *)(to + i), _mm_loadu_si128((const __m128i *)(const void *)(from + i)));
}
static inline void lanes_stream_end(void) { _mm_sfence(); } /* before another thread may read */
#else
static inline void lanes_stream(uint32_t *to, const uint32_t *from) { memcpy(to, from, LANES * sizeof *to); }
static inline void lanes_stream_end(void) {}
#endif

/* Moves of 64 words of which some are meant.  router.c is compiled once per instruction set of the host, and these with it.  A
 * few lanes, as of a stream that goes north or south alone, are done one by one. */
#if defined(__AVX512F__)
#include <immintrin.h>
enum { FEW_LANES = 2 };
#define EACH_GROUP(k) for (int k = 0; k < 4; k++)
#define GROUP(set, k) (__mmask16)((set) >> 16 * (k))
#else
enum { FEW_LANES = 12 };
#endif

static inline bool lanes_few(uint64_t set) { return __builtin_popcountll(set) <= FEW_LANES; }
/* All ones where the lane is set: what lets the compiler make vectors of a loop over all lanes. */
static inline uint32_t lane_mask(uint64_t set, int lane) { return -(uint32_t)(set >> lane & 1); }

static inline void lanes_copy(uint32_t *to, const uint32_t *from, uint64_t set) {
  if (lanes_few(set)) {
    EACH_LANE(i, set) to[i] = from[i];
    return;
  }
#if defined(__AVX512F__)
  EACH_GROUP(k) _mm512_mask_storeu_epi32(to + 16 * k, GROUP(set, k), _mm512_maskz_loadu_epi32(GROUP(set, k), from + 16 * k));
#else
  for (int i = 0; i < LANES; i++)
    if (set >> i & 1) to[i] = from[i];
#endif
}

static inline void lanes_fill(uint32_t *to, uint32_t value, uint64_t set) {
  if (lanes_few(set)) {
    EACH_LANE(i, set) to[i] = value;
    return;
  }
#if defined(__AVX512F__)
  EACH_GROUP(k) _mm512_mask_storeu_epi32(to + 16 * k, GROUP(set, k), _mm512_set1_epi32((int)value));
#else
  for (int i = 0; i < LANES; i++) to[i] ^= (to[i] ^ value) & lane_mask(set, i);
#endif
}

static inline void lanes_count(uint32_t *to, uint64_t set) {
  if (lanes_few(set)) {
    EACH_LANE(i, set) to[i]++;
    return;
  }
#if defined(__AVX512F__)
  EACH_GROUP(k) {
    __m512i more = _mm512_add_epi32(_mm512_maskz_loadu_epi32(GROUP(set, k), to + 16 * k), _mm512_set1_epi32(1));
    _mm512_mask_storeu_epi32(to + 16 * k, GROUP(set, k), more);
  }
#else
  for (int i = 0; i < LANES; i++) to[i] -= lane_mask(set, i);
#endif
}

/* Adds to each lane the cycles since its `since`; returns their sum. */
static inline uint64_t lanes_wait(uint32_t *to, const uint32_t *since, uint32_t now, uint64_t set) {
  uint32_t sum = 0;
  if (lanes_few(set)) {
    EACH_LANE(i, set) {
      uint32_t waited = now - since[i];
      if (waited) to[i] += waited;
      sum += waited;
    }
    return sum;
  }
#if defined(__AVX512F__)
  __m512i sums = _mm512_setzero_si512();
  EACH_GROUP(k) {
    __mmask16 m = GROUP(set, k);
    __m512i waited = _mm512_maskz_sub_epi32(m, _mm512_set1_epi32((int)now), _mm512_maskz_loadu_epi32(m, since + 16 * k));
    _mm512_mask_storeu_epi32(to + 16 * k, m, _mm512_add_epi32(_mm512_maskz_loadu_epi32(m, to + 16 * k), waited));
    sums = _mm512_add_epi32(sums, waited);
  }
  return (uint32_t)_mm512_reduce_add_epi32(sums);
#else
  for (int i = 0; i < LANES; i++) {
    uint32_t waited = (now - since[i]) & lane_mask(set, i);
    to[i] += waited;
    sum += waited;
  }
  return sum;
#endif
}

#endif
