/* router_avx512.c - router.c for processors with 512-bit vectors. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,bmi,bmi2,popcnt,lzcnt")
#endif
#define ROUTERS_STEP routers_step_avx512
#include "router/router.c"
