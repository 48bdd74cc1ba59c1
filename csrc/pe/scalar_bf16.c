/* scalar_bf16.c - scalar.c for programs whose 16-bit floats are bf16. */
#define SCALAR_RUN scalar_run_bf16
#define SCALAR_FORMAT WSE_FP16_BF16
#include "pe/scalar.c"
