/* host.c - the host's side of streams: adding them, and rectangles of PEs with a stream each. */
#include <stdlib.h>

#include "fabric/build.h"
#include "router/stream.h"
#include "state/wake.h"

/* Room for n wavelets in all. */
static int stream_grow(stream *s, uint64_t n) {
  uint64_t room = s->room ? s->room : 1;
  while (room < n) room *= 2;
  if (room == s->room) return 0;
  uint32_t *data = realloc(s->data, room * sizeof *data);
  if (data) s->data = data;
  uint8_t *control = realloc(s->control, room);
  if (control) s->control = control;
  uint64_t *cycles = s->out ? realloc(s->cycles, room * sizeof *cycles) : NULL;
  if (cycles) s->cycles = cycles;
  if (!data || !control || (s->out && !cycles)) return -1;
  s->room = room;
  return 0;
}

static int stream_new(wse_fabric *f, stream s, uint64_t n) {
  if (s.x < 0 || s.y < 0 || s.x >= f->width || s.y >= f->height || s.port < 0 || s.port > WSE_W || s.color < 0 ||
      s.color >= WSE_COLORS || f->color_index[s.color] < 0 || !s.num || !s.den || n > SIZE_MAX / 16)
    return -1;
  s.pe = (uint32_t)(s.y * f->width + s.x);
  uint32_t outside;
  if (beyond(f, s.pe, f->color_index[s.color], s.port, &outside)) return -1;
  stream *before = stream_find(f, s.pe, s.port, s.color, s.out);
  if (before && (s.out || before->passed < before->n)) return -1; /* an exhausted input may be followed by another */
  if (f->stream_total == f->stream_room) {
    int room = f->stream_room ? f->stream_room * 2 : 16;
    stream *grown = realloc(f->streams, (size_t)room * sizeof *grown);
    if (!grown) return -1;
    f->streams = grown;
    f->stream_room = room;
  }
  if (stream_grow(&s, n)) {
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
  return stream_index(f) ? -1 : f->stream_total - 1;
}

int wse_stream_in(wse_fabric *f, int x, int y, int port, int color, const uint32_t *data, const uint8_t *control, uint64_t n,
                  uint32_t num, uint32_t den) {
  int i = stream_new(f, (stream){.x = x, .y = y, .port = port, .color = color, .num = num, .den = den, .next = f->now}, n);
  if (i < 0) return -1;
  if (n) memcpy(f->streams[i].data, data, n * sizeof *data);
  if (n && control) memcpy(f->streams[i].control, control, n);
  else memset(f->streams[i].control, 0, n);
  return i;
}

int wse_stream_out(wse_fabric *f, int x, int y, int port, int color, uint64_t capacity, uint32_t num, uint32_t den) {
  return stream_new(f, (stream){.x = x, .y = y, .port = port, .color = color, .num = num, .den = den, .out = 1}, capacity);
}

static const stream *at(const wse_fabric *f, int i) { return i >= 0 && i < f->stream_total ? &f->streams[i] : NULL; }
uint64_t wse_stream_count(const wse_fabric *f, int i) { return at(f, i) ? at(f, i)->before + at(f, i)->passed : 0; }
const uint32_t *wse_stream_data(const wse_fabric *f, int i) { return at(f, i) ? at(f, i)->data : NULL; }
const uint8_t *wse_stream_control(const wse_fabric *f, int i) { return at(f, i) ? at(f, i)->control : NULL; }
const uint64_t *wse_stream_cycles(const wse_fabric *f, int i) { return at(f, i) ? at(f, i)->cycles : NULL; }

void wse_stream_take(wse_fabric *f, int i) {
  if (!at(f, i) || !at(f, i)->out) return;
  stream *s = &f->streams[i];
  s->passed = s->taken = 0;
  wake_router(f, s->pe, f->now); /* what waits in it may go */
}

static int segments_grow(stream *s, uint64_t n) {
  if (n > SIZE_MAX / sizeof *s->segments / 2) return -1;
  uint64_t room = s->segment_room ? s->segment_room : 1;
  while (room < n) room *= 2;
  segment *grown = realloc(s->segments, room * sizeof *grown);
  if (!grown) return -1;
  s->segments = grown;
  s->segment_room = room;
  return 0;
}

wse_status wse_stream_put(wse_fabric *f, int i, const uint32_t *data, const uint8_t *control, uint64_t n,
                          const wse_segment *segments, uint64_t m, uint64_t window) {
  if (!at(f, i) || at(f, i)->out || n > SIZE_MAX / 32) return WSE_BADARG;
  stream *s = &f->streams[i];
  uint64_t sum = 0;
  for (uint64_t k = 0; k < m; sum += segments[k++].count)
    if (!segments[k].num || !segments[k].den || segments[k].count > n || segments[k].cycle > INT64_MAX) return WSE_BADARG;
  if (sum != n || (!s->segments && s->n)) return WSE_BADARG;
  if (s->passed == s->n) { /* done: the memory is used again */
    s->before += s->passed;
    s->passed = s->n = s->segment_total = s->segment_at = 0;
  }
  if (stream_grow(s, s->n + n) || segments_grow(s, s->segment_total + m)) return WSE_NOMEM;
  if (n) memcpy(s->data + s->n, data, n * sizeof *data);
  if (n && control) memcpy(s->control + s->n, control, n);
  else if (n) memset(s->control + s->n, 0, n);
  bool waits = s->passed == s->n; /* nothing was left, and the first of these is next */
  for (uint64_t k = 0; k < m; k++, s->segment_total++) {
    s->segments[s->segment_total] = (segment){.first = s->n, .end = s->n + segments[k].count, .is = segments[k]};
    s->n += segments[k].count;
  }
  s->window = window;
  if (waits && n) {
    segment_enter(s, (int64_t)s->arrival);
    if (s->ready < f->now) s->ready = f->now;
    s->next = s->arrival > s->ready ? s->arrival : s->ready;
    s->asleep = false;
    if (s->next < f->rows[s->y].streams_next) f->rows[s->y].streams_next = s->next;
  }
  return WSE_OK;
}

uint64_t wse_stream_timing(const wse_fabric *f, int i, wse_timing *out, uint64_t room) {
  const stream *s = at(f, i);
  if (!s) return 0;
  for (uint64_t k = 0; k < room && k < s->segment_total; k++) out[k] = s->segments[k].timing;
  return s->segment_total;
}

/* --- rectangles of PEs with a stream per PE and direction, made when it is first used ----------------------------------- */

/* The stream with `n` more wavelets to pass; NULL without memory. */
static stream *host_stream(wse_fabric *f, uint32_t pe, int port, int color, int out, uint64_t n) {
  stream *s = stream_find(f, pe, port, color, out);
  if (!s) {
    stream made = {.x = (int)(pe % (uint32_t)f->width), .y = (int)(pe / (uint32_t)f->width), .port = port, .color = color,
                   .num = 1, .den = 1, .out = out, .data_only = out, .next = f->now};
    int i = stream_new(f, made, 0);
    if (i < 0) return NULL;
    s = &f->streams[i];
  }
  if (s->passed == s->n && (!s->out || s->taken == s->n)) s->passed = s->taken = s->n = 0; /* done: the memory is used again */
  if (stream_grow(s, s->n + n)) return NULL;
  s->n += n;
  s->asleep = false;
  return s;
}

/* Whether the host has a stream by that port at every PE of the rectangle. */
static bool host_place(const wse_fabric *f, int color, int port, int x, int y, int w, int h) {
  uint32_t outside;
  if (!in_grid(f, x, y, w, h) || color < 0 || color >= WSE_COLORS || f->color_index[color] < 0 || port < 0 || port >= WSE_RAMP)
    return false;
  for (int j = y; j < y + h; j++)
    for (int i = x; i < x + w; i++)
      if (beyond(f, (uint32_t)(j * f->width + i), f->color_index[color], port, &outside)) return false;
  return true;
}

wse_status wse_host_put(wse_fabric *f, int color, int port, int x, int y, int w, int h, uint64_t n, const uint32_t *data) {
  if (!host_place(f, color, port, x, y, w, h)) return WSE_BADARG;
  for (int j = y; j < y + h; j++)
    for (int i = x; i < x + w; i++, data += n) {
      const stream *there = stream_find(f, (uint32_t)(j * f->width + i), port, color, 0);
      if (there && there->segments) return WSE_BADARG; /* nobody could say when these arrive */
      stream *s = host_stream(f, (uint32_t)(j * f->width + i), port, color, 0, n);
      if (!s) return WSE_NOMEM;
      memcpy(s->data + s->n - n, data, n * sizeof *data);
      memset(s->control + s->n - n, 0, n);
      if (s->next < f->now) s->next = f->now;
      if (s->next < f->rows[j].streams_next) f->rows[j].streams_next = s->next;
    }
  return WSE_OK;
}

wse_status wse_host_ask(wse_fabric *f, int color, int port, int x, int y, int w, int h, uint64_t n) {
  if (!host_place(f, color, port, x, y, w, h)) return WSE_BADARG;
  wse_status status = fabric_seal(f);
  if (status != WSE_OK) return status;
  for (int j = y; j < y + h; j++)
    for (int i = x; i < x + w; i++) {
      uint32_t pe = (uint32_t)(j * f->width + i);
      if (!host_stream(f, pe, port, color, 1, n)) return WSE_NOMEM;
      wake_router(f, pe, f->now); /* what waits in it may go */
    }
  return WSE_OK;
}

wse_status wse_host_take(wse_fabric *f, int color, int port, int x, int y, int w, int h, uint64_t n, uint32_t *data) {
  if (!host_place(f, color, port, x, y, w, h)) return WSE_BADARG;
  for (int j = y; j < y + h; j++)
    for (int i = x; i < x + w; i++) {
      const stream *s = stream_find(f, (uint32_t)(j * f->width + i), port, color, 1);
      if (n && (!s || s->passed - s->taken < n)) return WSE_BADARG;
    }
  for (int j = y; j < y + h; j++)
    for (int i = x; i < x + w; i++, data += n) {
      stream *s = stream_find(f, (uint32_t)(j * f->width + i), port, color, 1);
      if (!s) continue;
      memcpy(data, s->data + s->taken, n * sizeof *data);
      s->taken += n;
    }
  return WSE_OK;
}

uint64_t wse_host_waiting(const wse_fabric *f, int color, int port, int out, int x, int y, int w, int h) {
  uint64_t waiting = 0;
  if (!host_place(f, color, port, x, y, w, h)) return 0;
  for (int j = y; j < y + h; j++)
    for (int i = x; i < x + w; i++) {
      const stream *s = stream_find(f, (uint32_t)(j * f->width + i), port, color, out);
      if (s) waiting += s->n - s->passed;
    }
  return waiting;
}
