/* span_avx2.c - span.c for processors with 256-bit vectors. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#pragma GCC target("avx2")
#endif
#define SPAN_TABLE span_avx2
#include "fast/span.c"
