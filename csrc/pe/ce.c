/* ce.c - one cycle of a compute element (CE).
 *
 * A CE has one slot a cycle.  Microthreads and the main thread compete for it by priority, equal ones round robin.  A
 * thread that waits for a wavelet, for a free slot of a queue or for a latency does not compete.  Besides the slot,
 * one wavelet a cycle moves from the output queues up the ramp.
 */
#include "pe/ce.h"

#include "observe/account.h"
#include "observe/trace.h"
#include "pe/arrival.h"
#include "pe/behind.h"
#include "pe/issue.h"
#include "pe/lanes.h"
#include "pe/priority.h"
#include "pe/ramp.h"
#include "pe/store_only.h"
#include "pe/task.h"
#include "pe/vector_step.h"
#include "pe/wavelet_loop.h"
#include "state/bitplane.h"
#include "state/wake.h"

static int grant_main(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t now, uint64_t *next) {
  ce_state *ce = &fabric->ces[pe];
  vector_operation *operation = &fabric->operations[MAIN][pe];
  switch (ce->state) {
    case MAIN_RUN:
      if (!ce->stuck || band->profile) return issue(fabric, band, pe, now, next);
      ce->waits = (uint8_t)(WAITS_LIKE + ce->stuck - 1);
      return GRANT_NONE;
    case MAIN_MEMORY:
      if (ce->memory_mark > now) {
        *next = ce->memory_mark;
        return GRANT_NONE;
      }
      *next = ce->memory_mark + ce->memory_left - 1;
      if (*next > now && !fabric->reference && (!ce->threads || ce->main_priority == 0)) return GRANT_HOLDS;
      settle_memory(fabric, band, pe, now + 1);
      return GRANT_SLOT;
    case MAIN_OPERATION: {
      if (operation->next > now) {
        *next = operation->next;
        return GRANT_NONE;
      }
      int did = vector_step(fabric, band, pe, operation, false, now);
      trace_wait(fabric, band, pe, MAIN, operation, did == STEP_WAITS, now);
      if (did == STEP_WAITS) {
        ce->waits = operation->wait;
        return GRANT_NONE;
      }
      use_slot(fabric, band, pe, now, WSE_CTR_BUSY_VECTOR);
      ce->gap = WSE_CTR_STALL_BANK; /* counts only if the next element is not in the next cycle */
      if (did == STEP_ENDED) operation_ended(fabric, band, pe, MAIN, now);
      return GRANT_SLOT;
    }
    default: return GRANT_NONE;
  }
}

static int grant_thread(wse_fabric *fabric, band_state *band, uint32_t pe, int thread, uint64_t now, uint64_t *next) {
  ce_state *ce = &fabric->ces[pe];
  vector_operation *operation = &fabric->operations[thread][pe];
  if (ce->suspended >> thread & 1) return GRANT_NONE;
  if (operation->next > now) {
    *next = operation->next;
    return GRANT_NONE;
  }
  int did = vector_step(fabric, band, pe, operation, true, now);
  trace_wait(fabric, band, pe, thread, operation, did == STEP_WAITS, now);
  if (did == STEP_WAITS) {
    if (ce->state == MAIN_IDLE) {
      ce->waits = operation->wait;
      if (band->profile) fabric->profiles[pe].waiting = operation->pc + 1;
    }
    return GRANT_NONE;
  }
  if (band->profile) fabric->profiles[pe].thread = operation->pc + 1;
  use_slot(fabric, band, pe, now, WSE_CTR_BUSY_MICRO);
  if (did == STEP_ENDED) operation_ended(fabric, band, pe, thread, now);
  if (ce->state == MAIN_MEMORY && ce->memory_mark <= now) ce->memory_mark = now + 1;
  return GRANT_SLOT;
}

static int grant_one(wse_fabric *fabric, band_state *band, uint32_t pe, int thread, uint64_t now, uint64_t *next) {
  uint64_t when = NEVER;
  int grant =
      thread == MAIN ? grant_main(fabric, band, pe, now, &when) : grant_thread(fabric, band, pe, thread, now, &when);
  if (when < *next) *next = when;
  if (grant != GRANT_NONE) fabric->ces[pe].thread_next = (uint8_t)((thread + 1) % THREADS);
  return grant;
}

static int share_slot(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t now, uint64_t *next) {
  ce_state *ce = &fabric->ces[pe];
  uint32_t threads = ce->threads;
  int all, main = main_rank(fabric, ce, now);
  if (!fabric->reference && threads_alike(ce, &all) && all != main) { /* the usual case: microthreads round robin */
    bool runs = ce->state != MAIN_IDLE;
    if (main > all && runs) {
      int grant = grant_one(fabric, band, pe, MAIN, now, next);
      if (grant != GRANT_NONE) return grant;
    }
    uint32_t later = threads & ~((1u << ce->thread_next) - 1), order[] = {later, threads & ~later};
    for (int part = 0; part < 2; part++)
      for (uint32_t rest = order[part]; rest; rest &= rest - 1) {
        int grant = grant_one(fabric, band, pe, __builtin_ctz(rest), now, next);
        if (grant != GRANT_NONE) return grant;
      }
    return main < all && runs ? grant_one(fabric, band, pe, MAIN, now, next) : GRANT_NONE;
  }
  for (int rank = RANK_HIGH; rank >= RANK_LAST; rank--)
    for (int k = 0; k < THREADS; k++) {
      int thread = (ce->thread_next + k) % THREADS;
      if ((thread == MAIN ? main : thread_rank(ce, thread)) != rank || (thread != MAIN && !(threads >> thread & 1)))
        continue;
      int grant = grant_one(fabric, band, pe, thread, now, next);
      if (grant != GRANT_NONE) return grant;
    }
  return GRANT_NONE;
}

/* Starts a task.  latency: cycles to its first instruction, unless the task waited for the end of the last one. */
static void start_task(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t now, int64_t latency) {
  ce_state *ce = &fabric->ces[pe];
  if (!task_possible(fabric, pe)) {
    ce->just_ended = 0;
    if (!ce->threads) gap_from(fabric, band, pe, now, WSE_CTR_IDLE);
    return;
  }
  bool at_once = ce->just_ended && now == ce->main_at;
  if (!task_pick(fabric, band, pe, now)) {
    ce->just_ended = 0;
    if (!ce->threads) gap_from(fabric, band, pe, now, WSE_CTR_IDLE);
    return;
  }
  ce->picked_at = now;
  ce->main_at = at_once ? now + (uint64_t)P(fabric, task_switch_cycles) - 1 : now + (uint64_t)latency;
  ce->follows_vector = 0;
  ce->loaded_at = 0;
  ce->just_ended = 0;
  gap_from(fabric, band, pe, now, WSE_CTR_STALL_TASK);
  if (band->profile) profile_waits(fabric, pe, false);
  activity_last(band, now + 1);
  trace_event(fabric, band, now, pe, WSE_EV_TASK_START, ce->task, ce->pc);
}

/* Whether the slot of this cycle was used by a store-only element that was received before the PE left that mode. */
static bool slot_was_stored(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t now) {
  ce_state *ce = &fabric->ces[pe];
  uint64_t i = now - ce->stored_from;
  bool taken = i < 8 && ce->taken >> i & 1;
  if (i >= 7 || !(ce->taken >> (i + 1))) ce->taken = 0;
  if (taken) {
    account(fabric, band, pe, now, ce->gap);
    account(fabric, band, pe, now + 1, WSE_CTR_BUSY_MICRO);
  }
  return taken;
}

/* Notes what a step of the threads says of the grant: what the CE waits for, and whether a memory operation keeps the
 * slots.  *next: the next cycle in which a thread may need a slot. */
static int granted(wse_fabric *fabric, uint32_t pe, int grant, uint64_t *next) {
  ce_state *ce = &fabric->ces[pe];
  /* the cause is that of a microthread, which may have been determined after the main thread's */
  if (ce->waits != NO_CAUSE && ce->waits >= WAITS_LIKE) ce->waits = fabric->operations[ce->waits - WAITS_LIKE][pe].wait;
  bool main_keeps = grant == GRANT_SLOT && ce->state == MAIN_MEMORY && ce->thread_next == 0 && !ce->thread_priority &&
                    !ce->main_priority;
  if (!main_keeps) return grant;
  uint64_t last = ce->memory_mark + ce->memory_left - 1;
  if (last < *next) *next = last;
  return GRANT_KEPT;
}

/* Grants the slot of this cycle to one thread, and executes it.  *next: the next cycle in which a thread may need a
 * slot, if that is determined.  shared: microthreads are running. */
static int grant_slot(wse_fabric *fabric, band_state *band, uint32_t pe, bool shared, uint64_t now, uint64_t *next) {
  ce_state *ce = &fabric->ces[pe];
  ce->waits = NO_CAUSE;
  if (ce->taken && slot_was_stored(fabric, band, pe, now)) {
    *next = now + 1;
    return GRANT_SLOT;
  }
  int grant = shared ? share_slot(fabric, band, pe, now, next) : grant_main(fabric, band, pe, now, next);
  return granted(fabric, pe, grant, next);
}

/* Ends the store-only mode.  False: the wake was for a wavelet that the router has stored, and the mode goes on. */
static bool leave_store_only(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t now) {
  const ce_state *ce = &fabric->ces[pe];
  if (!ce->input_queues && !ce->output_queues && !(ce->active & ~ce->blocked)) return false;
  /* the wake itself is no activity: if nothing has happened since the last one, the PE goes on waiting from there */
  store_only_settle(fabric, band, pe, now, now < band->last ? now : band->last);
  store_only_end(fabric, pe);
  return true;
}

/* The next cycle in which the CE has to be stepped.  next: as grant_slot found it; injects: the next cycle in which the
 * ramp may take a wavelet. */
static inline uint64_t next_step(wse_fabric *fabric, band_state *band, uint32_t pe, int grant, bool shared,
                                 uint64_t next, uint64_t injects, uint64_t now) {
  const ce_state *ce = &fabric->ces[pe];
  bool ended = ce->state == MAIN_IDLE && !shared && !ce->threads; /* a task that was alone */
  /* other threads may have wanted the slot: all are considered again in the next cycle */
  if (grant == GRANT_SLOT && !ended && (shared || ce->threads || ce->state != MAIN_RUN || next == NEVER)) {
    int cause;
    if (arrival_none(ce) && arrival_awaited(fabric, band, pe, now + 1, &next, &cause)) {
      if (cause != NO_CAUSE) gap_from(fabric, band, pe, now + 1, cause);
      injects = next_to_leave(fabric, pe, now + 1); /* this slot's element may be what leaves next */
    } else {
      next = now + 1;
    }
  }
  if (ce->state == MAIN_IDLE && ce->main_at > now && ce->main_at < next && (!ended || task_possible(fabric, pe)))
    next = ce->main_at;
  if (injects < next) next = injects;
  if (ce->taken && now + 1 < next) next = now + 1;
  return next;
}

/* What comes before the slot is granted: wavelets up the ramp, tasks.  *injects: the next cycle in which the ramp may
 * take a wavelet.  False: nothing is left to do in this step. */
static bool before_slot(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t now, uint64_t *injects) {
  ce_state *ce = &fabric->ces[pe];
  if (arrival_is_early(fabric, band, pe, now)) return false;
  if (fabric->ces[pe].behind && !behind_step(fabric, band, pe, now)) return false;
  if (ce->store_threads && store_only_step(fabric, band, pe, now)) return false;
  if (ce->store_targets && !leave_store_only(fabric, band, pe, now)) return false;
  *injects = ce->output_queues ? inject(fabric, band, pe, now) : NEVER;
  settle_memory(fabric, band, pe, now);
  if (ce->state == MAIN_IDLE && ce->main_at <= now && class_of(fabric, pe))
    start_task(fabric, band, pe, now, P(fabric, task_start_cycles));
  return true;
}

/* What comes after it: the next task, the next step.  shared: microthreads were running. */
static void after_slot(wse_fabric *fabric, band_state *band, uint32_t pe, int grant, bool shared, uint64_t next,
                       uint64_t injects, uint64_t now) {
  ce_state *ce = &fabric->ces[pe];
  /* an operation that ended may have activated a task */
  if (grant == GRANT_SLOT && ce->state == MAIN_IDLE && ce->main_at <= now)
    start_task(fabric, band, pe, now, P(fabric, task_after_op_cycles));
  if (ce->waits != NO_CAUSE && ce->state != MAIN_MEMORY) gap_from(fabric, band, pe, now, ce->waits);
  if (ce->threads && ce->state == MAIN_IDLE) store_only_begin(fabric, band, pe, now);
  if (ce->store_threads && (ce->state == MAIN_RUN || ce->state == MAIN_MEMORY) && behind_begin(fabric, band, pe, now))
    return;
  if (wavelet_loop_begin(fabric, band, pe, now)) return;
  next = next_step(fabric, band, pe, grant, shared, next, injects, now);
  wheel_remove(fabric, band, pe);
  if (next != NEVER) wake_ce(fabric, band, pe, now, next > now ? next : now + 1);
}

/* Steps a CE in which nothing can happen but that a wavelet moves up the ramp.  False: it is no such CE. */
static bool step_waiting(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t now) {
  uint64_t next;
  int cause;
  if (!arrival_awaited(fabric, band, pe, now, &next, &cause)) return false;
  if (fabric->ces[pe].output_queues) {
    uint64_t injects = inject(fabric, band, pe, now);
    if (injects < next) next = injects;
  }
  if (cause != NO_CAUSE) gap_from(fabric, band, pe, now, cause);
  wheel_remove(fabric, band, pe);
  if (next != NEVER) wake_ce(fabric, band, pe, now, next > now ? next : now + 1);
  return true;
}

/* Whether nothing but the main thread is at work, and that not on an operation. */
static bool is_alone(const ce_state *ce) { return !ce->besides && (ce->state == MAIN_RUN || ce->state == MAIN_IDLE); }

/* before_slot() of such a CE. */
static bool before_alone(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t now) {
  ce_state *ce = &fabric->ces[pe];
  ce->waits = NO_CAUSE;
  if (ce->state == MAIN_RUN) return true;
  if (arrival_is_early(fabric, band, pe, now)) return false;
  if (class_of(fabric, pe)) start_task(fabric, band, pe, now, P(fabric, task_start_cycles));
  if (ce->state == MAIN_RUN) return true;
  wheel_remove(fabric, band, pe);
  return false;
}

/* after_slot() of it, when it has issued what it can.  used: a slot. */
static void after_alone(wse_fabric *fabric, band_state *band, uint32_t pe, bool used, uint64_t next, uint64_t now) {
  ce_state *ce = &fabric->ces[pe];
  bool goes_on = !ce->besides && (ce->state == MAIN_RUN || (ce->state == MAIN_IDLE && ce->main_at > now));
  if (!goes_on) {
    int grant = granted(fabric, pe, used ? GRANT_SLOT : GRANT_NONE, &next);
    after_slot(fabric, band, pe, grant, false, next, NEVER, now);
    return;
  }
  if (ce->waits != NO_CAUSE) gap_from(fabric, band, pe, now, ce->waits);
  if (wavelet_loop_begin(fabric, band, pe, now)) return;
  if (ce->state == MAIN_IDLE) next = task_possible(fabric, pe) ? ce->main_at : NEVER;
  else if (used && next == NEVER) next = now + 1;
  wheel_remove(fabric, band, pe);
  if (next != NEVER) wake_ce(fabric, band, pe, now, next > now ? next : now + 1);
}

void ce_step(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t now) {
  uint64_t injects, next = NEVER;
  if (fabric->lanes && is_alone(&fabric->ces[pe])) {
    if (!before_alone(fabric, band, pe, now)) return;
    bool used = issue(fabric, band, pe, now, &next) != GRANT_NONE;
    after_alone(fabric, band, pe, used, next, now);
    return;
  }
  if ((arrival_none(&fabric->ces[pe]) && step_waiting(fabric, band, pe, now)) ||
      !before_slot(fabric, band, pe, now, &injects))
    return;
  bool shared = fabric->ces[pe].threads != 0;
  int grant = grant_slot(fabric, band, pe, shared, now, &next);
  after_slot(fabric, band, pe, grant, shared, next, injects, now);
}

/* Main threads that are alone run ahead together.  The others, and blocks in which few are awake, go one by one. */
void ces_step(wse_fabric *fabric, band_state *band, uint32_t block, uint64_t awake, uint64_t now) {
  uint32_t pe0 = fabric->block_pe[block];
  if (!fabric->lanes || __builtin_popcountll(awake) < LEAST_LANES) {
    EACH_LANE(l, awake)
      ce_step(fabric, band, pe0 + l, now);
    return;
  }
  uint64_t injects[LANES], nexts[LANES], together = 0, alone = 0;
  EACH_LANE(l, awake) {
    uint32_t pe = pe0 + l;
    ce_state *ce = &fabric->ces[pe];
    if (is_alone(ce)) {
      if (before_alone(fabric, band, pe, now)) alone |= (uint64_t)1 << l;
      continue;
    }
    if ((arrival_none(ce) && step_waiting(fabric, band, pe, now)) || !before_slot(fabric, band, pe, now, &injects[l]))
      continue;
    if (ce->state == MAIN_RUN && !ce->threads && !ce->taken) {
      ce->waits = NO_CAUSE;
      together |= (uint64_t)1 << l;
      continue;
    }
    bool shared = ce->threads != 0;
    uint64_t next = NEVER;
    int grant = grant_slot(fabric, band, pe, shared, now, &next);
    after_slot(fabric, band, pe, grant, shared, next, injects[l], now);
  }
  uint64_t used = issue_lanes(fabric, band, block, together | alone, now, nexts);
  EACH_LANE(l, alone)
    after_alone(fabric, band, pe0 + l, used >> l & 1, nexts[l], now);
  EACH_LANE(l, together) {
    uint64_t next = nexts[l];
    int grant = granted(fabric, pe0 + l, used >> l & 1 ? GRANT_SLOT : GRANT_NONE, &next);
    after_slot(fabric, band, pe0 + l, grant, false, next, injects[l], now);
  }
}
