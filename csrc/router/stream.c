/* stream.c - streams at the fabric's edge: wavelets of the host that enter a router by a port, and wavelets that leave
 * by one.  For a host color every router is at the edge.
 *
 * A rate is num wavelets in den cycles: the k-th wavelet since a stream started may pass den * k / num cycles after
 * the first.  A stream that waited for the fabric does not exceed its rate afterwards.  A stream of segments does, by
 * what could arrive at the edge meanwhile: it is a link with a buffer of `window` wavelets at its end.
 */
#include "router/stream.h"

#include <stdlib.h>

#include "observe/account.h"
#include "observe/senders.h"
#include "router/buffer.h"

/* The slot of the table at which the search begins. */
static uint32_t stream_slot(const wse_fabric *fabric, uint32_t pe, int port, int color, int out) {
  uint32_t key = ((pe * WSE_PORTS + (uint32_t)port) * 32 + (uint32_t)color) * 2 + (uint32_t)out;
  return key * 2654435761u & (fabric->stream_table - 1);
}

static void table_add(wse_fabric *fabric, int index) {
  const edge_stream *stream = &fabric->streams[index];
  uint32_t h = stream_slot(fabric, stream->pe, stream->port, stream->color, stream->out);
  while (fabric->stream_at[h])
    h = (h + 1) & (fabric->stream_table - 1);
  fabric->stream_at[h] = index + 1;
}

static int table_of(wse_fabric *fabric, uint32_t size) {
  int32_t *table = calloc(size, sizeof *table);
  if (!table) return -1;
  free(fabric->stream_at);
  fabric->stream_at = table;
  fabric->stream_table = size;
  for (int i = 0; i < fabric->stream_total; i++)
    table_add(fabric, i);
  return 0;
}

int streams_index(wse_fabric *fabric) {
  uint32_t size = 64;
  while (size < (uint32_t)fabric->stream_total * 2)
    size *= 2;
  return table_of(fabric, size);
}

int stream_index(wse_fabric *fabric) {
  if ((uint32_t)fabric->stream_total * 2 > fabric->stream_table) return streams_index(fabric);
  table_add(fabric, fabric->stream_total - 1);
  return 0;
}

void stream_free(edge_stream *stream) {
  free(stream->data);
  free(stream->control);
  free(stream->cycles);
  free(stream->segments);
}

/* The stream that was added last for a PE, port, color and direction; NULL if there is none. */
edge_stream *stream_find(const wse_fabric *fabric, uint32_t pe, int port, int color, int out) {
  edge_stream *found = NULL;
  if (!fabric->stream_table) return NULL;
  for (uint32_t h = stream_slot(fabric, pe, port, color, out); fabric->stream_at[h];
       h = (h + 1) & (fabric->stream_table - 1)) {
    edge_stream *stream = &fabric->streams[fabric->stream_at[h] - 1];
    if (stream->pe == pe && stream->port == port && stream->color == color && stream->out == out &&
        (!found || stream > found))
      found = stream;
  }
  return found;
}

edge_stream *stream_out_at(wse_fabric *fabric, uint32_t pe, int port, int color) {
  return stream_find(fabric, pe, port, color, 1);
}

static uint64_t next_at(edge_stream *stream, uint64_t now) {
  uint64_t passed = stream->out ? stream->before + stream->passed : stream->passed;
  if (passed == 0 || stream->next < now) stream->credit_from = now - passed * stream->den / stream->num;
  return stream->credit_from + ((passed + 1) * stream->den + stream->num - 1) / stream->num;
}

/* den j / num cycles, rounded down and up. */
static int64_t pace_down(const wse_segment *p, uint64_t j) { return (int64_t)(j * p->den / p->num); }
static int64_t pace_up(const wse_segment *p, uint64_t j) { return (int64_t)((j * p->den + p->num - 1) / p->num); }

/* Enters the segment of the next wavelet, which arrives in cycle `behind` at the earliest. */
void segment_enter(edge_stream *stream, int64_t behind) {
  while (stream->segment_at < stream->segment_total && stream->segments[stream->segment_at].end == stream->passed)
    stream->segment_at++;
  if (stream->segment_at == stream->segment_total) {
    stream->arrival = behind > 0 ? (uint64_t)behind : 0; /* for segments that are still to come */
    return;
  }
  stream_segment *segment = &stream->segments[stream->segment_at];
  segment->base = (int64_t)segment->is.cycle > behind ? (int64_t)segment->is.cycle : behind;
  stream->arrival = segment->base > 0 ? (uint64_t)segment->base : 0;
}

/* Accounts for wavelet number stream->passed, which enters now; returns the cycle of the next one. */
static uint64_t segment_pass(edge_stream *stream, uint64_t now) {
  stream_segment *segment = &stream->segments[stream->segment_at];
  uint64_t j = stream->passed - segment->first,
           could = stream->arrival > stream->ready ? stream->arrival : stream->ready;
  if (!segment->timing.passed++) segment->timing.first = now;
  segment->timing.last = now;
  if (stream->arrival > stream->ready) segment->timing.starved += stream->arrival - stream->ready;
  segment->timing.blocked += now - could;
  /* `window` wavelets can wait behind this one: later ones cannot have arrived yet. */
  if (segment->base + pace_up(&segment->is, j + stream->window) < (int64_t)now)
    segment->base = (int64_t)now - pace_down(&segment->is, j + stream->window);
  int64_t behind = segment->base + pace_up(&segment->is, j + 1);
  stream->ready = now + 1;
  stream->passed++;
  if (stream->passed == segment->end) segment_enter(stream, behind);
  else stream->arrival = behind > 0 ? (uint64_t)behind : 0;
  stream->passed--; /* the caller counts it */
  return stream->arrival > stream->ready ? stream->arrival : stream->ready;
}

/* *again: the cycle in which to check again; 0 if only the host can change it. */
bool stream_has_free_slot(edge_stream *stream, uint64_t now, uint64_t *again) {
  if (stream->passed == stream->n) return false;
  if (stream->next > now) {
    *again = stream->next;
    return false;
  }
  return true;
}

void stream_take(edge_stream *stream, wavelet w, uint64_t now) {
  if (stream->data_only && w.meta & WAVELET_CONTROL) return;
  stream->next = next_at(stream, now);
  stream->data[stream->passed] = w.data;
  stream->control[stream->passed] = (uint8_t)(w.meta & WAVELET_CONTROL);
  stream->cycles[stream->passed] = now;
  stream->passed++;
}

void streams_forget(wse_fabric *fabric, uint64_t cycle) {
  for (edge_stream *stream = fabric->streams; stream < fabric->streams + fabric->stream_total; stream++)
    while (stream->out && stream->passed > stream->taken && stream->cycles[stream->passed - 1] > cycle)
      stream->passed--;
}

void streams_wake(wse_fabric *fabric, uint32_t pe, uint64_t when) {
  fabric_strip *strip = strip_of(fabric, pe);
  strip->streams |= (uint8_t)(1u << (when & (NEAR - 1)));
}

/* Every input stream of the strip that can pass a wavelet does so. */
void streams_step(wse_fabric *fabric, band_state *band, fabric_strip *strip, uint64_t now) {
  uint8_t slot = (uint8_t)(1u << (now & (NEAR - 1)));
  bool freed = strip->streams & slot;
  if (!freed && strip->streams_next > now) return;
  strip->streams &= (uint8_t)~slot;
  strip->streams_next = NEVER;
  for (int i = strip->first_stream; i; i = fabric->streams[i - 1].next_in_strip) {
    edge_stream *stream = &fabric->streams[i - 1];
    if (stream->passed == stream->n || (stream->asleep && !freed)) continue;
    stream->asleep = false;
    int color = fabric->color_index[stream->color];
    if (stream->next <= now) {
      if (!router_has_free_slot(fabric, stream->pe, color, stream->port)) {
        stream->asleep = true;
        continue;
      }
      stream->next = stream->segments ? segment_pass(stream, now) : next_at(stream, now);
      uint64_t k = stream->passed - stream->dropped;
      wavelet w = {stream->data[k], stream->control[k] ? WAVELET_CONTROL : 0};
      router_push_one(fabric, stream->pe, color, stream->port, w, now + (uint64_t)P(fabric, hop_cycles));
      if (fabric->check)
        senders_push(fabric, stream->pe, color, stream->port, senders_of_stream(stream->pe, stream->port));
      activity_last(band, now + 1);
      stream->passed++;
    }
    if (stream->passed < stream->n && stream->next < strip->streams_next) strip->streams_next = stream->next;
  }
}
