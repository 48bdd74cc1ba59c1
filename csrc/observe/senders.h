/* senders.h - a checked run: finds messages of two senders that are mixed.
 *
 * Each wavelet in a queue or a router's buffer has a tag: the PE, the thread and the first cycle of the operation that
 * sent it.  Two messages are mixed if one operation receives wavelets of A, then of B, then of A again.  Routers record
 * where wavelets of two inputs alternated in this way.
 *
 * A data task takes its wavelets one by one, in runs of their own, and may well take those of many senders.  They are
 * mixed if it stores them in the order in which they come: if an instruction wrote, in each of the last STORED runs,
 * addresses with a constant distance that did not depend on the wavelets, and these were of A, of B, and of A again. */
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
/* A data task, or none, begins: it gets the wavelet at this place of an input queue; queue: -1: none. */
void senders_task(wse_fabric *fabric, uint32_t pe, int queue, uint32_t place, int color);
/* The main thread writes memory, with a vector operation. */
void senders_stored(wse_fabric *fabric, uint32_t pe, uint16_t at, check_by by);
/* ... with a scalar instruction.  value, address: depend on the wavelet of the data task. */
void senders_scalar(wse_fabric *fabric, uint32_t pe, uint16_t at, bool value, bool address, check_by by);
/* The mask of registers that depend on the wavelet of the data task that runs; NULL: another task does. */
uint32_t *senders_derived(const wse_fabric *fabric, uint32_t pe);
/* Whether something that depends on the wavelet may have been stored at an address since the task began. */
bool senders_kept(const wse_fabric *fabric, uint32_t pe, uint16_t at);
/* A descriptor is loaded from four registers, of which this is the first. */
void senders_describes(wse_fabric *fabric, uint32_t pe, uint32_t first);
/* Sets the router of a finding at which wavelets of its senders alternated first, and the cycle. */
void senders_locate(const wse_fabric *fabric, wse_finding *finding);
bool senders_new(wse_fabric *fabric); /* false without memory */

#endif
