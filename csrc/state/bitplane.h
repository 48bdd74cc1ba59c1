/* bitplane.h - operations on bitplanes of 64 lanes: bit-sliced counters, and masked moves of an array with a word per
 * lane.
 *
 * A bit-sliced counter holds the counts of 64 lanes in SLICES planes, so that adding one to any set of lanes takes
 * three operations.  Moves use 512-bit vectors where they are compiled for, and loops elsewhere, with the same effect.
 */
#ifndef STATE_BITPLANE_H
#define STATE_BITPLANE_H

#include "state/state.h"

static inline void bit_assign(uint64_t *plane, uint64_t lane, bool value) {
  *plane = (*plane & ~((uint64_t)1 << lane)) | (uint64_t)value << lane;
}

static inline void sliced_add(uint64_t d[SLICES], uint64_t lanes) {
  for (int k = 0; k < SLICES && lanes; k++) {
    uint64_t carry = d[k] & lanes;
    d[k] ^= lanes;
    lanes = carry;
  }
}
static inline void sliced_subtract(uint64_t d[SLICES], uint64_t lanes) {
  for (int k = 0; k < SLICES && lanes; k++) {
    uint64_t borrow = ~d[k] & lanes;
    d[k] ^= lanes;
    lanes = borrow;
  }
}
static inline uint64_t sliced_nonzero(const uint64_t d[SLICES]) { return d[0] | d[1] | d[2]; }
static inline uint64_t sliced_equal(const uint64_t d[SLICES], uint32_t n) {
  uint64_t same = ~(uint64_t)0;
  for (int k = 0; k < SLICES; k++)
    same &= n >> k & 1 ? d[k] : ~d[k];
  return same;
}
/* Lanes whose count is n or more. */
static inline uint64_t sliced_at_least(const uint64_t d[SLICES], uint32_t n) {
  uint64_t more = 0, same = ~(uint64_t)0;
  for (int k = SLICES - 1; k >= 0; k--) {
    if (!(n >> k & 1)) more |= same & d[k];
    same &= n >> k & 1 ? d[k] : ~d[k];
  }
  return more | same;
}

/* a + b mod 2^bits in every lane. */
static inline void sliced_sum(uint64_t to[SLICES], const uint64_t a[SLICES], const uint64_t b[SLICES], uint32_t bits) {
  uint64_t carry = 0;
  for (uint32_t k = 0; k < SLICES; k++) {
    uint64_t one = a[k] ^ b[k], both = a[k] & b[k];
    to[k] = k < bits ? one ^ carry : 0;
    carry = both | (carry & one);
  }
}

#define EACH_LANE(lane, set) \
  for (uint64_t rest_ = (set), lane = 0; rest_ && (lane = (uint64_t)__builtin_ctzll(rest_), true); rest_ &= rest_ - 1)

/* Copies the words of all lanes with non-temporal stores: they are read much later, and fetching the lines that they
 * overwrite would cost more.  `to` is aligned to a line. */
#if defined(__SSE2__)
#include <emmintrin.h>
static inline void lanes_stream(uint32_t *to, const uint32_t *from) {
  for (int i = 0; i < LANES; i += 4)
    _mm_stream_si128((__m128i *)(void *)(to + i), _mm_loadu_si128((const __m128i *)(const void *)(from + i)));
}
static inline void lanes_stream_end(void) { _mm_sfence(); } /* before another thread may read */
#else
static inline void lanes_stream(uint32_t *to, const uint32_t *from) { memcpy(to, from, LANES * sizeof *to); }
static inline void lanes_stream_end(void) {}
#endif

/* Masked moves.  router.c is compiled once per instruction set of the host, and these with it.  For a few lanes a loop
 * over the set is faster. */
#if defined(__AVX512F__)
#include <immintrin.h>
enum { FEW_LANES = 2 };
#define EACH_GROUP(k) for (int k = 0; k < 4; k++)
#define GROUP(set, k) (__mmask16)((set) >> 16 * (k))
#else
enum { FEW_LANES = 12 };
#endif

static inline bool lanes_few(uint64_t set) { return __builtin_popcountll(set) <= FEW_LANES; }
/* All ones if the lane is set: with it the compiler vectorizes a loop over all lanes. */
static inline uint32_t lane_mask(uint64_t set, int lane) { return -(uint32_t)(set >> lane & 1); }

static inline void lanes_copy(uint32_t *to, const uint32_t *from, uint64_t set) {
  if (lanes_few(set)) {
    EACH_LANE(i, set)
      to[i] = from[i];
    return;
  }
#if defined(__AVX512F__)
  EACH_GROUP(k)
    _mm512_mask_storeu_epi32(to + 16 * k, GROUP(set, k), _mm512_maskz_loadu_epi32(GROUP(set, k), from + 16 * k));
#else
  for (int i = 0; i < LANES; i++)
    if (set >> i & 1) to[i] = from[i];
#endif
}

static inline void lanes_fill(uint32_t *to, uint32_t value, uint64_t set) {
  if (lanes_few(set)) {
    EACH_LANE(i, set)
      to[i] = value;
    return;
  }
#if defined(__AVX512F__)
  EACH_GROUP(k)
    _mm512_mask_storeu_epi32(to + 16 * k, GROUP(set, k), _mm512_set1_epi32((int)value));
#else
  for (int i = 0; i < LANES; i++)
    to[i] ^= (to[i] ^ value) & lane_mask(set, i);
#endif
}

static inline void lanes_count(uint32_t *to, uint64_t set) {
  if (lanes_few(set)) {
    EACH_LANE(i, set)
      to[i]++;
    return;
  }
#if defined(__AVX512F__)
  EACH_GROUP(k) {
    __m512i more = _mm512_add_epi32(_mm512_maskz_loadu_epi32(GROUP(set, k), to + 16 * k), _mm512_set1_epi32(1));
    _mm512_mask_storeu_epi32(to + 16 * k, GROUP(set, k), more);
  }
#else
  for (int i = 0; i < LANES; i++)
    to[i] -= lane_mask(set, i);
#endif
}

/* Adds to each lane of the set the cycles since its `since`; returns their sum. */
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
    __m512i waited =
        _mm512_maskz_sub_epi32(m, _mm512_set1_epi32((int)now), _mm512_maskz_loadu_epi32(m, since + 16 * k));
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
