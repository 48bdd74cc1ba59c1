/* span_base.c - span.h for any processor. */
#define SPAN_TABLE span_base
#include "fast/span.h"
