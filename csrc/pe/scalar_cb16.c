/* scalar_cb16.c - scalar.c for programs whose 16-bit floats are cb16. */
#define SCALAR_RUN scalar_run_cb16
#define SCALAR_FORMAT WSE_FP16_CB16
#include "pe/scalar.c"
