/* isa.c - the tables of isa.def, machine.def, faults.def, events.def and counters.def as arrays. */
#include "tables/isa.h"

#include "wse.h"

static const wse_op_info op_table[] = {
#define VECTOR(name, dst, src0, src1, extra, lanes2, lanes3, effect) \
  {#name, "", effect, {#dst, #src0, #src1, #extra}, "", WSE_KIND_VECTOR, {lanes2, lanes3}},
#define SCALAR(name, form, latency, effect) {#name, #form, effect, {"", "", "", ""}, #latency, WSE_KIND_SCALAR, {1, 1}},
#define SYSTEM(name, form, effect) {#name, #form, effect, {"", "", "", ""}, "int_latency", WSE_KIND_SYSTEM, {1, 1}},
#include "tables/isa.def"
};

const wse_op_info *wse_op_table(int *count) {
  *count = OP_COUNT;
  return op_table;
}

static const wse_param_info param_table[] = {
#define PARAM(name, wse2, wse3, silicon, unit, confidence, source, meaning) \
  {#name, unit, confidence, source, meaning, {wse2, wse3, silicon}},
#include "tables/machine.def"
};

const wse_param_info *wse_param_table(void) { return param_table; }

static const wse_row fault_table[] = {
    {"NONE", "no fault", ""},
#define FAULT(name, sentence) {#name, sentence, ""},
#include "tables/faults.def"
};

const wse_row *wse_fault_table(void) { return fault_table; }

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
