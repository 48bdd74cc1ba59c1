/* scalar.c - scalar instructions.
 *
 * In order, one a cycle.  Integer results can be used by the next instruction, floating-point results a cycle later
 * (fp_latency).  An address has to be known address_latency cycles before the access, and the sum of a register and an
 * offset takes offset_cycles: the machine's loads and stores take a register or a constant.  Divisions and roots are
 * software on the machine and occupy the thread (fdiv_, idiv_, sqrt_latency).
 */
#include "pe/scalar.h"

#include "numeric/op_scalar.h"
#include "observe/account.h"
#include "pe/dsd.h"

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

/* What an instruction does, by its form.  READS_: whether it needs the late result; Y: its last operand. */
#define READS_RX (!immediate && ins->c == late)
#define READS_RRX (ins->b == late || (!immediate && ins->c == late))
#define READS_RRRR (ins->b == late || ins->c == late || ins->d == late)
#define READS_LD (ins->b == late)
#define READS_ST (ins->b == late) /* and what it stores: AWAIT_ST */
#define READS_BR (ins->a == late)
#define READS_JMP false
#define READS_JAL false
#define READS_JR (ins->a == late)

#define Y (immediate ? (uint32_t)ins->imm : r[ins->c & LAST])
#define ADDRESS (uint16_t)((ins->b == OPERAND_NONE ? 0 : r[ins->b & LAST]) + (uint32_t)ins->imm)
#define DO_RX(name, bytes) r[ins->a & LAST] = sc_##name(fmt, Y, 0, 0)
#define DO_RRX(name, bytes) r[ins->a & LAST] = sc_##name(fmt, r[ins->b & LAST], Y, 0)
#define DO_RRRR(name, bytes) r[ins->a & LAST] = sc_##name(fmt, r[ins->b & LAST], r[ins->c & LAST], r[ins->d & LAST])
#define OFFSET (ins->b != OPERAND_NONE && ins->imm ? offset_cycles : 0)
#define DO_LD(name, bytes)                              \
  do {                                                  \
    cost += OFFSET;                                     \
    r[ins->a & LAST] = sram_load(sram, ADDRESS, bytes); \
    loaded += bytes;                                    \
  } while (0)
#define DO_ST(name, bytes)                              \
  do {                                                  \
    cost += OFFSET;                                     \
    sram_store(sram, ADDRESS, bytes, r[ins->a & LAST]); \
    stored += bytes;                                    \
  } while (0)
#define DO_BR(name, bytes)                               \
  do {                                                   \
    bool taken = sc_##name(fmt, r[ins->a & LAST], 0, 0); \
    if (taken) pc = (uint32_t)ins->imm;                  \
    cost = taken ? branch_taken : branch_not_taken;      \
  } while (0)
#define JUMP(to)         \
  do {                   \
    pc = (to);           \
    cost = branch_taken; \
  } while (0)
#define DO_JMP(name, bytes) JUMP((uint32_t)ins->imm)
#define DO_JAL(name, bytes)   \
  do {                        \
    r[ins->a & LAST] = pc;    \
    JUMP((uint32_t)ins->imm); \
  } while (0)
#define DO_JR(name, bytes) JUMP(r[ins->a & LAST])

/* Waits until the address of a load or store is known: its register may have been written in the last two cycles. */
#define AWAIT_ADDRESS                                               \
  do {                                                              \
    if (ins->b == fresh[0] && at < known_at) at = known_at;         \
    if (ins->b == fresh[1] && at + 1 < known_at) at = known_at - 1; \
  } while (0)
#define AWAIT_LD AWAIT_ADDRESS
/* What is stored is needed after the address has been computed. */
#define AWAIT_ST                                                        \
  do {                                                                  \
    AWAIT_ADDRESS;                                                      \
    WAITED(WSE_CAUSE_ADDRESS);                                          \
    if (ins->a == late && at + OFFSET < late_at) at = late_at - OFFSET; \
  } while (0)
/* What an instruction has waited for last, for a profile. */
#define AWAITED_LD WSE_CAUSE_ADDRESS
#define AWAITED_ST late_cause
#define AWAITED_RX 0
#define AWAITED_RRX 0
#define AWAITED_RRRR 0
#define AWAITED_BR 0
#define AWAITED_JMP 0
#define AWAITED_JAL 0
#define AWAITED_JR 0
#define AWAIT_RX
#define AWAIT_RRX
#define AWAIT_RRRR
#define AWAIT_BR
#define AWAIT_JMP
#define AWAIT_JAL
#define AWAIT_JR

/* Notes the register that an instruction wrote in cycle `at`. */
#define WROTE                                                                           \
  do {                                                                                  \
    fresh[1] = at + address_latency == known_at + 1 ? fresh[0] : (uint32_t)NO_REGISTER; \
    fresh[0] = ins->a;                                                                  \
    known_at = at + address_latency;                                                    \
  } while (0)

enum {
  LATE = 2,
  NO_REGISTER = WSE_REGISTERS, /* no operand has this value */
  LAST = WSE_REGISTERS - 1,
  IS_BR = 1,
  IS_JMP = 1,
  IS_JAL = 1,
  IS_JR = 1,
  IS_RX = 0,
  IS_RRX = 0,
  IS_RRRR = 0,
  IS_LD = 0,
  IS_ST = 0,
  WRITES_BR = 0,
  WRITES_JMP = 0,
  WRITES_JAL = 1,
  WRITES_JR = 0,
  WRITES_RX = 1,
  WRITES_RRX = 1,
  WRITES_RRRR = 1,
  WRITES_LD = 1,
  WRITES_ST = 0
};

/* A late result is a register and the cycle from which it can be read.  Longer latencies occupy the thread. */
#define SCALAR(name, form, latency, bytes, ...)                                      \
  case OP_##name:                                                                    \
    if (late_at > at && READS_##form) at = late_at;                                  \
    WAITED(late_cause);                                                              \
    AWAIT_##form;                                                                    \
    WAITED(AWAITED_##form);                                                          \
    if (at >= limit) goto out;                                                       \
    ISSUE(IS_##form);                                                                \
    DO_##form(name, bytes);                                                          \
    if (WRITES_##form) WROTE;                                                        \
    if (!IS_##form) {                                                                \
      uint64_t takes = (uint64_t)fabric->params[WSE_##latency];                      \
      if (takes > LATE) {                                                            \
        cost += takes - 1;                                                           \
      } else if (takes > 1) {                                                        \
        late = ins->a;                                                               \
        late_at = at + takes;                                                        \
        if (SCALAR_PROFILED) late_cause = bytes ? WSE_CAUSE_LOAD : WSE_CAUSE_RESULT; \
      }                                                                              \
    }                                                                                \
    break;
#define WSE_branch WSE_branch_taken

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
                    uint64_t at, uint64_t limit, int budget) {
  const int fmt = SCALAR_FORMAT;
  ce_state *ce = &fabric->ces[pe];
  uint32_t *r = ce->r, pc = ce->pc, late = ce->result_register;
  uint8_t *sram = sram_of(fabric, pe);
  uint64_t late_at = late == OPERAND_NONE ? 0 : ce->result_at, branch_taken = (uint64_t)P(fabric, branch_taken),
           branch_not_taken = (uint64_t)P(fabric, branch_not_taken),
           address_latency = (uint64_t)P(fabric, address_latency), offset_cycles = (uint64_t)P(fabric, offset_cycles),
           known_at = ce->known_at;
  uint32_t fresh[2] = {ce->fresh[0], ce->fresh[1]};
  uint32_t late_cause = SCALAR_PROFILED ? fabric->profiles[pe].late : 0;
  if (SCALAR_PROFILED) profile_reaches(fabric, pe);
  account(fabric, band, pe, at, ce->gap);
  const uint64_t start = ce->accounted;
  const int allowance = budget; /* allowance - budget instructions have issued */
  uint64_t accounted = start, branch_stall = 0, after_branch = 0, loaded = 0, stored = 0, first = at;
  uint64_t bin_end = fabric->bins ? ((at >> band->series_shift) + 1) << band->series_shift : NEVER, in_bin = 0;
  for (; budget > 0; budget--) {
    if (pc >= length) break;
    const isa_ins *ins = &code[pc];
    uint32_t op = ins->op & ~(uint32_t)INS_IMMEDIATE;
    bool immediate = ins->op & INS_IMMEDIATE;
    uint64_t cost = 1;
    switch (op) {
#include "tables/isa.def"
      default: goto out;
    }
    if (at >= bin_end) { /* issued in another bin of the series */
      uint64_t before = (uint64_t)(allowance - budget);
      series_busy(fabric, band, pe, first, before - in_bin);
      in_bin = before;
      first = at;
      bin_end = ((at >> band->series_shift) + 1) << band->series_shift;
    }
    at += cost;
    if (SCALAR_PROFILED && cost > 1) profile_costs(fabric, pe, op, at);
  }
out:;
  if (SCALAR_PROFILED) fabric->profiles[pe].late = (uint8_t)late_cause;
  const uint64_t issued = (uint64_t)(allowance - budget);
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
  }
  return issued;
}

#ifdef SCALAR_BASE
uint64_t scalar_run(wse_fabric *fabric, band_state *band, uint32_t pe, const isa_ins *code, uint32_t length,
                    uint64_t at, uint64_t limit, int budget) {
  switch (fabric->fp16) {
    case WSE_FP16_IEEE: return scalar_run_ieee(fabric, band, pe, code, length, at, limit, budget);
    case WSE_FP16_BF16: return scalar_run_bf16(fabric, band, pe, code, length, at, limit, budget);
    default: return scalar_run_cb16(fabric, band, pe, code, length, at, limit, budget);
  }
}
#endif
