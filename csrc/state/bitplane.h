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
/* The count of a lane. */
static inline uint32_t sliced_of(const uint64_t d[SLICES], uint32_t lane) {
  uint32_t n = 0;
  for (uint32_t k = 0; k < SLICES; k++)
    n |= (uint32_t)(d[k] >> lane & 1) << k;
  return n;
}
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

/* Masked moves.  router.c is compiled once per instruction set of the host, and these with it: groups of 16 or 8 lanes
 * with AVX-512 or AVX2, else loops over all lanes.  For a few lanes a loop over the set is faster.  The lanes that are
 * not in the set may be written with what they hold: a row has one writer at a time (run.c). */
#if defined(__AVX512F__)
#include <immintrin.h>
enum { FEW_LANES = 2, GROUP_LANES = 16 };
typedef __m512i lane_words;
typedef __mmask16 lane_set;
static inline lane_set group_set(uint64_t set, int k) { return (lane_set)(set >> k); }
static inline lane_words group_load(const uint32_t *from) { return _mm512_loadu_si512(from); }
static inline void group_store(uint32_t *to, lane_set m, lane_words v) { _mm512_mask_storeu_epi32(to, m, v); }
static inline lane_words group_all(uint32_t v) { return _mm512_set1_epi32((int)v); }
static inline lane_words group_add(lane_words a, lane_words b) { return _mm512_add_epi32(a, b); }
static inline lane_words group_minus(lane_set m, lane_words a, lane_words b) { return _mm512_maskz_sub_epi32(m, a, b); }
static inline uint32_t group_sum(lane_words v) { return (uint32_t)_mm512_reduce_add_epi32(v); }
#elif defined(__AVX2__)
#include <immintrin.h>
enum { FEW_LANES = 4, GROUP_LANES = 8 };
typedef __m256i lane_words;
typedef __m256i lane_set;
static inline lane_set group_set(uint64_t set, int k) {
  const __m256i bits = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
  return _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32((int)(set >> k & 0xff)), bits), bits);
}
static inline lane_words group_load(const uint32_t *from) {
  return _mm256_loadu_si256((const __m256i *)(const void *)from);
}
static inline void group_store(uint32_t *to, lane_set m, lane_words v) {
  _mm256_storeu_si256((__m256i *)(void *)to, _mm256_blendv_epi8(group_load(to), v, m));
}
static inline lane_words group_all(uint32_t v) { return _mm256_set1_epi32((int)v); }
static inline lane_words group_add(lane_words a, lane_words b) { return _mm256_add_epi32(a, b); }
static inline lane_words group_minus(lane_set m, lane_words a, lane_words b) {
  return _mm256_and_si256(_mm256_sub_epi32(a, b), m);
}
static inline uint32_t group_sum(lane_words v) {
  __m128i four = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
  return (uint32_t)_mm_cvtsi128_si32(_mm_add_epi32(four, _mm_shuffle_epi32(four, 0xb1)));
}
#else
enum { FEW_LANES = 12, GROUP_LANES = 1 };
typedef uint32_t lane_words;
typedef uint32_t lane_set; /* all ones if the lane is set: the compiler vectorizes a loop over all lanes */
static inline lane_set group_set(uint64_t set, int k) { return 0 - (uint32_t)(set >> k & 1); }
static inline lane_words group_load(const uint32_t *from) { return *from; }
static inline void group_store(uint32_t *to, lane_set m, lane_words v) { *to ^= (*to ^ v) & m; }
static inline lane_words group_all(uint32_t v) { return v; }
static inline lane_words group_add(lane_words a, lane_words b) { return a + b; }
static inline lane_words group_minus(lane_set m, lane_words a, lane_words b) { return (a - b) & m; }
static inline uint32_t group_sum(lane_words v) { return v; }
#endif
#define EACH_GROUP(k) for (int k = 0; k < LANES; k += GROUP_LANES)

static inline bool lanes_few(uint64_t set) { return __builtin_popcountll(set) <= FEW_LANES; }

static inline void lanes_copy(uint32_t *to, const uint32_t *from, uint64_t set) {
  if (lanes_few(set)) {
    EACH_LANE(i, set)
      to[i] = from[i];
    return;
  }
  EACH_GROUP(k)
    group_store(to + k, group_set(set, k), group_load(from + k));
}

static inline void lanes_fill(uint32_t *to, uint32_t value, uint64_t set) {
  if (lanes_few(set)) {
    EACH_LANE(i, set)
      to[i] = value;
    return;
  }
  EACH_GROUP(k)
    group_store(to + k, group_set(set, k), group_all(value));
}

static inline void lanes_count(uint32_t *to, uint64_t set) {
  if (lanes_few(set)) {
    EACH_LANE(i, set)
      to[i]++;
    return;
  }
  EACH_GROUP(k)
    group_store(to + k, group_set(set, k), group_add(group_load(to + k), group_all(1)));
}

/* Adds to each lane of the set the cycles since its `since`; returns their sum. */
static inline uint64_t lanes_wait(uint32_t *to, const uint32_t *since, uint32_t now, uint64_t set) {
  if (lanes_few(set)) {
    uint32_t sum = 0;
    EACH_LANE(i, set) {
      uint32_t waited = now - since[i];
      if (waited) to[i] += waited;
      sum += waited;
    }
    return sum;
  }
  lane_words sums = group_all(0);
  EACH_GROUP(k) {
    lane_set m = group_set(set, k);
    lane_words waited = group_minus(m, group_all(now), group_load(since + k));
    group_store(to + k, m, group_add(group_load(to + k), waited));
    sums = group_add(sums, waited);
  }
  return group_sum(sums);
}

#endif
