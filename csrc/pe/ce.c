/* ce.c - one compute element, one cycle.
 *
 * A CE has one slot a cycle.  Microthreads and the main thread compete for it by priority, equals in turn; who has no wavelet,
 * no room or a latency to wait out does not compete.  Beside the slot, one wavelet a cycle goes from the output queues up the
 * ramp.
 */
#include "pe/ce.h"

#include "observe/account.h"
#include "observe/trace.h"
#include "pe/issue.h"
#include "pe/ramp.h"
#include "pe/store_only.h"
#include "pe/task.h"
#include "pe/vector_step.h"
#include "state/wake.h"

enum { TURN_NO, TURN_SLOT, TURN_HOLDS }; /* HOLDS: keeps every slot until *next, which settle_memory accounts for */

static int main_turn(wse_fabric *f, band *b, uint32_t pe, uint64_t now, uint64_t *next) {
  ce *c = &f->ces[pe];
  operation *o = &f->operations[MAIN][pe];
  switch (c->state) {
    case MAIN_RUN: return issue(f, b, pe, c->threads == 0, now, next) ? TURN_SLOT : TURN_NO;
    case MAIN_MEMORY:
      if (c->memory_mark > now) {
        *next = c->memory_mark;
        return TURN_NO;
      }
      *next = c->memory_mark + c->memory_left - 1;
      if (*next > now && !f->reference && (!c->threads || c->main_priority == 0)) return TURN_HOLDS;
      settle_memory(f, b, pe, now + 1);
      return TURN_SLOT;
    case MAIN_OPERATION: {
      if (o->next > now) {
        *next = o->next;
        return TURN_NO;
      }
      int did = vector_step(f, b, pe, o, false, now);
      if (did == STEP_WAITS) {
        c->waits = o->wait;
        return TURN_NO;
      }
      use_slot(f, b, pe, now, WSE_CTR_BUSY_VECTOR);
      c->gap = WSE_CTR_STALL_BANK; /* only if the next element is not in the next cycle */
      if (did == STEP_ENDED) operation_ended(f, b, pe, MAIN, now);
      return TURN_SLOT;
    }
    default: return TURN_NO;
  }
}

static int thread_turn(wse_fabric *f, band *b, uint32_t pe, int thread, uint64_t now, uint64_t *next) {
  ce *c = &f->ces[pe];
  operation *o = &f->operations[thread][pe];
  if (c->suspended >> thread & 1) return TURN_NO;
  if (o->next > now) {
    *next = o->next;
    return TURN_NO;
  }
  int did = vector_step(f, b, pe, o, true, now);
  if (did == STEP_WAITS) {
    if (c->state == MAIN_IDLE) c->waits = o->wait;
    return TURN_NO;
  }
  use_slot(f, b, pe, now, WSE_CTR_BUSY_MICRO);
  if (did == STEP_ENDED) operation_ended(f, b, pe, thread, now);
  if (c->state == MAIN_MEMORY && c->memory_mark <= now) c->memory_mark = now + 1;
  return TURN_SLOT;
}

/* Ranks: microthreads low 0, medium 2, high 4; the main thread medium-low 1, medium 2, medium-high 3, high 4. */
static int rank_of(const ce *c, int thread) {
  if (thread == MAIN) return c->main_priority + 1;
  return 2 * ((c->thread_priority >> 2 * thread & 3) ^ 1);
}

static int one_turn(wse_fabric *f, band *b, uint32_t pe, int thread, uint64_t now, uint64_t *next) {
  uint64_t when = NEVER;
  int turn = thread == MAIN ? main_turn(f, b, pe, now, &when) : thread_turn(f, b, pe, thread, now, &when);
  if (when < *next) *next = when;
  if (turn != TURN_NO) f->ces[pe].thread_next = (uint8_t)((thread + 1) % THREADS);
  return turn;
}

static int share_slot(wse_fabric *f, band *b, uint32_t pe, uint64_t now, uint64_t *next) {
  ce *c = &f->ces[pe];
  uint32_t threads = c->threads;
  if (!c->thread_priority && !c->main_priority && !f->reference) { /* as almost always: microthreads in turn, then the main thread */
    uint32_t later = threads & ~((1u << c->thread_next) - 1), order[] = {later, threads & ~later};
    for (int part = 0; part < 2; part++)
      for (uint32_t rest = order[part]; rest; rest &= rest - 1) {
        int turn = one_turn(f, b, pe, __builtin_ctz(rest), now, next);
        if (turn != TURN_NO) return turn;
      }
    return c->state == MAIN_IDLE ? TURN_NO : one_turn(f, b, pe, MAIN, now, next);
  }
  for (int rank = 4; rank >= 0; rank--)
    for (int k = 0; k < THREADS; k++) {
      int thread = (c->thread_next + k) % THREADS;
      if (rank_of(c, thread) != rank || (thread != MAIN && !(threads >> thread & 1))) continue;
      int turn = one_turn(f, b, pe, thread, now, next);
      if (turn != TURN_NO) return turn;
    }
  return TURN_NO;
}

/* `latency`: to the first instruction, unless the task waited for the end of the last one. */
static void start_task(wse_fabric *f, band *b, uint32_t pe, uint64_t now, int64_t latency) {
  ce *c = &f->ces[pe];
  if (!task_possible(f, pe)) {
    c->just_ended = 0;
    if (!c->threads) gap_from(f, b, pe, now, WSE_CTR_IDLE);
    return;
  }
  bool at_once = c->just_ended && now == c->main_at;
  if (!task_pick(f, b, pe, now)) {
    c->just_ended = 0;
    if (!c->threads) gap_from(f, b, pe, now, WSE_CTR_IDLE);
    return;
  }
  c->main_at = at_once ? now + (uint64_t)P(f, task_switch_cycles) - 1 : now + (uint64_t)latency;
  c->follows_vector = 0;
  c->loaded_at = 0;
  c->just_ended = 0;
  gap_from(f, b, pe, now, WSE_CTR_STALL_TASK);
  activity_last(b, now + 1);
  trace_event(f, b, now, pe, WSE_EV_TASK_START, c->task, c->pc);
}

/* Cycles after a sink ended of which some slots are used already. */
static bool taken_now(wse_fabric *f, band *b, uint32_t pe, uint64_t now) {
  ce *c = &f->ces[pe];
  uint64_t i = now - c->taken_from;
  bool taken = i < 8 && c->taken >> i & 1;
  if (i >= 7 || !(c->taken >> (i + 1))) c->taken = 0;
  if (taken) {
    account(f, b, pe, now, c->gap);
    account(f, b, pe, now + 1, WSE_CTR_BUSY_MICRO);
  }
  return taken;
}

void ce_step(wse_fabric *f, band *b, uint32_t pe, uint64_t now) {
  ce *c = &f->ces[pe];
  if (c->storers && store_step(f, b, pe, now)) return;
  uint64_t next = NEVER, again = NEVER;
  bool shared = c->threads != 0;
  if (c->sinks) {
    if (!c->input_queues && !c->output_queues && !(c->active & ~c->blocked)) return; /* it was woken for what is stored */
    sink_settle(f, b, pe, now);
    sink_end(f, pe);
  }
  if (c->output_queues) again = inject(f, b, pe, now);
  settle_memory(f, b, pe, now);
  if (c->state == MAIN_IDLE && c->main_at <= now && class_of(f, pe)) start_task(f, b, pe, now, P(f, task_start_cycles));
  int turn;
  bool main_has_it = false; /* the main thread's memory operation: those who wait for wavelets did not want the slot */
  c->waits = NO_CAUSE;
  if (c->taken && taken_now(f, b, pe, now)) { /* the slot went to a sink's element */
    turn = TURN_SLOT;
    next = now + 1;
  } else {
    turn = shared ? share_slot(f, b, pe, now, &next) : main_turn(f, b, pe, now, &next);
    main_has_it = turn == TURN_SLOT && c->state == MAIN_MEMORY && c->thread_next == 0 && !c->thread_priority && !c->main_priority;
    if (main_has_it && c->memory_mark + c->memory_left - 1 < next) next = c->memory_mark + c->memory_left - 1;
  }
  if (turn == TURN_SLOT && c->state == MAIN_IDLE && c->main_at <= now) /* an operation that ended may have activated a task */
    start_task(f, b, pe, now, P(f, task_after_op_cycles));
  if (c->waits != NO_CAUSE && c->state != MAIN_MEMORY) gap_from(f, b, pe, now, c->waits);
  /* after a slot that others may have waited for, everybody is asked again */
  if (turn == TURN_SLOT && !main_has_it && (shared || c->threads || c->state != MAIN_RUN || next == NEVER)) next = now + 1;
  if (c->state == MAIN_IDLE && c->main_at > now && c->main_at < next) next = c->main_at;
  if (c->threads && c->state == MAIN_IDLE) sink_begin(f, b, pe, now);
  if (again < next) next = again;
  if (c->taken && now + 1 < next) next = now + 1;
  wheel_remove(f, b, pe);
  if (next != NEVER) wake_ce(f, b, pe, now, next > now ? next : now + 1);
}
