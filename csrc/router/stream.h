/* stream.h - streams at the fabric's edge, cycle by cycle; the host's side is fabric/host.c. */
#ifndef ROUTER_STREAM_H
#define ROUTER_STREAM_H

#include "state/state.h"

/* The table of streams by place. */
stream *stream_find(const wse_fabric *f, uint32_t pe, int port, int color, int out); /* the last added there; NULL if there is none */
int stream_index(wse_fabric *f); /* the stream added last goes into the table; -1 without memory */
void segment_enter(stream *s, int64_t behind);

stream *stream_out_at(wse_fabric *f, uint32_t pe, int port, int color);
bool stream_has_room(stream *s, uint64_t now, uint64_t *again);
void stream_take(stream *s, wavelet w, uint64_t now);
void streams_step(wse_fabric *f, band *b, int y, uint64_t now);
void streams_forget(wse_fabric *f, uint64_t cycle); /* what left after this cycle */
void streams_wake(wse_fabric *f, uint32_t pe, uint64_t when); /* of the PE's row: there may be room */

#endif
