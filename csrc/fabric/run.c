/* run.c - the fabric's cycles: rows, tiles of several cycles, threads.
 *
 * A row's cycle: which of its buffers are full is settled; streams at the edge and compute elements act; then its routers, which
 * look at how full the buffers of the rows above and below were settled to be, and put wavelets into them that land in a later
 * cycle.  So a row may go a cycle further as soon as the two rows on either side have gone as far as it has, and the order
 * among rows changes nothing: the fabric is stepped in tiles of several cycles, a row after the other along a slope of two rows
 * a cycle, and what a few rows hold stays in the cache for all of them.
 *
 * The rows are divided into bands, and the bands among threads.  Near a border a band stops short, more with every cycle of the
 * tile; when the bands on both sides are done, one thread steps what is missing on both.  Then the threads agree on the next
 * cycle in which anything can happen.  The cycles between cost nothing.
 */
#define _GNU_SOURCE /* sched_getaffinity */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "fabric/build.h"
#include "fabric/clocks.h"
#include "fabric/prefetch.h"
#include "observe/account.h"
#include "pe/ce.h"
#include "router/buffer.h"
#include "router/stream.h"
#include "state/bitplane.h"
#include "state/wake.h"

/* Wheel entries of this cycle become bits; entries of a later turn stay. */
static void turn_wheel(wse_fabric *f, band *b, uint64_t now) {
  int32_t i = b->wheel_head[now & (WHEEL - 1)];
  while (i >= 0) {
    uint32_t pe = b->pe0 + (uint32_t)i;
    int32_t next = f->wheel_next[pe];
    if (f->ces[pe].wheel_at <= now) {
      wheel_remove(f, b, pe);
      wake_ce_near(f, pe, now);
    }
    i = next;
  }
}

/* Every PE and every router of the row; nothing is to depend on who was woken. */
static void step_whole_row(wse_fabric *f, band *b, int y, uint64_t now) {
  fabric_row *row = &f->rows[y];
  uint32_t slot = (uint32_t)now & (NEAR - 1), word0 = (uint32_t)y * f->row_words, pe0 = (uint32_t)(y * f->width);
  row->ces &= (uint8_t)~(1u << slot);
  row->routers &= (uint8_t)~(1u << slot);
  for (uint32_t word = word0; word < word0 + f->row_words; word++) f->wakes_ce[word * NEAR + slot] = 0;
  memset(&f->wakes_router[((uint32_t)y * NEAR + slot) * f->row_masks], 0, f->row_masks * sizeof *f->wakes_router);
  for (uint32_t pe = pe0; pe < pe0 + (uint32_t)f->width; pe++)
    if (f->class_of[pe] != 0xffff) ce_step(f, b, pe, now);
  for (uint32_t word = word0; word < word0 + f->row_words; word++)
    if (f->routers[word].busy) f->routers_step(f, b, word, now);
}

static void step_row(wse_fabric *f, int y, uint64_t now) {
  fabric_row *row = &f->rows[y];
  band *b = &f->bands[row->band];
  uint32_t slot = (uint32_t)now & (NEAR - 1), word0 = (uint32_t)y * f->row_words;
  streams_step(f, b, y, now);
  if (f->reference) {
    step_whole_row(f, b, y, now);
    return;
  }
  if (row->ces >> slot & 1) {
    row->ces &= (uint8_t)~(1u << slot);
    for (uint32_t word = word0; word < word0 + f->row_words; word++) {
      uint64_t *wakes = &f->wakes_ce[word * NEAR + slot], awake = *wakes;
      if (!awake) continue;
      *wakes = 0;
      for (; awake; awake &= awake - 1) ce_step(f, b, f->word_pe[word] + (uint32_t)__builtin_ctzll(awake), now);
    }
  }
  if (!(row->routers >> slot & 1)) return;
  row->routers &= (uint8_t)~(1u << slot);
  uint64_t *wakes = &f->wakes_router[((uint32_t)y * NEAR + slot) * f->row_masks];
  for (uint32_t i = 0; i < f->row_masks; i++, wakes++) {
    uint64_t awake = *wakes;
    *wakes = 0;
    for (; awake; awake &= awake - 1) f->routers_step(f, b, word0 + i * 64 + (uint32_t)__builtin_ctzll(awake), now);
  }
}

enum { AHEAD_WORDS = 512 }; /* smaller fabrics stay in the cache */

/* A tile: `cycles` cycles of the band's rows, all but those near its borders, in an order in which a row and its cycle is
 * stepped after the two rows below it were stepped one cycle less far. */
static void step_tile(wse_fabric *f, const band *b, uint64_t now, int cycles) {
  bool above = b->y0 > 0, below = b->y1 < f->height;
  for (int diagonal = b->y0; diagonal < b->y1 + 2 * (cycles - 1); diagonal++)
    for (int i = 0; i < cycles; i++) {
      int y = diagonal - 2 * i, first = b->y0 + (above ? border_rows(i) : 0), end = b->y1 - (below ? border_rows(i) : 0);
      if (y < first || y >= end) continue;
      if (y == first) {
        if (above) routers_settle(f, y - 1);
        routers_settle(f, y);
      }
      if (y + 1 < b->y1) routers_settle(f, y + 1);
      if (i == 0 && f->words > AHEAD_WORDS && !f->reference) ask_for_rows(f, y);
      step_row(f, y, now + (uint64_t)i);
    }
}

/* The rows that two bands left out at the border above row y; their outermost ones are settled. */
static void step_border(wse_fabric *f, int y, uint64_t now, int cycles) {
  for (int i = 0; i < cycles; i++) {
    int first = y - border_rows(i), end = y + border_rows(i);
    for (int k = first + 1; k < end - 1; k++) routers_settle(f, k);
    for (int k = first; k < end; k++) step_row(f, k, now + (uint64_t)i);
  }
}

/* The next cycle, `from` or later, in which the band has something to look at. */
static uint64_t band_next(const wse_fabric *f, const band *b, uint64_t from) {
  uint64_t next = NEVER;
  uint32_t slots = 0, turn = (uint32_t)from & (NEAR - 1);
  for (int y = b->y0; y < b->y1; y++) {
    const fabric_row *row = &f->rows[y];
    slots |= row->ces | row->routers | row->streams;
    if (row->streams_next < next) next = row->streams_next < from ? from : row->streams_next;
  }
  slots = (slots | slots << NEAR) >> turn & ((1u << NEAR) - 1);
  if (slots && from + (uint32_t)__builtin_ctz(slots) < next) next = from + (uint32_t)__builtin_ctz(slots);
  for (uint64_t t = from; t < from + WHEEL && t < next; t++)
    if (b->wheel_head[t & (WHEEL - 1)] >= 0) next = t;
  return next;
}

/* Threads that live for one call.  Each has a run of bands; of every band it publishes when that wants to go on, and the cycle of
 * its fault. */
typedef struct {
  _Atomic uint64_t want, fault;
  char pad[48];
} published;

typedef struct {
  wse_fabric *f;
  const volatile int *stop;
  uint64_t until;
  _Atomic uint32_t members; /* 0 until all threads that can be had have started */
  _Atomic uint32_t arrived;
  _Atomic uint32_t round;
  _Atomic int stopped, no_memory;
  published band[MAX_BANDS];
  wse_status status;
  uint64_t end;
} team;

typedef struct {
  team *t;
  uint32_t index;
} member;

/* Spins a few microseconds, then lets others run: processes may outnumber the cores. */
static void meet(team *t) {
  uint32_t members = atomic_load_explicit(&t->members, memory_order_relaxed);
  uint32_t round = atomic_load_explicit(&t->round, memory_order_relaxed);
  if (atomic_fetch_add_explicit(&t->arrived, 1, memory_order_acq_rel) + 1 == members) {
    atomic_store_explicit(&t->arrived, 0, memory_order_relaxed);
    atomic_store_explicit(&t->round, round + 1, memory_order_release);
    return;
  }
  for (uint32_t spins = 0; atomic_load_explicit(&t->round, memory_order_acquire) == round; spins++)
    if (spins > 4000) sched_yield();
}

enum { LOOK_EVERY = 32 }; /* tiles between looks at *stop */

/* A tile of the bands first .. end - 1, and of the borders south of them. */
static void run_tile(team *t, int first, int end, uint64_t now, int cycles) {
  wse_fabric *f = t->f;
  for (int i = first; i < end; i++) {
    for (int k = 0; k < cycles; k++) turn_wheel(f, &f->bands[i], now + (uint64_t)k);
    step_tile(f, &f->bands[i], now, cycles);
  }
  for (int turn = 0; turn < 2 && turn + 1 < f->band_total; turn++) { /* no two borders of one band at once */
    meet(t);
    for (int i = first; i < end; i++)
      if (i % 2 == turn && i + 1 < f->band_total) step_border(f, f->bands[i].y1, now, cycles);
  }
  if (f->band_total > 1) meet(t);
}

/* What follows a tile that ended before cycle `end`: some band goes on in cycle `next`, the first fault is in cycle `fault`.
 * Compute elements run ahead, so that a fault may lie in the future: until then the others go on. */
static wse_status after_tile(team *t, uint64_t end, uint64_t next, uint64_t fault) {
  if (atomic_load_explicit(&t->no_memory, memory_order_relaxed)) return WSE_NOMEM;
  if (fault < end || (fault < next && fault < t->until)) return WSE_FAULTED;
  if (next == NEVER && fault == NEVER) return WSE_QUIET;
  if (next >= t->until || atomic_load_explicit(&t->stopped, memory_order_relaxed)) return WSE_LIMIT;
  return WSE_OK;
}

/* The run ends; `next` and `fault` as above. */
static void finish(team *t, wse_status status, uint64_t next, uint64_t fault) {
  wse_fabric *f = t->f;
  t->status = status;
  t->end = status == WSE_FAULTED ? fault + 1 : next < t->until ? next : t->until;
  if (status == WSE_FAULTED) streams_forget(f, fault); /* the tile went on to its end */
  if (status != WSE_QUIET) return;
  uint64_t last = activity_end(f); /* the last elements of a sink may still be on their way */
  if (last > t->until) t->status = WSE_LIMIT, t->end = t->until;
  else t->end = last > f->told ? last : f->told;
}

static void run_bands(team *t, uint32_t index) {
  wse_fabric *f = t->f;
  uint32_t members = atomic_load_explicit(&t->members, memory_order_relaxed);
  int first = f->band_total * (int)index / (int)members, last = f->band_total * (int)(index + 1) / (int)members;
  uint64_t now = f->now;
  bool looked_again = false; /* reference: once nothing wants to be stepped, everything is, for something may have been missed */
  for (uint32_t looked = 0;; looked++) {
    int cycles = t->until - now < (uint64_t)f->tile ? (int)(t->until - now) : f->tile;
    uint64_t end = now + (uint64_t)cycles, next = NEVER, fault = NEVER;
    for (int i = first; i < last; i++)
      if (!clocks_renew(f, &f->bands[i], now)) atomic_store_explicit(&t->no_memory, 1, memory_order_relaxed);
    if (f->band_total > 1) meet(t); /* a band's routers read what its neighbors renew */
    run_tile(t, first, last, now, cycles);
    if (index == 0 && looked % LOOK_EVERY == 0 && t->stop && *t->stop) atomic_store_explicit(&t->stopped, 1, memory_order_relaxed);
    for (int i = first; i < last; i++) {
      const band *b = &f->bands[i];
      atomic_store_explicit(&t->band[i].want, band_next(f, b, end), memory_order_relaxed);
      atomic_store_explicit(&t->band[i].fault, b->fault.kind == WSE_FAULT_NONE ? NEVER : b->fault.cycle, memory_order_relaxed);
    }
    if (f->band_total > 1) meet(t);
    for (int i = 0; i < f->band_total; i++) {
      uint64_t w = atomic_load_explicit(&t->band[i].want, memory_order_relaxed);
      uint64_t c = atomic_load_explicit(&t->band[i].fault, memory_order_relaxed);
      if (w < next) next = w;
      if (c < fault) fault = c;
    }
    wse_status status = after_tile(t, end, next, fault);
    bool again = status == WSE_QUIET && f->reference && !looked_again && end < t->until;
    looked_again = again;
    if (again || status == WSE_OK) {
      now = again ? end : next;
      continue;
    }
    lanes_stream_end();
    if (index == 0) finish(t, status, next, fault);
    return;
  }
}

static void *run_member(void *p) {
  member *m = p;
  while (!atomic_load_explicit(&m->t->members, memory_order_acquire)) sched_yield();
  run_bands(m->t, m->index);
  return NULL;
}

/* Processors that this process may use. */
static int processors(void) {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
  long n = sysconf(_SC_NPROCESSORS_ONLN);
  return n < 1 ? 1 : n > MAX_BANDS ? MAX_BANDS : (int)n;
}

/* Runs the bands on as many threads as there are bands, processors, and threads that can be had. */
static void run_team(team *t) {
  pthread_t threads[MAX_BANDS];
  member members[MAX_BANDS];
  int most = processors(), started = 1;
  if (most > t->f->band_total) most = t->f->band_total;
  for (; started < most; started++) {
    members[started] = (member){t, (uint32_t)started};
    if (pthread_create(&threads[started], NULL, run_member, &members[started])) break;
  }
  atomic_store_explicit(&t->members, (uint32_t)started, memory_order_release);
  run_bands(t, 0);
  for (int i = 1; i < started; i++) pthread_join(threads[i], NULL);
}

wse_status wse_run(wse_fabric *f, uint64_t until, uint64_t limit, const volatile int *stop) {
  wse_status status = fabric_seal(f);
  if (status != WSE_OK) return status;
  wse_fault fault;
  wse_fault_of(f, &fault);
  if (fault.kind != WSE_FAULT_NONE && fault.cycle < f->now) return WSE_FAULTED;
  if (until > limit) until = limit;
  if (until <= f->now) return WSE_LIMIT;
  team *t = aligned_alloc(64, (sizeof(team) + 63) / 64 * 64);
  if (!t) return WSE_NOMEM;
  memset(t, 0, sizeof *t);
  t->f = f;
  t->stop = stop;
  t->until = until;
  f->limit = limit;
  run_team(t);
  f->now = t->end;
  status = t->status;
  if (status != WSE_LIMIT || f->now == limit || t->stopped) f->told = f->now;
  free(t);
  return status;
}
