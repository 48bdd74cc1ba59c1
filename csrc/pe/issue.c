/* issue.c - the main thread's instructions.
 *
 * While no microthread is under way nothing but the main thread can change what it sees (wavelets that arrive only lie in
 * queues), so it runs ahead of the fabric: it executes instructions and memory operations one after the other, each at its own
 * cycle, until one that the outside could see.  The result is the same as stepping every cycle.
 *
 * The issue rules, in cycles: dispatch to first element op_start; last element to the next operation's first op_restart + 1 if
 * its DSRs are kept; last element to any other instruction op_drain + 1; last DSR load to dispatch dsr_to_op.
 */
#include "pe/issue.h"

#include "fast/memory_op.h"
#include "observe/account.h"
#include "observe/fault.h"
#include "observe/trace.h"
#include "pe/dsd.h"
#include "pe/ramp.h"
#include "pe/scalar.h"
#include "pe/store_only.h"
#include "pe/system.h"
#include "pe/task.h"
#include "pe/vector.h"
#include "state/queue.h"

enum {
  AHEAD = 4096,   /* instructions the main thread may run ahead in one step */
  SEQUENCED = 8,  /* instructions that take no time which it may execute in one cycle beside one that does */
};

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
    if (o->on_control & 3 || o->rule == ISA_FILTER) c->control_readers |= queues;
  }
}

static void then(wse_fabric *f, uint32_t pe, uint16_t options) {
  task_then(f, pe, options >> OPT_THEN & 3, options >> OPT_TASK & 63);
}

void operation_ended(wse_fabric *f, band *b, uint32_t pe, int thread, uint64_t now) {
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
  uint32_t free = ~(uint32_t)c->threads & ((1u << P(f, microthreads)) - 1);
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

/* The first element of an operation that was dispatched in one cycle and issues in another: microthreads may have had the slots
 * between.  reads: it reads what the operation before it wrote. */
static uint64_t first_element(const wse_fabric *f, const ce *c, uint64_t dispatch, uint64_t at, bool reads) {
  uint64_t first = dispatch + (uint64_t)P(f, op_start_cycles), readable = c->written_at + (uint64_t)P(f, write_to_read_cycles);
  if (first < at) first = at;
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

static void note_issue(wse_fabric *f, band *b, uint32_t pe, int op, int thread, uint64_t dispatch, uint64_t at) {
  ce *c = &f->ces[pe];
  if (b->profile) profile_issue(class_of(f, pe), b, c, c->pc, at);
  c->pc++;
  if (!end_wait(f, b, pe, at)) account(f, b, pe, dispatch, c->gap); /* what it waited for until then was something else */
  counters_of(f, pe)[WSE_CTR_VECTORS]++;
  b->opcodes[op]++;
  trace_event(f, b, at, pe, WSE_EV_OP_START, (uint32_t)op, thread == MAIN ? 255 : (uint32_t)thread);
}

/* What the slots of an operation follow from is in the entry's key, so that any PE's operation gives the same. */
static void fill_slots(wse_fabric *f, uint32_t pe, const isa_ins *ins, slot_entry *entry) {
  operation o;
  int kind;
  memset(&o, 0, sizeof o);
  vector_begin(f, pe, ins, 0, &o, &kind); /* what the fast path takes has no faults */
  entry->all = vector_slots(f, pe, &o, &entry->second);
  entry->reads = o.reads;
  entry->writes = o.writes;
  entry->flops = o.flops;
}

static int issue_quick(wse_fabric *f, band *b, uint32_t pe, const isa_ins *ins, const quick *q, uint64_t dispatch, uint64_t at, bool alone) {
  ce *c = &f->ces[pe];
  uint64_t first = first_element(f, c, dispatch, at, c->follows_vector && quick_reads(q, c->written_low, c->written_high));
  note_issue(f, b, pe, ins->op, MAIN, dispatch, at);
  slot_entry *slots;
  if (!quick_slots(b, ins, q, &slots)) fill_slots(f, pe, ins, slots);
  quick_run(f, b, pe, ins, q, slots, first);
  c->written_at = first;
  c->written_low = (uint16_t)q->dst.low;
  c->written_high = (uint16_t)q->dst.high;
  c->result_register = OPERAND_NONE;
  return memory_issued(f, b, pe, ins->op, first, slots->all, slots->second, alone);
}

/* Begins the vector instruction at c->pc, which issues in cycle `at` and was dispatched in cycle `dispatch`. */
static int issue_vector(wse_fabric *f, band *b, uint32_t pe, const isa_ins *ins, uint64_t dispatch, uint64_t at, bool alone,
                        uint64_t now) {
  ce *c = &f->ces[pe];
  quick q;
  if (quick_begin(f, pe, ins, &q)) return issue_quick(f, b, pe, ins, &q, dispatch, at, alone);
  operation fresh, *o = &fresh;
  int kind;
  memset(o, 0, sizeof *o);
  if (vector_begin(f, pe, ins, c->pc, o, &kind) == VECTOR_FAULT) {
    ce_fault(f, b, pe, at, kind, c->pc, ins->op);
    return STOPS;
  }
  bool fabric = vector_has_fabric(o), asynchronous = o->options & OPT_ASYNC;
  int thread = asynchronous ? thread_of(f, c, o) : MAIN;
  if (asynchronous && thread >= P(f, microthreads)) {
    ce_fault(f, b, pe, dispatch > now ? dispatch : now, WSE_FAULT_MICROTHREAD, c->pc, (uint32_t)thread);
    return STOPS;
  }
  if (asynchronous && c->threads >> thread & 1) {
    c->waits = f->operations[thread][pe].wait; /* for what the microthread waits for */
    return WAITS;
  }
  if (fabric && at > now) return STOPS; /* the fabric is not that far yet */

  uint64_t first = first_element(f, c, dispatch, at, c->follows_vector && vector_reads(f, pe, o, c->written_low, c->written_high));
  note_issue(f, b, pe, o->op, thread, dispatch, at);
  if (fabric) {
    o->next = first;
    o->active = 1;
    o->wait = WSE_CTR_STALL_INPUT;
    f->operations[thread][pe] = *o;
    if (asynchronous) {
      c->threads |= (uint8_t)(1u << thread);
      c->storers |= (uint8_t)((!f->reference && only_stores(o)) << thread);
      c->main_at = now + 1;
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

/* The first cycle in which the next instruction may issue, for an operation *dispatch too: right after another operation it is
 * dispatched while the other still runs, and issues after the other's last element. */
static uint64_t issue_cycle(const wse_fabric *f, const ce *c, bool vector, bool map, uint64_t *dispatch) {
  uint64_t need = c->main_at, ended = 0;
  if ((vector || map) && c->follows_vector) {
    need = c->vector_at;
    ended = c->main_at - (uint64_t)P(f, op_drain_cycles);
  }
  if (vector && c->loaded_at > need) need = c->loaded_at;
  if (vector && c->result_register != OPERAND_NONE && c->result_at > need) need = c->result_at;
  *dispatch = need;
  return need > ended ? need : ended;
}

bool issue(wse_fabric *f, band *b, uint32_t pe, bool alone, uint64_t now, uint64_t *next) {
  ce *c = &f->ces[pe];
  const pe_class *k = class_of(f, pe);
  uint64_t at = now;
  bool used = false;
  *next = NEVER;
  bool ahead = alone && !f->trace_capacity && !f->reference;
  int budget = 1, sequenced = SEQUENCED; /* of this cycle */
  for (int steps = ahead ? AHEAD : 1; c->state == MAIN_RUN;) {
    const isa_ins *ins = c->pc < k->code_length ? &k->code[c->pc] : NULL;
    int op = ins ? ins->op & ~INS_IMMEDIATE : OP_COUNT;
    bool immediate = ins && ins->op & INS_IMMEDIATE, vector = isa_is_vector(op) && !immediate;
    bool map = op == OP_mapstep || op == OP_maploop;
    uint64_t dispatch, need = issue_cycle(f, c, vector, map, &dispatch);
    if (need > at || budget <= 0) {
      if (need <= at) need = at + 1;
      if (!ahead || need >= f->limit || steps <= 0) {
        *next = need;
        return used;
      }
      at = need;
      budget = 1;
      sequenced = SEQUENCED;
    }
    if (op >= OP_COUNT || (isa_is_vector(op) && immediate)) {
      ce_fault(f, b, pe, at, ins ? WSE_FAULT_BAD_OPCODE : WSE_FAULT_BAD_PC, c->pc, ins ? ins->op : 0);
      return used;
    }
    if (at > now && !vector && !map && !isa_is_private(op)) {
      *next = at;
      return used;
    }
    int did = ISSUED;
    budget--;
    steps--;
    if (vector) {
      uint64_t pcs = c->pc;
      did = issue_vector(f, b, pe, ins, c->follows_vector ? dispatch : at, at, ahead, now);
      if (did == STOPS && c->state == MAIN_RUN && c->pc == pcs) *next = at > now ? at : now + 1;
    } else if (map) {
      if ((op == OP_maploop || c->follows_vector) && sequenced-- > 0) budget++; /* they take no time */
      did = issue_map(f, b, pe, ins, at, now);
      if (did == WAITS && at > now) *next = at;
    } else if (isa_is_scalar(op)) {
      uint64_t n = scalar_run(f, b, pe, k->code, k->code_length, at, ahead ? f->limit : now + 1, ahead ? steps + 1 : 1);
      if (!n) {
        *next = c->main_at;
        return used;
      }
      steps -= (int)n - 1;
    } else {
      issue_system(f, b, pe, ins, op, at);
    }
    if (did == WAITS) return used;
    used = true;
    if (did == STOPS || (alone && c->threads)) return used; /* a microthread that has just begun shares the slots from here on */
  }
  return used;
}
