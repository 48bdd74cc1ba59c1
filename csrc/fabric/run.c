/* run.c - runs the fabric: tiles one after the other, by one thread or several.
 *
 * The strips are divided into bands, and the bands among threads.  Near a border a band stops short, by more strips
 * with each cycle of the tile; when the bands on both sides are done, one thread steps the strips that both left out.
 * Then the threads agree on the next cycle in which anything can happen; the cycles between are skipped.
 *
 * Where one thread steps all bands faster than the team does, it does so (pace.h).
 */
#define _GNU_SOURCE /* sched_getaffinity */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "fabric/barrier.h"
#include "fabric/build.h"
#include "fabric/clocks.h"
#include "fabric/pace.h"
#include "fabric/tile.h"
#include "observe/account.h"
#include "observe/watch.h"
#include "pe/behind.h"
#include "router/stream.h"
#include "state/bitplane.h"
#include "state/wake.h"

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
  /* Of the next stretch.  Writer: thread 0 between two stretches. */
  uint64_t now;
  uint32_t tiles;    /* of the stretch, at most */
  bool looked_again; /* reference engine: no part was due, and all parts were stepped once more in case a wake is
                        missing */
  bool over;         /* the run has ended */
  wse_status status;
  uint64_t end;
} thread_team;

typedef struct {
  thread_team *team;
  uint32_t index;
} thread_member;

enum { LOOK_EVERY = 32 }; /* tiles between checks of *stop */

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
  bool goes_on = false;
  for (int i = 0; i < fabric->band_total; i++)
    goes_on |= behind_end_band(fabric, &fabric->bands[i], team->end);
  if (status == WSE_FAULTED) streams_forget(fabric, fault); /* the tile was completed */
  if (status != WSE_QUIET) return;
  uint64_t last = activity_end(fabric); /* elements of store-only PEs may be stored later */
  if (last > team->until || goes_on) {
    team->status = WSE_LIMIT;
    team->end = team->until;
  } else {
    team->end = last > fabric->told ? last : fabric->told;
  }
}

/* What one thread does in a stretch: bands first .. last - 1 of every tile.  alone: no other thread takes part. */
typedef struct {
  uint32_t index;
  int first, last;
  bool alone;
} share;

static void meet(thread_team *team, const share *mine) {
  if (!mine->alone && team->fabric->band_total > 1) barrier_wait(&team->all);
}

/* A tile of the bands of a share, and of the borders south of them. */
static void run_tile(thread_team *team, const share *mine, uint64_t now, int cycles) {
  wse_fabric *fabric = team->fabric;
  for (int i = mine->first; i < mine->last; i++) {
    for (int k = 0; k < cycles; k++)
      wheel_rotate(fabric, &fabric->bands[i], now + (uint64_t)k);
    step_tile(fabric, &fabric->bands[i], now, cycles);
  }
  for (int phase = 0; phase < 2 && phase + 1 < fabric->band_total;
       phase++) { /* the two borders of a band must not be stepped concurrently */
    meet(team, mine);
    for (int i = mine->first; i < mine->last; i++)
      if (i % 2 == phase && i + 1 < fabric->band_total) step_border(fabric, fabric->bands[i].end, now, cycles);
  }
  meet(team, mine);
}

/* Steps the tiles of a stretch; every thread that takes part finds the same status.  *tiles: those that were stepped.
 */
static wse_status run_stretch(thread_team *team, const share *mine, uint32_t *tiles) {
  wse_fabric *fabric = team->fabric;
  uint64_t now = team->now;
  bool looked_again = team->looked_again;
  wse_status status = WSE_OK;
  for (*tiles = 0; status == WSE_OK && *tiles < team->tiles;) {
    int cycles = team->until - now < (uint64_t)fabric->tile ? (int)(team->until - now) : fabric->tile;
    uint64_t end = now + (uint64_t)cycles, next = NEVER, fault = NEVER;
    for (int i = mine->first; i < mine->last; i++)
      if (!clocks_renew(fabric, &fabric->bands[i], now))
        atomic_store_explicit(&team->no_memory, 1, memory_order_relaxed);
    meet(team, mine); /* a band's routers read what its neighbors renew */
    run_tile(team, mine, now, cycles);
    if (mine->index == 0 && *tiles % LOOK_EVERY == 0 && team->stop && *team->stop)
      atomic_store_explicit(&team->stopped, 1, memory_order_relaxed);
    for (int i = mine->first; i < mine->last; i++) {
      const band_state *band = &fabric->bands[i];
      atomic_store_explicit(&team->band[i].want, band_next(fabric, band, end), memory_order_relaxed);
      uint64_t fault_at = band->fault.kind == WSE_FAULT_NONE ? NEVER : band->fault.cycle, seen = watch_first(fabric);
      /* what is watched for ends the run as a fault does */
      atomic_store_explicit(&team->band[i].fault, seen < fault_at ? seen : fault_at, memory_order_relaxed);
    }
    meet(team, mine);
    for (int i = 0; i < fabric->band_total; i++) {
      uint64_t w = atomic_load_explicit(&team->band[i].want, memory_order_relaxed);
      uint64_t c = atomic_load_explicit(&team->band[i].fault, memory_order_relaxed);
      if (w < next) next = w;
      if (c < fault) fault = c;
    }
    status = after_tile(team, end, next, fault);
    looked_again = status == WSE_QUIET && fabric->reference && !looked_again && end < team->until;
    if (looked_again) status = WSE_OK;
    now = looked_again ? end : next;
    ++*tiles;
    if (mine->index == 0 && status != WSE_OK) finish(team, status, next, fault);
  }
  lanes_stream_end();
  meet(team, mine); /* nobody reads `team` any more, and all see what the others have stored */
  if (mine->index == 0) {
    team->now = now;
    team->looked_again = looked_again;
  }
  return status;
}

static share share_of(const thread_team *team, uint32_t index) {
  uint32_t members = atomic_load_explicit(&team->all.members, memory_order_relaxed);
  return (share){index, team->fabric->band_total * (int)index / (int)members,
                 team->fabric->band_total * (int)(index + 1) / (int)members, false};
}

static void *run_member(void *p) {
  thread_member *member = p;
  thread_team *team = member->team;
  uint32_t tiles;
  while (!atomic_load_explicit(&team->all.members, memory_order_acquire))
    sched_yield();
  share mine = share_of(team, member->index);
  for (;;) {
    barrier_wait(&team->all); /* until thread 0 begins a stretch of all threads, or the run is over */
    if (team->over) return NULL;
    run_stretch(team, &mine, &tiles);
  }
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

/* Starts the other members: as many as there are bands, processors, and threads that can be had.  Returns the number
 * of threads. */
static int start_members(thread_team *team, pthread_t threads[], thread_member members[]) {
  int most = processors(), started = 1;
  if (most > team->fabric->band_total) most = team->fabric->band_total;
  for (; started < most; started++) {
    members[started] = (thread_member){team, (uint32_t)started};
    if (pthread_create(&threads[started], NULL, run_member, &members[started])) break;
  }
  atomic_store_explicit(&team->all.members, (uint32_t)started, memory_order_release);
  return started;
}

enum { TURN_TILES = 2 }; /* of a stretch, if one thread and all take turns */

/* Thread 0: one stretch after the other, alone or with the other threads, until the run ends. */
static void run_team(thread_team *team) {
  wse_fabric *fabric = team->fabric;
  pthread_t threads[MAX_BANDS];
  thread_member members[MAX_BANDS];
  int started = 0; /* threads, this one included; 0: they have not been needed */
  uint32_t turn = 0;
  for (wse_status status = WSE_OK; status == WSE_OK;) {
    bool choice = fabric->band_total > 1 && started != 1 && fabric->team != WSE_TEAM_ALL;
    pace_stretch stretch = {PACE_TEAM, UINT32_MAX};
    if (choice && fabric->team == WSE_TEAM_FASTEST) stretch = pace_next(&fabric->pace);
    else if (choice) stretch = (pace_stretch){turn++ % 2 ? PACE_TEAM : PACE_ALONE, TURN_TILES};
    if (stretch.way == PACE_TEAM && !started) started = start_members(team, threads, members);
    bool alone = stretch.way == PACE_ALONE || started == 1;
    share mine = alone ? (share){0, 0, fabric->band_total, true} : share_of(team, 0);
    uint32_t tiles;
    team->tiles = stretch.tiles;
    if (!alone) barrier_wait(&team->all);
    uint64_t began = pace_clock();
    status = run_stretch(team, &mine, &tiles);
    if (choice && tiles == stretch.tiles && (started != 1 || stretch.way == PACE_ALONE))
      pace_measured(&fabric->pace, stretch, pace_clock() - began);
  }
  if (started < 2) return;
  team->over = true;
  barrier_wait(&team->all);
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
  team->now = fabric->now;
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
