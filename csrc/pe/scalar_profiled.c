/* scalar_profiled.c - scalar instructions of a fabric that keeps a profile, in any format of 16-bit floats. */
#define SCALAR_RUN scalar_run_profiled
#define SCALAR_FORMAT fabric->fp16
#define SCALAR_PROFILED 1
#include "pe/scalar.c"
