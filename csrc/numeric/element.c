/* element.c - tables of the value functions of op_vector.h and op_scalar.h, one column per 16-bit format. */
#include "numeric/element.h"

#include "numeric/op_scalar.h"
#include "numeric/op_vector.h"
#include "tables/isa.h"
#include "wse.h"

/* Rows that have a value function: VECTOR rows whose rule gives elements, SCALAR rows that do not load, store or
 * branch. */
#define DEFINE(prefix, name)                                                                                          \
  static uint32_t ieee_##name(uint32_t a, uint32_t b, uint32_t x) { return prefix##_##name(WSE_FP16_IEEE, a, b, x); } \
  static uint32_t bf16_##name(uint32_t a, uint32_t b, uint32_t x) { return prefix##_##name(WSE_FP16_BF16, a, b, x); } \
  static uint32_t cb16_##name(uint32_t a, uint32_t b, uint32_t x) { return prefix##_##name(WSE_FP16_CB16, a, b, x); }
#define ROW(prefix, name) [OP_##name] = {ieee_##name, bf16_##name, cb16_##name},
#define SKIP(prefix, name)
#define RULE_EACH(what) what
#define RULE_COPY(what) what
#define RULE_CARRY(what) what
#define RULE_FILTER(what) SKIP
#define FORM_RX(what) what
#define FORM_RRX(what) what
#define FORM_RRRR(what) what
#define FORM_LD(what) SKIP
#define FORM_ST(what) SKIP
#define FORM_BR(what) SKIP
#define FORM_JMP(what) SKIP
#define FORM_JAL(what) SKIP
#define FORM_JR(what) SKIP

#define VECTOR(name, dst, src0, src1, extra, lanes2, lanes3, flops, rule, ...) RULE_##rule(DEFINE)(op, name)
#define SCALAR(name, form, ...) FORM_##form(DEFINE)(sc, name)
#include "tables/isa.def"

const element_function elements[OP_COUNT][3] = {
#define VECTOR(name, dst, src0, src1, extra, lanes2, lanes3, flops, rule, ...) RULE_##rule(ROW)(op, name)
#define SCALAR(name, form, ...) FORM_##form(ROW)(sc, name)
#include "tables/isa.def"
};

int wse_element(int opcode, int fp16, uint32_t a, uint32_t b, uint32_t c, uint32_t *result) {
  if (opcode < 0 || opcode >= OP_COUNT || fp16 < 0 || fp16 > WSE_FP16_CB16 || !elements[opcode][fp16]) return 0;
  *result = elements[opcode][fp16](a, b, c);
  return 1;
}
