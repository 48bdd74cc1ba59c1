/* scalar.c - SCALAR rows: what ordinary code compiles to.
 *
 * In order, one instruction a cycle.  Integer results are there for the next instruction, floating-point results a cycle later
 * (fp_latency); a latency of more than LATE cycles keeps the thread.  Divisions and roots do: they are software on the machine
 * (fdiv_, idiv_, sqrt_latency).
 */
#include "pe/scalar.h"

#include "numeric/op_scalar.h"
#include "observe/account.h"
#include "pe/dsd.h"

/* What one instruction does, by form.  a, b, c are its fields; y its last operand; reads(): whether it needs the late result. */
#define READS_RX (!immediate && ins->c == late)
#define READS_RRX (ins->b == late || (!immediate && ins->c == late))
#define READS_RRRR (ins->b == late || ins->c == late || ins->d == late)
#define READS_LD (ins->b == late)
#define READS_ST (ins->a == late || ins->b == late)
#define READS_BR (ins->a == late)
#define READS_JMP false
#define READS_JAL false
#define READS_JR (ins->a == late)

#define Y (immediate ? (uint32_t)ins->imm : r[ins->c & LAST])
#define ADDRESS (uint16_t)((ins->b == OPERAND_NONE ? 0 : r[ins->b & LAST]) + (uint32_t)ins->imm)
#define DO_RX(name, bytes) r[ins->a & LAST] = sc_##name(fmt, Y, 0, 0)
#define DO_RRX(name, bytes) r[ins->a & LAST] = sc_##name(fmt, r[ins->b & LAST], Y, 0)
#define DO_RRRR(name, bytes) r[ins->a & LAST] = sc_##name(fmt, r[ins->b & LAST], r[ins->c & LAST], r[ins->d & LAST])
#define DO_LD(name, bytes) (r[ins->a & LAST] = sram_load(sram, ADDRESS, bytes), loaded += bytes)
#define DO_ST(name, bytes) (sram_store(sram, ADDRESS, bytes, r[ins->a & LAST]), stored += bytes)
#define DO_BR(name, bytes)                                                     \
  do {                                                                         \
    bool taken = sc_##name(fmt, r[ins->a & LAST], 0, 0);                       \
    if (taken) pc = (uint32_t)ins->imm;                                        \
    cost = taken ? branch_taken : branch_not_taken;                            \
  } while (0)
#define DO_JMP(name, bytes) (pc = (uint32_t)ins->imm, cost = branch_taken)
#define DO_JAL(name, bytes) (r[ins->a & LAST] = pc, pc = (uint32_t)ins->imm, cost = branch_taken)
#define DO_JR(name, bytes) (pc = r[ins->a & LAST], cost = branch_taken)

enum { LATE = 2, LAST = WSE_REGISTERS - 1, IS_BR = 1, IS_JMP = 1, IS_JAL = 1, IS_JR = 1, IS_RX = 0, IS_RRX = 0, IS_RRRR = 0, IS_LD = 0, IS_ST = 0 };

/* The late result, if any: a register and the cycle from which it is there.  The thread goes on beside a result that takes LATE
 * cycles, until an instruction reads it; so at most one result is late.  What takes longer keeps the thread. */
#define SCALAR(name, form, latency, bytes, ...)                                \
  case OP_##name:                                                              \
    if (late_at > at && READS_##form) at = late_at;                            \
    if (at >= limit) goto out;                                                 \
    ISSUE(IS_##form ? WSE_CTR_STALL_BRANCH : WSE_CTR_STALL_LATENCY);           \
    DO_##form(name, bytes);                                                    \
    if (!IS_##form) {                                                          \
      uint64_t takes = (uint64_t)f->params[WSE_##latency];                     \
      if (takes > LATE) cost = takes;                                          \
      else if (takes > 1) late = ins->a, late_at = at + takes;                 \
    }                                                                          \
    break;
#define WSE_branch WSE_branch_taken

/* Slot of cycle `at`; what was not accounted for before it goes to the cause the last instruction left. */
#define ISSUE(next_gap)                                                        \
  do {                                                                         \
    stalled[gap == WSE_CTR_STALL_BRANCH] += at - accounted;                    \
    accounted = at + 1;                                                        \
    gap = next_gap;                                                            \
    issued++;                                                                  \
    b->opcodes[op]++;                                                          \
    if (b->profile) profile_issue(k, b, c, pc, at);                            \
    pc++;                                                                      \
  } while (0)

NUM_INLINE uint64_t run_in(int fmt, wse_fabric *f, band *b, uint32_t pe, const isa_ins *code, uint32_t length, uint64_t at,
                           uint64_t limit, int budget) {
  ce *c = &f->ces[pe];
  const pe_class *k = class_of(f, pe);
  uint32_t *r = c->r, pc = c->pc, late = c->result_register;
  uint8_t *sram = sram_of(f, pe);
  uint64_t late_at = late == OPERAND_NONE ? 0 : c->result_at, branch_taken = (uint64_t)P(f, branch_taken),
           branch_not_taken = (uint64_t)P(f, branch_not_taken);
  account(f, b, pe, at, c->gap);
  uint64_t accounted = c->accounted, stalled[2] = {0}, issued = 0, loaded = 0, stored = 0, first = at;
  uint64_t bin_end = f->bins ? ((at >> b->series_shift) + 1) << b->series_shift : NEVER, in_bin = 0;
  int gap = WSE_CTR_STALL_LATENCY;
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
    if (at >= bin_end) { /* it was issued in another bin of the series */
      series_busy(f, b, pe, first, issued - 1 - in_bin);
      in_bin = issued - 1;
      first = at;
      bin_end = ((at >> b->series_shift) + 1) << b->series_shift;
    }
    at += cost;
  }
out:
  series_busy(f, b, pe, first, issued - in_bin);
  uint64_t *counters = counters_of(f, pe);
  counters[WSE_CTR_BUSY_SCALAR] += issued;
  counters[WSE_CTR_SCALARS] += issued;
  counters[WSE_CTR_STALL_LATENCY] += stalled[0];
  counters[WSE_CTR_STALL_BRANCH] += stalled[1];
  counters[WSE_CTR_SRAM_READ] += loaded;
  counters[WSE_CTR_SRAM_WRITE] += stored;
  c->accounted = accounted;
  c->pc = pc;
  c->main_at = at;
  if (issued) {
    c->gap = (uint8_t)gap;
    c->result_register = late_at ? (uint8_t)late : OPERAND_NONE;
    c->result_at = late_at;
    c->follows_vector = 0;
    activity_last(b, accounted);
  }
  return issued;
}

uint64_t scalar_run(wse_fabric *f, band *b, uint32_t pe, const isa_ins *code, uint32_t length, uint64_t at, uint64_t limit,
                    int budget) {
  switch (f->fp16) {
    case WSE_FP16_IEEE: return run_in(WSE_FP16_IEEE, f, b, pe, code, length, at, limit, budget);
    case WSE_FP16_BF16: return run_in(WSE_FP16_BF16, f, b, pe, code, length, at, limit, budget);
    default: return run_in(WSE_FP16_CB16, f, b, pe, code, length, at, limit, budget);
  }
}
