/* account.c - accounting of cycles: the parts that are not inline. */
#include "observe/account.h"

#include "observe/trace.h"
#include "observe/watch.h"

void series_halve(wse_fabric *fabric, band_state *band) {
  for (int i = 0; i < fabric->bins; i++)
    for (int k = 0; k < SERIES_WIDTH; k++) {
      uint64_t *s = band->series, sum = 0;
      if (2 * i < fabric->bins) sum += s[2 * i * SERIES_WIDTH + k];
      if (2 * i + 1 < fabric->bins) sum += s[(2 * i + 1) * SERIES_WIDTH + k];
      s[i * SERIES_WIDTH + k] = sum;
    }
  size_t places = fabric->activity_places, first = band->pe0, end = band->pe1;
  if (fabric->activity_bits) {
    size_t of_strip = (size_t)fabric->blocks_per_strip * LANES >> fabric->activity_bits;
    first = (size_t)band->first * of_strip;
    end = (size_t)band->end * of_strip;
  }
  for (int i = 0; i < fabric->bins && fabric->activity; i++)
    for (size_t place = first; place < end; place++) {
      uint64_t sum = 0;
      if (2 * i < fabric->bins) sum += fabric->activity[(size_t)2 * i * places + place];
      if (2 * i + 1 < fabric->bins) sum += fabric->activity[(size_t)(2 * i + 1) * places + place];
      fabric->activity[(size_t)i * places + place] = sum;
    }
  band->series_shift++;
}

/* Settles the slots of a memory operation that does not run ahead, up to cycle `now`. */
void settle_memory(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t now) {
  ce_state *ce = &fabric->ces[pe];
  if (ce->state != MAIN_MEMORY || ce->memory_mark >= now) return;
  uint64_t given = now - ce->memory_mark;
  if (given > ce->memory_left) given = ce->memory_left;
  account(fabric, band, pe, ce->memory_mark, WSE_CTR_STALL_START);
  uint64_t second = given < ce->memory_second ? given : ce->memory_second;
  account(fabric, band, pe, ce->memory_mark + second, WSE_CTR_STALL_BANK);
  account(fabric, band, pe, ce->memory_mark + given, WSE_CTR_BUSY_VECTOR);
  ce->memory_second -= (uint32_t)second;
  series_span(fabric, band, pe, ce->memory_mark + second, given - second, SERIES_BUSY);
  activity_last(band, ce->memory_mark + given);
  ce->memory_left -= (uint32_t)given;
  ce->memory_mark += given;
  if (!ce->memory_left) {
    trace_event(fabric, band, ce->memory_mark - 1, pe, WSE_EV_OP_END, ce->memory_op, 255);
    after_vector(fabric, ce, ce->memory_mark - 1);
    watch_arrives(fabric, pe, ce->memory_mark - 1);
  }
}

void vector_count(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t reads, uint64_t writes, uint64_t flops,
                  uint64_t n, uint64_t now) {
  uint64_t *c = counters_of(fabric, pe);
  c[WSE_CTR_ELEMENTS] += n;
  c[WSE_CTR_SRAM_READ] += n * reads;
  c[WSE_CTR_SRAM_WRITE] += n * writes;
  if (!flops) return;
  c[WSE_CTR_FLOPS] += n * flops;
  series_add(fabric, band, now, SERIES_FLOPS, n * flops);
}

uint64_t wse_cycle(const wse_fabric *fabric) { return fabric->now; }

uint64_t activity_end(const wse_fabric *fabric) {
  uint64_t last = 0;
  for (int i = 0; i < fabric->band_total; i++)
    if (fabric->bands[i].last > last) last = fabric->bands[i].last;
  return last;
}

uint32_t wse_dropped(const wse_fabric *fabric, int color) {
  if (color < 0 || color >= WSE_COLORS || fabric->color_index[color] < 0) return 0;
  uint32_t ports = 0;
  for (int i = 0; i < fabric->band_total; i++)
    ports |= fabric->bands[i].dropped[fabric->color_index[color]];
  return ports;
}

/* Main threads may have run ahead of a limit: their activity lies in the future. */
uint64_t wse_last_activity(const wse_fabric *fabric) {
  uint64_t last = activity_end(fabric);
  return last < fabric->now ? last : fabric->now;
}

uint64_t wse_bytes(const wse_fabric *fabric) { return fabric->bytes; }
