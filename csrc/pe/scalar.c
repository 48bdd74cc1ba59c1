/* scalar.c - the scalar instructions of one compute element.  Their cycles: scalar_rules.h. */
#include "pe/scalar.h"

#include "numeric/op_scalar.h"
#include "observe/account.h"
#include "observe/check.h"
#include "observe/senders.h"
#include "pe/dsd.h"
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

/* What an instruction does, by its form.  Y: its last operand. */
#define R(operand) r[((operand) & LAST) * LANES]
#define Y (immediate ? (uint32_t)ins->imm : R(ins->c))
#define ADDRESS (uint16_t)((ins->b == OPERAND_NONE ? 0 : R(ins->b)) + (uint32_t)ins->imm)
#define DO_RX(name, bytes)               \
  do {                                   \
    DERIVES(DEPENDS_LAST);               \
    R(ins->a) = sc_##name(fmt, Y, 0, 0); \
  } while (0)
#define DO_RRX(name, bytes)                      \
  do {                                           \
    DERIVES(DEPENDS(ins->b) || DEPENDS_LAST);    \
    R(ins->a) = sc_##name(fmt, R(ins->b), Y, 0); \
  } while (0)
#define DO_RRRR(name, bytes)                                        \
  do {                                                              \
    DERIVES(DEPENDS(ins->b) || DEPENDS(ins->c) || DEPENDS(ins->d)); \
    R(ins->a) = sc_##name(fmt, R(ins->b), R(ins->c), R(ins->d));    \
  } while (0)
#define DO_LD(name, bytes)                                      \
  do {                                                          \
    cost += OFFSET;                                             \
    CHECKED(bytes, false);                                      \
    DERIVES(DEPENDS_BASE || senders_kept(fabric, pe, ADDRESS)); \
    R(ins->a) = sram_load(sram, ADDRESS, bytes);                \
    loaded += bytes;                                            \
  } while (0)
#define DO_ST(name, bytes)                       \
  do {                                           \
    cost += OFFSET;                              \
    CHECKED(bytes, true);                        \
    KEEPS;                                       \
    sram_store(sram, ADDRESS, bytes, R(ins->a)); \
    stored += bytes;                             \
  } while (0)
#define DO_BR(name, bytes)                          \
  do {                                              \
    bool taken = sc_##name(fmt, R(ins->a), 0, 0);   \
    if (taken) pc = (uint32_t)ins->imm;             \
    cost = taken ? branch_taken : branch_not_taken; \
  } while (0)
#define JUMP(to)         \
  do {                   \
    pc = (to);           \
    cost = branch_taken; \
  } while (0)
#define DO_JMP(name, bytes) JUMP((uint32_t)ins->imm)
#define DO_JAL(name, bytes)   \
  do {                        \
    R(ins->a) = pc;           \
    JUMP((uint32_t)ins->imm); \
  } while (0)
#define DO_JR(name, bytes) JUMP(R(ins->a))

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
  for (; pc < length; issued++) {
    const isa_ins *ins = &code[pc];
    uint32_t op = ins->op & ~(uint32_t)INS_IMMEDIATE;
    bool immediate = ins->op & INS_IMMEDIATE;
    uint64_t cost = 1;
    switch (op) {
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
uint64_t scalar_run(wse_fabric *fabric, band_state *band, uint32_t pe, const isa_ins *code, uint32_t length,
                    uint64_t at, uint64_t limit) {
  switch (fabric->fp16) {
    case WSE_FP16_IEEE: return scalar_run_ieee(fabric, band, pe, code, length, at, limit);
    case WSE_FP16_BF16: return scalar_run_bf16(fabric, band, pe, code, length, at, limit);
    default: return scalar_run_cb16(fabric, band, pe, code, length, at, limit);
  }
}
#endif
