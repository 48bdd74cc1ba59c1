/* span.c - vector instructions over whole operands in memory.
 *
 * Compiled once per instruction set of the host (span_avx2.c, span_avx512.c and span_avx512_fp16.c include it).  The
 * results are the same to the bit; only the number of elements per host instruction differs.
 *
 * Elements are loaded into local arrays in chunks of 64, computed, and stored, so that the compiler sees a loop without
 * aliases.  Operands that overlap, and instructions with a carry, are computed element by element in order.  Only the
 * loop over a chunk is instantiated per instruction and format: the rest would multiply the compile time without a
 * gain.
 */
#include "fast/span.h"

#include "numeric/host.h"
#include "numeric/op_vector.h"

#ifndef SPAN_TABLE
#define SPAN_TABLE span_base
#define SPAN_BASE
#endif

enum { GROUP = 16 }; /* elements that are loaded at once */

#if defined(__AVX512BW__) && defined(__AVX512VL__)
#include "fast/span_avx512_ops.h"
#elif defined(__AVX2__) && defined(__F16C__) && defined(__FMA__)
#include "fast/span_avx2_ops.h"
#else
typedef void (*wide_function)(const span *s);
static inline wide_function wide_of(int op, int fmt) { return (void)op, (void)fmt, NULL; }
#endif

enum { CHUNK = 64 };

NUM_INLINE uint32_t element_load(const uint8_t *at, int bytes) {
  uint16_t half;
  uint32_t word;
  if (bytes == 2) return memcpy(&half, at, 2), half;
  return memcpy(&word, at, 4), word;
}
NUM_INLINE void element_store(uint8_t *at, int bytes, uint32_t v) {
  uint16_t half = (uint16_t)v;
  if (bytes == 2) memcpy(at, &half, 2);
  else memcpy(at, &v, 4);
}

/* Rare chunks, out of line: a value for all elements, and strides. */
static __attribute__((noinline)) void chunk_gather(uint32_t to[CHUNK], const uint8_t *from, int32_t step,
                                                   uint32_t value, int bytes, uint32_t n) {
  if (from) {
    for (uint32_t i = 0; i < n; i++)
      to[i] = element_load(from + (int64_t)i * step, bytes);
  } else {
    for (int i = 0; i < CHUNK; i++)
      to[i] = value;
  }
}
static __attribute__((noinline)) void chunk_scatter(uint8_t *to, int32_t step, const uint32_t from[CHUNK], int bytes,
                                                    uint32_t n) {
  for (uint32_t i = 0; i < n; i++)
    element_store(to + (int64_t)i * step, bytes, from[i]);
}

/* A chunk of successive elements.  Fewer than CHUNK are loaded in groups of GROUP: what is loaded too many lies in the
 * SRAM or in the gap behind it (SRAM_PITCH). */
_Static_assert(GROUP * 4 <= SRAM_PITCH - WSE_SRAM, "a group that begins in an SRAM ends before the next one");
NUM_INLINE void groups_load(uint32_t *to, const uint8_t *from, int bytes, uint32_t n) {
  for (uint32_t i = 0; i < n; i += GROUP)
    for (int k = 0; k < GROUP; k++)
      to[i + k] = element_load(from + (i + k) * bytes, bytes);
}
NUM_INLINE void groups_store(uint8_t *to, const uint32_t *from, int bytes, uint32_t n) {
  uint32_t whole = n / GROUP * GROUP;
  for (uint32_t i = 0; i < whole; i += GROUP)
    for (int k = 0; k < GROUP; k++)
      element_store(to + (i + k) * bytes, bytes, from[i + k]);
  for (uint32_t i = whole; i < n; i++)
    element_store(to + i * bytes, bytes, from[i]);
}

/* Up to CHUNK elements of a source, or its value CHUNK times. */
NUM_INLINE void chunk_load(uint32_t to[CHUNK], const uint8_t *from, int32_t step, uint32_t value, int bytes,
                           uint32_t n) {
  if (!bytes) return;
  if (from && step == bytes) groups_load(to, from, bytes, n);
  else chunk_gather(to, from, step, value, bytes, n);
}
NUM_INLINE void chunk_store(uint8_t *to, int32_t step, const uint32_t from[CHUNK], int bytes, uint32_t n) {
  if (!bytes) return;
  if (step == bytes) groups_store(to, from, bytes, n);
  else chunk_scatter(to, step, from, bytes, n);
}

/* Element by element: each may need the carry or the result of an earlier one. */
static void in_order(int op, int fmt, const span *s) {
  const isa_row *row = &isa_rows[op];
  element_function element = vector_element(op, fmt);
  uint32_t extra = s->extra;
  for (uint32_t i = 0; i < s->n; i++) {
    uint32_t a = s->src0 ? element_load(s->src0 + (int64_t)i * s->step0, row->src0) : s->value0;
    uint32_t b = s->src1 ? element_load(s->src1 + (int64_t)i * s->step1, row->src1) : s->value1;
    uint32_t result = element(a, b, extra);
    if (row->rule == ISA_CARRY) extra = result >> 16;
    element_store(s->dst + (int64_t)i * s->step_dst, row->dst, result);
  }
}

#define VECTOR(name, type_dst, type0, type1, type2, lanes2, lanes3, flops, rule, ...)                           \
  NUM_INLINE void span_of_##name(int fmt, span s) {                                                             \
    uint32_t a[CHUNK], b[CHUNK], v[CHUNK];                                                                      \
    for (uint32_t done = 0; done < s.n; done += CHUNK) {                                                        \
      uint32_t n = s.n - done < CHUNK ? s.n - done : CHUNK;                                                     \
      chunk_load(a, s.src0 ? s.src0 + (int64_t)done * s.step0 : NULL, s.step0, s.value0, ISA_BYTES_##type0, n); \
      chunk_load(b, s.src1 ? s.src1 + (int64_t)done * s.step1 : NULL, s.step1, s.value1, ISA_BYTES_##type1, n); \
      uint32_t count = (n + GROUP - 1) / GROUP * GROUP;                                                         \
      for (uint32_t i = n; i < count; i++)                                                                      \
        a[i] = b[i] = 0;                                                                                        \
      for (uint32_t i = 0; i < count; i++)                                                                      \
        v[i] = op_##name(fmt, a[i], b[i], s.extra);                                                             \
      chunk_store(s.dst + (int64_t)done * s.step_dst, s.step_dst, v, ISA_BYTES_##type_dst, n);                  \
    }                                                                                                           \
  }                                                                                                             \
  static void span_##name(int fmt, const span *s) {                                                             \
    if (ISA_##rule == ISA_CARRY || s->overlaps) {                                                               \
      in_order(OP_##name, fmt, s);                                                                              \
      return;                                                                                                   \
    }                                                                                                           \
    bool half = ISA_HALF_##type_dst | ISA_HALF_##type0 | ISA_HALF_##type1 | ISA_HALF_##type2;                   \
    wide_function wide = wide_of(OP_##name, half ? fmt : WSE_FP16_IEEE);                                        \
    if (wide) {                                                                                                 \
      wide(s);                                                                                                  \
      return;                                                                                                   \
    }                                                                                                           \
    switch (half ? fmt : WSE_FP16_IEEE) {                                                                       \
      case WSE_FP16_IEEE: span_of_##name(WSE_FP16_IEEE, *s); break;                                             \
      case WSE_FP16_BF16: span_of_##name(WSE_FP16_BF16, *s); break;                                             \
      default: span_of_##name(WSE_FP16_CB16, *s); break;                                                        \
    }                                                                                                           \
  }
#include "tables/isa.def"

const span_function SPAN_TABLE[] = {
#define VECTOR(name, ...) [OP_##name] = span_##name,
#include "tables/isa.def"
};

#ifdef SPAN_BASE
const span_function *span_table(int portable) {
  return host_halves(portable) ? span_avx512_fp16 : HOST_PICK(portable, span_base, span_avx2, span_avx512);
}
#endif
