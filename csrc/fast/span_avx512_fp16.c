/* span_avx512_fp16.c - span.c for processors whose 512-bit vectors have arithmetic on halves. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#if __GNUC__ >= 12
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512fp16,prefer-vector-width=512")
#else /* such a compiler does not know them, and host_halves() is false */
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,prefer-vector-width=512")
#endif
#endif
#define SPAN_TABLE span_avx512_fp16
#include "fast/span.c"
