/* prefetch.h - asks memory for what the routers of the next rows will need.
 *
 * A wafer's state does not fit a cache, and what a word of routers needs lies in a few dozen places: without this a step waits for
 * most of them one after the other.  Each stage reads what the one before it asked for, some rows earlier.  Nothing here changes
 * anything.
 */
#ifndef FABRIC_PREFETCH_H
#define FABRIC_PREFETCH_H

#include "state/bitplane.h"

enum { AHEAD_STAGES = 4, AHEAD_ROWS = 2 }; /* rows between stages */

static inline void ask_memory(const void *p, size_t bytes) {
  for (const char *at = (const char *)((uintptr_t)p & ~(uintptr_t)(LINE - 1)); at < (const char *)p + bytes; at += LINE)
    __builtin_prefetch(at, 1);
}

/* What is kept for each lane of a color: only of the groups of 16 in which some lane holds something. */
static inline void ask_for_lanes(const wse_fabric *f, uint32_t word, int color, buffer_word *q) {
  enum { GROUP_LANES = 16, GROUP_BYTES = GROUP_LANES * sizeof(uint32_t) };
  uint64_t held = digits_some(q->held);
  for (uint32_t first = 0; first < LANES; first += GROUP_LANES) {
    if (!(held >> first & 0xffff)) continue;
    ask_memory(q->since + first, GROUP_BYTES);
    for (uint32_t row = 0; row < 1u << f->ring_bits; row++) ask_memory(q->data + row * LANES + first, GROUP_BYTES);
    for (uint32_t ports = f->routes[color][word].ports; ports; ports &= ports - 1) {
      int port = __builtin_ctz(ports);
      ask_memory(f->links[port] + word * LANES + first, GROUP_BYTES);
      ask_memory(f->blocked[port] + word * LANES + first, GROUP_BYTES);
    }
    if (f->routes[color][word].sinks >> first & 0xffff)
      ask_memory(f->sinks[color] + f->word_pe[word] + first, GROUP_LANES * sizeof(sink));
  }
}

/* Where sinks store by themselves: above all for the translation of the address, a page for each PE. */
static inline void ask_for_memory(const wse_fabric *f, uint32_t word, int color, const buffer_word *q) {
  uint64_t lanes = digits_some(q->held) & f->routes[color][word].sinks;
  if (!lanes_few(lanes)) return;
  EACH_LANE(lane, lanes) {
    uint32_t pe = f->word_pe[word] + (uint32_t)lane;
    ask_memory(sram_of(f, pe) + f->sinks[color][pe].at, 1);
  }
}

static inline void ask_for_word(const wse_fabric *f, uint32_t word, int stage) {
  if (stage == 0) {
    ask_memory(&f->routers[word], sizeof *f->routers);
    ask_memory(&f->sink_times[word], sizeof *f->sink_times);
    return;
  }
  for (uint32_t busy = f->routers[word].busy; busy; busy &= busy - 1) {
    int color = __builtin_ctz(busy);
    if (stage == 1) {
      ask_memory(&f->routes[color][word], sizeof **f->routes);
      ask_memory(&f->sink_words[color][word], LINE);
    }
    for (int port = 0; port < f->inputs[color]; port++) {
      buffer_word *q = buffer_of(f, color, port, word);
      if (stage == 1) ask_memory(q, offsetof(buffer_word, control));
      else if (stage == 2) ask_for_lanes(f, word, color, q);
      else ask_for_memory(f, word, color, q);
    }
  }
}

/* Before row y is stepped for the first time in a tile. */
static inline void ask_for_rows(const wse_fabric *f, int y) {
  for (int stage = 0; stage < AHEAD_STAGES; stage++) {
    int row = y + (AHEAD_STAGES - stage) * AHEAD_ROWS;
    if (row >= f->height) continue;
    const uint64_t *wakes = &f->wakes_router[(size_t)row * NEAR * f->row_masks];
    for (uint32_t i = 0; i < f->row_masks; i++) {
      uint64_t words = 0;
      for (int slot = 0; slot < NEAR; slot++) words |= wakes[(uint32_t)slot * f->row_masks + i];
      for (; words; words &= words - 1) ask_for_word(f, (uint32_t)row * f->row_words + i * 64 + (uint32_t)__builtin_ctzll(words), stage);
    }
  }
}

#endif
