/* store_only.h - a compute element that does nothing but store what arrives.
 *
 * While the main thread is idle and every microthread only copies wavelets to memory, each wavelet is stored in the cycle in
 * which it can be: no two come in one cycle, and nobody else wants the slot.  Then the routers keep the wavelets themselves, a
 * row for the 64 of a word at a time, without a queue and without looking at the CE, until the operation's last few elements,
 * which go the usual way and end it.  Rows go to memory when they are many or when somebody looks; what the CE would have
 * counted is settled then.  Cycles, counts and values are those of the usual way.
 */
#ifndef PE_STORE_ONLY_H
#define PE_STORE_ONLY_H

#include "state/state.h"

bool only_stores(const operation *o);                                /* copies wavelets to memory */
/* The step of a CE whose microthreads only do that and which is behind with it, and so no sink yet.  False if it is not so. */
bool store_step(wse_fabric *f, band *b, uint32_t pe, uint64_t now);
void sink_begin(wse_fabric *f, band *b, uint32_t pe, uint64_t now);  /* makes the CE a sink if it can be one */
void sink_settle(wse_fabric *f, band *b, uint32_t pe, uint64_t now); /* what was stored before cycle `now` */
void sink_end(wse_fabric *f, uint32_t pe);                           /* after settling: the usual way again */

#endif
