/* senders.h - a checked run: finds messages of two senders that are mixed.
 *
 * Each wavelet in a queue or a router's buffer has a tag: the PE, the thread and the first cycle of the operation that
 * sent it.  Two messages are mixed if one operation receives wavelets of A, then of B, then of A again.  Routers record
 * where wavelets of two inputs alternated in this way. */
#ifndef OBSERVE_SENDERS_H
#define OBSERVE_SENDERS_H

#include "observe/check.h"

/* A wavelet enters an output queue, at this index of its ring. */
void senders_sent(wse_fabric *fabric, uint32_t pe, int thread, int queue, uint32_t place);
/* Its tag when it leaves the queue. */
uint64_t senders_of_output(const wse_fabric *fabric, uint32_t pe, int queue, uint32_t place);
uint64_t senders_of_stream(uint32_t pe, int port); /* the tag of the wavelets of a stream */
/* A wavelet enters a router's buffer; the tag of the first wavelet in it; that one leaves.  color: index. */
void senders_push(wse_fabric *fabric, uint32_t pe, int color, int port, uint64_t tag);
uint64_t senders_head(const wse_fabric *fabric, uint32_t pe, int color, int port);
void senders_pop(wse_fabric *fabric, uint32_t pe, int color, int port, uint64_t cycle);
/* A wavelet enters an input queue; an operation of a thread takes one from it. */
void senders_landed(wse_fabric *fabric, uint32_t pe, int queue, uint32_t place, uint64_t tag);
void senders_received(wse_fabric *fabric, uint32_t pe, int thread, uint32_t pc, int queue, uint32_t place, int color,
                      uint64_t cycle);
/* Sets the router of a finding at which wavelets of its senders alternated first, and the cycle. */
void senders_locate(const wse_fabric *fabric, wse_finding *finding);
bool senders_new(wse_fabric *fabric); /* false without memory */

#endif
