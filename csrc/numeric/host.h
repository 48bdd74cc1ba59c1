/* host.h - the instruction sets of the host that the engine may use.
 *
 * Files that gain from vectors are compiled for each of them; which version runs is chosen when a fabric is made.
 */
#ifndef NUMERIC_HOST_H
#define NUMERIC_HOST_H

#include <stdbool.h>

#include "wse.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
enum { HOST_BASE, HOST_AVX2, HOST_AVX512 };

/* The widest that this processor has.  portable: a field of wse_desc, what it is at most. */
static inline int host_vectors(int portable) {
  if (portable == WSE_PORTABLE) return HOST_BASE;
  if (portable != WSE_PORTABLE_AVX2 && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl"))
    return HOST_AVX512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("f16c") &&
      __builtin_cpu_supports("fma"))
    return HOST_AVX2;
  return HOST_BASE;
}
/* Whether 512-bit vectors have arithmetic on halves as well. */
static inline bool host_halves(int portable) {
#if __GNUC__ >= 12
  return host_vectors(portable) == HOST_AVX512 && __builtin_cpu_supports("avx512fp16");
#else
  return (void)portable, false;
#endif
}
#define HOST_PICK(portable, base, avx2, avx512) \
  (host_vectors(portable) == HOST_AVX512 ? (avx512) : host_vectors(portable) == HOST_AVX2 ? (avx2) : (base))
#else
static inline bool host_halves(int portable) { return (void)portable, false; }
#define HOST_PICK(portable, base, avx2, avx512) ((void)(portable), (base))
#endif

#endif
