/* host.c - the host's side of streams: adding them, and rectangles of PEs with a stream each. */
#include <stdlib.h>

#include "fabric/build.h"
#include "router/stream.h"
#include "state/wake.h"

/* Capacity for n wavelets in all; -1 without memory. */
static int stream_grow(edge_stream *stream, uint64_t n) {
  uint64_t capacity = stream->capacity ? stream->capacity : 1;
  while (capacity < n)
    capacity *= 2;
  if (capacity == stream->capacity) return 0;
  uint32_t *data = realloc(stream->data, capacity * sizeof *data);
  if (data) stream->data = data;
  uint8_t *control = realloc(stream->control, capacity);
  if (control) stream->control = control;
  uint64_t *cycles = stream->out ? realloc(stream->cycles, capacity * sizeof *cycles) : NULL;
  if (cycles) stream->cycles = cycles;
  if (!data || !control || (stream->out && !cycles)) return -1;
  stream->capacity = capacity;
  return 0;
}

/* The next wavelet of an input stream may pass in cycle stream->next. */
static void stream_due(wse_fabric *fabric, const edge_stream *stream) {
  fabric_strip *strip = strip_of(fabric, stream->pe);
  if (stream->next < strip->streams_next) strip->streams_next = stream->next;
}

static int stream_new(wse_fabric *fabric, edge_stream stream, uint64_t n) {
  if (stream.x < 0 || stream.y < 0 || stream.x >= fabric->width || stream.y >= fabric->height || stream.port < 0 ||
      stream.port > WSE_W || stream.color < 0 || stream.color >= WSE_COLORS || fabric->color_index[stream.color] < 0 ||
      !stream.num || !stream.den || n > SIZE_MAX / 16)
    return -1;
  stream.pe = (uint32_t)(stream.y * fabric->width + stream.x);
  uint32_t outside;
  if (beyond(fabric, stream.pe, fabric->color_index[stream.color], stream.port, &outside)) return -1;
  edge_stream *before = stream_find(fabric, stream.pe, stream.port, stream.color, stream.out);
  if (before && (stream.out || before->passed < before->n)) return -1; /* an exhausted input may be replaced */
  if (fabric->stream_total == fabric->stream_capacity) {
    int capacity = fabric->stream_capacity ? fabric->stream_capacity * 2 : 16;
    edge_stream *grown = realloc(fabric->streams, (size_t)capacity * sizeof *grown);
    if (!grown) return -1;
    fabric->streams = grown;
    fabric->stream_capacity = capacity;
  }
  if (stream_grow(&stream, n)) {
    free(stream.data);
    free(stream.control);
    free(stream.cycles);
    return -1;
  }
  stream.n = n;
  if (!stream.out) {
    fabric_strip *strip = strip_of(fabric, stream.pe);
    stream.next_in_strip = strip->first_stream;
    strip->first_stream = fabric->stream_total + 1;
    if (n) stream_due(fabric, &stream);
  }
  fabric->streams[fabric->stream_total++] = stream;
  return stream_index(fabric) ? -1 : fabric->stream_total - 1;
}

int wse_stream_in(wse_fabric *fabric, int x, int y, int port, int color, const uint32_t *data, const uint8_t *control,
                  uint64_t n, uint32_t num, uint32_t den) {
  int i = stream_new(
      fabric, (edge_stream){.x = x, .y = y, .port = port, .color = color, .num = num, .den = den, .next = fabric->now},
      n);
  if (i < 0) return -1;
  if (n) memcpy(fabric->streams[i].data, data, n * sizeof *data);
  if (n && control) memcpy(fabric->streams[i].control, control, n);
  else memset(fabric->streams[i].control, 0, n);
  return i;
}

int wse_stream_out(wse_fabric *fabric, int x, int y, int port, int color, uint64_t capacity, uint32_t num,
                   uint32_t den) {
  return stream_new(
      fabric, (edge_stream){.x = x, .y = y, .port = port, .color = color, .num = num, .den = den, .out = 1}, capacity);
}

static const edge_stream *at(const wse_fabric *fabric, int i) {
  return i >= 0 && i < fabric->stream_total ? &fabric->streams[i] : NULL;
}
uint64_t wse_stream_count(const wse_fabric *fabric, int i) {
  const edge_stream *stream = at(fabric, i);
  return !stream ? 0 : stream->out ? stream->passed : stream->before + stream->passed;
}
const uint32_t *wse_stream_data(const wse_fabric *fabric, int i) { return at(fabric, i) ? at(fabric, i)->data : NULL; }
const uint8_t *wse_stream_control(const wse_fabric *fabric, int i) {
  return at(fabric, i) ? at(fabric, i)->control : NULL;
}
const uint64_t *wse_stream_cycles(const wse_fabric *fabric, int i) {
  return at(fabric, i) ? at(fabric, i)->cycles : NULL;
}

void wse_stream_take(wse_fabric *fabric, int i, int goes_on) {
  if (!at(fabric, i) || !at(fabric, i)->out) return;
  edge_stream *stream = &fabric->streams[i];
  stream->before = goes_on ? stream->before + stream->passed : 0;
  stream->passed = stream->taken = 0;
  wake_router(fabric, stream->pe, fabric->now); /* wavelets may wait for it */
}

static int segments_grow(edge_stream *stream, uint64_t n) {
  if (n > SIZE_MAX / sizeof *stream->segments / 2) return -1;
  uint64_t capacity = stream->segment_capacity ? stream->segment_capacity : 1;
  while (capacity < n)
    capacity *= 2;
  stream_segment *grown = realloc(stream->segments, capacity * sizeof *grown);
  if (!grown) return -1;
  stream->segments = grown;
  stream->segment_capacity = capacity;
  return 0;
}

wse_status wse_stream_put(wse_fabric *fabric, int i, const uint32_t *data, const uint8_t *control, uint64_t n,
                          const wse_segment *segments, uint64_t m, uint64_t window) {
  if (!at(fabric, i) || at(fabric, i)->out || n > SIZE_MAX / 32) return WSE_BADARG;
  edge_stream *stream = &fabric->streams[i];
  uint64_t sum = 0;
  for (uint64_t k = 0; k < m; sum += segments[k++].count)
    if (!segments[k].num || !segments[k].den || segments[k].count > n || segments[k].cycle > INT64_MAX)
      return WSE_BADARG;
  if (sum != n || (!stream->segments && stream->n)) return WSE_BADARG;
  if (stream->passed == stream->n) { /* all have passed: the memory is reused */
    stream->before += stream->passed;
    stream->passed = stream->n = stream->dropped = stream->segment_total = stream->segment_at = 0;
  }
  uint64_t held = stream->n - stream->dropped;
  if (held + n > stream->capacity) { /* those that passed make place */
    uint64_t gone = stream->passed - stream->dropped;
    held -= gone;
    stream->dropped = stream->passed;
    memmove(stream->data, stream->data + gone, held * sizeof *data);
    memmove(stream->control, stream->control + gone, held);
  }
  if (stream_grow(stream, held + n) || segments_grow(stream, stream->segment_total + m)) return WSE_NOMEM;
  if (n) memcpy(stream->data + held, data, n * sizeof *data);
  if (n && control) memcpy(stream->control + held, control, n);
  else if (n) memset(stream->control + held, 0, n);
  bool waits = stream->passed == stream->n; /* the first of the new ones is the next */
  for (uint64_t k = 0; k < m; k++, stream->segment_total++) {
    stream->segments[stream->segment_total] =
        (stream_segment){.first = stream->n, .end = stream->n + segments[k].count, .is = segments[k]};
    stream->n += segments[k].count;
  }
  stream->window = window;
  if (waits && n) {
    segment_enter(stream, (int64_t)stream->arrival);
    if (stream->ready < fabric->now) stream->ready = fabric->now;
    stream->next = stream->arrival > stream->ready ? stream->arrival : stream->ready;
    stream->asleep = false;
    stream_due(fabric, stream);
  }
  return WSE_OK;
}

uint64_t wse_stream_timing(const wse_fabric *fabric, int i, wse_timing *out, uint64_t capacity) {
  const edge_stream *stream = at(fabric, i);
  if (!stream) return 0;
  for (uint64_t k = 0; k < capacity && k < stream->segment_total; k++)
    out[k] = stream->segments[k].timing;
  return stream->segment_total;
}

/* --- rectangles of PEs with a stream per PE and direction, made when it is first used ------------------ */

/* The stream of a PE, made if there is none, with n more wavelets to pass; NULL without memory. */
static edge_stream *host_stream(wse_fabric *fabric, uint32_t pe, int port, int color, int out, uint64_t n) {
  edge_stream *stream = stream_find(fabric, pe, port, color, out);
  if (!stream) {
    edge_stream made = {.x = (int)(pe % (uint32_t)fabric->width),
                        .y = (int)(pe / (uint32_t)fabric->width),
                        .port = port,
                        .color = color,
                        .num = 1,
                        .den = 1,
                        .out = out,
                        .data_only = out,
                        .next = fabric->now};
    int i = stream_new(fabric, made, 0);
    if (i < 0) return NULL;
    stream = &fabric->streams[i];
  }
  if (stream->passed == stream->n && (!stream->out || stream->taken == stream->n))
    stream->passed = stream->taken = stream->n = 0; /* all have passed: the memory is reused */
  if (stream_grow(stream, stream->n + n)) return NULL;
  stream->n += n;
  stream->asleep = false;
  return stream;
}

/* Whether the port leads to the host at every PE of the rectangle. */
static bool host_place(const wse_fabric *fabric, int color, int port, int x, int y, int w, int h) {
  uint32_t outside;
  if (!in_grid(fabric, x, y, w, h) || color < 0 || color >= WSE_COLORS || fabric->color_index[color] < 0 || port < 0 ||
      port >= WSE_RAMP)
    return false;
  for (int j = y; j < y + h; j++)
    for (int i = x; i < x + w; i++)
      if (beyond(fabric, (uint32_t)(j * fabric->width + i), fabric->color_index[color], port, &outside)) return false;
  return true;
}

wse_status wse_host_put(wse_fabric *fabric, int color, int port, int x, int y, int w, int h, uint64_t n,
                        const uint32_t *data) {
  if (!host_place(fabric, color, port, x, y, w, h)) return WSE_BADARG;
  for (int j = y; j < y + h; j++)
    for (int i = x; i < x + w; i++, data += n) {
      const edge_stream *there = stream_find(fabric, (uint32_t)(j * fabric->width + i), port, color, 0);
      if (there && there->segments) return WSE_BADARG; /* their arrival would not be defined */
      edge_stream *stream = host_stream(fabric, (uint32_t)(j * fabric->width + i), port, color, 0, n);
      if (!stream) return WSE_NOMEM;
      memcpy(stream->data + stream->n - n, data, n * sizeof *data);
      memset(stream->control + stream->n - n, 0, n);
      if (stream->next < fabric->now) stream->next = fabric->now;
      stream_due(fabric, stream);
    }
  return WSE_OK;
}

wse_status wse_host_ask(wse_fabric *fabric, int color, int port, int x, int y, int w, int h, uint64_t n) {
  if (!host_place(fabric, color, port, x, y, w, h)) return WSE_BADARG;
  wse_status status = fabric_seal(fabric);
  if (status != WSE_OK) return status;
  for (int j = y; j < y + h; j++)
    for (int i = x; i < x + w; i++) {
      uint32_t pe = (uint32_t)(j * fabric->width + i);
      if (!host_stream(fabric, pe, port, color, 1, n)) return WSE_NOMEM;
      wake_router(fabric, pe, fabric->now); /* wavelets may wait for it */
    }
  return WSE_OK;
}

wse_status wse_host_take(wse_fabric *fabric, int color, int port, int x, int y, int w, int h, uint64_t n,
                         uint32_t *data) {
  if (!host_place(fabric, color, port, x, y, w, h)) return WSE_BADARG;
  for (int j = y; j < y + h; j++)
    for (int i = x; i < x + w; i++) {
      const edge_stream *stream = stream_find(fabric, (uint32_t)(j * fabric->width + i), port, color, 1);
      if (n && (!stream || stream->passed - stream->taken < n)) return WSE_BADARG;
    }
  for (int j = y; j < y + h; j++)
    for (int i = x; i < x + w; i++, data += n) {
      edge_stream *stream = stream_find(fabric, (uint32_t)(j * fabric->width + i), port, color, 1);
      if (!stream) continue;
      memcpy(data, stream->data + stream->taken, n * sizeof *data);
      stream->taken += n;
    }
  return WSE_OK;
}

uint64_t wse_host_waiting(const wse_fabric *fabric, int color, int port, int out, int x, int y, int w, int h) {
  uint64_t waiting = 0;
  if (!host_place(fabric, color, port, x, y, w, h)) return 0;
  for (int j = y; j < y + h; j++)
    for (int i = x; i < x + w; i++) {
      const edge_stream *stream = stream_find(fabric, (uint32_t)(j * fabric->width + i), port, color, out);
      if (stream) waiting += stream->n - stream->passed;
    }
  return waiting;
}
