/* scalar.c - SCALAR rows: what ordinary code compiles to.
 *
 * In order, one instruction a cycle.  Integer results are there for the next instruction, floating-point results a cycle later
 * (fp_latency); divisions and roots are software on the machine and keep the thread (fdiv_, idiv_, sqrt_latency).
 */
#include "ce.h"
#include "dsd.h"
#include "op_scalar.h"

enum { FORM_RRX, FORM_RX, FORM_RRRR, FORM_LD, FORM_ST, FORM_BR, FORM_JMP, FORM_JAL, FORM_JR };

typedef struct {
  uint8_t form;
  uint8_t latency; /* row of machine.def, as a parameter's index */
} scalar_row;

#define WSE_branch WSE_branch_taken
static const scalar_row rows[] = {
#define SCALAR(name, form, latency, effect) [OP_##name - OP_mov] = {FORM_##form, WSE_##latency},
#include "isa.def"
};
_Static_assert(WSE_PARAM_COUNT < 256, "a parameter's index fits in a byte");

/* Rows without a value: their forms move data or control. */
#define NO_VALUE(name)                                                            \
  NUM_INLINE uint32_t sc_##name(int fmt, uint32_t a, uint32_t b, uint32_t c) {    \
    return (void)fmt, (void)a, (void)b, (void)c, 0;                               \
  }
NO_VALUE(ld8) NO_VALUE(ld16) NO_VALUE(ld32) NO_VALUE(st8) NO_VALUE(st16) NO_VALUE(st32)
NO_VALUE(bz) NO_VALUE(bnz) NO_VALUE(jmp) NO_VALUE(jal) NO_VALUE(jr)

#define SCALAR(name, ...) case OP_##name: return sc_##name(fmt, a, b, c);
NUM_INLINE uint32_t value_in(int fmt, int op, uint32_t a, uint32_t b, uint32_t c) {
  switch (op) {
#include "isa.def"
  }
  return 0;
}

static uint32_t value(int fp16, int op, uint32_t a, uint32_t b, uint32_t c) {
  switch (fp16) {
    case WSE_FP16_IEEE: return value_in(WSE_FP16_IEEE, op, a, b, c);
    case WSE_FP16_BF16: return value_in(WSE_FP16_BF16, op, a, b, c);
    default: return value_in(WSE_FP16_CB16, op, a, b, c);
  }
}

static uint32_t reg(const ce *c, uint8_t number) { return c->r[number & (WSE_REGISTERS - 1)]; }
static uint32_t last_operand(const ce *c, const isa_ins *ins, bool immediate) {
  return immediate ? (uint32_t)ins->imm : reg(c, ins->c);
}

uint64_t scalar_ready(const ce *c, const isa_ins *ins) {
  uint8_t r = c->result_register;
  bool reads;
  switch (rows[(ins->op & ~INS_IMMEDIATE) - OP_mov].form) {
    case FORM_RX: reads = !(ins->op & INS_IMMEDIATE) && ins->c == r; break;
    case FORM_RRX: reads = ins->b == r || (!(ins->op & INS_IMMEDIATE) && ins->c == r); break;
    case FORM_RRRR: reads = ins->b == r || ins->c == r || ins->d == r; break;
    case FORM_LD: reads = ins->b == r; break;
    case FORM_ST: reads = ins->a == r || ins->b == r; break;
    case FORM_BR: case FORM_JR: reads = ins->a == r; break;
    default: reads = false;
  }
  return reads ? c->result_at : 0;
}

void scalar_execute(wse_fabric *f, uint32_t pe, ce *c, const isa_ins *ins, uint64_t at, uint32_t *next, uint64_t *cost) {
  int op = ins->op & ~INS_IMMEDIATE;
  bool immediate = ins->op & INS_IMMEDIATE;
  const scalar_row *row = &rows[op - OP_mov];
  uint32_t *dst = &c->r[ins->a & (WSE_REGISTERS - 1)];
  uint64_t latency = (uint64_t)f->params[row->latency];
  *cost = 1;
  switch (row->form) {
    case FORM_RX: *dst = value(f->fp16, op, last_operand(c, ins, immediate), 0, 0); break;
    case FORM_RRX: *dst = value(f->fp16, op, reg(c, ins->b), last_operand(c, ins, immediate), 0); break;
    case FORM_RRRR: *dst = value(f->fp16, op, reg(c, ins->b), reg(c, ins->c), reg(c, ins->d)); break;
    case FORM_LD:
    case FORM_ST: {
      uint16_t address = (uint16_t)((ins->b == OPERAND_NONE ? 0 : reg(c, ins->b)) + (uint32_t)ins->imm);
      int size = op == OP_ld8 || op == OP_st8 ? 1 : op == OP_ld16 || op == OP_st16 ? 2 : 4;
      if (row->form == FORM_LD) *dst = sram_load(sram_of(f, pe), address, size);
      else sram_store(sram_of(f, pe), address, size, *dst);
      counters_of(f, pe)[row->form == FORM_LD ? WSE_CTR_SRAM_READ : WSE_CTR_SRAM_WRITE] += (uint64_t)size;
      break;
    }
    case FORM_BR: {
      bool taken = (*dst != 0) == (op == OP_bnz);
      if (taken) *next = (uint32_t)ins->imm;
      *cost = (uint64_t)(taken ? P(f, branch_taken) : P(f, branch_not_taken));
      return;
    }
    case FORM_JAL: *dst = *next; /* fallthrough */
    case FORM_JMP: *next = (uint32_t)ins->imm; *cost = latency; return;
    case FORM_JR: *next = *dst; *cost = latency; return;
  }
  if (latency <= (uint64_t)P(f, fp_latency)) {
    c->result_register = ins->a;
    c->result_at = at + latency;
  } else {
    *cost = latency;
  }
}
