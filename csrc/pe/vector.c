/* vector.c - VECTOR rows over DSDs.
 *
 * An operation goes through its elements in order, one group of lanes a slot.  How many elements a slot takes is the least of
 * the row's lanes, what strides allow, and what the SRAM ports allow; two memory sources that touch one bank in a slot take
 * the slot twice [machine.def: sram_*, bank_conflict_factor, stride_rule].  A fabric operand gives or takes a wavelet a slot.
 *
 * Memory operations compute all elements when they are dispatched and complete by a timer: what another thread of the same PE
 * writes meanwhile into their operands is a race of the program, which the machine does not order either.
 */
#include "pe/vector.h"

#include "fast/span.h"
#include "observe/account.h"
#include "pe/operand.h"

/* The first operand with a length decides, sources first; without end only if every length is [SDK: DSDs]. */
static uint32_t length_of(const operation *o) {
  const operand *order[] = {&o->src0, &o->src1, &o->dst};
  bool endless = false;
  for (int i = 0; i < 3; i++) {
    if (order[i]->is != OPERAND_IS_DSR || !order[i]->d.length || order[i]->d.kind == DSD_FIFO) continue;
    if (dsd_is_fabric(&order[i]->d) && order[i]->d.length == LENGTH_INFINITE) endless = true;
    else return order[i]->d.length;
  }
  return endless ? UINT32_MAX : 1;
}

bool vector_has_fabric(const operation *o) {
  const operand *all[] = {&o->dst, &o->src0, &o->src1};
  for (int i = 0; i < 3; i++)
    if (all[i]->is == OPERAND_IS_DSR && !dsd_is_memory(&all[i]->d)) return true;
  return false;
}

/* A wavelet may carry two 16-bit elements if every fabric operand of the operation says so. */
static int elements_per_wavelet(const operation *o) {
  const operand *all[] = {&o->dst, &o->src0, &o->src1};
  int wide = 1;
  for (int i = 0; i < 3; i++) {
    if (all[i]->is != OPERAND_IS_DSR || !dsd_is_fabric(&all[i]->d)) continue;
    if (!(all[i]->d.flags & DSD_SIMD) || all[i]->size != 2) return 1;
    wide = 2;
  }
  return wide;
}

/* Elements of these operations need none of what is rare: FIFOs, control, carries, wrapping addresses. */
static bool is_plain(const operation *o) {
  if (o->rule >= ISA_CARRY || o->on_control & 3 || o->dst.is != OPERAND_IS_DSR) return false;
  const operand *all[] = {&o->dst, &o->src0, &o->src1};
  int inputs = 0;
  for (int i = 0; i < 3; i++) {
    if (all[i]->is != OPERAND_IS_DSR) continue;
    if (all[i]->d.kind == DSD_FABIN) inputs++;
    else if (all[i]->d.kind == DSD_FABOUT) {
      if (all[i]->d.flags & (DSD_CONTROL | DSD_ADVANCE_SWITCH | DSD_INDEX)) return false;
    } else if (o->left == UINT32_MAX || !operand_in_sram(all[i], o->left)) {
      return false;
    }
  }
  return inputs <= 1;
}

/* Options of an operation on a DSR that was loaded with options: what the instruction does not say is as the load said. */
static uint16_t with_load(uint16_t options, uint16_t load) {
  if (!(load & OPT_ASYNC)) return options;
  if (options & OPT_UT_GIVEN) load &= (uint16_t) ~(OPT_UT_GIVEN | 7 << OPT_UT);
  return options >> OPT_THEN & 3 ? options : options | load;
}

int vector_begin(wse_fabric *f, uint32_t pe, const isa_ins *ins, uint32_t pc, operation *o, int *kind) {
  const isa_row *row = &isa_rows[ins->op];
  uint16_t options = ins->options;
  if (!operand_decode(f, pe, ins->a, row->dst, true, &o->dst, kind) || !operand_decode(f, pe, ins->b, row->src0, false, &o->src0, kind) ||
      !operand_decode(f, pe, ins->c, row->src1, false, &o->src1, kind))
    return VECTOR_FAULT;
  *kind = WSE_FAULT_BAD_OPERAND;
  if (row->extra) {
    if (ins->d < OPERAND_REGISTER || ins->d >= OPERAND_REGISTER + WSE_REGISTERS) return VECTOR_FAULT;
    o->extra = f->ces[pe].r[ins->d - OPERAND_REGISTER];
  } else {
    if (ins->d != OPERAND_NONE) return VECTOR_FAULT;
    o->extra = 0;
  }
  const operand *all[] = {&o->dst, &o->src0, &o->src1};
  int inputs = 0;
  o->on_control = 0;
  for (int i = 0; i < 3; i++) {
    if (all[i]->is != OPERAND_IS_DSR) continue;
    options = with_load(options, all[i]->d.options);
    if (all[i]->d.kind != DSD_FABIN) continue;
    inputs++;
    if (all[i]->d.on_control & 3) o->on_control = all[i]->d.on_control;
  }
  *kind = WSE_FAULT_FABRIC_INPUTS;
  if (inputs > P(f, fabric_inputs)) return VECTOR_FAULT;
  *kind = WSE_FAULT_BAD_DSR;
  if (row->rule == ISA_FILTER && (o->src0.is != OPERAND_IS_DSR || o->src0.d.kind != DSD_FABIN)) return VECTOR_FAULT;
  *kind = WSE_FAULT_ASYNC;
  if (options & OPT_ASYNC && (!vector_has_fabric(o) || o->dst.is == OPERAND_IS_VALUE)) return VECTOR_FAULT;
  o->op = ins->op;
  o->rule = row->rule;
  o->options = options;
  o->pc = pc;
  o->left = length_of(o);
  o->done = 0;
  o->carry = 0;
  o->element = vector_element(o->op, f->fp16);
  o->flops = row->flops;
  int32_t stride;
  o->reads = o->writes = 0;
  for (int i = 1; i < 3; i++)
    if (operand_streams(all[i], &stride, operand_xdsr(f, pe, &all[i]->d))) o->reads += all[i]->size;
  if (operand_streams(&o->dst, &stride, operand_xdsr(f, pe, &o->dst.d))) o->writes = o->dst.size;
  if (vector_has_fabric(o)) {
    o->wide = (uint8_t)elements_per_wavelet(o);
    o->period = 1;
    if (o->dst.is != OPERAND_IS_VALUE) o->conflicts = (uint8_t)operand_conflicts(f, pe, o, o->wide);
    else if (o->flops) o->period = (uint8_t)P(f, reduce_fp_cycles);
    o->plain = !f->reference && is_plain(o);
  }
  return VECTOR_OK;
}

/* Lanes left by a stride, given in bytes. */
static int stride_lanes(const wse_fabric *f, int lanes, int32_t stride, int size) {
  int32_t s = stride / size;
  if (P(f, stride_rule) == 1) {
    int32_t by = s < 0 ? -s : s;
    return by < 2 ? lanes : lanes / by > 1 ? lanes / by : 1;
  }
  if (s == 0 || s == 1) return lanes;
  switch (((s % 8) + 8) % 8) {
    case 0: return 1;
    case 1: case 4: case 7: return lanes < 2 ? lanes : 2;
    default: return lanes;
  }
}

uint64_t vector_slots(wse_fabric *f, uint32_t pe, const operation *o, uint64_t *second) {
  const isa_row *row = &isa_rows[o->op];
  *second = 0;
  if (!o->left) return 0;
  if (o->dst.is == OPERAND_IS_VALUE) return o->left * (uint64_t)(row->flops ? P(f, reduce_fp_cycles) : 1);
  const operand *sources[] = {&o->src0, &o->src1};
  int lanes = row->lanes[P(f, simd_column)], reads = 0;
  int32_t stride;
  for (int i = 0; i < 2; i++) {
    if (!operand_streams(sources[i], &stride, operand_xdsr(f, pe, &sources[i]->d))) continue;
    reads++;
    lanes = stride_lanes(f, lanes, stride, sources[i]->size);
  }
  if (operand_streams(&o->dst, &stride, operand_xdsr(f, pe, &o->dst.d))) lanes = stride_lanes(f, lanes, stride, o->dst.size);
  int64_t rate = lanes * 1000, port = reads > 1 ? P(f, sram_read2_milli) : P(f, sram_read_milli);
  for (int i = 0; i < 2; i++)
    if (operand_streams(sources[i], &stride, operand_xdsr(f, pe, &sources[i]->d)) && port / sources[i]->size < rate)
      rate = port / sources[i]->size;
  if (o->dst.size && P(f, sram_write_milli) / o->dst.size < rate) rate = P(f, sram_write_milli) / o->dst.size;
  if (rate < 1) rate = 1;
  uint64_t slots = (o->left * (uint64_t)1000 + (uint64_t)rate - 1) / (uint64_t)rate;
  uint32_t conflicts = operand_conflicts(f, pe, o, lanes);
  if (conflicts) {
    uint64_t rest = conflicts & ((1u << slots % 8) - 1);
    *second = (slots / 8 * (uint64_t)__builtin_popcount(conflicts) + (uint64_t)__builtin_popcountll(rest)) *
              (uint64_t)(P(f, bank_conflict_factor) - 1);
  }
  return slots + *second;
}

static void compute_slowly(wse_fabric *f, uint32_t pe, operation *o) {
  element_function element = vector_element(o->op, f->fp16);
  ce *c = &f->ces[pe];
  uint32_t extra = o->extra;
  for (uint32_t i = 0; i < o->left; i++) {
    uint32_t v = element(operand_load(f, pe, &o->src0, i), operand_load(f, pe, &o->src1, i), extra);
    if (o->rule == ISA_CARRY) extra = v >> 16, v &= 0xffff;
    if (o->dst.is == OPERAND_IS_DSR) {
      sram_store(sram_of(f, pe), dsd_address(&o->dst.d, operand_xdsr(f, pe, &o->dst.d), i), o->dst.size, v);
      continue;
    }
    c->r[o->dst.number] = v; /* a source that names the same register sees the running value */
    if (o->src0.is == OPERAND_IS_VALUE) o->src0.value = c->r[o->src0.number];
    if (o->src1.is == OPERAND_IS_VALUE) o->src1.value = c->r[o->src1.number];
  }
}

static void compute(wse_fabric *f, uint32_t pe, operation *o) {
  if (!o->left) return;
  if (f->reference || o->dst.is != OPERAND_IS_DSR || !operand_in_sram(&o->dst, o->left) || !operand_in_sram(&o->src0, o->left) ||
      !operand_in_sram(&o->src1, o->left)) {
    compute_slowly(f, pe, o);
    return;
  }
  uint8_t *sram = sram_of(f, pe);
  span s = {.dst = sram + o->dst.d.base, .step_dst = o->dst.d.stride, .extra = o->extra, .n = o->left,
            .value0 = o->src0.value, .value1 = o->src1.value,
            .overlaps = operand_overlaps(&o->dst, &o->src0, o->left) || operand_overlaps(&o->dst, &o->src1, o->left)};
  if (o->src0.is == OPERAND_IS_DSR) s.src0 = sram + o->src0.d.base, s.step0 = o->src0.d.stride;
  if (o->src1.is == OPERAND_IS_DSR) s.src1 = sram + o->src1.d.base, s.step1 = o->src1.d.stride;
  f->spans[o->op](f->fp16, &s);
}

uint64_t vector_memory(wse_fabric *f, band *b, uint32_t pe, operation *o, uint64_t first, uint64_t *second) {
  uint64_t slots = vector_slots(f, pe, o, second);
  compute(f, pe, o);
  vector_count(f, b, pe, o->reads, o->writes, o->flops, o->left, first);
  o->done = o->left;
  vector_end(f, pe, o);
  return slots;
}

/* What an operation leaves in its DSRs: the address, if it is to be saved, and what a FIFO operand did not do. */
void vector_end(wse_fabric *f, uint32_t pe, operation *o) {
  const operand *all[] = {&o->dst, &o->src0, &o->src1};
  for (int i = 0; i < 3; i++) {
    bool seen = false; /* a DSR may be source and destination at once */
    for (int k = 0; k < i; k++) seen |= all[k]->is == OPERAND_IS_DSR && all[k]->number == all[i]->number;
    if (all[i]->is != OPERAND_IS_DSR || seen) continue;
    dsr *d = &f->dsrs[all[i]->number][pe];
    if (dsd_is_memory(d) && d->flags & DSD_SAVE_ADDRESS) {
      dsr sized = dsd_sized(d, all[i]->size);
      d->base = dsd_end(&sized, operand_xdsr(f, pe, d), o->done);
    }
    if (d->kind == DSD_FIFO) d->length = o->left == UINT32_MAX ? LENGTH_INFINITE : (uint16_t)o->left;
  }
}

void vector_written(const wse_fabric *f, uint32_t pe, const operation *o, uint16_t *low, uint16_t *high) {
  if (!operand_range(f, pe, &o->dst, o->done, low, high)) *low = 1, *high = 0;
}

bool vector_reads(const wse_fabric *f, uint32_t pe, const operation *o, uint16_t low, uint16_t high) {
  uint16_t l, h;
  if (low > high) return false;
  return (operand_range(f, pe, &o->src0, o->left, &l, &h) && l <= high && h >= low) ||
         (operand_range(f, pe, &o->src1, o->left, &l, &h) && l <= high && h >= low);
}
