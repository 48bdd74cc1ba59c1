/* lanes.c - main threads of many compute elements of a block run ahead together.
 *
 * The cycles of a scalar instruction depend on the instructions before it and on branches, not on values.  So compute
 * elements of one class that stand at the same pc, with the same results under way, form a group: an instruction of a
 * group is decoded once, its cycles are determined once, and its registers are rows of 64.  Each lane keeps a clock of
 * its own; the clocks of a group advance by the same cycles.
 *
 * Where a branch is taken in some lanes only, the group divides.  The group with the lowest pc goes first, until it
 * comes to the pc of another one: the code behind a loop or a conditional statement has higher addresses than the code
 * in it.  Two groups at one pc with the same results under way join.  If the lanes scatter, they go on one by one.
 *
 * Memory operations, loops over descriptors and loads of DSRs are executed in all lanes as well (lane_operations.c).
 * At anything else a group ends.  The effects are those of issue.c, map.c and scalar.c, in every lane.
 */
#include "pe/lanes.h"

#include "fast/issue_rules.h"
#include "observe/account.h"
#include "pe/dsd.h"
#include "pe/lane_operations.h"
#include "pe/scalar_rules.h"
#include "state/bitplane.h"

/* --- groups ----------------------------------------------------------------------------------------------- */

/* What has passed is forgotten, so that groups compare equal if they behave the same. */
static void forget_passed(lane_group *g) {
  if (g->late_at <= g->at) {
    g->late_at = 0;
    g->late = OPERAND_NONE;
  }
  if (g->known_at <= g->at) {
    g->known_at = 0;
    g->fresh[0] = NO_REGISTER;
  }
  if (g->known_at <= g->at + 1) g->fresh[1] = NO_REGISTER;
  if (g->loaded_at <= g->at) g->loaded_at = 0;
  if (g->follows_vector) return;
  g->written_low = g->written_high = 0;
  g->vector_at = g->readable_at = g->issued_at = g->sequenced_at = 0;
  g->sequenced = 0;
}

static uint64_t on_clock(uint64_t cycle, uint64_t base) {
  uint64_t later = cycle > base ? cycle - base : 0;
  return later < NEVER - ORIGIN ? later + ORIGIN : NEVER;
}

/* Sets what depends on the clocks of all lanes. */
static void note_clocks(lane_run *run, lane_group *g) {
  g->limit = g->bin_end = NEVER;
  g->window = 0;
  EACH_LANE(l, g->lanes) {
    const lane_state *lane = &run->lane[l];
    uint64_t limit = on_clock(run->limit, lane->base), window = on_clock(run->window, lane->base);
    if (limit < g->limit) g->limit = limit;
    if (window > g->window) g->window = window;
    if (lane->bin_end == NEVER) continue;
    uint64_t bin_end = lane->bin_end - lane->base + ORIGIN;
    if (bin_end < g->bin_end) g->bin_end = bin_end;
  }
}

/* Writes the state of a group's lanes back, and removes it. */
static void leave(lane_run *run, lane_group *g, lanes_start *start) {
  wse_fabric *fabric = run->fabric;
  forget_passed(g);
  int counted[WSE_CTR_COUNT], kinds = 0;
  for (int i = 0; i < WSE_CTR_COUNT; i++)
    if (run->differ || g->counts[i]) counted[kinds++] = i;
  EACH_LANE(l, g->lanes) {
    lane_state *lane = &run->lane[l];
    uint32_t pe = run->pe0 + (uint32_t)l;
    ce_state *ce = &fabric->ces[pe];
    uint64_t clock = lane->base - ORIGIN, scalars = count_of(run, g, l, WSE_CTR_SCALARS),
             issued = scalars + count_of(run, g, l, WSE_CTR_VECTORS) + count_of(run, g, l, WSE_CTR_SYSTEMS);
    series_busy(fabric, run->band, pe, lane->bin_first, scalars - lane->bin_issued);
    uint64_t *counters = counters_of(fabric, pe);
    for (int i = 0; i < kinds; i++)
      counters[counted[i]] += count_of(run, g, l, counted[i]);
    ce->accounted = clock + g->accounted;
    ce->pc = g->pc;
    ce->main_at = clock + g->at;
    start->issued[l] = issued;
    start->budget[l] = start->sequenced[l] = 0;
    if (g->follows_vector) {
      bool free = g->sequenced_at > g->issued_at;
      start->at[l] = clock + (free ? g->sequenced_at : g->issued_at);
      start->budget[l] = free;
      if (g->sequenced_at >= g->issued_at)
        start->sequenced[l] = (uint8_t)(g->sequenced > SEQUENCED ? SEQUENCED : g->sequenced);
    }
    if (issued || g->waits) ce->gap = (uint8_t)g->gap;
    if (!issued) continue;
    ce->result_register = (uint8_t)g->late;
    ce->result_at = g->late_at ? clock + g->late_at : 0;
    ce->known_at = g->known_at ? clock + g->known_at : 0;
    ce->fresh[0] = (uint8_t)g->fresh[0];
    ce->fresh[1] = (uint8_t)g->fresh[1];
    ce->loaded_at = g->loaded_at ? clock + g->loaded_at : 0;
    ce->follows_vector = g->follows_vector;
    if (g->follows_vector) {
      ce->vector_at = clock + g->vector_at;
      ce->readable_at = g->readable_at ? clock + g->readable_at : 0;
      ce->written_low = g->written_low;
      ce->written_high = g->written_high;
    }
    activity_last(run->band, ce->accounted);
  }
  *g = run->groups[--run->total];
}

static void widen_bases(lane_run *run, uint64_t base) {
  if (base < run->first_base) run->first_base = base;
  if (base > run->last_base) run->last_base = base;
}

static bool same_time(uint64_t a, uint64_t b, uint64_t by) { return a ? a == b - by : !b; }

/* Whether two groups behave the same from here on. */
static bool same_state(const lane_group *a, const lane_group *b) {
  uint64_t by = b->at - a->at;
  return a->pc == b->pc && a->gap == b->gap && a->late == b->late && a->fresh[0] == b->fresh[0] &&
         a->fresh[1] == b->fresh[1] && a->follows_vector == b->follows_vector && a->written_low == b->written_low &&
         a->written_high == b->written_high && same_time(a->accounted, b->accounted, by) &&
         same_time(a->late_at, b->late_at, by) && same_time(a->known_at, b->known_at, by) &&
         same_time(a->loaded_at, b->loaded_at, by) && same_time(a->vector_at, b->vector_at, by) &&
         same_time(a->readable_at, b->readable_at, by) && same_time(a->issued_at, b->issued_at, by) &&
         same_time(a->sequenced_at, b->sequenced_at, by) && a->sequenced == b->sequenced;
}

static uint64_t before(uint64_t time, uint64_t by) { return time == NEVER ? NEVER : time - by; }

/* The lanes of `other` become lanes of g: their clocks and counts are moved to those of g. */
static void absorb(lane_run *run, lane_group *g, const lane_group *other) {
  const uint64_t at = other->at - g->at;
  uint64_t counts[WSE_CTR_COUNT];
  for (int i = 0; i < WSE_CTR_COUNT; i++)
    counts[i] = other->counts[i] - g->counts[i];
  if (!run->differ) memset(run->extra, 0, sizeof run->extra);
  run->differ = true;
  EACH_LANE(l, other->lanes) {
    run->lane[l].base += at;
    widen_bases(run, run->lane[l].base);
    for (int i = 0; i < WSE_CTR_COUNT; i++)
      run->extra[l][i] += counts[i];
  }
  if (before(other->limit, at) < g->limit) g->limit = before(other->limit, at);
  if (before(other->window, at) > g->window) g->window = before(other->window, at);
  if (before(other->bin_end, at) < g->bin_end) g->bin_end = before(other->bin_end, at);
  g->lanes |= other->lanes;
}

/* Joins a group with others in the same state. */
static void join(lane_run *run, lane_group *g) {
  forget_passed(g);
  for (int i = run->total - 1; i >= 0; i--) {
    lane_group *other = &run->groups[i];
    if (other == g || other->pc != g->pc) continue;
    forget_passed(other);
    if (!same_state(g, other)) continue;
    absorb(run, g, other);
    lane_group *last = &run->groups[--run->total];
    *other = *last;
    if (last == g) g = other;
  }
}

/* --- execution -------------------------------------------------------------------------------------------- */

/* Out of line: what advance() has in registers is worth more. */
static __attribute__((noinline)) void load_row(const wse_fabric *fabric, uint32_t pe0, uint64_t lanes,
                                               const uint32_t *base, uint32_t offset, int bytes, uint32_t *to) {
  const uint8_t *sram = sram_of(fabric, pe0);
  if (!base && lanes == UINT64_MAX) {
    for (size_t l = 0; l < LANES; l++)
      to[l] = sram_load(sram + l * SRAM_PITCH, (uint16_t)offset, bytes);
    return;
  }
  EACH_LANE(l, lanes)
    to[l] = sram_load(sram + l * SRAM_PITCH, (uint16_t)((base ? base[l] : 0) + offset), bytes);
}
static __attribute__((noinline)) void store_row(const wse_fabric *fabric, uint32_t pe0, uint64_t lanes,
                                                const uint32_t *base, uint32_t offset, int bytes,
                                                const uint32_t *from) {
  uint8_t *sram = sram_of(fabric, pe0);
  EACH_LANE(l, lanes)
    sram_store(sram + l * SRAM_PITCH, (uint16_t)((base ? base[l] : 0) + offset), bytes, from[l]);
}

/* Instructions of a group were issued in another bin of the series in the lanes that have come to the end of theirs.
 * scalars: issued by the group before. */
static void enter_bins(lane_run *run, lane_group *g, uint64_t at, uint64_t scalars) {
  g->bin_end = NEVER;
  EACH_LANE(l, g->lanes) {
    lane_state *lane = &run->lane[l];
    uint64_t cycle = cycle_of(run, l, at), issued = scalars + (run->differ ? run->extra[l][WSE_CTR_SCALARS] : 0);
    if (cycle >= lane->bin_end) {
      series_busy(run->fabric, run->band, run->pe0 + (uint32_t)l, lane->bin_first, issued - lane->bin_issued);
      lane->bin_issued = issued;
      lane->bin_first = cycle;
      lane->bin_end = series_bin_end(run->fabric, run->band, cycle);
    }
    uint64_t bin_end = lane->bin_end - lane->base + ORIGIN;
    if (bin_end < g->bin_end) g->bin_end = bin_end;
  }
}

static const uint32_t *fill(uint32_t row[LANES], uint32_t value) {
  for (int i = 0; i < LANES; i++)
    row[i] = value;
  return row;
}

#define WAITED(cause)
#define LATE_FOR(cause)
#define ROW(operand) (registers + ((operand) & LAST) * LANES)
#define BASE (ins->b == OPERAND_NONE ? NULL : ROW(ins->b))
#define LAST_ROW (immediate ? fill(constant, (uint32_t)ins->imm) : ROW(ins->c))
#define DO_RX(name, bytes) op_rows[op](ROW(ins->a), LAST_ROW, registers, registers, mask)
#define DO_RRX(name, bytes) op_rows[op](ROW(ins->a), ROW(ins->b), LAST_ROW, registers, mask)
#define DO_RRRR(name, bytes) op_rows[op](ROW(ins->a), ROW(ins->b), ROW(ins->c), ROW(ins->d), mask)
#define DO_LD(name, bytes)                                                           \
  do {                                                                               \
    cost += OFFSET;                                                                  \
    load_row(fabric, run->pe0, lanes, BASE, (uint32_t)ins->imm, bytes, ROW(ins->a)); \
    loaded += bytes;                                                                 \
  } while (0)
#define DO_ST(name, bytes)                                                            \
  do {                                                                                \
    cost += OFFSET;                                                                   \
    store_row(fabric, run->pe0, lanes, BASE, (uint32_t)ins->imm, bytes, ROW(ins->a)); \
    stored += bytes;                                                                  \
  } while (0)
#define DO_BR(name, bytes)                                   \
  do {                                                       \
    uint64_t taken = rows->test[op](ROW(ins->a)) & lanes;    \
    if (taken == lanes) pc = (uint32_t)ins->imm;             \
    else apart = taken;                                      \
    target = (uint32_t)ins->imm;                             \
    targets = NULL;                                          \
    cost = taken == lanes ? branch_taken : branch_not_taken; \
  } while (0)
#define JUMP(target)     \
  do {                   \
    pc = (target);       \
    cost = branch_taken; \
  } while (0)
#define DO_JMP(name, bytes) JUMP((uint32_t)ins->imm)
#define DO_JAL(name, bytes)                                                       \
  do {                                                                            \
    op_rows[OP_mov](ROW(ins->a), fill(constant, pc), registers, registers, mask); \
    JUMP((uint32_t)ins->imm);                                                     \
  } while (0)
#define DO_JR(name, bytes)                             \
  do {                                                 \
    targets = ROW(ins->a);                             \
    JUMP(targets[__builtin_ctzll(lanes)]);             \
    EACH_LANE(l, lanes) {                              \
      if (targets[l] != pc) apart |= (uint64_t)1 << l; \
    }                                                  \
  } while (0)
#define ISSUE(is_branch)                                            \
  do {                                                              \
    g->counts[gap] += at - accounted;                               \
    accounted = at + 1;                                             \
    gap = is_branch ? WSE_CTR_STALL_BRANCH : WSE_CTR_STALL_LATENCY; \
    opcodes[op] += (uint64_t)size;                                  \
    issued++;                                                       \
    pc++;                                                           \
  } while (0)

enum { STOPS_GROUP, MEETS, DIVIDES, NO_SCALAR };

/* Executes scalar instructions of a group until it comes to the pc `others` of another group or one behind it, divides,
 * stands before another kind of instruction, or cannot go on. */
static int advance(lane_run *run, lane_group *g, uint32_t others) {
  wse_fabric *fabric = run->fabric;
  const row_table *rows = fabric->scalar_rows;
  const row_function *op_rows = rows->op[fabric->fp16];
  uint32_t *const registers = run->registers, length = run->length;
  uint64_t *const opcodes = run->band->opcodes;
  const uint64_t lanes = g->lanes, limit = g->limit < g->window ? g->limit : g->window,
                 branch_taken = (uint64_t)P(fabric, branch_taken),
                 branch_not_taken = (uint64_t)P(fabric, branch_not_taken),
                 load_latency = (uint64_t)P(fabric, load_latency), offset_cycles = (uint64_t)P(fabric, offset_cycles);
  const int size = __builtin_popcountll(lanes);
  if (g->pc < length && !isa_is_scalar(run->code[g->pc].op & ~INS_IMMEDIATE)) return NO_SCALAR;
  if (g->at >= limit) return STOPS_GROUP;
  if (g->gap != WSE_CTR_STALL_BRANCH && g->gap != WSE_CTR_STALL_LATENCY) group_account(g, g->at, g->gap);
  uint64_t at = g->at, late_at = g->late_at, known_at = g->known_at, accounted = g->accounted, issued = 0, loaded = 0,
           stored = 0, apart = 0;
  uint32_t pc = g->pc, late = g->late, fresh[2] = {g->fresh[0], g->fresh[1]}, target = 0;
  uint32_t gap = g->gap == WSE_CTR_STALL_BRANCH ? WSE_CTR_STALL_BRANCH : WSE_CTR_STALL_LATENCY;
  const uint32_t *targets = NULL;
  int ends = STOPS_GROUP;
  uint32_t mask[LANES], constant[LANES];
  rows->spread(mask, lanes);
  while (pc < length) {
    const isa_ins *ins = &run->code[pc];
    uint32_t op = ins->op & ~(uint32_t)INS_IMMEDIATE;
    bool immediate = ins->op & INS_IMMEDIATE;
    uint64_t cost = 1;
    switch (op) {
#define SCALAR TIMED_SCALAR
#include "tables/isa.def"
      default: ends = NO_SCALAR; goto out;
    }
    if (at >= g->bin_end) enter_bins(run, g, at, g->counts[WSE_CTR_SCALARS] + issued - 1);
    at += cost;
    if (apart) {
      ends = DIVIDES;
      break;
    }
    if (pc >= others) {
      ends = MEETS;
      break;
    }
  }
out:
  if (!issued && at > g->at) { /* it waits for a result from here on */
    g->gap = gap;
    g->waits = true;
  }
  g->lanes = lanes & ~apart;
  g->pc = pc;
  g->at = at;
  g->late_at = late_at;
  g->known_at = known_at;
  g->late = late;
  g->fresh[0] = fresh[0];
  g->fresh[1] = fresh[1];
  g->accounted = accounted;
  run->steps += issued;
  run->lane_steps += issued * (uint64_t)size;
  g->counts[WSE_CTR_BUSY_SCALAR] += issued;
  g->counts[WSE_CTR_SCALARS] += issued;
  g->counts[WSE_CTR_SRAM_READ] += loaded;
  g->counts[WSE_CTR_SRAM_WRITE] += stored;
  if (issued) {
    g->gap = gap;
    g->follows_vector = false;
  }
  while (apart) { /* all branched; a conditional branch that was not taken has cost less */
    lane_group *other = &run->groups[run->total++];
    *other = *g;
    other->pc = targets ? targets[__builtin_ctzll(apart)] : target;
    other->at += targets ? 0 : branch_taken - branch_not_taken;
    other->lanes = 0;
    EACH_LANE(l, apart) {
      if (!targets || targets[l] == other->pc) other->lanes |= (uint64_t)1 << l;
    }
    apart &= ~other->lanes;
  }
  return ends;
}

/* The group with the lowest pc.  *others: the lowest pc of another group; UINT32_MAX: there is none. */
static lane_group *lowest(lane_run *run, uint32_t *others) {
  lane_group *first = &run->groups[0];
  *others = UINT32_MAX;
  for (int i = 1; i < run->total; i++) {
    lane_group *g = &run->groups[i];
    uint32_t pc = g->pc;
    if (g->pc < first->pc) {
      pc = first->pc;
      first = g;
    }
    if (pc < *others) *others = pc;
  }
  return first;
}

/* Whether too few lanes execute an instruction at once, on average, for a gain. */
static bool is_scattered(const lane_run *run) {
  enum { LOOK_AFTER = 512, LEAST_AVERAGE = 3 };
  return run->steps >= LOOK_AFTER && run->lane_steps < LEAST_AVERAGE * run->steps;
}

static void run_groups(lane_run *run, lanes_start *start) {
  while (run->total && !is_scattered(run)) {
    uint32_t others;
    lane_group *g = lowest(run, &others);
    int ends = advance(run, g, others);
    if (ends == NO_SCALAR && lane_operation(run, g)) ends = MEETS;
    switch (ends) {
      case MEETS:
        if (g->pc >= others) join(run, g);
        break;
      case DIVIDES: break;
      default: leave(run, g, start);
    }
  }
  start->scattered = run->total > 0;
  while (run->total)
    leave(run, run->groups, start);
}

/* --- start ------------------------------------------------------------------------------------------------ */

static uint64_t on_origin(uint64_t cycle, uint64_t at) { return cycle > at ? cycle - at + ORIGIN : 0; }

/* Sets what the group of a lane alone has in common with those that it may join. */
static void stand_alone(const lane_run *run, const lanes_start *start, uint64_t l, lane_group *g) {
  const ce_state *ce = &run->fabric->ces[run->pe0 + (uint32_t)l];
  uint64_t at = start->at[l];
  bool after_branch = ce->gap == WSE_CTR_STALL_BRANCH, scalar = isa_is_scalar(run->code[ce->pc].op & ~INS_IMMEDIATE);
  g->lanes = (uint64_t)1 << l;
  g->pc = ce->pc;
  g->at = ORIGIN;
  g->issued_at = 0;
  g->sequenced_at = ORIGIN;
  g->sequenced = start->sequenced[l];
  g->late_at = ce->result_register != OPERAND_NONE ? on_origin(ce->result_at, at) : 0;
  g->known_at = on_origin(ce->known_at, at);
  g->loaded_at = on_origin(ce->loaded_at, at);
  g->late = ce->result_register;
  g->fresh[0] = ce->fresh[0];
  g->fresh[1] = ce->fresh[1];
  g->gap = after_branch || !scalar ? ce->gap : WSE_CTR_STALL_LATENCY; /* a scalar instruction waits for results */
  g->waits = false;
  g->accounted = after_branch ? ORIGIN - (at - ce->accounted) : ORIGIN;
  g->follows_vector = ce->follows_vector;
  if (g->follows_vector) {
    if (ce->main_at > at) g->at = ORIGIN + (ce->main_at - at);
    g->vector_at = ORIGIN + (ce->vector_at - at);
    g->readable_at = on_origin(ce->readable_at, at);
    g->written_low = ce->written_low;
    g->written_high = ce->written_high;
    g->gap = ce->gap;
    g->accounted = ORIGIN + (ce->accounted - at);
  }
  forget_passed(g);
}

/* Puts each lane into the group of its state. */
static void form_groups(lane_run *run, uint64_t lanes, const lanes_start *start) {
  EACH_LANE(l, lanes) {
    lane_group *g = &run->groups[run->total];
    stand_alone(run, start, l, g);
    int i = 0;
    while (i < run->total && !same_state(&run->groups[i], g))
      i++;
    if (i < run->total) {
      run->groups[i].lanes |= g->lanes;
      continue;
    }
    memset(g->counts, 0, sizeof g->counts);
    run->total++;
  }
}

static bool branches(int op) {
  switch (op) {
#define SCALAR(name, form, ...) \
  case OP_##name: return IS_##form;
#include "tables/isa.def"
    default: return false;
  }
}

void lanes_stretches(pe_class *class) {
  enum { MOST = 255 };
  int stretch = 0;
  for (uint32_t pc = class->code_length; pc-- > 0;) {
    const isa_ins *ins = &class->code[pc];
    int op = ins->op & ~INS_IMMEDIATE;
    if (branches(op) || op == OP_maploop) stretch = MOST;
    else if (!lane_may_execute(ins)) stretch = 0;
    else if (stretch < MOST) stretch++;
    class->stretch[pc] = (uint8_t)stretch;
  }
}

uint64_t lanes_run(wse_fabric *fabric, band_state *band, uint32_t block, uint64_t lanes, uint64_t window,
                   lanes_start *start) {
  if (__builtin_popcountll(lanes) < LEAST_LANES) return 0;
  lane_run run; /* large: not initialized as a whole */
  run.fabric = fabric;
  run.band = band;
  run.pe0 = fabric->block_pe[block];
  run.registers = fabric->registers + (size_t)block * WSE_REGISTERS * LANES;
  run.limit = fabric->limit;
  run.window = window;
  run.total = 0;
  run.differ = false;
  run.first_base = NEVER;
  run.last_base = 0;
  run.steps = run.lane_steps = 0;
  uint16_t class = fabric->class_of[run.pe0 + (uint32_t)__builtin_ctzll(lanes)];
  run.code = fabric->classes[class].code;
  run.length = fabric->classes[class].code_length;
  uint64_t able = 0;
  EACH_LANE(l, lanes) {
    uint32_t pe = run.pe0 + (uint32_t)l;
    const ce_state *ce = &fabric->ces[pe];
    if (fabric->class_of[pe] == class && ce->accounted <= start->at[l] && !(ce->follows_vector && has_waited(ce)))
      able |= (uint64_t)1 << l;
  }
  if (__builtin_popcountll(able) < LEAST_LANES) return 0;
  form_groups(&run, able, start);
  for (int i = 0; i < run.total; i++) {
    lane_group *g = &run.groups[i];
    EACH_LANE(l, g->lanes) {
      uint32_t pe = run.pe0 + (uint32_t)l;
      uint64_t at = start->at[l];
      if (g->gap != WSE_CTR_STALL_BRANCH && !g->follows_vector) account(fabric, band, pe, at, fabric->ces[pe].gap);
      run.lane[l] = (lane_state){.base = at, .bin_first = at, .bin_end = series_bin_end(fabric, band, at)};
      widen_bases(&run, at);
    }
    note_clocks(&run, g);
  }
  run_groups(&run, start);
  return able;
}
