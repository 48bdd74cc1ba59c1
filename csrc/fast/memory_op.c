/* memory_op.c - fast path of memory operations: constant strides in SRAM, no options.
 *
 * Results and cycles are those of the general path (pe/vector.c).  Less is decoded, and the number of slots is cached
 * by what it depends on.  Operations with any rare feature are left to the general path.
 */
#include "fast/memory_op.h"

#include "fast/span.h"
#include "observe/account.h"

bool memory_operand_take(dsr *d, int size, memory_operand *operand) {
  if (d->kind != DSD_MEM1D || d->options || d->index || d->x > 15) return false;
  operand->dsr = d;
  operand->base = d->base;
  operand->stride = d->flags & DSD_ELEMENTS ? (int16_t)(d->stride * size) : d->stride;
  return true;
}

/* An operand with elements of `size` bytes: a DSR's strided access, or the value of a register. */
static bool take_operand(const wse_fabric *fabric, uint32_t pe, uint8_t byte, int size, memory_operand *operand) {
  *operand = (memory_operand){0};
  if (!size) return byte == OPERAND_NONE;
  operand->size = (uint8_t)size;
  if (byte >= OPERAND_REGISTER && byte < OPERAND_REGISTER + WSE_REGISTERS) {
    operand->value = *register_of(fabric, pe, byte - OPERAND_REGISTER);
    return true;
  }
  return operand_dsr(byte) >= 0 && memory_operand_take(&fabric->dsrs[byte][pe], size, operand);
}

/* Sets the first and last byte of n elements; false if some lie outside SRAM or wrap. */
static bool operand_extent(memory_operand *operand, uint32_t n) {
  int32_t first = operand->base, last = first + (int32_t)(n - 1) * operand->stride;
  operand->low = first < last ? first : last;
  operand->high = (first < last ? last : first) + operand->size - 1;
  return operand->low >= 0 && operand->high < WSE_SRAM;
}

static bool intersect(const memory_operand *a, int32_t low, int32_t high) {
  return a->dsr && a->low <= high && low <= a->high;
}

/* Whether an element of `src` may be written before it is read.  Not if source and destination are the same array. */
static bool overwrites(const memory_operand *dst, const memory_operand *src) {
  if (!intersect(src, dst->low, dst->high)) return false;
  bool same_walk = src->base == dst->base && src->stride == dst->stride && src->size == dst->size;
  return !same_walk || (dst->stride < dst->size && dst->stride > -dst->size);
}

bool memory_op_is_plain(const isa_ins *ins) {
  const isa_row *row = &isa_rows[ins->op];
  bool is_register = ins->d >= OPERAND_REGISTER && ins->d < OPERAND_REGISTER + WSE_REGISTERS;
  return !ins->options && row->rule != ISA_FILTER && (row->extra ? is_register : ins->d == OPERAND_NONE);
}

bool memory_op_measure(memory_op *op) {
  const memory_operand *decides = op->src0.dsr && op->src0.dsr->length   ? &op->src0
                                  : op->src1.dsr && op->src1.dsr->length ? &op->src1
                                                                         : &op->dst;
  op->n = decides->dsr->length;
  return op->n && operand_extent(&op->dst, op->n) && (!op->src0.dsr || operand_extent(&op->src0, op->n)) &&
         (!op->src1.dsr || operand_extent(&op->src1, op->n));
}

bool memory_op_begin(const wse_fabric *fabric, uint32_t pe, const isa_ins *ins, memory_op *op) {
  const isa_row size = isa_rows[ins->op];
  if (fabric->by_element || P(fabric, sram_banks) != MEMORY_OP_BANKS || !memory_op_is_plain(ins)) return false;
  if (!take_operand(fabric, pe, ins->a, size.dst, &op->dst) || !op->dst.dsr) return false;
  if (!take_operand(fabric, pe, ins->b, size.src0, &op->src0) ||
      !take_operand(fabric, pe, ins->c, size.src1, &op->src1))
    return false;
  op->extra = size.extra ? *register_of(fabric, pe, ins->d - OPERAND_REGISTER) : 0;
  return memory_op_measure(op);
}

static void operand_again(const wse_fabric *fabric, uint32_t pe, uint8_t byte, memory_operand *operand) {
  if (!operand->dsr) {
    if (operand->size) operand->value = *register_of(fabric, pe, byte - OPERAND_REGISTER);
    return;
  }
  int32_t by = operand->dsr->base - operand->base;
  operand->base += by;
  operand->low += by;
  operand->high += by;
}

void memory_op_again(const wse_fabric *fabric, uint32_t pe, const isa_ins *ins, memory_op *op) {
  operand_again(fabric, pe, ins->a, &op->dst);
  operand_again(fabric, pe, ins->b, &op->src0);
  operand_again(fabric, pe, ins->c, &op->src1);
  if (isa_rows[ins->op].extra) op->extra = *register_of(fabric, pe, ins->d - OPERAND_REGISTER);
}

bool memory_op_reads(const memory_op *op, uint16_t low, uint16_t high) {
  return low <= high && (intersect(&op->src0, low, high) || intersect(&op->src1, low, high));
}

_Static_assert(OP_COUNT <= 256, "the key of quick_slots holds 8 bits of the opcode");

/* The slots depend on the operation, its length, the strides, and the banks in which the sources begin. */
bool memory_op_slots(band_state *band, const isa_ins *ins, const memory_op *op, slot_entry **entry) {
  uint64_t key = (uint64_t)(ins->op & 0xff) | (uint64_t)(op->n & 0xffff) << 8 |
                 (uint64_t)(uint16_t)op->src0.stride << 24 | (uint64_t)(uint16_t)op->src1.stride << 40 |
                 (uint64_t)(op->src0.base & 15) << 56 | (uint64_t)(op->src1.base & 15) << 60;
  uint32_t stride = 1u << 16 | (uint16_t)op->dst.stride; /* never that of an empty entry */
  slot_entry *found =
      &band->slots[((key * 0x9e3779b97f4a7c15u) >> 32 ^ stride * 0x85ebca6bu) >> 20 & (SLOT_ENTRIES - 1)];
  *entry = found;
  if (found->key == key && found->stride == stride) return true;
  *found = (slot_entry){.key = key, .stride = stride};
  return false;
}

span memory_op_span(const memory_op *op, uint8_t *sram) {
  return (span){.dst = sram + op->dst.base,
                .src0 = op->src0.dsr ? sram + op->src0.base : NULL,
                .src1 = op->src1.dsr ? sram + op->src1.base : NULL,
                .step_dst = op->dst.stride,
                .step0 = op->src0.stride,
                .step1 = op->src1.stride,
                .value0 = op->src0.value,
                .value1 = op->src1.value,
                .extra = op->extra,
                .n = op->n,
                .overlaps = overwrites(&op->dst, &op->src0) || overwrites(&op->dst, &op->src1)};
}

static bool saves(const memory_operand *operand) { return operand->dsr && operand->dsr->flags & DSD_SAVE_ADDRESS; }

static void save_address(const memory_operand *operand, uint32_t n, uint32_t from) {
  if (saves(operand)) operand->dsr[from].base = (uint16_t)(operand->base + (int32_t)n * operand->stride);
}

bool memory_op_saves(const memory_op *op) { return saves(&op->dst) || saves(&op->src0) || saves(&op->src1); }

void memory_op_save(const memory_op *op, uint32_t from) {
  save_address(&op->src1, op->n, from);
  save_address(&op->src0, op->n, from);
  save_address(&op->dst, op->n, from); /* if a DSR is named twice, the destination's address counts */
}

void memory_op_run(wse_fabric *fabric, band_state *band, uint32_t pe, const isa_ins *ins, const memory_op *op,
                   const slot_entry *slots, uint64_t first) {
  span s = memory_op_span(op, sram_of(fabric, pe));
  fabric->spans[ins->op](fabric->fp16, &s);
  vector_count(fabric, band, pe, slots->reads, slots->writes, slots->flops, op->n, first);
  memory_op_save(op, 0);
}
