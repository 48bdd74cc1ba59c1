/* ce.c - one compute element, one cycle.
 *
 * A CE has one slot a cycle.  Microthreads and the main thread compete for it by priority, equals in turn; who has no wavelet,
 * no room or a latency to wait out does not compete.  Beside the slot, one wavelet a cycle goes from the output queues up the
 * ramp.
 *
 * While no microthread is under way nothing but the main thread can change what it sees (wavelets that arrive only lie in
 * queues), so it runs ahead of the fabric: it executes instructions and memory operations one after the other, each at its own
 * cycle, until one that the outside could see.  The result is the same as stepping every cycle.
 *
 * The issue rules, in cycles: dispatch to first element op_start; last element to the next operation's first op_restart + 1 if
 * its DSRs are kept; last element to any other instruction op_drain + 1; last DSR load to dispatch dsr_to_op.
 */
#include "pe/ce.h"

#include "pe/dsd.h"
#include "pe/ramp.h"
#include "router/router.h"
#include "fast/store_only.h"
#include "pe/vector.h"
#include "state/wake.h"

enum {
  AHEAD = 4096,   /* instructions the main thread may run ahead in one step */
  SEQUENCED = 8,  /* ... and of those that take no time, beside the one it may issue when it does not run ahead */
};

void ce_fault(wse_fabric *f, band *b, uint32_t pe, uint64_t at, int kind, uint32_t pc, uint32_t detail) {
  wse_fault fault = fault_at(f, pe, at, kind);
  fault.task = f->ces[pe].task;
  fault.pc = (int32_t)pc;
  fault.detail = detail;
  fault_raise(b, fault);
  f->ces[pe].state = MAIN_IDLE;
  f->ces[pe].main_at = NEVER;
}

/* Cycles up to `until` that are not accounted for yet go to `cause`.  The run lasts at least as long, so that each PE's causes
 * sum up to its cycles. */
void account(wse_fabric *f, band *b, uint32_t pe, uint64_t until, int cause) {
  ce *c = &f->ces[pe];
  if (until <= c->accounted) return;
  counters_of(f, pe)[cause] += until - c->accounted;
  if (cause == WSE_CTR_STALL_INPUT || cause == WSE_CTR_STALL_OUTPUT)
    series_span(f, b, pe, c->accounted, until - c->accounted, SERIES_STALLED);
  c->accounted = until;
  activity_last(b, until);
}

/* From cycle `now` on, cycles without a slot go to `cause`.  To be told twice changes nothing. */
static void gap_from(wse_fabric *f, band *b, uint32_t pe, uint64_t now, int cause) {
  ce *c = &f->ces[pe];
  if (c->gap == cause) return;
  account(f, b, pe, now, c->gap);
  c->gap = (uint8_t)cause;
}

/* The slot of cycle `at` is used for `cause`. */
static void use_slot(wse_fabric *f, band *b, uint32_t pe, uint64_t at, int cause) {
  ce *c = &f->ces[pe];
  account(f, b, pe, at, c->gap);
  account(f, b, pe, at + 1, cause);
  series_span(f, b, pe, at, 1, SERIES_BUSY);
  activity_last(b, at + 1);
}

wavelet iq_take(wse_fabric *f, band *b, uint32_t pe, int q, uint64_t now) {
  queue *in = iq_of(f, q, pe);
  bool was_full = queue_full(in, f->iq_room[q]);
  wavelet w = queue_pop(in, f->iq_mask[q]);
  if (was_full) {
    int color = color_of_iq(f, pe, class_of(f, pe), q);
    if (color >= 0) ramp_refresh(f, pe, f->color_index[color]);
    wake_router(f, pe, now);
  }
  if (!in->count) {
    f->ces[pe].input_queues &= (uint8_t)~(1u << q);
    f->ces[pe].control_queues &= (uint8_t)~(1u << q);
  }
  counters_of(f, pe)[WSE_CTR_WAVELETS_IN]++;
  activity_last(b, now + 1);
  return w;
}

/* --- output ramp ------------------------------------------------------------------------------------------------------ */

/* With one buffer for all inputs the ramp may only fill it if it is the input. */
static bool ramp_takes(const wse_fabric *f, uint32_t pe, int color) {
  uint32_t at = f->place[pe];
  return f->inputs[color] > 1 || f->routes[color][at / LANES].rx[WSE_RAMP] >> at % LANES & 1;
}

/* One wavelet from the output queues into the router, queues in turn; returns when to look again. */
static uint64_t inject(wse_fabric *f, band *b, uint32_t pe, uint64_t now) {
  ce *c = &f->ces[pe];
  uint64_t again = NEVER;
  for (int k = 0; k < WSE_QUEUES; k++) {
    int n = (c->output_next + k) & 7;
    if (!(c->output_queues >> n & 1)) continue;
    queue *q = oq_of(f, n, pe);
    wavelet w = queue_head(q);
    if (!wavelet_ready(w, now)) {
      uint64_t when = wavelet_when(w, now);
      if (when < again) again = when;
      continue;
    }
    int color = ((uint8_t *)(q->ring + f->oq_mask[n] + 1))[q->head];
    if (!ramp_takes(f, pe, color)) continue;
    if (!router_has_room(f, pe, color, WSE_RAMP)) continue; /* the router wakes this CE when it pops */
    queue_pop(q, f->oq_mask[n]);
    if (!q->count) c->output_queues &= (uint8_t)~(1u << n);
    router_push_one(f, pe, color, WSE_RAMP, w, now + 1);
    activity_last(b, now + 1);
    c->output_next = (uint8_t)((n + 1) & 7);
    return c->output_queues ? now + 1 : NEVER;
  }
  return again;
}

/* --- operations -------------------------------------------------------------------------------------------------------- */

static void after_vector(wse_fabric *f, ce *c, uint64_t last) {
  c->vector_at = last + 1 + (uint64_t)P(f, op_restart_cycles) - (uint64_t)P(f, op_start_cycles);
  c->main_at = last + 1 + (uint64_t)P(f, op_drain_cycles);
  c->follows_vector = 1;
  c->loaded_at = 0;
  c->state = MAIN_RUN;
  c->gap = WSE_CTR_STALL_START;
}

/* Queues that operations under way read. */
static void note_readers(wse_fabric *f, uint32_t pe) {
  ce *c = &f->ces[pe];
  c->readers = c->control_readers = 0;
  for (int t = 0; t < THREADS; t++) {
    if (t == MAIN ? c->state != MAIN_OPERATION : !(c->threads >> t & 1)) continue;
    const operation *o = &f->operations[t][pe];
    uint8_t queues = 0;
    if (o->src0.is == OPERAND_IS_DSR && o->src0.d.kind == DSD_FABIN) queues |= (uint8_t)(1u << o->src0.d.queue);
    if (o->src1.is == OPERAND_IS_DSR && o->src1.d.kind == DSD_FABIN) queues |= (uint8_t)(1u << o->src1.d.queue);
    c->readers |= queues;
    if (o->on_control & 3 || o->op == OP_dfilt) c->control_readers |= queues;
  }
}

static void then(wse_fabric *f, uint32_t pe, uint16_t options) {
  task_then(f, pe, options >> OPT_THEN & 3, options >> OPT_TASK & 63);
}

static void operation_ended(wse_fabric *f, band *b, uint32_t pe, int thread, uint64_t now) {
  ce *c = &f->ces[pe];
  operation *o = &f->operations[thread][pe];
  vector_end(f, pe, o);
  o->active = 0;
  if (thread == MAIN) {
    vector_written(f, pe, o, &c->written_low, &c->written_high);
    after_vector(f, c, now);
  } else {
    c->threads &= (uint8_t)~(1u << thread);
    c->storers &= (uint8_t)~(1u << thread);
  }
  then(f, pe, o->options);
  note_readers(f, pe);
  trace_event(f, b, now, pe, WSE_EV_OP_END, o->op, thread == MAIN ? 255 : (uint32_t)thread);
}

/* The microthread of an asynchronous operation: the one it names, else the queue of its fabric output, else of its first input
 * [SDK: microthreads]; a FIFO's operation without a queue takes the first that is free. */
static int thread_of(const wse_fabric *f, const ce *c, const operation *o) {
  if (o->options & OPT_UT_GIVEN && !P(f, microthread_by_queue)) return o->options >> OPT_UT & 7;
  const operand *order[] = {&o->dst, &o->src0, &o->src1};
  for (int i = 0; i < 3; i++)
    if (order[i]->is == OPERAND_IS_DSR && dsd_is_fabric(&order[i]->d)) return order[i]->d.queue;
  uint8_t free = (uint8_t)~c->threads;
  return free ? __builtin_ctz(free) : 0;
}

enum { ISSUED, WAITS, STOPS };

/* The slots of a memory operation, whose elements are done: at once if nobody shares them, else as time goes by. */
static int memory_issued(wse_fabric *f, band *b, uint32_t pe, int op, uint64_t first, uint64_t slots, uint64_t second, bool alone) {
  ce *c = &f->ces[pe];
  c->result_at = 0;
  if (alone && first + slots <= f->limit) {
    account(f, b, pe, first, WSE_CTR_STALL_START);
    account(f, b, pe, first + second, WSE_CTR_STALL_BANK);
    account(f, b, pe, first + slots, WSE_CTR_BUSY_VECTOR);
    series_span(f, b, pe, first + second, slots - second, SERIES_BUSY); /* where in it the second slots are is not known */
    activity_last(b, first + slots);
    after_vector(f, c, first + slots - 1);
    return ISSUED;
  }
  c->state = MAIN_MEMORY;
  c->memory_mark = first;
  c->memory_left = (uint32_t)slots;
  c->memory_second = (uint32_t)second;
  c->memory_op = (uint16_t)op;
  c->gap = WSE_CTR_STALL_START;
  return STOPS;
}

/* The first element of an operation dispatched in a cycle; reads: it reads what the operation before it wrote. */
static uint64_t first_element(const wse_fabric *f, const ce *c, uint64_t dispatch, bool reads) {
  uint64_t first = dispatch + (uint64_t)P(f, op_start_cycles), readable = c->written_at + (uint64_t)P(f, write_to_read_cycles);
  return reads && readable > first ? readable : first;
}

/* An instruction of the main thread goes on in cycle `at`; whether it waited for wavelets or a microthread until then. */
static bool end_wait(wse_fabric *f, band *b, uint32_t pe, uint64_t at) {
  ce *c = &f->ces[pe];
  if (c->gap != WSE_CTR_STALL_INPUT && c->gap != WSE_CTR_STALL_OUTPUT) return false;
  account(f, b, pe, at, c->gap);
  c->gap = WSE_CTR_STALL_START;
  return true;
}

static void note_issue(wse_fabric *f, band *b, uint32_t pe, int op, int thread, uint64_t dispatch, uint64_t now) {
  ce *c = &f->ces[pe];
  if (b->profile) profile_issue(class_of(f, pe), b, c, c->pc, dispatch > now ? dispatch : now);
  c->pc++;
  if (!end_wait(f, b, pe, now)) account(f, b, pe, dispatch, c->gap); /* what it waited for until now was something else */
  counters_of(f, pe)[WSE_CTR_VECTORS]++;
  b->opcodes[op]++;
  trace_event(f, b, now, pe, WSE_EV_OP_START, (uint32_t)op, thread == MAIN ? 255 : (uint32_t)thread);
}

static int issue_quick(wse_fabric *f, band *b, uint32_t pe, const isa_ins *ins, const quick *q, uint64_t dispatch, bool alone, uint64_t now) {
  ce *c = &f->ces[pe];
  uint64_t first = first_element(f, c, dispatch, c->follows_vector && quick_reads(q, c->written_low, c->written_high));
  note_issue(f, b, pe, ins->op, MAIN, dispatch, now);
  const slot_entry *slots = quick_run(f, b, pe, ins, q, first);
  c->written_at = first;
  c->written_low = (uint16_t)q->dst.low;
  c->written_high = (uint16_t)q->dst.high;
  c->result_register = OPERAND_NONE;
  return memory_issued(f, b, pe, ins->op, first, slots->all, slots->second, alone);
}

/* Begins the vector instruction at c->pc in cycle `dispatch`. */
static int issue_vector(wse_fabric *f, band *b, uint32_t pe, const isa_ins *ins, uint64_t dispatch, bool alone, uint64_t now) {
  ce *c = &f->ces[pe];
  quick q;
  if (quick_begin(f, pe, ins, &q)) return issue_quick(f, b, pe, ins, &q, dispatch, alone, now);
  operation fresh, *o = &fresh;
  int kind;
  memset(o, 0, sizeof *o);
  if (vector_begin(f, pe, ins, c->pc, o, &kind) == VECTOR_FAULT) {
    ce_fault(f, b, pe, dispatch > now ? dispatch : now, kind, c->pc, ins->op);
    return STOPS;
  }
  bool fabric = vector_has_fabric(o), asynchronous = o->options & OPT_ASYNC;
  int thread = asynchronous ? thread_of(f, c, o) : MAIN;
  if (asynchronous && c->threads >> thread & 1) {
    c->waits = f->operations[thread][pe].wait; /* for what the microthread waits for */
    return WAITS;
  }
  if (fabric && dispatch > now) return STOPS; /* the fabric is not that far yet */

  uint64_t first = first_element(f, c, dispatch, c->follows_vector && vector_reads(f, pe, o, c->written_low, c->written_high));
  note_issue(f, b, pe, o->op, thread, dispatch, now);
  if (fabric) {
    o->next = first;
    o->active = 1;
    o->wait = WSE_CTR_STALL_INPUT;
    f->operations[thread][pe] = *o;
    if (asynchronous) {
      c->threads |= (uint8_t)(1u << thread);
      c->storers |= (uint8_t)(only_stores(o) << thread);
      c->main_at = (dispatch > now ? dispatch : now) + 1;
      c->follows_vector = 0;
      c->loaded_at = 0;
      use_slot(f, b, pe, now, WSE_CTR_BUSY_SCALAR);
    } else {
      c->written_at = first;
      c->state = MAIN_OPERATION;
      c->gap = WSE_CTR_STALL_START;
    }
    note_readers(f, pe);
    return asynchronous ? ISSUED : STOPS;
  }
  uint64_t second, slots = vector_memory(f, b, pe, o, first, &second);
  c->written_at = first;
  vector_written(f, pe, o, &c->written_low, &c->written_high);
  c->result_register = o->dst.is == OPERAND_IS_VALUE ? o->dst.number : OPERAND_NONE;
  then(f, pe, o->options);
  return memory_issued(f, b, pe, o->op, first, slots, second, alone);
}

/* --- main thread ------------------------------------------------------------------------------------------------------- */

/* Instructions whose effect only this thread can see until it ends or starts an operation. */
static bool is_private(int op) {
  switch (op) {
    case OP_nop: case OP_activate: case OP_block: case OP_unblock: case OP_utprio: case OP_mainprio: case OP_ldds: case OP_stds:
    case OP_ldxd: case OP_stxd: case OP_dsindex: case OP_mapput: case OP_tsc: case OP_tscset: case OP_coord: case OP_rand:
      return true;
    default: return op >= OP_mov && op < OP_nop;
  }
}

/* Next element of a DSR for mapstep: 1 taken, 0 none left, -1 it must wait, -2 no such DSR. */
static int map_element(wse_fabric *f, band *b, uint32_t pe, dsr *d, uint32_t *value, uint64_t at, uint64_t now) {
  if (!d->length && d->kind != DSD_FIFO) return d->kind == DSD_NONE ? -2 : 0;
  int size = d->flags & DSD_WIDE ? 4 : 2;
  if (dsd_is_memory(d)) {
    dsr sized = dsd_sized(d, size);
    *value = sram_load(sram_of(f, pe), dsd_address(&sized, &f->xdsrs[d->x & 15][pe], d->index), size);
    d->index++;
  } else if (d->kind == DSD_FABIN && d->queue < WSE_QUEUES) {
    queue *q = iq_of(f, d->queue, pe);
    if (at > now || !q->count || !wavelet_ready(queue_head(q), now)) return -1;
    if (queue_head(q).meta & WAVELET_CONTROL) { /* ends the loop, as it ends an operation, if the descriptor says so */
      if ((d->on_control & 3) != ON_CONTROL_TERMINATE) return -1;
      iq_take(f, b, pe, d->queue, now);
      return 0;
    }
    *value = iq_take(f, b, pe, d->queue, now).data;
    if (size == 2) *value &= 0xffff;
  } else {
    return -2;
  }
  if (!(dsd_is_fabric(d) && d->length == LENGTH_INFINITE)) d->length--;
  return 1;
}

/* mapstep and maploop belong to the operations' sequencer: right after an operation they do not wait for it to drain. */
static int issue_map(wse_fabric *f, band *b, uint32_t pe, const isa_ins *ins, uint64_t at, uint64_t now) {
  ce *c = &f->ces[pe];
  if ((ins->op & ~INS_IMMEDIATE) == OP_maploop) {
    c->pc = (uint32_t)ins->imm;
    return ISSUED;
  }
  int number = operand_dsr(ins->b);
  if (number < 0) {
    ce_fault(f, b, pe, at, WSE_FAULT_BAD_OPERAND, c->pc, ins->b);
    return STOPS;
  }
  uint32_t value = 0;
  int got = map_element(f, b, pe, &f->dsrs[number][pe], &value, at, now);
  if (got == -1) {
    if (at <= now) c->waits = WSE_CTR_STALL_INPUT;
    return WAITS;
  }
  if (got == -2) {
    ce_fault(f, b, pe, at, WSE_FAULT_BAD_DSR, c->pc, ins->b);
    return STOPS;
  }
  if (end_wait(f, b, pe, at)) { /* what comes next cannot have been dispatched before */
    if (c->vector_at < at) c->vector_at = at;
    if (c->main_at < at) c->main_at = at;
  }
  counters_of(f, pe)[WSE_CTR_SYSTEMS]++;
  b->opcodes[OP_mapstep]++;
  if (b->profile) profile_issue(class_of(f, pe), b, c, c->pc, at);
  if (got) c->r[ins->a & (WSE_REGISTERS - 1)] = value, c->pc++;
  else c->pc = (uint32_t)ins->imm;
  if (!c->follows_vector) {
    use_slot(f, b, pe, at, WSE_CTR_BUSY_SCALAR);
    c->main_at = at + 1;
  }
  return ISSUED;
}

static void issue_system(wse_fabric *f, band *b, uint32_t pe, const isa_ins *ins, int op, uint64_t at) {
  ce *c = &f->ces[pe];
  use_slot(f, b, pe, at, WSE_CTR_BUSY_SCALAR);
  c->follows_vector = 0;
  c->gap = WSE_CTR_STALL_START;
  b->opcodes[op]++;
  counters_of(f, pe)[WSE_CTR_SYSTEMS]++;
  if (b->profile) profile_issue(class_of(f, pe), b, c, c->pc, at);
  uint64_t cost = 1;
  if (op == OP_done) {
    if (b->profile) b->profile[class_of(f, pe)->profile_at + c->pc][0]++, c->profiled = 0;
    c->state = MAIN_IDLE;
    c->gap = WSE_CTR_IDLE;
    c->just_ended = 1;
    trace_event(f, b, at, pe, WSE_EV_TASK_END, c->task, 0);
  } else if (system_execute(f, b, pe, c, ins, at) == SYSTEM_FAULTED) {
    return;
  }
  if (op == OP_ldds) {
    cost = (uint64_t)P(f, dsr_load_cycles);
    c->loaded_at = at + cost - 1 + (uint64_t)P(f, dsr_to_op_cycles);
  }
  c->pc++;
  c->main_at = at + cost;
}

/* The main thread's next instruction, or several if it is alone.  *next: when to try again.  True if it used the slot. */
static bool issue(wse_fabric *f, band *b, uint32_t pe, bool alone, uint64_t now, uint64_t *next) {
  ce *c = &f->ces[pe];
  const pe_class *k = class_of(f, pe);
  uint64_t at = now;
  bool used = false;
  *next = NEVER;
  bool ahead = alone && !f->trace_capacity;
  int sequenced = SEQUENCED;
  for (int budget = ahead ? AHEAD : 1; c->state == MAIN_RUN; budget--) {
    if (c->pc >= k->code_length) {
      ce_fault(f, b, pe, at, WSE_FAULT_BAD_PC, c->pc, 0);
      return used;
    }
    const isa_ins *ins = &k->code[c->pc];
    int op = ins->op & ~INS_IMMEDIATE;
    bool vector = ins->op < OP_mov, scalar = op >= OP_mov && op < OP_nop, map = op == OP_mapstep || op == OP_maploop;
    if (op >= OP_COUNT || (op < OP_mov && !vector)) {
      ce_fault(f, b, pe, at, WSE_FAULT_BAD_OPCODE, c->pc, ins->op);
      return used;
    }
    uint64_t need = (vector || map) && c->follows_vector ? c->vector_at : c->main_at;
    if (vector && c->loaded_at > need) need = c->loaded_at;
    if (vector && c->result_register != OPERAND_NONE && c->result_at > need) need = c->result_at;
    if (need > at) {
      if (!ahead || need >= f->limit) {
        *next = need;
        return used;
      }
      at = need;
    }
    if (budget <= 0 || (at > now && !vector && !map && !is_private(op))) {
      *next = at > now ? at : now + 1;
      return used;
    }
    int did = ISSUED;
    if (vector) {
      /* an operation right after another was dispatched while that one still ran */
      uint64_t pcs = c->pc;
      did = issue_vector(f, b, pe, ins, c->follows_vector ? need : at, ahead, now);
      if (did == STOPS && c->state == MAIN_RUN && c->pc == pcs) *next = at > now ? at : now + 1;
    } else if (map) {
      if ((op == OP_maploop || c->follows_vector) && sequenced-- > 0) budget++; /* they take no time */
      /* a wavelet is looked for when the operation before has ended */
      uint64_t ended = c->main_at - (uint64_t)P(f, op_drain_cycles), when = c->follows_vector && ended > at ? ended : at;
      did = issue_map(f, b, pe, ins, when, now);
      if (did == WAITS && when > now) *next = when;
    } else if (scalar) {
      uint64_t n = scalar_run(f, b, pe, k->code, k->code_length, at, ahead ? f->limit : now + 1, budget);
      if (!n) {
        *next = c->main_at;
        return used;
      }
      budget -= (int)n - 1;
    } else {
      issue_system(f, b, pe, ins, op, at);
    }
    if (did == WAITS) return used;
    used = true;
    if (did == STOPS || (alone && c->threads)) return used; /* a microthread that has just begun shares the slots from here on */
    if (at < now) at = now;
  }
  return used;
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
      if (*next > now && (!c->threads || c->main_priority == 0)) return TURN_HOLDS;
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
  if (!c->thread_priority && !c->main_priority) { /* as almost always: microthreads in turn, then the main thread */
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
