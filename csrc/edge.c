/* edge.c - streams at the fabric's edge: host data that enter a router from a port, and wavelets that leave by one.
 *
 * A rate is num wavelets in den cycles: the k-th wavelet since a stream started may pass den * k / num cycles after the first.
 * A stream that waited for the fabric does not catch up beyond its rate afterwards.
 */
#include <stdlib.h>

#include "queue.h"
#include "router.h"
#include "wake.h"

static uint32_t stream_key(uint32_t pe, int port, int color) { return (pe * WSE_PORTS + (uint32_t)port) * 32 + (uint32_t)color; }

static uint64_t next_at(stream *s, uint64_t now) {
  if (s->passed == 0 || s->next < now) s->credit_from = now - s->passed * s->den / s->num;
  return s->credit_from + ((s->passed + 1) * s->den + s->num - 1) / s->num;
}

static int table_grow(wse_fabric *f) {
  uint32_t size = f->stream_table ? f->stream_table * 2 : 64;
  int32_t *table = calloc(size, sizeof *table);
  if (!table) return -1;
  free(f->stream_at);
  f->stream_at = table;
  f->stream_table = size;
  for (int i = 0; i < f->stream_total; i++) {
    stream *s = &f->streams[i];
    if (!s->out) continue;
    uint32_t h = stream_key(s->pe, s->port, s->color) * 2654435761u & (size - 1);
    while (table[h]) h = (h + 1) & (size - 1);
    table[h] = i + 1;
  }
  return 0;
}

static int stream_new(wse_fabric *f, stream s, uint64_t n) {
  if (s.x < 0 || s.y < 0 || s.x >= f->width || s.y >= f->height || s.port < 0 || s.port > WSE_W || s.color < 0 ||
      s.color >= WSE_COLORS || f->color_index[s.color] < 0 || !s.num || !s.den || n > SIZE_MAX / 16)
    return -1;
  s.pe = (uint32_t)(s.y * f->width + s.x);
  uint32_t outside;
  if (neighbor(f, s.pe, s.port, &outside)) return -1;
  for (int i = 0; i < f->stream_total; i++) /* one stream at a place; an exhausted input may be followed by another */
    if (f->streams[i].pe == s.pe && f->streams[i].port == s.port && f->streams[i].color == s.color &&
        f->streams[i].out == s.out && (s.out || f->streams[i].passed < f->streams[i].n))
      return -1;
  if (f->stream_total == f->stream_room) {
    int room = f->stream_room ? f->stream_room * 2 : 16;
    stream *grown = realloc(f->streams, (size_t)room * sizeof *grown);
    if (!grown) return -1;
    f->streams = grown;
    f->stream_room = room;
  }
  s.data = malloc((n ? n : 1) * sizeof *s.data);
  s.control = calloc(n ? n : 1, 1);
  s.cycles = s.out ? malloc((n ? n : 1) * sizeof *s.cycles) : NULL;
  if (!s.data || !s.control || (s.out && !s.cycles)) {
    free(s.data);
    free(s.control);
    free(s.cycles);
    return -1;
  }
  s.n = n;
  if (!s.out) {
    fabric_row *row = &f->rows[s.y];
    s.next_in_row = row->first_stream;
    row->first_stream = f->stream_total + 1;
    if (n && s.next < row->streams_next) row->streams_next = s.next;
  }
  f->streams[f->stream_total++] = s;
  if ((uint32_t)f->stream_total * 2 > f->stream_table) {
    if (table_grow(f)) return -1;
  } else if (s.out) {
    uint32_t h = stream_key(s.pe, s.port, s.color) * 2654435761u & (f->stream_table - 1);
    while (f->stream_at[h]) h = (h + 1) & (f->stream_table - 1);
    f->stream_at[h] = f->stream_total;
  }
  return f->stream_total - 1;
}

int wse_stream_in(wse_fabric *f, int x, int y, int port, int color, const uint32_t *data, const uint8_t *control, uint64_t n,
                  uint32_t num, uint32_t den) {
  int i = stream_new(f, (stream){.x = x, .y = y, .port = port, .color = color, .num = num, .den = den, .next = f->now}, n);
  if (i < 0) return -1;
  if (n) memcpy(f->streams[i].data, data, n * sizeof *data);
  if (n && control) memcpy(f->streams[i].control, control, n);
  return i;
}

int wse_stream_out(wse_fabric *f, int x, int y, int port, int color, uint64_t capacity, uint32_t num, uint32_t den) {
  return stream_new(f, (stream){.x = x, .y = y, .port = port, .color = color, .num = num, .den = den, .out = 1}, capacity);
}

static const stream *at(const wse_fabric *f, int i) { return i >= 0 && i < f->stream_total ? &f->streams[i] : NULL; }
uint64_t wse_stream_count(const wse_fabric *f, int i) { return at(f, i) ? at(f, i)->passed : 0; }
const uint32_t *wse_stream_data(const wse_fabric *f, int i) { return at(f, i) ? at(f, i)->data : NULL; }
const uint8_t *wse_stream_control(const wse_fabric *f, int i) { return at(f, i) ? at(f, i)->control : NULL; }
const uint64_t *wse_stream_cycles(const wse_fabric *f, int i) { return at(f, i) ? at(f, i)->cycles : NULL; }

stream *stream_out_at(wse_fabric *f, uint32_t pe, int port, int color) {
  if (!f->stream_table) return NULL;
  uint32_t h = stream_key(pe, port, color) * 2654435761u & (f->stream_table - 1);
  for (; f->stream_at[h]; h = (h + 1) & (f->stream_table - 1)) {
    stream *s = &f->streams[f->stream_at[h] - 1];
    if (s->pe == pe && s->port == port && s->color == color) return s;
  }
  return NULL;
}

/* again: when to ask once more, 0 if only the host can make room. */
bool stream_has_room(stream *s, uint64_t now, uint64_t *again) {
  if (s->passed == s->n) return false;
  if (s->passed && s->next > now) {
    *again = s->next;
    return false;
  }
  return true;
}

void stream_take(stream *s, wavelet w, uint64_t now) {
  s->next = next_at(s, now);
  s->data[s->passed] = w.data;
  s->control[s->passed] = (uint8_t)(w.meta & WAVELET_CONTROL);
  s->cycles[s->passed] = now;
  s->passed++;
}

void streams_forget(wse_fabric *f, uint64_t cycle) {
  for (stream *s = f->streams; s < f->streams + f->stream_total; s++)
    while (s->out && s->passed && s->cycles[s->passed - 1] > cycle) s->passed--;
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
      s->next = next_at(s, now);
      wavelet w = {s->data[s->passed], s->control[s->passed] ? WAVELET_CONTROL : 0};
      router_push_one(f, s->pe, color, s->port, w, now + (uint64_t)P(f, hop_cycles));
      activity_last(b, now + 1);
      s->passed++;
    }
    if (s->passed < s->n && s->next < row->streams_next) row->streams_next = s->next;
  }
}
