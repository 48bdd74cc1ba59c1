/* rows_avx512.c - rows.c for processors with 512-bit vectors. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,prefer-vector-width=512")
#endif
#define ROW_TABLE rows_avx512
#include "pe/rows.c"
