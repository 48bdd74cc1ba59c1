/* router_checked.c - router.c for checked runs: it passes on which operation sent each wavelet. */
#define ROUTERS_STEP routers_step_checked
#define ROUTERS_CHECKED 1
#include "router/router.c"
