/* stream.c - streams at the fabric's edge: host data that enter a router from a port, and wavelets that leave by one.  For a host
 * color every router is at the edge.
 *
 * A rate is num wavelets in den cycles: the k-th wavelet since a stream started may pass den * k / num cycles after the first.
 * A stream that waited for the fabric does not catch up beyond its rate afterwards.  A stream of segments does, as far as what
 * arrived meanwhile found room at the edge: a link with a buffer of `window` wavelets at its end.
 */
#include "router/stream.h"

#include <stdlib.h>

#include "observe/account.h"
#include "router/buffer.h"

/* Where the search for the streams of a place begins in the table. */
static uint32_t stream_slot(const wse_fabric *f, uint32_t pe, int port, int color, int out) {
  uint32_t key = ((pe * WSE_PORTS + (uint32_t)port) * 32 + (uint32_t)color) * 2 + (uint32_t)out;
  return key * 2654435761u & (f->stream_table - 1);
}

static void table_add(wse_fabric *f, int index) {
  const stream *s = &f->streams[index];
  uint32_t h = stream_slot(f, s->pe, s->port, s->color, s->out);
  while (f->stream_at[h]) h = (h + 1) & (f->stream_table - 1);
  f->stream_at[h] = index + 1;
}

static int table_grow(wse_fabric *f) {
  uint32_t size = f->stream_table ? f->stream_table * 2 : 64;
  int32_t *table = calloc(size, sizeof *table);
  if (!table) return -1;
  free(f->stream_at);
  f->stream_at = table;
  f->stream_table = size;
  for (int i = 0; i < f->stream_total; i++) table_add(f, i);
  return 0;
}

int stream_index(wse_fabric *f) {
  if ((uint32_t)f->stream_total * 2 > f->stream_table) return table_grow(f);
  table_add(f, f->stream_total - 1);
  return 0;
}

/* The last added of the streams at a place; NULL if there is none. */
stream *stream_find(const wse_fabric *f, uint32_t pe, int port, int color, int out) {
  stream *found = NULL;
  if (!f->stream_table) return NULL;
  for (uint32_t h = stream_slot(f, pe, port, color, out); f->stream_at[h]; h = (h + 1) & (f->stream_table - 1)) {
    stream *s = &f->streams[f->stream_at[h] - 1];
    if (s->pe == pe && s->port == port && s->color == color && s->out == out && (!found || s > found)) found = s;
  }
  return found;
}

stream *stream_out_at(wse_fabric *f, uint32_t pe, int port, int color) { return stream_find(f, pe, port, color, 1); }

static uint64_t next_at(stream *s, uint64_t now) {
  if (s->passed == 0 || s->next < now) s->credit_from = now - s->passed * s->den / s->num;
  return s->credit_from + ((s->passed + 1) * s->den + s->num - 1) / s->num;
}

/* den j / num cycles, rounded down and up. */
static int64_t pace_down(const wse_segment *p, uint64_t j) { return (int64_t)(j * p->den / p->num); }
static int64_t pace_up(const wse_segment *p, uint64_t j) { return (int64_t)((j * p->den + p->num - 1) / p->num); }

/* The next wavelet is the first of the segment at which the stream stands, which arrives not before `behind`. */
void segment_enter(stream *s, int64_t behind) {
  while (s->segment_at < s->segment_total && s->segments[s->segment_at].end == s->passed) s->segment_at++;
  if (s->segment_at == s->segment_total) {
    s->arrival = behind > 0 ? (uint64_t)behind : 0; /* for segments that are yet to come */
    return;
  }
  segment *g = &s->segments[s->segment_at];
  g->base = (int64_t)g->is.cycle > behind ? (int64_t)g->is.cycle : behind;
  s->arrival = g->base > 0 ? (uint64_t)g->base : 0;
}

/* Accounts for wavelet s->passed of a stream of segments, which enters now; returns when the next one may. */
static uint64_t segment_pass(stream *s, uint64_t now) {
  segment *g = &s->segments[s->segment_at];
  uint64_t j = s->passed - g->first, could = s->arrival > s->ready ? s->arrival : s->ready;
  if (!g->timing.passed++) g->timing.first = now;
  g->timing.last = now;
  if (s->arrival > s->ready) g->timing.starved += s->arrival - s->ready;
  g->timing.blocked += now - could;
  /* Behind the one that passes there is room for `window`: those beyond it cannot have arrived yet. */
  if (g->base + pace_up(&g->is, j + s->window) < (int64_t)now) g->base = (int64_t)now - pace_down(&g->is, j + s->window);
  int64_t behind = g->base + pace_up(&g->is, j + 1);
  s->ready = now + 1;
  s->passed++;
  if (s->passed == g->end) segment_enter(s, behind);
  else s->arrival = behind > 0 ? (uint64_t)behind : 0;
  s->passed--; /* the caller counts */
  return s->arrival > s->ready ? s->arrival : s->ready;
}

/* again: when to ask once more, 0 if only the host can make room. */
bool stream_has_room(stream *s, uint64_t now, uint64_t *again) {
  if (s->passed == s->n) return false;
  if (s->next > now) {
    *again = s->next;
    return false;
  }
  return true;
}

void stream_take(stream *s, wavelet w, uint64_t now) {
  if (s->data_only && w.meta & WAVELET_CONTROL) return;
  s->next = next_at(s, now);
  s->data[s->passed] = w.data;
  s->control[s->passed] = (uint8_t)(w.meta & WAVELET_CONTROL);
  s->cycles[s->passed] = now;
  s->passed++;
}

void streams_forget(wse_fabric *f, uint64_t cycle) {
  for (stream *s = f->streams; s < f->streams + f->stream_total; s++)
    while (s->out && s->passed > s->taken && s->cycles[s->passed - 1] > cycle) s->passed--;
}

void streams_wake(wse_fabric *f, uint32_t pe, uint64_t when) {
  fabric_row *row = &f->rows[pe / (uint32_t)f->width];
  row->streams |= (uint8_t)(1u << (when & (NEAR - 1)));
}

/* Lets every input stream of the row that may pass a wavelet do so. */
void streams_step(wse_fabric *f, band *b, int y, uint64_t now) {
  fabric_row *row = &f->rows[y];
  uint8_t slot = (uint8_t)(1u << (now & (NEAR - 1)));
  bool room = row->streams & slot;
  if (!room && row->streams_next > now) return;
  row->streams &= (uint8_t)~slot;
  row->streams_next = NEVER;
  for (int i = row->first_stream; i; i = f->streams[i - 1].next_in_row) {
    stream *s = &f->streams[i - 1];
    if (s->passed == s->n || (s->asleep && !room)) continue;
    s->asleep = false;
    int color = f->color_index[s->color];
    if (s->next <= now) {
      if (!router_has_room(f, s->pe, color, s->port)) {
        s->asleep = true;
        continue;
      }
      s->next = s->segments ? segment_pass(s, now) : next_at(s, now);
      wavelet w = {s->data[s->passed], s->control[s->passed] ? WAVELET_CONTROL : 0};
      router_push_one(f, s->pe, color, s->port, w, now + (uint64_t)P(f, hop_cycles));
      activity_last(b, now + 1);
      s->passed++;
    }
    if (s->passed < s->n && s->next < row->streams_next) row->streams_next = s->next;
  }
}
