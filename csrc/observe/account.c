/* account.c - accounting of cycles that is not done in every cycle. */
#include "observe/account.h"

#include "observe/trace.h"

void series_halve(wse_fabric *f, band *b) {
  for (int i = 0; i < f->bins; i++)
    for (int k = 0; k < SERIES_WIDTH; k++) {
      uint64_t *s = b->series, sum = 0;
      if (2 * i < f->bins) sum += s[2 * i * SERIES_WIDTH + k];
      if (2 * i + 1 < f->bins) sum += s[(2 * i + 1) * SERIES_WIDTH + k];
      s[i * SERIES_WIDTH + k] = sum;
    }
  for (int i = 0; i < f->bins && f->activity; i++)
    for (uint32_t pe = b->pe0; pe < b->pe1; pe++) {
      uint64_t sum = 0;
      if (2 * i < f->bins) sum += f->activity[(size_t)2 * i * f->pes + pe];
      if (2 * i + 1 < f->bins) sum += f->activity[(size_t)(2 * i + 1) * f->pes + pe];
      f->activity[(size_t)i * f->pes + pe] = sum;
    }
  b->series_shift++;
}

/* A memory operation that does not run ahead: settles the cycles since it was last looked at. */
void settle_memory(wse_fabric *f, band *b, uint32_t pe, uint64_t now) {
  ce *c = &f->ces[pe];
  if (c->state != MAIN_MEMORY || c->memory_mark >= now) return;
  uint64_t given = now - c->memory_mark;
  if (given > c->memory_left) given = c->memory_left;
  account(f, b, pe, c->memory_mark, WSE_CTR_STALL_START);
  uint64_t second = given < c->memory_second ? given : c->memory_second;
  account(f, b, pe, c->memory_mark + second, WSE_CTR_STALL_BANK);
  account(f, b, pe, c->memory_mark + given, WSE_CTR_BUSY_VECTOR);
  c->memory_second -= (uint32_t)second;
  series_span(f, b, pe, c->memory_mark + second, given - second, SERIES_BUSY);
  activity_last(b, c->memory_mark + given);
  c->memory_left -= (uint32_t)given;
  c->memory_mark += given;
  if (!c->memory_left) {
    trace_event(f, b, c->memory_mark - 1, pe, WSE_EV_OP_END, c->memory_op, 255);
    after_vector(f, c, c->memory_mark - 1);
  }
}

void vector_count(wse_fabric *f, band *b, uint32_t pe, uint64_t reads, uint64_t writes, uint64_t flops, uint64_t n, uint64_t now) {
  uint64_t *c = counters_of(f, pe);
  c[WSE_CTR_ELEMENTS] += n;
  c[WSE_CTR_SRAM_READ] += n * reads;
  c[WSE_CTR_SRAM_WRITE] += n * writes;
  if (!flops) return;
  c[WSE_CTR_FLOPS] += n * flops;
  series_add(f, b, now, SERIES_FLOPS, n * flops);
}

uint64_t wse_cycle(const wse_fabric *f) { return f->now; }

uint64_t activity_end(const wse_fabric *f) {
  uint64_t last = 0;
  for (int i = 0; i < f->band_total; i++)
    if (f->bands[i].last > last) last = f->bands[i].last;
  return last;
}

/* Main threads may have run ahead of a limit: that lies in the future. */
uint64_t wse_last_activity(const wse_fabric *f) {
  uint64_t last = activity_end(f);
  return last < f->now ? last : f->now;
}

uint64_t wse_bytes(const wse_fabric *f) { return f->bytes; }
