/* vector.c - vector operations.
 *
 * An operation processes its elements in order, one group of lanes per slot.  The elements of a slot are limited by
 * the instruction's lanes, by strides, and by the SRAM ports; if two memory sources access one bank in a slot, the
 * slot is taken twice [machine.def: sram_*, bank_conflict_factor, stride_rule].  A fabric operand gives or takes a
 * wavelet per slot.
 *
 * Memory operations compute all elements when they are dispatched and complete by a timer.  If another thread of the
 * same PE writes into their operands meanwhile, the program has a race; the machine does not order these accesses
 * either.
 */
#include "pe/vector.h"

#include "fast/span.h"
#include "observe/account.h"
#include "observe/check.h"
#include "pe/check_operation.h"
#include "pe/operand.h"

/* The first operand with a length decides, sources first; endless only if every length is [SDK: DSDs]. */
static uint32_t length_of(const vector_operation *operation) {
  const vector_operand *order[] = {&operation->src0, &operation->src1, &operation->dst};
  bool endless = false;
  for (int i = 0; i < 3; i++) {
    if (order[i]->is != OPERAND_IS_DSR || !order[i]->d.length) continue;
    bool is_fifo = order[i]->d.kind == DSD_FIFO;
    if (is_fifo && !(order[i]->d.flags & DSD_COUNTS)) continue;
    if ((is_fifo || dsd_is_fabric(&order[i]->d)) && order[i]->d.length == LENGTH_INFINITE) endless = true;
    else return order[i]->d.length;
  }
  return endless ? UINT32_MAX : 1;
}

static bool is_scalar_in_memory(const vector_operand *operand) {
  return operand->is == OPERAND_IS_DSR && operand->d.kind == DSD_MEM1D && operand->d.flags & DSD_SCALAR;
}

bool vector_has_fabric(const vector_operation *operation) {
  const vector_operand *all[] = {&operation->dst, &operation->src0, &operation->src1};
  for (int i = 0; i < 3; i++)
    if (all[i]->is == OPERAND_IS_DSR && !dsd_is_memory(&all[i]->d)) return true;
  return false;
}

/* A wavelet may carry two 16-bit elements if every fabric operand of the operation says so. */
static int elements_per_wavelet(const vector_operation *operation) {
  const vector_operand *all[] = {&operation->dst, &operation->src0, &operation->src1};
  int wide = 1;
  for (int i = 0; i < 3; i++) {
    if (all[i]->is != OPERAND_IS_DSR || !dsd_is_fabric(&all[i]->d)) continue;
    if (!(all[i]->d.flags & DSD_SIMD) || all[i]->size != 2) return 1;
    wide = 2;
  }
  return wide;
}

/* Sets how many elements the operation takes at once: the least of what its operands take.  One in a SIMD mode that may
 * take more waits for these, unless the mode allows less. */
static void set_width(vector_operation *operation) {
  const vector_operand *all[] = {&operation->dst, &operation->src0, &operation->src1};
  int per_wavelet = elements_per_wavelet(operation), wide = 0, single = 0;
  bool waits = false;
  for (int i = 0; i < 3; i++) {
    if (all[i]->is != OPERAND_IS_DSR || dsd_is_memory(&all[i]->d)) continue;
    bool is_fifo = all[i]->d.kind == DSD_FIFO, simd = all[i]->d.flags & DSD_SIMD;
    if (is_fifo && !simd) continue;
    int mode = simd ? all[i]->d.x >> SIMD_MODE : SIMD_32, one = is_fifo ? 4 / all[i]->size : per_wavelet,
        most = mode == SIMD_32 ? one : 2 * one;
    if (!wide || most < wide) wide = most;
    if (!single || one < single) single = one;
    waits |= mode == SIMD_64;
  }
  if (!wide) wide = single = 1;
  if (wide < per_wavelet) wide = per_wavelet;
  if (single < per_wavelet) single = per_wavelet;
  operation->per_wavelet = (uint8_t)per_wavelet;
  operation->wide = (uint8_t)wide;
  operation->least = (uint8_t)(waits ? wide : single);
}

/* Whether the elements need none of the rare features: FIFOs, control wavelets, carries, wrapping addresses. */
static bool is_simple(const vector_operation *operation) {
  if (operation->rule >= ISA_CARRY || operation->on_control & 3 || operation->dst.is != OPERAND_IS_DSR) return false;
  if (operation->wide != operation->per_wavelet) return false;
  const vector_operand *all[] = {&operation->dst, &operation->src0, &operation->src1};
  int inputs = 0;
  for (int i = 0; i < 3; i++) {
    if (all[i]->is != OPERAND_IS_DSR) continue;
    if (all[i]->d.kind == DSD_FABIN) inputs++;
    else if (all[i]->d.kind == DSD_FABOUT) {
      if (all[i]->d.flags & (DSD_CONTROL | DSD_ADVANCE_SWITCH | DSD_INDEX)) return false;
    } else if (operation->left == UINT32_MAX || !operand_in_sram(all[i], operation->left)) {
      return false;
    }
  }
  return inputs <= 1;
}

/* The options of an operation on a DSR that was loaded with options: those of the instruction, and where it gives none,
 * those of the load. */
static uint16_t with_load(uint16_t options, uint16_t load) {
  if (!(load & OPT_ASYNC)) return options;
  if (!(options & OPT_UT_GIVEN)) options |= load & (OPT_UT_GIVEN | 7 << OPT_UT);
  if (!(options >> OPT_THEN & 3)) options |= load & (3 << OPT_THEN | 63 << OPT_TASK);
  return options | OPT_ASYNC;
}

int vector_begin(wse_fabric *fabric, uint32_t pe, const isa_ins *ins, uint32_t pc, vector_operation *operation,
                 int *kind) {
  const isa_row *row = &isa_rows[ins->op];
  uint16_t options = ins->options;
  if (!operand_decode(fabric, pe, ins->a, row->dst, true, &operation->dst, kind) ||
      !operand_decode(fabric, pe, ins->b, row->src0, false, &operation->src0, kind) ||
      !operand_decode(fabric, pe, ins->c, row->src1, false, &operation->src1, kind))
    return VECTOR_FAULT;
  *kind = WSE_FAULT_BAD_OPERAND;
  if (row->extra) {
    if (ins->d < OPERAND_REGISTER || ins->d >= OPERAND_REGISTER + WSE_REGISTERS) return VECTOR_FAULT;
    operation->extra = *register_of(fabric, pe, ins->d - OPERAND_REGISTER);
  } else {
    if (ins->d != OPERAND_NONE) return VECTOR_FAULT;
    operation->extra = 0;
  }
  const vector_operand *all[] = {&operation->dst, &operation->src0, &operation->src1};
  int inputs = 0;
  operation->on_control = 0;
  for (int i = 0; i < 3; i++) {
    if (all[i]->is != OPERAND_IS_DSR) continue;
    options = with_load(options, all[i]->d.options);
    if (all[i]->d.kind != DSD_FABIN) continue;
    inputs++;
    if (all[i]->d.on_control & 3) operation->on_control = all[i]->d.on_control;
  }
  *kind = WSE_FAULT_FABRIC_INPUTS;
  if (inputs > P(fabric, fabric_inputs)) return VECTOR_FAULT;
  *kind = WSE_FAULT_BAD_DSR;
  if (row->rule == ISA_FILTER && (operation->src0.is != OPERAND_IS_DSR || operation->src0.d.kind != DSD_FABIN))
    return VECTOR_FAULT;
  *kind = WSE_FAULT_ASYNC;
  if (options & OPT_ASYNC && (!vector_has_fabric(operation) || operation->dst.is == OPERAND_IS_VALUE))
    return VECTOR_FAULT;
  operation->op = ins->op;
  operation->rule = row->rule;
  operation->options = options;
  operation->pc = pc;
  operation->left = length_of(operation);
  operation->done = 0;
  operation->carry = 0;
  operation->flops = row->flops;
  int32_t stride;
  if (is_scalar_in_memory(&operation->dst)) operation->dst.value = operand_load(fabric, pe, &operation->dst, 0);
  operation->reads = operation->writes = 0;
  for (int i = 1; i < 3; i++)
    if (operand_streams(all[i], &stride, operand_xdsr(fabric, pe, &all[i]->d))) operation->reads += all[i]->size;
  if (operand_streams(&operation->dst, &stride, operand_xdsr(fabric, pe, &operation->dst.d)))
    operation->writes = operation->dst.size;
  if (vector_has_fabric(operation)) {
    set_width(operation);
    operation->period = 1;
    if (operation->dst.is != OPERAND_IS_VALUE)
      operation->conflicts = (uint8_t)operand_conflicts(fabric, pe, operation, operation->wide);
    else if (operation->flops) operation->period = (uint8_t)P(fabric, reduce_fp_cycles);
    operation->simple = !fabric->by_element && is_simple(operation);
  }
  return VECTOR_OK;
}

/* The lanes that a stride leaves; stride in bytes. */
static int stride_lanes(const wse_fabric *fabric, int lanes, int32_t stride, int size) {
  int32_t s = stride / size;
  if (P(fabric, stride_rule) == 1) {
    int32_t by = s < 0 ? -s : s;
    return by < 2 ? lanes : lanes / by > 1 ? lanes / by : 1;
  }
  if (s == 0 || s == 1) return lanes;
  switch (((s % 8) + 8) % 8) {
    case 0: return 1;
    case 1:
    case 4:
    case 7: return lanes < 2 ? lanes : 2;
    default: return lanes;
  }
}

uint64_t vector_slots(wse_fabric *fabric, uint32_t pe, const vector_operation *operation, uint64_t *second) {
  const isa_row *row = &isa_rows[operation->op];
  *second = 0;
  if (!operation->left) return 0;
  if (operation->dst.is == OPERAND_IS_VALUE)
    return operation->left * (uint64_t)(row->flops ? P(fabric, reduce_fp_cycles) : 1);
  const vector_operand *sources[] = {&operation->src0, &operation->src1};
  int lanes = row->lanes[P(fabric, simd_column)], reads = 0;
  int32_t stride;
  for (int i = 0; i < 2; i++) {
    if (!operand_streams(sources[i], &stride, operand_xdsr(fabric, pe, &sources[i]->d))) continue;
    reads++;
    lanes = stride_lanes(fabric, lanes, stride, sources[i]->size);
  }
  if (operand_streams(&operation->dst, &stride, operand_xdsr(fabric, pe, &operation->dst.d)))
    lanes = stride_lanes(fabric, lanes, stride, operation->dst.size);
  int64_t rate = lanes * 1000, port = reads > 1 ? P(fabric, sram_read2_milli) : P(fabric, sram_read_milli);
  for (int i = 0; i < 2; i++)
    if (operand_streams(sources[i], &stride, operand_xdsr(fabric, pe, &sources[i]->d)) &&
        port / sources[i]->size < rate)
      rate = port / sources[i]->size;
  if (operation->dst.size && P(fabric, sram_write_milli) / operation->dst.size < rate)
    rate = P(fabric, sram_write_milli) / operation->dst.size;
  if (rate < 1) rate = 1;
  uint64_t group = (uint64_t)lanes, groups = (operation->left + group - 1) / group,
           slots = (groups * group * 1000 + (uint64_t)rate - 1) / (uint64_t)rate; /* the last group takes as long */
  uint32_t conflicts = operand_conflicts(fabric, pe, operation, operation->left < group ? (int)operation->left : lanes);
  if (conflicts) {
    uint64_t rest = conflicts & ((1u << slots % 8) - 1);
    *second = (slots / 8 * (uint64_t)__builtin_popcount(conflicts) + (uint64_t)__builtin_popcountll(rest)) *
              (uint64_t)(P(fabric, bank_conflict_factor) - 1);
  }
  return slots + *second;
}

uint64_t vector_readable(const wse_fabric *fabric, uint64_t first, uint64_t slots, uint64_t simple, uint64_t elements) {
  if (simple >= elements) return 0;
  uint64_t passed = first + (uint64_t)P(fabric, write_to_read_cycles),
           drained = first + slots - 1 + (uint64_t)P(fabric, write_drain_cycles);
  return passed < drained ? passed : drained;
}

void vector_fill_slots(wse_fabric *fabric, uint32_t pe, const isa_ins *ins, slot_entry *entry) {
  vector_operation operation;
  int kind;
  memset(&operation, 0, sizeof operation);
  vector_begin(fabric, pe, ins, 0, &operation, &kind); /* operations of the fast path have no faults */
  entry->all = vector_slots(fabric, pe, &operation, &entry->second);
  entry->reads = operation.reads;
  entry->writes = operation.writes;
  entry->flops = operation.flops;
}

static void compute_one_by_one(wse_fabric *fabric, uint32_t pe, vector_operation *operation) {
  element_function element = vector_element(operation->op, fabric->fp16);
  uint32_t extra = operation->extra;
  for (uint32_t i = 0; i < operation->left; i++) {
    uint32_t v =
        element(operand_load(fabric, pe, &operation->src0, i), operand_load(fabric, pe, &operation->src1, i), extra);
    if (operation->rule == ISA_CARRY) {
      extra = v >> 16;
      v &= 0xffff;
    }
    if (operation->dst.is == OPERAND_IS_DSR) {
      sram_store(sram_of(fabric, pe), dsd_address(&operation->dst.d, operand_xdsr(fabric, pe, &operation->dst.d), i),
                 operation->dst.size, v);
      continue;
    }
    *register_of(fabric, pe, operation->dst.number) =
        v; /* a source that names the same register reads the running value */
    if (operation->src0.is == OPERAND_IS_VALUE)
      operation->src0.value = *register_of(fabric, pe, operation->src0.number);
    if (operation->src1.is == OPERAND_IS_VALUE)
      operation->src1.value = *register_of(fabric, pe, operation->src1.number);
  }
}

static void compute(wse_fabric *fabric, uint32_t pe, vector_operation *operation) {
  if (!operation->left) return;
  if (fabric->reference || operation->dst.is != OPERAND_IS_DSR || !operand_in_sram(&operation->dst, operation->left) ||
      !operand_in_sram(&operation->src0, operation->left) || !operand_in_sram(&operation->src1, operation->left)) {
    compute_one_by_one(fabric, pe, operation);
    return;
  }
  uint8_t *sram = sram_of(fabric, pe);
  span s = {.dst = sram + operation->dst.d.base,
            .step_dst = operation->dst.d.stride,
            .extra = operation->extra,
            .n = operation->left,
            .value0 = operation->src0.value,
            .value1 = operation->src1.value,
            .overlaps = operand_overlaps(&operation->dst, &operation->src0, operation->left) ||
                        operand_overlaps(&operation->dst, &operation->src1, operation->left)};
  if (operation->src0.is == OPERAND_IS_DSR) {
    s.src0 = sram + operation->src0.d.base;
    s.step0 = operation->src0.d.stride;
  }
  if (operation->src1.is == OPERAND_IS_DSR) {
    s.src1 = sram + operation->src1.d.base;
    s.step1 = operation->src1.d.stride;
  }
  fabric->spans[operation->op](fabric->fp16, &s);
}

uint64_t vector_memory(wse_fabric *fabric, band_state *band, uint32_t pe, vector_operation *operation, uint64_t first,
                       uint64_t *second) {
  uint64_t slots = vector_slots(fabric, pe, operation, second);
  if (fabric->check) check_operation(fabric, pe, operation, MAIN, operation->left, first);
  compute(fabric, pe, operation);
  vector_count(fabric, band, pe, operation->reads, operation->writes, operation->flops, operation->left, first);
  operation->done = operation->left;
  vector_end(fabric, pe, operation);
  return slots;
}

/* The source in memory that the end of an operation clears; NULL if it clears none. */
static const vector_operand *cleared(const vector_operation *operation) {
  const dsr *d = &operation->dst.d;
  if (operation->dst.is != OPERAND_IS_DSR || d->kind != DSD_FABOUT) return NULL;
  if (!(d->flags & (DSD_ZERO_FIRST | DSD_ZERO_SECOND))) return NULL;
  bool second = d->flags & DSD_ZERO_SECOND && operation->src1.is != OPERAND_IS_NONE;
  const vector_operand *source = second ? &operation->src1 : &operation->src0;
  return source->is == OPERAND_IS_DSR && dsd_is_memory(&source->d) ? source : NULL;
}

void vector_takes_lengths(wse_fabric *fabric, uint32_t pe, const vector_operation *operation) {
  const vector_operand *all[] = {&operation->dst, &operation->src0, &operation->src1};
  for (int i = 0; i < 3; i++)
    if (all[i]->is == OPERAND_IS_DSR && all[i]->d.kind == DSD_FIFO) fabric->dsrs[all[i]->number][pe].length = 0;
}

/* Updates the DSRs at the end of an operation: the address, if it is to be saved, and the length of a FIFO that ended
 * it.  A scalar keeps its value if a FIFO had too few elements [SDK: FIFOs]. */
void vector_end(wse_fabric *fabric, uint32_t pe, vector_operation *operation) {
  const vector_operand *clears = cleared(operation);
  for (uint32_t i = 0; clears && i < operation->done; i++) {
    uint16_t at = dsd_address(&clears->d, operand_xdsr(fabric, pe, &clears->d), i);
    sram_store(sram_of(fabric, pe), at, clears->size, 0);
    if (fabric->check) check_written(fabric, pe, at, clears->size);
  }
  const vector_operand *all[] = {&operation->dst, &operation->src0, &operation->src1}, *dst = all[0];
  if (operation->stopped > 1 && dst->is == OPERAND_IS_VALUE) *register_of(fabric, pe, dst->number) = dst->value;
  if (operation->stopped > 1 && is_scalar_in_memory(dst))
    sram_store(sram_of(fabric, pe), dst->d.base, dst->size, dst->value);
  for (int i = 0; i < 3; i++) {
    bool seen = false; /* a DSR may be source and destination at once */
    for (int k = 0; k < i; k++)
      seen |= all[k]->is == OPERAND_IS_DSR && all[k]->number == all[i]->number;
    if (all[i]->is != OPERAND_IS_DSR || seen) continue;
    dsr *d = &fabric->dsrs[all[i]->number][pe];
    if (dsd_is_memory(d) && d->flags & DSD_SAVE_ADDRESS) {
      dsr sized = dsd_sized(d, all[i]->size);
      d->base = dsd_end(&sized, operand_xdsr(fabric, pe, d), operation->done);
    }
    if (d->kind == DSD_FIFO && operation->stopped == i + 1)
      d->length = operation->left == UINT32_MAX ? LENGTH_INFINITE : (uint16_t)operation->left;
  }
}

void vector_written(const wse_fabric *fabric, uint32_t pe, const vector_operation *operation, uint16_t *low,
                    uint16_t *high) {
  const vector_operand *clears = cleared(operation);
  if (!operand_range(fabric, pe, clears ? clears : &operation->dst, operation->done, low, high)) {
    *low = 1;
    *high = 0;
  }
}

bool vector_reads(const wse_fabric *fabric, uint32_t pe, const vector_operation *operation, uint16_t low,
                  uint16_t high) {
  uint16_t l, h;
  if (low > high) return false;
  return (operand_range(fabric, pe, &operation->src0, operation->left, &l, &h) && l <= high && h >= low) ||
         (operand_range(fabric, pe, &operation->src1, operation->left, &l, &h) && l <= high && h >= low);
}
