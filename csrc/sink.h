/* sink.h - a compute element that does nothing but store what arrives.
 *
 * While the main thread is idle and every microthread only copies wavelets to memory, each wavelet is stored in the cycle in
 * which it can be: no two come in one cycle, and nobody else wants the slot.  Then the router may store it itself, without a
 * queue and without looking at the CE, until the last element, which goes the usual way and ends the operation.  What the CE
 * would have counted is settled when it is next looked at.  Cycles, counts and values are those of the usual way.
 */
#ifndef SINK_H
#define SINK_H

#include "fabric.h"
#include "queue.h"

void sink_begin(wse_fabric *f, band *b, uint32_t pe, uint64_t now);  /* makes the CE a sink if it can be one */
void sink_settle(wse_fabric *f, band *b, uint32_t pe, uint64_t now); /* what was stored before cycle `now` */
void sink_end(wse_fabric *f, uint32_t pe);                           /* after settling: the usual way again */

/* Stores a wavelet that lands in cycle `lands`; false if it must go the usual way. */
static inline bool sink_take(wse_fabric *f, band *b, uint32_t pe, int color, uint32_t data, uint64_t lands) {
  sink *k = &f->sinks[color][pe];
  if (k->left <= 1 || lands >= f->limit) return false; /* what lies beyond the limit is not counted yet */
  const ce *c = &f->ces[pe];
  if (c->input_queues & c->readers) return false; /* one before it went the usual way: at the limit of the last call */
  uint8_t *to = sram_of(f, pe) + k->at;
  uint16_t half = (uint16_t)data;
  if (k->size == 2) memcpy(to, &half, 2);
  else memcpy(to, &data, 4);
  k->at = (uint16_t)(k->at + k->step);
  k->left--;
  sink *first = &f->sinks[k->first][pe];
  uint32_t since = (uint32_t)lands - first->last;
  if (since > 1) series_span(f, b, pe, lands - since + 1, since - 1, SERIES_STALLED);
  first->pattern = (uint8_t)(since < 8 ? first->pattern << since | 1 : 1);
  first->last = (uint32_t)lands;
  return true;
}

#endif
