/* isa.c - the tables of csrc/tables as arrays, for Python and for lookups by opcode. */
#include "tables/isa.h"

#include "wse.h"

#define COUNT(array) (int)(sizeof(array) / sizeof *(array))

static const wse_op_info op_table[] = {
#define VECTOR(op, dst, src0, src1, src2, lanes2, lanes3, count, how, what) \
  {.name = #op,                                                             \
   .form = "",                                                              \
   .effect = what,                                                          \
   .type = {#dst, #src0, #src1, #src2},                                     \
   .latency = "",                                                           \
   .rule = #how,                                                            \
   .privacy = "",                                                           \
   .names = "",                                                             \
   .kind = WSE_KIND_VECTOR,                                                 \
   .lanes = {lanes2, lanes3},                                               \
   .flops = count,                                                          \
   .group = 1},
#define SCALAR(op, operands, cycles, size, what) \
  {.name = #op,                                  \
   .form = #operands,                            \
   .effect = what,                               \
   .type = {"", "", "", ""},                     \
   .latency = #cycles,                           \
   .rule = "",                                   \
   .privacy = "",                                \
   .names = "",                                  \
   .kind = WSE_KIND_SCALAR,                      \
   .lanes = {1, 1},                              \
   .bytes = size,                                \
   .group = 1},
#define SYSTEM(op, operands, seen, registers, first, what) \
  {.name = #op,                                            \
   .form = #operands,                                      \
   .effect = what,                                         \
   .type = {"", "", "", ""},                               \
   .latency = "int_latency",                               \
   .rule = "",                                             \
   .privacy = #seen,                                       \
   .names = #first,                                        \
   .kind = WSE_KIND_SYSTEM,                                \
   .lanes = {1, 1},                                        \
   .group = registers},
#include "tables/isa.def"
};

const wse_op_info *wse_op_table(int *count) {
  *count = COUNT(op_table);
  return op_table;
}

const isa_row isa_rows[] = {
#define VECTOR(name, d, a, b, x, lanes2, lanes3, count, how, effect) \
  [OP_##name] = {.privacy = ISA_SHARED,                              \
                 .rule = ISA_##how,                                  \
                 .flops = count,                                     \
                 .lanes = {lanes2, lanes3},                          \
                 .dst = ISA_BYTES_##d,                               \
                 .src0 = ISA_BYTES_##a,                              \
                 .src1 = ISA_BYTES_##b,                              \
                 .extra = ISA_BYTES_##x},
#define SCALAR(name, ...) [OP_##name] = {.privacy = ISA_PRIVATE},
#define SYSTEM(name, form, seen, ...) [OP_##name] = {.privacy = ISA_##seen},
#include "tables/isa.def"
};

static const wse_type_info type_table[] = {
#define TYPE(type, size, number, format, scalar, what) \
  {.name = #type, .csl = scalar, .meaning = what, .bytes = size, .is_float = number, .half = format},
#include "tables/isa.def"
};

const wse_type_info *wse_type_table(int *count) {
  *count = COUNT(type_table);
  return type_table;
}

static const wse_form_info form_table[] = {
#define FORM(form, text, written, read) {.name = #form, .operands = text, .writes = written, .reads = read},
#include "tables/isa.def"
};

const wse_form_info *wse_form_table(int *count) {
  *count = COUNT(form_table);
  return form_table;
}

static const wse_param_info param_table[] = {
#define PARAM(param, wse2, wse3, silicon, low, high, measure, sure, origin, what, why) \
  {.name = #param,                                                                     \
   .unit = measure,                                                                    \
   .confidence = sure,                                                                 \
   .source = origin,                                                                   \
   .meaning = what,                                                                    \
   .limits = why,                                                                      \
   .value = {wse2, wse3, silicon},                                                     \
   .least = low,                                                                       \
   .most = high},
#include "tables/machine.def"
};

const wse_param_info *wse_param_table(void) { return param_table; }

static const wse_row fault_table[] = {
    {"NONE", "no fault", ""},
#define FAULT(name, sentence) {#name, sentence, ""},
#include "tables/faults.def"
};

const wse_row *wse_fault_table(void) { return fault_table; }

static const wse_row finding_table[] = {
#define FINDING(name, what) {#name, what, ""},
#include "tables/findings.def"
};

const wse_row *wse_finding_table(void) { return finding_table; }

static const wse_row event_table[] = {
#define EVENT(name, a, b) {#name, a, b},
#include "tables/events.def"
};

const wse_row *wse_event_table(void) { return event_table; }

static const wse_row counter_table[] = {
#define COUNTER(name, unit, meaning) {#name, unit, meaning},
#include "tables/counters.def"
};

const wse_row *wse_counter_table(void) { return counter_table; }

static const wse_row cause_table[] = {
#define CAUSE(name, counter, meaning) {#name, #counter, meaning},
#include "tables/causes.def"
};

const wse_row *wse_cause_table(void) { return cause_table; }
