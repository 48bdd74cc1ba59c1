/* run.c - runs the fabric: cycles of a strip, tiles of several cycles, threads.
 *
 * One cycle of a strip (a row, or several rows of a narrow grid): the `full` planes of its buffers are settled; streams
 * at the edge and compute elements act; then its routers act.  A router reads the settled `full` planes of the strips
 * above and below, and pushes wavelets into their buffers that land in a later cycle.  So a strip may be stepped a
 * cycle further as soon as the two strips on either side have been stepped as far as it has, and the order of strips
 * does not change results.  The fabric is stepped in tiles of several cycles, along diagonals of two strips per cycle,
 * so that a few strips stay in the cache for all cycles of the tile.
 *
 * The strips are divided into bands, and the bands among threads.  Near a border a band stops short, by more strips
 * with each cycle of the tile; when the bands on both sides are done, one thread steps the strips that both left out.
 * Then the threads agree on the next cycle in which anything can happen; the cycles between are skipped.
 */
#define _GNU_SOURCE /* sched_getaffinity */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "fabric/barrier.h"
#include "fabric/build.h"
#include "fabric/clocks.h"
#include "fabric/prefetch.h"
#include "observe/account.h"
#include "observe/watch.h"
#include "pe/ce.h"
#include "router/buffer.h"
#include "router/stream.h"
#include "state/bitplane.h"
#include "state/wake.h"

/* Wakes of the wheel for this cycle become bits; entries of later rotations stay. */
static void rotate_wheel(wse_fabric *fabric, band_state *band, uint64_t now) {
  int32_t i = band->wheel_head[now & (WHEEL - 1)];
  while (i >= 0) {
    uint32_t pe = band->pe0 + (uint32_t)i;
    int32_t next = fabric->wheel_next[pe];
    if (fabric->ces[pe].wheel_at <= now) {
      wheel_remove(fabric, band, pe);
      wake_ce_near(fabric, pe, now);
    }
    i = next;
  }
}

/* Reference: every PE and every router of a strip, whether woken or not. */
static void step_whole_strip(wse_fabric *fabric, band_state *band, int index, uint64_t now) {
  fabric_strip *strip = &fabric->strips[index];
  uint32_t slot = (uint32_t)now & (NEAR - 1), block0 = (uint32_t)index * fabric->blocks_per_strip,
           strip_pes = (uint32_t)(fabric->strip_rows * fabric->width), pe0 = (uint32_t)index * strip_pes;
  strip->ces &= (uint8_t)~(1u << slot);
  strip->routers &= (uint8_t)~(1u << slot);
  for (uint32_t block = block0; block < block0 + fabric->blocks_per_strip; block++)
    fabric->wakes_ce[block * NEAR + slot] = 0;
  memset(&fabric->wakes_router[((uint32_t)index * NEAR + slot) * fabric->masks_per_strip], 0,
         fabric->masks_per_strip * sizeof *fabric->wakes_router);
  for (uint32_t pe = pe0; pe < pe0 + strip_pes && pe < fabric->pes; pe++)
    if (fabric->class_of[pe] != 0xffff) ce_step(fabric, band, pe, now);
  for (uint32_t block = block0; block < block0 + fabric->blocks_per_strip; block++)
    if (fabric->routers[block].busy) fabric->routers_step(fabric, band, block, now);
}

static void step_strip(wse_fabric *fabric, int index, uint64_t now) {
  fabric_strip *strip = &fabric->strips[index];
  band_state *band = &fabric->bands[strip->band];
  uint32_t slot = (uint32_t)now & (NEAR - 1), block0 = (uint32_t)index * fabric->blocks_per_strip;
  streams_step(fabric, band, strip, now);
  if (fabric->reference) {
    step_whole_strip(fabric, band, index, now);
    return;
  }
  if (strip->ces >> slot & 1) {
    strip->ces &= (uint8_t)~(1u << slot);
    for (uint32_t block = block0; block < block0 + fabric->blocks_per_strip; block++) {
      uint64_t *wakes = &fabric->wakes_ce[block * NEAR + slot], awake = *wakes;
      if (!awake) continue;
      *wakes = 0;
      ces_step(fabric, band, block, awake, now);
    }
  }
  if (!(strip->routers >> slot & 1)) return;
  strip->routers &= (uint8_t)~(1u << slot);
  uint64_t *wakes = &fabric->wakes_router[((uint32_t)index * NEAR + slot) * fabric->masks_per_strip];
  for (uint32_t i = 0; i < fabric->masks_per_strip; i++, wakes++) {
    uint64_t awake = *wakes;
    *wakes = 0;
    for (; awake; awake &= awake - 1)
      fabric->routers_step(fabric, band, block0 + i * 64 + (uint32_t)__builtin_ctzll(awake), now);
  }
}

enum { PREFETCH_BLOCKS = 512 }; /* smaller fabrics stay in the cache */

/* A tile: `cycles` cycles of the band's strips, except those near its borders.  A strip is stepped in a cycle after the
 * two strips below it were stepped in the cycle before. */
static void step_tile(wse_fabric *fabric, const band_state *band, uint64_t now, int cycles) {
  bool above = band->first > 0, below = band->end < fabric->strip_total;
  for (int diagonal = band->first; diagonal < band->end + 2 * (cycles - 1); diagonal++)
    for (int i = 0; i < cycles; i++) {
      int strip = diagonal - 2 * i, first = band->first + (above ? border_strips(i) : 0),
          end = band->end - (below ? border_strips(i) : 0);
      if (strip < first || strip >= end) continue;
      if (strip == first) {
        if (above) routers_settle(fabric, strip - 1);
        routers_settle(fabric, strip);
      }
      if (strip + 1 < band->end) routers_settle(fabric, strip + 1);
      if (i == 0 && fabric->blocks > PREFETCH_BLOCKS && !fabric->reference) prefetch_strips(fabric, strip);
      step_strip(fabric, strip, now + (uint64_t)i);
    }
}

/* The strips that two bands left out at the border above a strip; the outermost ones are settled already. */
static void step_border(wse_fabric *fabric, int below, uint64_t now, int cycles) {
  for (int i = 0; i < cycles; i++) {
    int first = below - border_strips(i), end = below + border_strips(i);
    for (int k = first + 1; k < end - 1; k++)
      routers_settle(fabric, k);
    for (int k = first; k < end; k++)
      step_strip(fabric, k, now + (uint64_t)i);
  }
}

/* The first cycle, `from` or later, in which something in the band is to be stepped. */
static uint64_t band_next(const wse_fabric *fabric, const band_state *band, uint64_t from) {
  uint64_t next = NEVER;
  uint32_t slots = 0, phase = (uint32_t)from & (NEAR - 1);
  for (int i = band->first; i < band->end; i++) {
    const fabric_strip *strip = &fabric->strips[i];
    slots |= strip->ces | strip->routers | strip->streams;
    if (strip->streams_next < next) next = strip->streams_next < from ? from : strip->streams_next;
  }
  slots = (slots | slots << NEAR) >> phase & ((1u << NEAR) - 1);
  if (slots && from + (uint32_t)__builtin_ctz(slots) < next) next = from + (uint32_t)__builtin_ctz(slots);
  for (uint64_t t = from; t < from + WHEEL && t < next; t++)
    if (band->wheel_head[t & (WHEEL - 1)] >= 0) next = t;
  return next;
}

/* Threads of one call of wse_run.  Each has a range of bands, and publishes the next cycle in which one of them can
 * act, and the cycle of its first fault. */
typedef struct {
  _Atomic uint64_t want, fault;
  char pad[48];
} published;

typedef struct {
  wse_fabric *fabric;
  const volatile int *stop;
  uint64_t until;
  barrier all; /* its members: 0 until all threads that can be had have started */
  _Atomic int stopped, no_memory;
  published band[MAX_BANDS];
  wse_status status;
  uint64_t end;
} thread_team;

typedef struct {
  thread_team *team;
  uint32_t index;
} thread_member;

enum { LOOK_EVERY = 32 }; /* tiles between checks of *stop */

/* A tile of the bands first .. end - 1, and of the borders south of them. */
static void run_tile(thread_team *team, int first, int end, uint64_t now, int cycles) {
  wse_fabric *fabric = team->fabric;
  for (int i = first; i < end; i++) {
    for (int k = 0; k < cycles; k++)
      rotate_wheel(fabric, &fabric->bands[i], now + (uint64_t)k);
    step_tile(fabric, &fabric->bands[i], now, cycles);
  }
  for (int phase = 0; phase < 2 && phase + 1 < fabric->band_total;
       phase++) { /* the two borders of a band must not be stepped concurrently */
    barrier_wait(&team->all);
    for (int i = first; i < end; i++)
      if (i % 2 == phase && i + 1 < fabric->band_total) step_border(fabric, fabric->bands[i].end, now, cycles);
  }
  if (fabric->band_total > 1) barrier_wait(&team->all);
}

/* The status after a tile that ended before cycle `end`.  next: the next cycle in which a band can act.  fault: the
 * cycle of the first fault, which may be in the future because compute elements run ahead; until then the others
 * continue. */
static wse_status after_tile(thread_team *team, uint64_t end, uint64_t next, uint64_t fault) {
  if (atomic_load_explicit(&team->no_memory, memory_order_relaxed)) return WSE_NOMEM;
  if (fault < end || (fault < next && fault < team->until)) return WSE_FAULTED;
  if (next == NEVER && fault == NEVER) return WSE_QUIET;
  if (next >= team->until || atomic_load_explicit(&team->stopped, memory_order_relaxed)) return WSE_LIMIT;
  return WSE_OK;
}

/* The run ends; `next` and `fault` as above. */
static void finish(thread_team *team, wse_status status, uint64_t next, uint64_t fault) {
  wse_fabric *fabric = team->fabric;
  team->status = status;
  team->end = status == WSE_FAULTED ? fault + 1 : next < team->until ? next : team->until;
  if (status == WSE_FAULTED) streams_forget(fabric, fault); /* the tile was completed */
  if (status != WSE_QUIET) return;
  uint64_t last = activity_end(fabric); /* elements of store-only PEs may be stored later */
  if (last > team->until) {
    team->status = WSE_LIMIT;
    team->end = team->until;
  } else {
    team->end = last > fabric->told ? last : fabric->told;
  }
}

static void run_bands(thread_team *team, uint32_t index) {
  wse_fabric *fabric = team->fabric;
  uint32_t members = atomic_load_explicit(&team->all.members, memory_order_relaxed);
  int first = fabric->band_total * (int)index / (int)members,
      last = fabric->band_total * (int)(index + 1) / (int)members;
  uint64_t now = fabric->now;
  /* Reference engine: when no part is due, all parts are stepped once more, in case a wake is missing. */
  bool looked_again = false;
  for (uint32_t looked = 0;; looked++) {
    int cycles = team->until - now < (uint64_t)fabric->tile ? (int)(team->until - now) : fabric->tile;
    uint64_t end = now + (uint64_t)cycles, next = NEVER, fault = NEVER;
    for (int i = first; i < last; i++)
      if (!clocks_renew(fabric, &fabric->bands[i], now))
        atomic_store_explicit(&team->no_memory, 1, memory_order_relaxed);
    if (fabric->band_total > 1) barrier_wait(&team->all); /* a band's routers read what its neighbors renew */
    run_tile(team, first, last, now, cycles);
    if (index == 0 && looked % LOOK_EVERY == 0 && team->stop && *team->stop)
      atomic_store_explicit(&team->stopped, 1, memory_order_relaxed);
    for (int i = first; i < last; i++) {
      const band_state *band = &fabric->bands[i];
      atomic_store_explicit(&team->band[i].want, band_next(fabric, band, end), memory_order_relaxed);
      uint64_t fault_at = band->fault.kind == WSE_FAULT_NONE ? NEVER : band->fault.cycle, seen = watch_first(fabric);
      /* what is watched for ends the run as a fault does */
      atomic_store_explicit(&team->band[i].fault, seen < fault_at ? seen : fault_at, memory_order_relaxed);
    }
    if (fabric->band_total > 1) barrier_wait(&team->all);
    for (int i = 0; i < fabric->band_total; i++) {
      uint64_t w = atomic_load_explicit(&team->band[i].want, memory_order_relaxed);
      uint64_t c = atomic_load_explicit(&team->band[i].fault, memory_order_relaxed);
      if (w < next) next = w;
      if (c < fault) fault = c;
    }
    wse_status status = after_tile(team, end, next, fault);
    bool again = status == WSE_QUIET && fabric->reference && !looked_again && end < team->until;
    looked_again = again;
    if (again || status == WSE_OK) {
      now = again ? end : next;
      continue;
    }
    lanes_stream_end();
    if (index == 0) finish(team, status, next, fault);
    return;
  }
}

static void *run_member(void *p) {
  thread_member *member = p;
  while (!atomic_load_explicit(&member->team->all.members, memory_order_acquire))
    sched_yield();
  run_bands(member->team, member->index);
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
static void run_team(thread_team *team) {
  pthread_t threads[MAX_BANDS];
  thread_member members[MAX_BANDS];
  int most = processors(), started = 1;
  if (most > team->fabric->band_total) most = team->fabric->band_total;
  for (; started < most; started++) {
    members[started] = (thread_member){team, (uint32_t)started};
    if (pthread_create(&threads[started], NULL, run_member, &members[started])) break;
  }
  atomic_store_explicit(&team->all.members, (uint32_t)started, memory_order_release);
  run_bands(team, 0);
  for (int i = 1; i < started; i++)
    pthread_join(threads[i], NULL);
}

wse_status wse_rest(wse_fabric *fabric, uint64_t until) {
  if (until < fabric->now) return WSE_BADARG;
  fabric->now = fabric->told = until;
  return WSE_OK;
}

wse_status wse_run(wse_fabric *fabric, uint64_t until, uint64_t limit, const volatile int *stop) {
  wse_status status = fabric_seal(fabric);
  if (status != WSE_OK) return status;
  wse_fault fault;
  wse_fault_of(fabric, &fault);
  if (fault.kind != WSE_FAULT_NONE && fault.cycle < fabric->now) return WSE_FAULTED;
  if (until > limit) until = limit;
  if (until <= fabric->now) return WSE_LIMIT;
  thread_team *team = aligned_alloc(64, (sizeof(thread_team) + 63) / 64 * 64);
  if (!team) return WSE_NOMEM;
  memset(team, 0, sizeof *team);
  team->fabric = fabric;
  team->stop = stop;
  team->until = until;
  fabric->limit = limit;
  barrier_begin(&team->all);
  run_team(team);
  barrier_end(&team->all);
  fabric->now = team->end;
  status = team->status;
  fabric->quiet = status == WSE_QUIET;
  if (status != WSE_LIMIT || fabric->now == limit || team->stopped) fabric->told = fabric->now;
  free(team);
  return status;
}
