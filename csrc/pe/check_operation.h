/* check_operation.h - a checked run: checks the elements of vector operations. */
#ifndef PE_CHECK_OPERATION_H
#define PE_CHECK_OPERATION_H

#include "state/state.h"

/* Checks the next n elements of an operation of a thread (MAIN or a microthread), before they are processed. */
void check_operation(wse_fabric *fabric, uint32_t pe, const vector_operation *operation, int thread, uint32_t n,
                     uint64_t cycle);
/* The operation takes the next wavelet of an input queue. */
void check_received(wse_fabric *fabric, uint32_t pe, const vector_operation *operation, int queue, uint64_t cycle);
/* The thread whose operation this is. */
int check_thread(const wse_fabric *fabric, uint32_t pe, const vector_operation *operation);

#endif
