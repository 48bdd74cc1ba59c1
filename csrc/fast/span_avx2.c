/* span_avx2.c - span.c for processors with 256-bit vectors, conversion of halves and fused multiply-add. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#pragma GCC target("avx2,f16c,fma")
#endif
#define SPAN_TABLE span_avx2
#include "fast/span.c"
