/* issue.c - issue of the main thread's instructions.
 *
 * While no microthread is under way, only the main thread changes the state that it reads, apart from wavelets that
 * arrive in queues.  So it runs ahead of the fabric's cycle: it executes instructions and memory operations in
 * sequence, each at its own cycle, up to the first whose effect can be seen from outside.  The result is the same as
 * stepping every cycle.  Beside microthreads that wait for wavelets it does so for the few cycles in which none can
 * come, except that the slots of a memory operation are then used cycle by cycle.
 *
 * The issue rules, in cycles: dispatch to first element op_start; last element to the next operation's first
 * op_restart + 1 if its DSRs are kept; last element to any other instruction op_drain + 1; last DSR load to dispatch
 * dsr_to_op.
 */
#include "pe/issue.h"

#include "fast/issue_rules.h"
#include "fast/memory_op.h"
#include "observe/account.h"
#include "observe/check.h"
#include "observe/fault.h"
#include "observe/trace.h"
#include "observe/watch.h"
#include "pe/arrival.h"
#include "pe/dsd.h"
#include "pe/lane_operations.h"
#include "pe/lanes.h"
#include "pe/map.h"
#include "pe/ramp.h"
#include "pe/scalar.h"
#include "pe/store_only.h"
#include "pe/system.h"
#include "pe/task.h"
#include "pe/vector.h"
#include "state/bitplane.h"
#include "state/queue.h"

enum {
  /* Cycles of a window.  A step that runs ahead ends before the end of the next window, and goes on at the beginning of
   * the window in which its next instruction issues: all PEs of a block do so in one cycle, and run ahead together. */
  WINDOW = 2048,
};

/* Updates the set of queues that operations under way read. */
static void note_readers(wse_fabric *fabric, uint32_t pe) {
  ce_state *ce = &fabric->ces[pe];
  ce->readers = ce->control_readers = 0;
  for (int t = 0; t < THREADS; t++) {
    if (t == MAIN ? ce->state != MAIN_OPERATION : !(ce->threads >> t & 1)) continue;
    const vector_operation *operation = &fabric->operations[t][pe];
    uint8_t queues = 0;
    const vector_operand *inputs[] = {&operation->src0, &operation->src1};
    for (int i = 0; i < 2; i++) {
      if (inputs[i]->is != OPERAND_IS_DSR || inputs[i]->d.kind != DSD_FABIN) continue;
      queues |= (uint8_t)(1u << inputs[i]->d.queue);
      if (dsd_transforms(&inputs[i]->d)) ce->control_readers |= (uint8_t)(1u << inputs[i]->d.queue);
    }
    ce->readers |= queues;
    if (operation->on_control & 3 || operation->rule == ISA_FILTER) ce->control_readers |= queues;
  }
}

static void then(wse_fabric *fabric, band_state *band, uint32_t pe, const vector_operation *operation, uint64_t at) {
  uint16_t options = operation->options;
  task_after(fabric, band, pe, options >> OPT_THEN & 3, options >> OPT_TASK & 63, operation->pc, at);
}

static bool binds(const vector_operand *operand) {
  return operand->is == OPERAND_IS_DSR && operand->d.kind == DSD_FABIN && operand->d.flags & DSD_BINDS;
}

/* Binds the queues of an operation's inputs to the colors of their descriptors.  False: it has to wait for that. */
static bool bind_queues(wse_fabric *fabric, uint32_t pe, const vector_operation *operation, uint64_t at) {
  uint32_t left = operation->left,
           wavelets = left == UINT32_MAX ? left : (left + operation->per_wavelet - 1) / operation->per_wavelet;
  return (!binds(&operation->src0) || ramp_bind_dsd(fabric, pe, &operation->src0.d, wavelets, at)) &&
         (!binds(&operation->src1) || ramp_bind_dsd(fabric, pe, &operation->src1.d, wavelets, at));
}

static void unbind_queues(wse_fabric *fabric, uint32_t pe, const vector_operation *operation, uint64_t at) {
  if (binds(&operation->src0)) ramp_unbind_dsd(fabric, pe, &operation->src0.d, at);
  if (binds(&operation->src1)) ramp_unbind_dsd(fabric, pe, &operation->src1.d, at);
}

void operation_ended(wse_fabric *fabric, band_state *band, uint32_t pe, int thread, uint64_t now) {
  ce_state *ce = &fabric->ces[pe];
  vector_operation *operation = &fabric->operations[thread][pe];
  vector_end(fabric, pe, operation);
  unbind_queues(fabric, pe, operation, now);
  operation->active = 0;
  ce->stuck = 0;
  ce->fed &= (uint16_t)~(1u << thread);
  if (thread == MAIN) {
    vector_written(fabric, pe, operation, &ce->written_low, &ce->written_high);
    ce->readable_at = operation->wide > 1 ? now + (uint64_t)P(fabric, write_drain_cycles) : 0;
    after_vector(fabric, ce, now);
  } else {
    ce->threads &= (uint8_t)~(1u << thread);
    ce->store_threads &= (uint8_t)~(1u << thread);
  }
  then(fabric, band, pe, operation, now);
  note_readers(fabric, pe);
  if (thread == MAIN) watch_arrives(fabric, pe, now);
  trace_event(fabric, band, now, pe, WSE_EV_OP_END, operation->op, thread == MAIN ? 255 : (uint32_t)thread);
}

/* The microthread of an asynchronous operation: the one it names, else that of the queue of its fabric output, else of
 * its first input [SDK: microthreads].  An operation on FIFOs without a queue takes the first that is free. */
static int thread_of(const wse_fabric *fabric, const ce_state *ce, const vector_operation *operation) {
  if (operation->options & OPT_UT_GIVEN && !P(fabric, microthread_by_queue)) return operation->options >> OPT_UT & 7;
  const vector_operand *order[] = {&operation->dst, &operation->src0, &operation->src1};
  for (int i = 0; i < 3; i++)
    if (order[i]->is == OPERAND_IS_DSR && dsd_is_fabric(&order[i]->d)) return order[i]->d.queue;
  uint32_t free = ~(uint32_t)ce->threads & ((1u << P(fabric, microthreads)) - 1);
  return free ? __builtin_ctz(free) : 0;
}

int issue_waits_for(wse_fabric *fabric, uint32_t pe, const isa_ins *ins, bool *queue) {
  const ce_state *ce = &fabric->ces[pe];
  vector_operation operation = {0};
  int kind;
  *queue = false;
  if (vector_begin(fabric, pe, ins, ce->pc, &operation, &kind) == VECTOR_FAULT) return 0;
  int thread = operation.options & OPT_ASYNC ? thread_of(fabric, ce, &operation) : MAIN;
  if (thread != MAIN && ce->threads >> thread & 1) return thread;
  *queue = true;
  const vector_operand *input = &operation.src0;
  if (!binds(input) || color_of_iq(fabric, pe, class_of(fabric, pe), input->d.queue) == input->d.color)
    input = &operation.src1;
  return input->d.queue;
}

/* Accounts for the slots of a memory operation, whose elements are computed: at once if no other thread shares the
 * slots, else cycle by cycle. */
static int memory_issued(wse_fabric *fabric, band_state *band, uint32_t pe, int op, uint64_t first, uint64_t slots,
                         uint64_t second, bool alone) {
  ce_state *ce = &fabric->ces[pe];
  ce->result_at = 0;
  if (alone && first + slots <= fabric->limit) {
    account(fabric, band, pe, first, WSE_CTR_STALL_START);
    account(fabric, band, pe, first + second, WSE_CTR_STALL_BANK);
    account(fabric, band, pe, first + slots, WSE_CTR_BUSY_VECTOR);
    series_span(fabric, band, pe, first + second, slots - second,
                SERIES_BUSY); /* the position of the conflict slots within it is not modelled */
    activity_last(band, first + slots);
    after_vector(fabric, ce, first + slots - 1);
    return ISSUED;
  }
  ce->state = MAIN_MEMORY;
  ce->memory_mark = first;
  ce->memory_left = (uint32_t)slots;
  ce->memory_second = (uint32_t)second;
  ce->memory_op = (uint16_t)op;
  ce->gap = WSE_CTR_STALL_START;
  return STOPS;
}

static void note_issue(wse_fabric *fabric, band_state *band, uint32_t pe, int op, int thread, uint64_t dispatch,
                       uint64_t at, uint64_t first) {
  ce_state *ce = &fabric->ces[pe];
  if (band->profile) {
    profile_issue(fabric, band, pe, true);
    uint64_t start = dispatch + (uint64_t)P(fabric, op_start_cycles);
    profile_vector(fabric, pe, thread == MAIN ? start : 0, thread == MAIN ? first : 0);
  }
  ce->pc++;
  if (!end_wait(fabric, band, pe, at))
    account(fabric, band, pe, dispatch, ce->gap); /* the cycles before have the previous cause */
  if (band->profile) fabric->profiles[pe].for_thread = 0;
  counters_of(fabric, pe)[WSE_CTR_VECTORS]++;
  band->opcodes[op]++;
  trace_event(fabric, band, at, pe, WSE_EV_OP_START, (uint32_t)op, thread == MAIN ? 255 : (uint32_t)thread);
}

int issue_memory_op(wse_fabric *fabric, band_state *band, uint32_t pe, const isa_ins *ins, const memory_op *op,
                    uint64_t dispatch, uint64_t at, bool alone) {
  ce_state *ce = &fabric->ces[pe];
  bool reads = ce->follows_vector && memory_op_reads(op, ce->written_low, ce->written_high);
  uint64_t first = first_element(fabric, dispatch, at, reads ? ce->readable_at : 0);
  note_issue(fabric, band, pe, ins->op, MAIN, dispatch, at, first);
  slot_entry *slots;
  if (!memory_op_slots(band, ins, op, &slots)) vector_fill_slots(fabric, pe, ins, slots);
  memory_op_run(fabric, band, pe, ins, op, slots, first);
  ce->readable_at = vector_readable(fabric, first, slots->all, slots->all - slots->second, op->n);
  ce->written_low = (uint16_t)op->dst.low;
  ce->written_high = (uint16_t)op->dst.high;
  ce->result_register = OPERAND_NONE;
  return memory_issued(fabric, band, pe, ins->op, first, slots->all, slots->second, alone);
}

/* Begins an operation with a fabric or FIFO operand, on a microthread or the main thread. */
static int begin_on_fabric(wse_fabric *fabric, band_state *band, uint32_t pe, vector_operation *operation, int thread,
                           uint64_t first, uint64_t now) {
  ce_state *ce = &fabric->ces[pe];
  vector_takes_lengths(fabric, pe, operation);
  operation->next = first;
  operation->active = 1;
  operation->wait = WSE_CTR_STALL_INPUT;
  operation->waiting = 0;
  fabric->operations[thread][pe] = *operation;
  if (fabric->check) check_begin(fabric, pe, thread, now);
  if (operation->simple && arrival_input(operation)) ce->fed |= (uint16_t)(1u << thread);
  if (thread == MAIN) {
    ce->state = MAIN_OPERATION;
    ce->gap = WSE_CTR_STALL_START;
    note_readers(fabric, pe);
    return STOPS;
  }
  ce->threads |= (uint8_t)(1u << thread);
  bool watched = fabric->by_element || band->profile || fabric->trace_capacity;
  ce->store_threads |= (uint8_t)((!watched && is_store_only(operation)) << thread);
  ce->main_at = now + 1;
  ce->follows_vector = 0;
  ce->loaded_at = 0;
  use_slot(fabric, band, pe, now, WSE_CTR_BUSY_SCALAR);
  note_readers(fabric, pe);
  return ISSUED;
}

/* Whether an operand of a vector instruction names a fabric or FIFO descriptor. */
static bool names_fabric(const wse_fabric *fabric, uint32_t pe, const isa_ins *ins) {
  const uint8_t operands[] = {ins->a, ins->b, ins->c};
  for (int i = 0; i < 3; i++) {
    int number = operand_dsr(operands[i]);
    if (number < 0) continue;
    const dsr *d = &fabric->dsrs[number][pe];
    if (d->kind == DSD_FIFO || dsd_is_fabric(d)) return true;
  }
  return false;
}

/* Issues the vector instruction at ce->pc, dispatched in cycle `dispatch`. */
static int issue_vector(wse_fabric *fabric, band_state *band, uint32_t pe, const isa_ins *ins, uint64_t dispatch,
                        uint64_t at, bool alone, uint64_t now) {
  ce_state *ce = &fabric->ces[pe];
  memory_op op;
  if (memory_op_begin(fabric, pe, ins, &op)) return issue_memory_op(fabric, band, pe, ins, &op, dispatch, at, alone);
  if (at > now && names_fabric(fabric, pe, ins)) return STOPS; /* the fabric has not reached that cycle yet */
  vector_operation fresh, *operation = &fresh;
  int kind;
  memset(operation, 0, sizeof *operation);
  if (vector_begin(fabric, pe, ins, ce->pc, operation, &kind) == VECTOR_FAULT) {
    ce_fault(fabric, band, pe, at, kind, ce->pc, ins->op);
    return STOPS;
  }
  bool on_fabric = vector_has_fabric(operation), asynchronous = operation->options & OPT_ASYNC;
  int thread = asynchronous ? thread_of(fabric, ce, operation) : MAIN;
  if (asynchronous && thread >= P(fabric, microthreads)) {
    ce_fault(fabric, band, pe, at, WSE_FAULT_MICROTHREAD, ce->pc, (uint32_t)thread);
    return STOPS;
  }
  if (asynchronous && ce->threads >> thread & 1) {
    ce->waits = (uint8_t)(WAITS_LIKE + thread);
    ce->stuck = (uint8_t)(thread + 1);
    if (band->profile) profile_waits(fabric, pe, true);
    return WAITS;
  }
  if (on_fabric && !bind_queues(fabric, pe, operation, at)) {
    ce->waits = WSE_CTR_STALL_INPUT;
    if (band->profile) profile_waits(fabric, pe, false);
    return WAITS;
  }

  bool reads = ce->follows_vector && vector_reads(fabric, pe, operation, ce->written_low, ce->written_high);
  uint64_t first = first_element(fabric, dispatch, at, reads ? ce->readable_at : 0);
  note_issue(fabric, band, pe, operation->op, thread, dispatch, at, first);
  if (on_fabric) return begin_on_fabric(fabric, band, pe, operation, thread, first, now);
  uint64_t second, slots = vector_memory(fabric, band, pe, operation, first, &second);
  ce->readable_at = vector_readable(fabric, first, slots, slots - second, operation->done);
  vector_written(fabric, pe, operation, &ce->written_low, &ce->written_high);
  ce->result_register = operation->dst.is == OPERAND_IS_VALUE ? operation->dst.number : OPERAND_NONE;
  then(fabric, band, pe, operation, at);
  return memory_issued(fabric, band, pe, operation->op, first, slots, second, alone);
}

/* A SYSTEM instruction uses its slot. */
static void use_system_slot(wse_fabric *fabric, band_state *band, uint32_t pe, int op, uint64_t at) {
  ce_state *ce = &fabric->ces[pe];
  if (band->profile) profile_issue(fabric, band, pe, false);
  use_slot(fabric, band, pe, at, WSE_CTR_BUSY_SCALAR);
  ce->follows_vector = 0;
  band->opcodes[op]++;
  counters_of(fabric, pe)[WSE_CTR_SYSTEMS]++;
}

static void issue_done(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t at) {
  ce_state *ce = &fabric->ces[pe];
  use_system_slot(fabric, band, pe, OP_done, at);
  ce->state = MAIN_IDLE;
  ce->gap = WSE_CTR_IDLE;
  ce->just_ended = 1;
  ce->pc++;
  ce->main_at = at + 1;
  trace_event(fabric, band, at, pe, WSE_EV_TASK_END, ce->task, 0);
}

static void issue_system(wse_fabric *fabric, band_state *band, uint32_t pe, const isa_ins *ins, int op, uint64_t at) {
  ce_state *ce = &fabric->ces[pe];
  if (op == OP_done) {
    issue_done(fabric, band, pe, at);
    return;
  }
  use_system_slot(fabric, band, pe, op, at);
  ce->gap = WSE_CTR_STALL_START;
  uint64_t cost = 1;
  if (system_execute(fabric, band, pe, ce, ins, at) == SYSTEM_FAULTED) return;
  if (op == OP_ldds) {
    cost = (uint64_t)P(fabric, dsr_load_cycles);
    ce->loaded_at = loaded_cycle(fabric, at);
    if (band->profile) profile_gap(fabric, pe, at + cost, ce->pc + 1, WSE_CAUSE_DSR);
  } else if (op == OP_cfgld || op == OP_tdexit || op == OP_c2dstart) {
    /* tdexit is a read, an exclusive or and a write on the machine */
    cost = op == OP_c2dstart ? (uint64_t)P(fabric, collective_cycles) : (uint64_t)P(fabric, config_cycles);
    ce->gap = WSE_CTR_STALL_LATENCY;
    if (band->profile) profile_gap(fabric, pe, at + cost, ce->pc + 1, WSE_CAUSE_CONFIG);
  }
  ce->pc++;
  ce->main_at = at + cost;
}

/* Properties of an instruction, as bits of its `kind`.  None: it does not decode. */
enum {
  KIND_SCALAR = 1,
  KIND_DONE = 2,
  KIND_VECTOR = 4,
  KIND_MAP = 8,      /* mapstep or maploop */
  KIND_PRIVATE = 16, /* as isa_is_private() */
  KIND_OTHER = 32,
  KIND_LOOP = 64, /* a loop of wavelet_loop.h begins here */
};

/* Whether a loop of wavelet_loop.h begins at pc, going by the code alone. */
static bool is_wavelet_loop(const pe_class *class, uint32_t pc) {
  if (pc + 2 >= class->code_length) return false;
  const isa_ins *ins = &class->code[pc];
  return (ins[0].op & ~INS_IMMEDIATE) == OP_mapstep && operand_dsr(ins[0].b) >= 0 && isa_is_vector(ins[1].op) &&
         memory_op_is_plain(&ins[1]) && (ins[2].op & ~INS_IMMEDIATE) == OP_maploop && (uint32_t)ins[2].imm == pc;
}

void issue_kinds(pe_class *class) {
  for (uint32_t pc = 0; pc < class->code_length; pc++) {
    int op = class->code[pc].op & ~INS_IMMEDIATE;
    bool vector = isa_is_vector(op), valid = op < OP_COUNT && !(vector && class->code[pc].op & INS_IMMEDIATE);
    int kind = isa_is_scalar(op)                      ? KIND_SCALAR
               : op == OP_done                        ? KIND_DONE
               : vector                               ? KIND_VECTOR
               : op == OP_mapstep || op == OP_maploop ? KIND_MAP
                                                      : KIND_OTHER;
    if (isa_is_private(op)) kind |= KIND_PRIVATE;
    if (is_wavelet_loop(class, pc)) kind |= KIND_LOOP;
    class->kind[pc] = valid ? (uint8_t)kind : 0;
  }
}

bool at_wavelet_loop(const wse_fabric *fabric, uint32_t pe) {
  const pe_class *class = class_of(fabric, pe);
  uint32_t pc = fabric->ces[pe].pc;
  return pc < class->code_length && class->kind[pc] & KIND_LOOP;
}

/* The instruction at pc. */
typedef struct {
  const isa_ins *ins; /* NULL: pc is outside the code */
  int op;             /* opcode; OP_COUNT outside the code */
  int kind;
  bool watched; /* observe/watch.h: `ins` is of the copy of the code */
} instruction;

/* A step of the main thread: one cycle, or several if it runs ahead. */
typedef struct {
  uint64_t now;   /* cycle of the fabric */
  uint64_t at;    /* cycle of the main thread, `now` or later */
  uint64_t next;  /* when to try again; NEVER: something else wakes the CE */
  uint64_t limit; /* cycle in which no instruction may issue in this step */
  bool run_ahead; /* `at` may be later than `now` */
  int budget;     /* instructions that may still issue in cycle `at` */
  int sequenced;  /* ... of those that take no time */
  bool together;  /* what lanes can execute is left to the caller ... */
  bool once;      /* ... but not the next instruction */
  bool used;      /* an instruction used a slot */
} main_step;

static instruction decode(const wse_fabric *fabric, const pe_class *class, uint32_t pc) {
  instruction in = {.ins = pc < class->code_length ? &class->code[pc] : NULL, .op = OP_COUNT};
  if (!in.ins) return in;
  in.watched = fabric->watch && in.ins->op == OP_WATCHED;
  if (in.watched) in.ins = &fabric->watch->code[class - fabric->classes][pc];
  in.op = in.ins->op & ~INS_IMMEDIATE;
  in.kind = class->kind[pc];
  return in;
}

/* Moves on to cycle `need`, or to the next cycle if this one's budget is used up.  False: not in this step. */
static bool reach_cycle(const wse_fabric *fabric, main_step *step, uint64_t need) {
  if (need <= step->at && step->budget > 0) return true;
  if (need <= step->at) need = step->at + 1;
  if (need >= step->limit) {
    step->next = step->run_ahead && need < fabric->limit ? need / WINDOW * WINDOW : need;
    return false;
  }
  step->at = need;
  step->budget = 1;
  step->sequenced = SEQUENCED;
  return true;
}

static uint64_t run_scalars(wse_fabric *fabric, band_state *band, uint32_t pe, const isa_ins *code, uint32_t length,
                            uint64_t at, uint64_t limit) {
  return (band->profile ? scalar_run_profiled : scalar_run[fabric->fp16])(fabric, band, pe, code, length, at, limit);
}

/* Executes an instruction in cycle step->at; an operation was dispatched in cycle `dispatch`. */
static int execute(wse_fabric *fabric, band_state *band, uint32_t pe, const instruction *in, uint64_t dispatch,
                   main_step *step) {
  ce_state *ce = &fabric->ces[pe];
  uint64_t at = step->at, now = step->now;
  if (in->kind & KIND_VECTOR) {
    uint32_t pc = ce->pc;
    if (!ce->follows_vector) dispatch = at;
    int did = issue_vector(fabric, band, pe, in->ins, dispatch, at, step->run_ahead, now);
    if (did == STOPS && ce->state == MAIN_RUN && ce->pc == pc) step->next = at > now ? at : now + 1;
    return did;
  }
  if (in->kind & KIND_MAP) {
    bool takes_no_time = in->op == OP_maploop || ce->follows_vector;
    if (takes_no_time && step->sequenced-- > 0) step->budget++;
    int did = issue_map(fabric, band, pe, in->ins, at, now);
    if (did == WAITS && at > now) step->next = at;
    return did;
  }
  if (in->kind & KIND_SCALAR) {
    const pe_class *class = class_of(fabric, pe);
    const isa_ins *code = in->ins - ce->pc;
    uint64_t limit = in->watched ? at + 1 : step->limit;
    if (run_scalars(fabric, band, pe, code, class->code_length, at, limit)) return ISSUED;
    step->next = ce->main_at;
    return WAITS;
  }
  issue_system(fabric, band, pe, in->ins, in->op, at);
  return ISSUED;
}

/* Issues instructions of the main thread until one waits, stops, or lies beyond the step.  True: it stopped before one
 * that is left to the caller, and can issue in cycle step->at. */
static bool issue_until(wse_fabric *fabric, band_state *band, uint32_t pe, bool alone, main_step *step) {
  ce_state *ce = &fabric->ces[pe];
  const pe_class *class = class_of(fabric, pe);
  const uint8_t threads = ce->threads;
  while (ce->state == MAIN_RUN) {
    int quick = fabric->watch || ce->pc >= class->code_length ? 0 : class->kind[ce->pc] & (KIND_SCALAR | KIND_DONE);
    if (quick & KIND_SCALAR || (quick && alone)) { /* most instructions; what is below says the same */
      if (!reach_cycle(fabric, step, ce->main_at)) return false;
      if (step->together && !step->once && class->stretch[ce->pc] >= LEAST_STRETCH) return true;
      step->once = false;
      step->budget--;
      if (quick & KIND_DONE) {
        issue_done(fabric, band, pe, step->at);
      } else if (!run_scalars(fabric, band, pe, class->code, class->code_length, step->at, step->limit)) {
        step->next = ce->main_at;
        return false;
      }
      step->used = true;
      continue;
    }
    instruction in = decode(fabric, class, ce->pc);
    const bool vector = in.kind & KIND_VECTOR, map = in.kind & KIND_MAP, private = in.kind & KIND_PRIVATE;
    uint64_t dispatch, need = issue_cycle(fabric, ce, vector, map, &dispatch);
    if (!reach_cycle(fabric, step, need)) return false;
    if (!in.kind) {
      int kind = in.ins ? WSE_FAULT_BAD_OPCODE : WSE_FAULT_BAD_PC;
      ce_fault(fabric, band, pe, step->at, kind, ce->pc, in.ins ? in.ins->op : 0);
      return false;
    }
    bool waits = !vector && !map && (!private || (!alone && in.kind & KIND_DONE));
    if (step->at > step->now && waits) {
      step->next = step->at;
      return false;
    }
    if (step->together && !step->once && !in.watched && class->stretch[ce->pc] >= LEAST_STRETCH &&
        (in.kind & KIND_SCALAR || lane_may_begin(fabric, pe, in.ins)))
      return true;
    step->once = false;
    step->budget--;
    int did = execute(fabric, band, pe, &in, dispatch, step);
    if (did == WAITS) return false;
    step->used = true;
    watch_arrives(fabric, pe, step->at);
    /* a microthread that has just begun, or goes on, shares the slots from now on */
    if (did == STOPS || (alone && ce->threads)) return false;
    if (!alone && (vector ? ce->threads != threads : !map && !private)) step->limit = step->now + 1;
  }
  return false;
}

/* until: the first cycle in which a microthread may need the slot, at least now + 1; NEVER: none is under way. */
static main_step begin_step(const wse_fabric *fabric, uint64_t until, uint64_t now) {
  bool run_ahead = until == NEVER && !fabric->trace_capacity && !fabric->reference;
  uint64_t limit = run_ahead ? (now / WINDOW + 2) * WINDOW : until == NEVER ? now + 1 : until;
  return (main_step){.now = now,
                     .at = now,
                     .next = NEVER,
                     .run_ahead = run_ahead,
                     .limit = limit < fabric->limit ? limit : fabric->limit,
                     .budget = 1,
                     .sequenced = SEQUENCED};
}

int issue(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t now, uint64_t *next) {
  const ce_state *ce = &fabric->ces[pe];
  const bool alone = !ce->threads;
  uint64_t wake = NEVER;
  main_step step = begin_step(fabric, alone ? NEVER : arrival_until(fabric, pe, now, &wake), now);
  issue_until(fabric, band, pe, alone, &step);
  *next = step.next;
  if (!step.used) return GRANT_NONE;
  if (alone || step.limit == now + 1 || ce->state != MAIN_RUN || step.next == NEVER) return GRANT_SLOT;
  if (wake < *next) *next = wake;
  return GRANT_AHEAD;
}

bool issue_behind(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t from, uint64_t to) {
  /* `now` before `from`: what can be seen from outside does not issue */
  main_step step = {.now = from - 1, .at = from, .next = NEVER, .limit = to, .budget = 1, .sequenced = SEQUENCED};
  issue_until(fabric, band, pe, false, &step);
  return step.used;
}

uint64_t issue_lanes(wse_fabric *fabric, band_state *band, uint32_t block, uint64_t lanes, uint64_t now,
                     uint64_t next[LANES]) {
  main_step steps[LANES];
  lanes_start start;
  uint64_t used = 0, goes_on = lanes;
  EACH_LANE(l, lanes) {
    steps[l] = begin_step(fabric, NEVER, now);
    steps[l].together = true;
  }
  for (;;) {
    uint64_t ready = 0;
    EACH_LANE(l, goes_on) {
      if (!issue_until(fabric, band, fabric->block_pe[block] + l, true, &steps[l])) continue;
      ready |= (uint64_t)1 << l;
      start.at[l] = steps[l].at;
      start.sequenced[l] = (uint8_t)(SEQUENCED - steps[l].sequenced);
      start.issued[l] = 0;
    }
    if (!ready) break;
    goes_on = ready;
    uint64_t took = lanes_run(fabric, band, block, ready, steps[__builtin_ctzll(ready)].limit, &start);
    EACH_LANE(l, ready) {
      uint32_t pe = fabric->block_pe[block] + (uint32_t)l;
      steps[l].together = took >> l & 1 && !start.scattered;
      if (!(took >> l & 1)) continue;
      steps[l].once = !start.issued[l];
      if (!start.issued[l] && !fabric->ces[pe].follows_vector) continue;
      steps[l].at = start.at[l];
      steps[l].budget = start.budget[l];
      steps[l].sequenced = SEQUENCED - start.sequenced[l];
      steps[l].used |= start.issued[l] > 0;
      watch_arrives(fabric, pe, steps[l].at);
    }
  }
  EACH_LANE(l, lanes) {
    next[l] = steps[l].next;
    used |= (uint64_t)steps[l].used << l;
  }
  return used;
}
