/* rows_avx2.c - rows.c for processors with 256-bit vectors. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#pragma GCC target("avx2")
#endif
#define ROW_TABLE rows_avx2
#include "pe/rows.c"
