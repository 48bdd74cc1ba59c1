/* router_avx2.c - router.c for processors with 256-bit vectors. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#pragma GCC target("avx2,bmi,bmi2,popcnt,lzcnt")
#endif
#define ROUTERS_STEP routers_step_avx2
#include "router/router.c"
