/* layout.c - the shape of every array of the state.
 *
 * Arrays lie one after the other, zero and lazily committed (memory.c); state.h says what each of them holds. */
#include "state/layout.h"

#include <stdlib.h>

#include "state/memory.h"

static uint32_t power_of_two(uint32_t n) {
  uint32_t p = 1;
  while (p < n) p *= 2;
  return p;
}

static size_t queue_bytes(uint32_t room, bool colors) {
  uint32_t ring = power_of_two(room ? room : 1);
  size_t bytes = sizeof(queue) + ring * sizeof(wavelet) + (colors ? ring : 0);
  return (bytes + 7) / 8 * 8;
}

static void *rows_of(wse_fabric *f, bool *failed, size_t bytes, size_t n) {
  void *p = plane_new(f, bytes * n);
  if (!p) *failed = true;
  return p;
}
static void *plane(wse_fabric *f, bool *failed, size_t per_pe) { return rows_of(f, failed, per_pe, f->pes); }
static void *word_plane(wse_fabric *f, bool *failed, size_t per_word) { return rows_of(f, failed, per_word, f->words); }

static void layout_queues(wse_fabric *f, bool *failed) {
  for (int q = 0; q < WSE_QUEUES; q++) {
    /* the ramp's pipeline holds what is on its way, the queue what has arrived */
    uint32_t in = (uint32_t)P(f, iq0_depth + q), out = (uint32_t)P(f, oq0_depth + q);
    f->iq_room[q] = (uint8_t)(in ? in + (uint32_t)P(f, ramp_in_cycles) - 1 : 0);
    f->oq_room[q] = (uint8_t)out;
    f->iq_mask[q] = (uint8_t)(power_of_two(f->iq_room[q] ? f->iq_room[q] : 1) - 1);
    f->oq_mask[q] = (uint8_t)(power_of_two(out ? out : 1) - 1);
    f->iq_bytes[q] = queue_bytes(f->iq_room[q], false);
    f->oq_bytes[q] = queue_bytes(out, true);
    f->iq[q] = plane(f, failed, f->iq_bytes[q]);
    f->oq[q] = plane(f, failed, f->oq_bytes[q]);
  }
}

static void lay_out_words(wse_fabric *f) {
  for (uint32_t pe = 0; pe < f->pes; pe++) {
    uint32_t x = pe % (uint32_t)f->width, y = pe / (uint32_t)f->width, word = y * f->row_words + x / LANES, outside;
    f->place[pe] = word * LANES + x % LANES;
    if (x % LANES == 0) f->word_pe[word] = pe, f->word_row[word] = y;
    for (int port = 0; port < WSE_RAMP; port++)
      if (!neighbor(f, pe, port, &outside)) f->routers[word].edge[port] |= (uint64_t)1 << x % LANES;
  }
  for (int y = 0; y < f->height; y++) f->rows[y].streams_next = NEVER;
}

bool layout_fabric(wse_fabric *f, const wse_desc *d) {
  f->router_room = (uint32_t)P(f, router_depth);
  while (1u << f->ring_bits < f->router_room) f->ring_bits++;
  f->buffer_bytes = sizeof(buffer_word) + ((size_t)LANES * sizeof(uint32_t) << f->ring_bits);
  f->row_words = ((uint32_t)d->width + LANES - 1) / LANES;
  f->words = f->row_words * (uint32_t)d->height;
  bool failed = false;
  f->routers = word_plane(f, &failed, sizeof *f->routers);
  f->word_pe = word_plane(f, &failed, sizeof *f->word_pe);
  f->word_row = word_plane(f, &failed, sizeof *f->word_row);
  f->wakes_ce = word_plane(f, &failed, NEAR * sizeof *f->wakes_ce);
  f->row_masks = (f->row_words + 63) / 64;
  f->rows = rows_of(f, &failed, sizeof *f->rows, (size_t)f->height);
  f->wakes_router = rows_of(f, &failed, NEAR * f->row_masks * sizeof *f->wakes_router, (size_t)f->height);
  f->dirty = rows_of(f, &failed, f->row_masks * sizeof *f->dirty, (size_t)f->height);
  f->place = plane(f, &failed, sizeof *f->place);
  if (P(f, link_bubble_every)) f->links_rest = word_plane(f, &failed, sizeof *f->links_rest);
  f->ces = plane(f, &failed, sizeof *f->ces);
  f->class_of = plane(f, &failed, sizeof *f->class_of);
  f->wheel_next = plane(f, &failed, sizeof *f->wheel_next);
  f->wheel_prev = plane(f, &failed, sizeof *f->wheel_prev);
  f->host_signal = plane(f, &failed, sizeof *f->host_signal);
  f->rebound = plane(f, &failed, sizeof *f->rebound);
  f->counters = plane(f, &failed, sizeof *f->counters * WSE_CTR_COUNT);
  f->links[0] = word_plane(f, &failed, WSE_PORTS * LANES * sizeof *f->links[0]);
  f->blocked[0] = word_plane(f, &failed, WSE_PORTS * LANES * sizeof *f->blocked[0]);
  for (size_t i = 1; i < WSE_PORTS; i++) f->links[i] = f->links[0] + i * f->words * LANES, f->blocked[i] = f->blocked[0] + i * f->words * LANES;
  f->sink_times = word_plane(f, &failed, sizeof *f->sink_times);
  for (int i = 0; i < 48; i++) f->dsrs[i] = plane(f, &failed, sizeof(dsr));
  for (int i = 0; i < 16; i++) f->xdsrs[i] = plane(f, &failed, sizeof(xdsr));
  for (int i = 0; i < THREADS; i++) f->operations[i] = plane(f, &failed, sizeof(operation));
  layout_queues(f, &failed);
  if (f->bins && d->bin_planes) f->activity = plane(f, &failed, sizeof *f->activity * (size_t)f->bins);
  failed |= !(f->sram = sram_new(f));
  f->total_series = f->bins ? calloc((size_t)f->bins * SERIES_WIDTH, sizeof *f->total_series) : NULL;
  if (failed || (f->bins && !f->total_series)) return false;
  memset(f->class_of, 0xff, sizeof *f->class_of * f->pes);
  lay_out_words(f);
  return true;
}

bool layout_color(wse_fabric *f, int color) {
  bool failed = false;
  f->route[color] = plane(f, &failed, sizeof **f->route);
  f->routes[color] = word_plane(f, &failed, sizeof **f->routes);
  f->sinks[color] = plane(f, &failed, sizeof **f->sinks);
  f->sink_words[color] = word_plane(f, &failed, sizeof **f->sink_words);
  return !failed;
}

bool layout_buffers(wse_fabric *f, int color) {
  bool failed = false;
  for (int port = 0; port < f->inputs[color]; port++) f->buffer[color][port] = word_plane(f, &failed, f->buffer_bytes);
  return !failed;
}

bool layout_filter_counts(wse_fabric *f, int color) {
  bool failed = false;
  f->filter_count[color] = plane(f, &failed, sizeof *f->filter_count[color]);
  return !failed;
}
