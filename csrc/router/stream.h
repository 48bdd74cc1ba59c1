/* stream.h - streams at the fabric's edge, cycle by cycle; the host's side is fabric/host.c. */
#ifndef ROUTER_STREAM_H
#define ROUTER_STREAM_H

#include "state/state.h"

/* The table of streams by PE, port, color and direction. */
edge_stream *stream_find(const wse_fabric *fabric, uint32_t pe, int port, int color,
                         int out);     /* the last one added; NULL: none */
int stream_index(wse_fabric *fabric);  /* enters the stream added last; -1 without memory */
int streams_index(wse_fabric *fabric); /* enters all streams again; -1 without memory */
void stream_free(edge_stream *stream); /* its arrays */
void segment_enter(edge_stream *stream, int64_t behind);

edge_stream *stream_out_at(wse_fabric *fabric, uint32_t pe, int port, int color);
bool stream_has_free_slot(edge_stream *stream, uint64_t now, uint64_t *again);
void stream_take(edge_stream *stream, wavelet w, uint64_t now);
void streams_step(wse_fabric *fabric, band_state *band, fabric_strip *strip, uint64_t now);
void streams_forget(wse_fabric *fabric, uint64_t cycle);           /* forgets what left after this cycle */
void streams_wake(wse_fabric *fabric, uint32_t pe, uint64_t when); /* a buffer of the PE's strip may have a free slot */

#endif
