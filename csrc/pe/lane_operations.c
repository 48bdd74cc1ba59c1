/* lane_operations.c - memory operations, loops over descriptors and loads of DSRs in all lanes of a group.
 *
 * The cycles of a memory operation depend on its descriptors.  If these are the same in all lanes, it is decoded and
 * timed once; each lane computes its elements in its own SRAM.  The rules are those of issue.c.
 */
#include "pe/lane_operations.h"
#include "fast/issue_rules.h"
#include "fast/memory_op.h"
#include "fast/span.h"
#include "observe/account.h"
#include "pe/dsd.h"
#include "pe/system.h"
#include "pe/vector.h"
#include "state/bitplane.h"

/* Whether a DSR holds the same in all lanes. */
static bool same_dsr(const lane_run *run, const lane_group *g, uint8_t byte) {
  int number = operand_dsr(byte);
  if (number < 0) return true;
  const dsr *all = &run->fabric->dsrs[number][run->pe0];
  uint64_t first[2], other[2], differs = 0;
  memcpy(first, &all[__builtin_ctzll(g->lanes)], 16);
  EACH_LANE(l, g->lanes) {
    memcpy(other, &all[l], 16);
    differs |= (other[0] ^ first[0]) | (other[1] ^ first[1]);
  }
  return !differs;
}

/* The row of a register that is an operand; NULL: it is none. */
static const uint32_t *row_of(const lane_run *run, uint8_t byte) {
  bool is_register = byte >= OPERAND_REGISTER && byte < OPERAND_REGISTER + WSE_REGISTERS;
  return is_register ? run->registers + (byte - OPERAND_REGISTER) * LANES : NULL;
}

/* Computes the elements of an operation in all lanes.  op: as lane `from` has it. */
static void compute(lane_run *run, const lane_group *g, const isa_ins *ins, const memory_op *op, uint32_t from) {
  wse_fabric *fabric = run->fabric;
  const uint32_t *value0 = row_of(run, ins->b), *value1 = row_of(run, ins->c), *extra = row_of(run, ins->d);
  const span_function function = fabric->spans[ins->op];
  span s = memory_op_span(op, sram_of(fabric, run->pe0));
  const span first = s;
  EACH_LANE(l, g->lanes) {
    s.dst = first.dst + l * SRAM_PITCH;
    if (first.src0) s.src0 = first.src0 + l * SRAM_PITCH;
    if (first.src1) s.src1 = first.src1 + l * SRAM_PITCH;
    if (value0) s.value0 = value0[l];
    if (value1) s.value1 = value1[l];
    if (extra) s.extra = extra[l];
    function(fabric->fp16, &s);
  }
  if (memory_op_saves(op))
    EACH_LANE(l, g->lanes)
      memory_op_save(op, (uint32_t)l - from);
}

/* Adds n slots, or operations, from the group's cycle `at` on, of each lane. */
static void group_series(lane_run *run, const lane_group *g, uint64_t at, uint64_t slots, int what, uint64_t n) {
  wse_fabric *fabric = run->fabric;
  if (!fabric->bins || !n) return;
  uint64_t first = run->first_base + (at - ORIGIN), last = run->last_base + (at - ORIGIN) + slots - 1;
  if (!fabric->activity && last < series_bin_end(fabric, run->band, first)) {
    series_add(fabric, run->band, first, what, n * (uint64_t)__builtin_popcountll(g->lanes));
    return;
  }
  EACH_LANE(l, g->lanes) {
    if (what == SERIES_BUSY) series_span(fabric, run->band, run->pe0 + (uint32_t)l, cycle_of(run, l, at), slots, what);
    else series_add(fabric, run->band, cycle_of(run, l, at), what, n);
  }
}

static bool in_window(const lane_group *g, uint64_t at) { return at < g->limit && at < g->window; }

/* The first cycle from `at` on in which a group may issue an instruction after the ones before it. */
static uint64_t after_issued(const lane_group *g, uint64_t at) {
  if (at < g->sequenced_at) at = g->sequenced_at;
  return at > g->issued_at ? at : g->issued_at + 1;
}

static bool memory_operation(lane_run *run, lane_group *g, const isa_ins *ins) {
  wse_fabric *fabric = run->fabric;
  uint32_t from = (uint32_t)__builtin_ctzll(g->lanes);
  memory_op op;
  if (!same_dsr(run, g, ins->a) || !same_dsr(run, g, ins->b) || !same_dsr(run, g, ins->c)) return false;
  if (!memory_op_begin(fabric, run->pe0 + from, ins, &op)) return false;
  uint64_t dispatch, at = sequenced_cycle(fabric, g->follows_vector, g->at, g->vector_at, g->loaded_at,
                                          g->late != OPERAND_NONE ? g->late_at : 0, &dispatch);
  if (g->follows_vector) at = after_issued(g, at);
  else dispatch = at;
  bool reads = g->follows_vector && memory_op_reads(&op, g->written_low, g->written_high);
  uint64_t first = first_element(fabric, dispatch, at, reads ? g->readable_at : 0);
  slot_entry *slots;
  if (!memory_op_slots(run->band, ins, &op, &slots)) vector_fill_slots(fabric, run->pe0 + from, ins, slots);
  if (!in_window(g, at) || first + slots->all > g->limit) return false;
  group_account(g, dispatch, g->gap);
  group_account(g, first, WSE_CTR_STALL_START);
  group_account(g, first + slots->second, WSE_CTR_STALL_BANK);
  group_account(g, first + slots->all, WSE_CTR_BUSY_VECTOR);
  g->counts[WSE_CTR_VECTORS]++;
  run->band->opcodes[ins->op] += (uint64_t)__builtin_popcountll(g->lanes);
  compute(run, g, ins, &op, from);
  g->counts[WSE_CTR_ELEMENTS] += op.n;
  g->counts[WSE_CTR_SRAM_READ] += (uint64_t)op.n * slots->reads;
  g->counts[WSE_CTR_SRAM_WRITE] += (uint64_t)op.n * slots->writes;
  g->counts[WSE_CTR_FLOPS] += (uint64_t)op.n * slots->flops;
  uint64_t busy = slots->all - slots->second;
  group_series(run, g, first, 1, SERIES_FLOPS, (uint64_t)op.n * slots->flops);
  group_series(run, g, first + slots->second, busy, SERIES_BUSY, busy);
  g->readable_at = vector_readable(fabric, first, slots->all, slots->all - slots->second, op.n);
  g->written_low = (uint16_t)op.dst.low;
  g->written_high = (uint16_t)op.dst.high;
  g->late = OPERAND_NONE;
  g->late_at = g->loaded_at = 0;
  uint64_t end = first + slots->all;
  g->vector_at = restart_cycle(fabric, end);
  g->at = drained_cycle(fabric, end);
  g->issued_at = at;
  g->follows_vector = true;
  g->gap = WSE_CTR_STALL_START;
  g->pc++;
  return true;
}

/* Instructions without a fault, of which only their PE knows. */
static bool is_plain(const isa_ins *ins, int op) {
  switch (op) {
    case OP_ldds:
    case OP_stds: return operand_dsr(ins->a) >= 0;
    case OP_nop:
    case OP_ldxd:
    case OP_stxd:
    case OP_tsc:
    case OP_coord:
    case OP_rand: return true;
    default: return false;
  }
}

static void load_dsrs(lane_run *run, const lane_group *g, const isa_ins *ins) {
  const uint32_t *row[4];
  for (uint32_t i = 0; i < 4; i++)
    row[i] = run->registers + ((ins->b + i) & (WSE_REGISTERS - 1)) * LANES;
  dsr *all = &run->fabric->dsrs[ins->a][run->pe0];
  EACH_LANE(l, g->lanes) {
    uint32_t words[4] = {row[0][l], row[1][l], row[2][l], row[3][l]};
    memcpy(&all[l], words, sizeof words);
  }
}

static bool plain_instruction(lane_run *run, lane_group *g, const isa_ins *ins, int op) {
  wse_fabric *fabric = run->fabric;
  uint64_t at = g->at;
  if (!in_window(g, at)) return false;
  group_account(g, at, g->gap);
  group_account(g, at + 1, WSE_CTR_BUSY_SCALAR);
  g->counts[WSE_CTR_SYSTEMS]++;
  run->band->opcodes[op] += (uint64_t)__builtin_popcountll(g->lanes);
  group_series(run, g, at, 1, SERIES_BUSY, 1);
  if (op == OP_ldds) {
    load_dsrs(run, g, ins);
  } else {
    EACH_LANE(l, g->lanes) {
      uint32_t pe = run->pe0 + (uint32_t)l;
      system_execute(fabric, run->band, pe, &fabric->ces[pe], ins, cycle_of(run, l, at));
    }
  }
  uint64_t cost = op == OP_ldds ? (uint64_t)P(fabric, dsr_load_cycles) : 1;
  if (op == OP_ldds) g->loaded_at = loaded_cycle(fabric, at);
  g->issued_at = at;
  g->at = at + cost;
  g->follows_vector = false;
  g->gap = WSE_CTR_STALL_START;
  g->pc++;
  return true;
}

/* mapstep and maploop, as in map.c.  Right after an operation they take no time. */
static bool map_instruction(lane_run *run, lane_group *g, const isa_ins *ins, bool steps) {
  wse_fabric *fabric = run->fabric;
  uint32_t from = (uint32_t)__builtin_ctzll(g->lanes);
  dsr *all = steps ? &fabric->dsrs[ins->b][run->pe0] : NULL;
  if (steps && (all[from].kind != DSD_MEM1D || !same_dsr(run, g, ins->b))) return false;
  uint64_t dispatch,
      at = sequenced_cycle(fabric, g->follows_vector, g->at, g->follows_vector ? g->vector_at : 0, 0, 0, &dispatch);
  if (g->follows_vector) at = after_issued(g, at);
  if (!in_window(g, at) || at > g->at) return false;
  bool takes_time = steps && !g->follows_vector, left = steps && all[from].length;
  if (g->sequenced_at != at) g->sequenced = 0;
  g->sequenced_at = at;
  if (takes_time || g->sequenced++ >= SEQUENCED) g->issued_at = at;
  if (steps) {
    g->counts[WSE_CTR_SYSTEMS]++;
    run->band->opcodes[OP_mapstep] += (uint64_t)__builtin_popcountll(g->lanes);
  }
  if (left) {
    int size = all[from].flags & DSD_WIDE ? 4 : 2;
    dsr sized = dsd_sized(&all[from], size);
    uint16_t address = dsd_address(&sized, NULL, sized.index);
    uint32_t *values = run->registers + (ins->a & (WSE_REGISTERS - 1)) * LANES;
    EACH_LANE(l, g->lanes) {
      values[l] = sram_load(sram_of(fabric, run->pe0 + (uint32_t)l), address, size);
      all[l].index++;
      all[l].length--;
    }
  }
  if (takes_time) {
    group_account(g, at, g->gap);
    group_account(g, at + 1, WSE_CTR_BUSY_SCALAR);
    group_series(run, g, at, 1, SERIES_BUSY, 1);
    g->at = at + 1;
  }
  g->pc = left ? g->pc + 1 : (uint32_t)ins->imm;
  return true;
}

bool lane_may_execute(const isa_ins *ins) {
  int op = ins->op & ~INS_IMMEDIATE;
  if (op == OP_mapstep) return operand_dsr(ins->b) >= 0;
  if (op >= OP_COUNT) return false;
  if (isa_is_vector(op)) return !(ins->op & INS_IMMEDIATE) && !(ins->options & OPT_ASYNC);
  return isa_is_scalar(op) || is_plain(ins, op) || op == OP_maploop;
}

bool lane_may_begin(const wse_fabric *fabric, uint32_t pe, const isa_ins *ins) {
  int op = ins->op & ~INS_IMMEDIATE;
  if (op == OP_mapstep) return fabric->dsrs[ins->b][pe].kind == DSD_MEM1D;
  if (!isa_is_vector(op)) return true;
  if (operand_dsr(ins->a) < 0) return false;
  const uint8_t operands[] = {ins->a, ins->b, ins->c};
  for (int i = 0; i < 3; i++)
    if (operand_dsr(operands[i]) >= 0 && fabric->dsrs[operands[i]][pe].kind != DSD_MEM1D) return false;
  return true;
}

bool lane_operation(lane_run *run, lane_group *g) {
  const isa_ins *ins = &run->code[g->pc];
  int op = ins->op & ~INS_IMMEDIATE;
  if (!lane_may_execute(ins)) return false;
  if (op == OP_mapstep || op == OP_maploop) return map_instruction(run, g, ins, op == OP_mapstep);
  return isa_is_vector(op) ? memory_operation(run, g, ins) : plain_instruction(run, g, ins, op);
}
