/* layout.c - the shape of every array of the state.
 *
 * Arrays are zero, and committed on first use (memory.c).  state.h describes them. */
#include "state/layout.h"

#include <stdlib.h>

#include "state/memory.h"

static uint32_t power_of_two(uint32_t n) {
  uint32_t p = 1;
  while (p < n)
    p *= 2;
  return p;
}

static size_t queue_bytes(uint32_t capacity, bool colors) {
  uint32_t ring = power_of_two(capacity ? capacity : 1);
  size_t bytes = sizeof(ramp_queue) + ring * sizeof(wavelet) + (colors ? ring : 0);
  return (bytes + 7) / 8 * 8;
}

static void *array(wse_fabric *fabric, bool *failed, size_t bytes, size_t n) {
  void *p = plane_new(fabric, bytes * n);
  if (!p) *failed = true;
  return p;
}
static void *plane(wse_fabric *fabric, bool *failed, size_t per_pe) {
  return array(fabric, failed, per_pe, fabric->pes);
}
static void *block_plane(wse_fabric *fabric, bool *failed, size_t per_block) {
  return array(fabric, failed, per_block, fabric->blocks);
}

static void layout_queues(wse_fabric *fabric, bool *failed) {
  for (int q = 0; q < WSE_QUEUES; q++) {
    /* the capacity includes the wavelets in the ramp's pipeline */
    uint32_t in = (uint32_t)P(fabric, iq0_depth + q), out = (uint32_t)P(fabric, oq0_depth + q);
    fabric->iq_capacity[q] = (uint8_t)(in ? in + (uint32_t)P(fabric, ramp_in_cycles) - 1 : 0);
    fabric->oq_capacity[q] = (uint8_t)out;
    fabric->iq_mask[q] = (uint8_t)(power_of_two(fabric->iq_capacity[q] ? fabric->iq_capacity[q] : 1) - 1);
    fabric->oq_mask[q] = (uint8_t)(power_of_two(out ? out : 1) - 1);
    fabric->iq_bytes[q] = queue_bytes(fabric->iq_capacity[q], false);
    fabric->oq_bytes[q] = queue_bytes(out, true);
    fabric->iq[q] = plane(fabric, failed, fabric->iq_bytes[q]);
    fabric->oq[q] = plane(fabric, failed, fabric->oq_bytes[q]);
  }
}

bool layout_direct_input(wse_fabric *fabric, int q) {
  enum { DEPTH = 2 }; /* as the shallowest queue */
  if (fabric->iq_capacity[q]) return true;
  if (!P(fabric, data_task_by_color)) return false;
  bool failed = false;
  uint32_t capacity = DEPTH + (uint32_t)P(fabric, ramp_in_cycles) - 1;
  fabric->iq_mask[q] = (uint8_t)(power_of_two(capacity) - 1);
  fabric->iq_bytes[q] = queue_bytes(capacity, false);
  fabric->iq[q] = plane(fabric, &failed, fabric->iq_bytes[q]);
  if (!failed) fabric->iq_capacity[q] = (uint8_t)capacity;
  return !failed;
}

/* Where the neighbors of lanes are: those of a row lie side by side, and a strip's rows one after the other. */
static void layout_neighbors(wse_fabric *fabric) {
  int rows = fabric->strip_rows, width = rows > 1 ? fabric->width : 0, last = (rows - 1) * width,
      blocks = (int)fabric->blocks_per_strip;
  uint64_t first_row = rows > 1 ? ((uint64_t)1 << width) - 1 : ~(uint64_t)0;
  fabric->beside[WSE_N] = (lane_neighbors){first_row, -width, last, -blocks};
  fabric->beside[WSE_S] = (lane_neighbors){first_row << last, width, -last, blocks};
  fabric->beside[WSE_E] = (lane_neighbors){(uint64_t)1 << (LANES - 1), 1, 1 - LANES, 1};
  fabric->beside[WSE_W] = (lane_neighbors){1, -1, LANES - 1, -1};
}

static void layout_routers(wse_fabric *fabric) {
  for (uint32_t block = 0; block < fabric->blocks; block++)
    for (int port = 0; port < WSE_RAMP; port++)
      fabric->routers[block].edge[port] = ~(uint64_t)0;
  for (uint32_t pe = 0; pe < fabric->pes; pe++) {
    uint32_t x = pe % (uint32_t)fabric->width, y = pe / (uint32_t)fabric->width,
             strip = y / (uint32_t)fabric->strip_rows, block = strip * fabric->blocks_per_strip + x / LANES,
             lane = y % (uint32_t)fabric->strip_rows * (uint32_t)fabric->width + x % LANES, outside;
    fabric->router_lane[pe] = block * LANES + lane;
    if (lane == 0) {
      fabric->block_pe[block] = pe;
      fabric->block_strip[block] = strip;
    }
    for (int port = 0; port < WSE_RAMP; port++)
      if (neighbor(fabric, pe, port, &outside)) fabric->routers[block].edge[port] &= ~((uint64_t)1 << lane);
  }
  for (int strip = 0; strip < fabric->strip_total; strip++)
    fabric->strips[strip].streams_next = NEVER;
}

/* Rows of a strip: as many as have 64 lanes, but not so many that threads have too few strips.  Strips of a few lanes
 * cost every thread more than the threads gain, so that a small grid keeps its wide ones, unless all threads are to
 * take part. */
static int strip_rows(const wse_fabric *fabric) {
  enum { LEAST_LANES_OF_STRIP = LANES / 2 };
  int fit = fabric->width > LANES / 2 ? 1 : LANES / fabric->width,
      most = fabric->threads > 1 ? fabric->height / (fabric->threads * BAND_STRIPS) : fit;
  if (fabric->team == WSE_TEAM_FASTEST && most * fabric->width < LEAST_LANES_OF_STRIP) most = fit;
  return most < 1 ? 1 : most < fit ? most : fit;
}

bool layout_fabric(wse_fabric *fabric, const wse_desc *desc) {
  fabric->router_capacity = (uint32_t)P(fabric, router_depth);
  while (1u << fabric->ring_bits < fabric->router_capacity)
    fabric->ring_bits++;
  fabric->buffer_bytes = sizeof(buffer_block) + ((size_t)LANES * sizeof(uint32_t) << fabric->ring_bits);
  fabric->blocks_per_strip = ((uint32_t)desc->width + LANES - 1) / LANES;
  fabric->strip_rows = strip_rows(fabric);
  fabric->strip_total = (fabric->height + fabric->strip_rows - 1) / fabric->strip_rows;
  fabric->blocks = fabric->blocks_per_strip * (uint32_t)fabric->strip_total;
  bool failed = false;
  fabric->routers = block_plane(fabric, &failed, sizeof *fabric->routers);
  fabric->block_pe = block_plane(fabric, &failed, sizeof *fabric->block_pe);
  fabric->block_strip = block_plane(fabric, &failed, sizeof *fabric->block_strip);
  fabric->wakes_ce = block_plane(fabric, &failed, NEAR * sizeof *fabric->wakes_ce);
  fabric->masks_per_strip = (fabric->blocks_per_strip + 63) / 64;
  fabric->strips = array(fabric, &failed, sizeof *fabric->strips, (size_t)fabric->strip_total);
  fabric->wakes_router = array(fabric, &failed, NEAR * fabric->masks_per_strip * sizeof *fabric->wakes_router,
                               (size_t)fabric->strip_total);
  fabric->dirty = array(fabric, &failed, fabric->masks_per_strip * sizeof *fabric->dirty, (size_t)fabric->strip_total);
  fabric->router_lane = plane(fabric, &failed, sizeof *fabric->router_lane);
  if (P(fabric, link_bubble_every)) fabric->links_rest = block_plane(fabric, &failed, sizeof *fabric->links_rest);
  fabric->ces = plane(fabric, &failed, sizeof *fabric->ces);
  fabric->registers = block_plane(fabric, &failed, WSE_REGISTERS * LANES * sizeof *fabric->registers);
  fabric->class_of = plane(fabric, &failed, sizeof *fabric->class_of);
  fabric->wheel_next = plane(fabric, &failed, sizeof *fabric->wheel_next);
  fabric->wheel_prev = plane(fabric, &failed, sizeof *fabric->wheel_prev);
  fabric->host_signal = plane(fabric, &failed, sizeof *fabric->host_signal);
  fabric->rebound = plane(fabric, &failed, sizeof *fabric->rebound);
  fabric->counters = plane(fabric, &failed, sizeof *fabric->counters * WSE_CTR_COUNT);
  fabric->links[0] = block_plane(fabric, &failed, WSE_PORTS * LANES * sizeof *fabric->links[0]);
  fabric->blocked[0] = block_plane(fabric, &failed, WSE_PORTS * LANES * sizeof *fabric->blocked[0]);
  for (size_t i = 1; i < WSE_PORTS; i++) {
    fabric->links[i] = fabric->links[0] + i * fabric->blocks * LANES;
    fabric->blocked[i] = fabric->blocked[0] + i * fabric->blocks * LANES;
  }
  fabric->store_times = block_plane(fabric, &failed, sizeof *fabric->store_times);
  fabric->logs = plane(fabric, &failed, sizeof *fabric->logs);
  for (int i = 0; i < 48; i++)
    fabric->dsrs[i] = plane(fabric, &failed, sizeof(dsr));
  for (int i = 0; i < 16; i++)
    fabric->xdsrs[i] = plane(fabric, &failed, sizeof(xdsr));
  for (int i = 0; i < THREADS; i++)
    fabric->operations[i] = plane(fabric, &failed, sizeof(vector_operation));
  layout_queues(fabric, &failed);
  if (fabric->bins && desc->bin_planes && (desc->bin_planes == 1 || fabric->strip_rows == 1)) {
    fabric->activity_bits = __builtin_ctz((uint32_t)desc->bin_planes);
    fabric->activity_places = fabric->activity_bits ? fabric->blocks * LANES >> fabric->activity_bits : fabric->pes;
    fabric->activity = array(fabric, &failed, sizeof *fabric->activity * (size_t)fabric->bins, fabric->activity_places);
  }
  failed |= !(fabric->sram = sram_new(fabric));
  fabric->total_series =
      fabric->bins ? calloc((size_t)fabric->bins * SERIES_WIDTH, sizeof *fabric->total_series) : NULL;
  if (failed || (fabric->bins && !fabric->total_series)) return false;
  memset(fabric->class_of, 0xff, sizeof *fabric->class_of * fabric->pes);
  layout_neighbors(fabric);
  layout_routers(fabric);
  return true;
}

bool layout_color(wse_fabric *fabric, int color) {
  bool failed = false;
  fabric->route[color] = plane(fabric, &failed, sizeof **fabric->route);
  fabric->routes[color] = block_plane(fabric, &failed, sizeof **fabric->routes);
  fabric->store_targets[color] = plane(fabric, &failed, sizeof **fabric->store_targets);
  fabric->store_blocks[color] = block_plane(fabric, &failed, sizeof **fabric->store_blocks);
  if (fabric->activity)
    fabric->color_links[color] = block_plane(fabric, &failed, WSE_PORTS * LANES * sizeof **fabric->color_links);
  return !failed;
}

bool layout_buffers(wse_fabric *fabric, int color) {
  bool failed = false;
  for (int port = 0; port < fabric->inputs[color]; port++)
    fabric->buffer[color][port] = block_plane(fabric, &failed, fabric->buffer_bytes);
  return !failed;
}

bool layout_filter_counts(wse_fabric *fabric, int color) {
  bool failed = false;
  fabric->filter_count[color] = plane(fabric, &failed, sizeof *fabric->filter_count[color]);
  fabric->filter_limit[color] = plane(fabric, &failed, sizeof *fabric->filter_limit[color]);
  fabric->filter_most[color] = plane(fabric, &failed, sizeof *fabric->filter_most[color]);
  return !failed;
}
