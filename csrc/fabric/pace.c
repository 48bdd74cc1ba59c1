/* pace.c - measures whether one thread or all step a fabric faster. */
#include "fabric/pace.h"

#include <time.h>

enum {
  FIRST_TILES = 4,
  STRETCH_NS = 1000000,
  MOST_TILES = 1 << 16,
  KEEP_LEAST = 16, /* the time between trials is so many times that of the last one */
  KEEP_MOST = 512,
};

uint64_t pace_clock(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

pace_stretch pace_next(const pace *p) {
  int other = 1 - p->better;
  uint64_t known = p->tile_ns[p->better];
  if (!known) return (pace_stretch){p->better, FIRST_TILES};
  uint64_t tiles = STRETCH_NS / known;
  tiles = tiles < 1 ? 1 : tiles > MOST_TILES ? MOST_TILES : tiles;
  bool tries = p->kept_ns >= (p->keep ? p->keep * p->trial_ns : STRETCH_NS);
  return (pace_stretch){tries ? other : p->better, (uint32_t)tiles};
}

/* A trial is compared with the stretch before it: later and earlier ones may have had other work. */
void pace_measured(pace *p, pace_stretch stretch, uint64_t ns) {
  uint64_t per_tile = ns / stretch.tiles + 1;
  p->tile_ns[stretch.way] = per_tile;
  if (stretch.way == p->better) {
    p->kept_ns += ns;
    return;
  }
  bool wins = per_tile < p->tile_ns[p->better];
  if (wins) p->better = stretch.way;
  p->keep = wins || !p->keep ? KEEP_LEAST : p->keep < KEEP_MOST ? 2 * p->keep : KEEP_MOST;
  p->trial_ns = ns;
  p->kept_ns = 0;
}
