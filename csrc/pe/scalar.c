/* scalar.c - the scalar instructions of one compute element.  Their cycles: scalar_rules.h. */
#include "pe/scalar.h"

#include "numeric/op_scalar.h"
#include "observe/account.h"
#include "observe/check.h"
#include "observe/senders.h"
#include "pe/dsd.h"
#include "pe/scalar_block.h"
#include "pe/scalar_rules.h"

#ifndef SCALAR_RUN /* scalar_bf16.c, scalar_cb16.c and scalar_profiled.c include this file, too */
#define SCALAR_RUN scalar_run_ieee
#define SCALAR_FORMAT WSE_FP16_IEEE
#define SCALAR_BASE
#endif
#ifndef SCALAR_PROFILED
#define SCALAR_PROFILED 0
#endif

/* The instruction at pc has waited until cycle `at` for this cause. */
#define WAITED(cause) \
  if (SCALAR_PROFILED) profile_gap(fabric, pe, at, pc + 1, cause)
#define LATE_FOR(cause) \
  if (SCALAR_PROFILED) late_cause = (cause)

/* A checked fabric keeps a profile.  pc is that of the next instruction. */
#define CHECKED(bytes, writes)          \
  if (SCALAR_PROFILED && fabric->check) \
  check_scalar(fabric, pe, ADDRESS, (uint16_t)ins->imm, bytes, writes, (check_by){pc - 1, MAIN, at})

/* In a data task of a checked run: registers that depend on the wavelet; derived: their mask, NULL elsewhere. */
#define DEPENDS(operand) (*derived >> ((operand) & LAST) & 1)
#define DEPENDS_LAST (!immediate && DEPENDS(ins->c))
#define DEPENDS_BASE (ins->b != OPERAND_NONE && DEPENDS(ins->b))
#define DERIVES(from) \
  if (SCALAR_PROFILED && derived) *derived = (*derived & ~(1u << (ins->a & LAST))) | (uint32_t)(from) << (ins->a & LAST)
#define KEEPS                     \
  if (SCALAR_PROFILED && derived) \
  senders_scalar(fabric, pe, ADDRESS, DEPENDS(ins->a), DEPENDS_BASE, (check_by){pc - 1, MAIN, at})

/* The value of an instruction, by its form.  Y: its last operand. */
#define R(operand) r[((operand) & LAST) * LANES]
#define Y (immediate ? (uint32_t)ins->imm : R(ins->c))
#define ADDRESS (uint16_t)((ins->b == OPERAND_NONE ? 0 : R(ins->b)) + (uint32_t)ins->imm)
#define VALUE_RX(name, bytes) R(ins->a) = sc_##name(fmt, Y, 0, 0)
#define VALUE_RRX(name, bytes) R(ins->a) = sc_##name(fmt, R(ins->b), Y, 0)
#define VALUE_RRRR(name, bytes) R(ins->a) = sc_##name(fmt, R(ins->b), R(ins->c), R(ins->d))
#define VALUE_LD(name, bytes) R(ins->a) = sram_load(sram, ADDRESS, bytes)
#define VALUE_ST(name, bytes) sram_store(sram, ADDRESS, bytes, R(ins->a))
#define VALUE_BR(name, bytes) (taken = sc_##name(fmt, R(ins->a), 0, 0)) ? (void)(pc = (uint32_t)ins->imm) : (void)0
#define VALUE_JMP(name, bytes) pc = (uint32_t)ins->imm
#define VALUE_JAL(name, bytes) (R(ins->a) = pc, pc = (uint32_t)ins->imm)
#define VALUE_JR(name, bytes) pc = R(ins->a)

/* What else it does, on the way. */
#define DO_RX(name, bytes) \
  do {                     \
    DERIVES(DEPENDS_LAST); \
    VALUE_RX(name, bytes); \
  } while (0)
#define DO_RRX(name, bytes)                   \
  do {                                        \
    DERIVES(DEPENDS(ins->b) || DEPENDS_LAST); \
    VALUE_RRX(name, bytes);                   \
  } while (0)
#define DO_RRRR(name, bytes)                                        \
  do {                                                              \
    DERIVES(DEPENDS(ins->b) || DEPENDS(ins->c) || DEPENDS(ins->d)); \
    VALUE_RRRR(name, bytes);                                        \
  } while (0)
#define DO_LD(name, bytes)                                      \
  do {                                                          \
    cost += OFFSET;                                             \
    CHECKED(bytes, false);                                      \
    DERIVES(DEPENDS_BASE || senders_kept(fabric, pe, ADDRESS)); \
    VALUE_LD(name, bytes);                                      \
    loaded += bytes;                                            \
  } while (0)
#define DO_ST(name, bytes) \
  do {                     \
    cost += OFFSET;        \
    CHECKED(bytes, true);  \
    KEEPS;                 \
    VALUE_ST(name, bytes); \
    stored += bytes;       \
  } while (0)
#define BRANCH(value)                               \
  do {                                              \
    bool taken = true;                              \
    value;                                          \
    cost = taken ? branch_taken : branch_not_taken; \
  } while (0)
#define DO_BR(name, bytes) BRANCH(VALUE_BR(name, bytes))
#define DO_JMP(name, bytes) BRANCH(VALUE_JMP(name, bytes))
#define DO_JAL(name, bytes) BRANCH(VALUE_JAL(name, bytes))
#define DO_JR(name, bytes) BRANCH(VALUE_JR(name, bytes))

/* Uses the slot of cycle `at`.  The cycles before it that are not accounted for wait for the branch that the last
 * instruction was (after_branch: all ones), or else for a result. */
#define ISSUE(is_branch)                                                      \
  do {                                                                        \
    if (SCALAR_PROFILED) profile_scalar(fabric, band, pe, accounted, at, pc); \
    branch_stall += (at - accounted) & after_branch;                          \
    accounted = at + 1;                                                       \
    after_branch = is_branch ? UINT64_MAX : 0;                                \
    band->opcodes[op]++;                                                      \
    pc++;                                                                     \
  } while (0)

#if !SCALAR_PROFILED
/* Computes n instructions of a block that begins at pc.  Returns the pc after it; *branched: the last one branched. */
static uint32_t compute_block(const isa_ins *code, uint32_t pc, uint32_t n, uint32_t *r, uint8_t *sram,
                              uint64_t *opcodes, bool *branched) {
  const int fmt = SCALAR_FORMAT;
  bool taken = true;
  for (const isa_ins *ins = code + pc, *end = ins + n; ins < end; ins++) {
    uint32_t op = ins->op & ~(uint32_t)INS_IMMEDIATE;
    bool immediate = ins->op & INS_IMMEDIATE;
    opcodes[op]++;
    pc++;
    switch (op) {
#define SCALAR(name, form, latency, bytes, ...) \
  case OP_##name: VALUE_##form(name, bytes); break;
#include "tables/isa.def"
      default: break;
    }
  }
  *branched = taken;
  return pc;
}
#endif

uint64_t SCALAR_RUN(wse_fabric *fabric, band_state *band, uint32_t pe, const isa_ins *code, uint32_t length,
                    uint64_t at, uint64_t limit) {
  const int fmt = SCALAR_FORMAT;
  ce_state *ce = &fabric->ces[pe];
  uint32_t *r = register_of(fabric, pe, 0), pc = ce->pc, late = ce->result_register;
  uint8_t *sram = sram_of(fabric, pe);
  uint64_t late_at = late == OPERAND_NONE ? 0 : ce->result_at, branch_taken = (uint64_t)P(fabric, branch_taken),
           branch_not_taken = (uint64_t)P(fabric, branch_not_taken), load_latency = (uint64_t)P(fabric, load_latency),
           offset_cycles = (uint64_t)P(fabric, offset_cycles), known_at = ce->known_at;
  uint32_t fresh[2] = {ce->fresh[0], ce->fresh[1]};
  uint32_t late_cause = SCALAR_PROFILED ? fabric->profiles[pe].late : 0;
  if (SCALAR_PROFILED) profile_reaches(fabric, pe);
  uint32_t *const derived = SCALAR_PROFILED && fabric->check ? senders_derived(fabric, pe) : NULL;
  const bool after_a_branch = ce->gap == WSE_CTR_STALL_BRANCH;
  if (!after_a_branch) account(fabric, band, pe, at, ce->gap);
  const uint64_t start = ce->accounted;
  const uint64_t entered = at;
  uint64_t accounted = start, branch_stall = 0, after_branch = after_a_branch ? UINT64_MAX : 0, loaded = 0, stored = 0,
           first = at, issued = 0;
  uint64_t bin_end = series_bin_end(fabric, band, at), in_bin = 0;
#if !SCALAR_PROFILED
  const pe_class *class = class_of(fabric, pe);
  const bool timed = !fabric->watch && !fabric->reference; /* once, by blocks */
#endif
  for (; pc < length; issued++) {
#if !SCALAR_PROFILED
    if (timed && class->block_at[pc] && late_at <= at && known_at <= at) {
      const scalar_block *b = &class->blocks[class->block_at[pc]];
      if (at + b->last < limit && at + b->last < bin_end) {
        bool branched;
        branch_stall += (at - accounted) & after_branch;
        pc = compute_block(code, pc, b->n, r, sram, band->opcodes, &branched);
        accounted = at + b->last + 1;
        after_branch = b->branches ? UINT64_MAX : 0;
        issued += b->n - 1u;
        loaded += b->loaded;
        stored += b->stored;
        if (b->late != OPERAND_NONE) {
          late = b->late;
          late_at = at + b->late_after;
        }
        if (b->loads) {
          known_at = at + b->known_after;
          fresh[0] = b->fresh[0];
          fresh[1] = b->fresh[1];
        }
        at += !b->branches ? b->next : b->last + (branched ? branch_taken : branch_not_taken);
        continue;
      }
    }
#endif
    const isa_ins *ins = &code[pc];
    uint32_t op = ins->op & ~(uint32_t)INS_IMMEDIATE;
    bool immediate = ins->op & INS_IMMEDIATE;
    uint64_t cost = 1;
    switch (op) {
#define SCALAR TIMED_SCALAR
#include "tables/isa.def"
      default: goto out;
    }
    if (at >= bin_end) { /* issued in another bin of the series */
      series_busy(fabric, band, pe, first, issued - in_bin);
      in_bin = issued;
      first = at;
      bin_end = series_bin_end(fabric, band, at);
    }
    at += cost;
    if (SCALAR_PROFILED && cost > 1) profile_costs(fabric, pe, op, at);
  }
out:;
  if (SCALAR_PROFILED) fabric->profiles[pe].late = (uint8_t)late_cause;
  series_busy(fabric, band, pe, first, issued - in_bin);
  uint64_t *counters = counters_of(fabric, pe);
  counters[WSE_CTR_BUSY_SCALAR] += issued;
  counters[WSE_CTR_SCALARS] += issued;
  counters[WSE_CTR_STALL_LATENCY] += accounted - start - issued - branch_stall;
  counters[WSE_CTR_STALL_BRANCH] += branch_stall;
  counters[WSE_CTR_SRAM_READ] += loaded;
  counters[WSE_CTR_SRAM_WRITE] += stored;
  ce->accounted = accounted;
  ce->pc = pc;
  ce->main_at = at;
  if (issued) {
    ce->gap = after_branch ? WSE_CTR_STALL_BRANCH : WSE_CTR_STALL_LATENCY;
    ce->result_register = late_at ? (uint8_t)late : OPERAND_NONE;
    ce->result_at = late_at;
    ce->known_at = known_at;
    ce->fresh[0] = (uint8_t)fresh[0];
    ce->fresh[1] = (uint8_t)fresh[1];
    ce->follows_vector = 0;
    activity_last(band, accounted);
  } else if (at > entered && !after_a_branch) {
    ce->gap = WSE_CTR_STALL_LATENCY; /* it waits for a result from here on */
  }
  return issued;
}

#ifdef SCALAR_BASE
const scalar_function scalar_run[] = {
    [WSE_FP16_IEEE] = scalar_run_ieee, [WSE_FP16_BF16] = scalar_run_bf16, [WSE_FP16_CB16] = scalar_run_cb16};
#endif
