/* memory_op.c - the short way of memory operations as most are: neighbors or constant strides in SRAM, without options.
 *
 * The same as the long way (vector.c), with less to find out: nothing is decoded that such an operation cannot have, and how
 * many slots it takes is remembered by what that follows from.  Whatever is unusual is left to the long way.
 */
#include "fast/memory_op.h"

#include "fast/span.h"
#include "observe/account.h"

/* Operands of `size` bytes: what they walk over, or a register's value. */
static bool take_operand(const wse_fabric *f, uint32_t pe, uint8_t byte, int size, quick_operand *o) {
  *o = (quick_operand){0};
  if (!size) return byte == OPERAND_NONE;
  o->size = (uint8_t)size;
  if (byte >= OPERAND_REGISTER && byte < OPERAND_REGISTER + WSE_REGISTERS) {
    o->value = f->ces[pe].r[byte - OPERAND_REGISTER];
    return true;
  }
  if (operand_dsr(byte) < 0) return false;
  dsr *d = &f->dsrs[byte][pe];
  if (d->kind != DSD_MEM1D || d->options || d->index || d->x > 15) return false;
  o->dsr = d;
  o->base = d->base;
  o->stride = d->flags & DSD_ELEMENTS ? (int16_t)(d->stride * size) : d->stride;
  return true;
}

/* The first and last byte of n elements; false if they do not lie in SRAM one after the other. */
static bool quick_range(quick_operand *o, uint32_t n) {
  int32_t first = o->base, last = first + (int32_t)(n - 1) * o->stride;
  o->low = first < last ? first : last;
  o->high = (first < last ? last : first) + o->size - 1;
  return o->low >= 0 && o->high < WSE_SRAM;
}

static bool meet(const quick_operand *a, int32_t low, int32_t high) { return a->dsr && a->low <= high && low <= a->high; }

/* An element of `src` may be written before it is read: not if both walk together. */
static bool overtaken(const quick_operand *dst, const quick_operand *src) {
  if (!meet(src, dst->low, dst->high)) return false;
  bool together = src->base == dst->base && src->stride == dst->stride && src->size == dst->size;
  return !together || (dst->stride < dst->size && dst->stride > -dst->size);
}

bool quick_begin(const wse_fabric *f, uint32_t pe, const isa_ins *ins, quick *q) {
  const isa_row size = isa_rows[ins->op];
  if (f->reference || ins->options || size.rule == ISA_FILTER || P(f, sram_banks) != QUICK_BANKS) return false;
  if (!take_operand(f, pe, ins->a, size.dst, &q->dst) || !q->dst.dsr) return false;
  if (!take_operand(f, pe, ins->b, size.src0, &q->src0) || !take_operand(f, pe, ins->c, size.src1, &q->src1)) return false;
  q->extra = 0;
  if (size.extra) {
    if (ins->d < OPERAND_REGISTER || ins->d >= OPERAND_REGISTER + WSE_REGISTERS) return false;
    q->extra = f->ces[pe].r[ins->d - OPERAND_REGISTER];
  } else if (ins->d != OPERAND_NONE) {
    return false;
  }
  const quick_operand *decides = q->src0.dsr && q->src0.dsr->length ? &q->src0 : q->src1.dsr && q->src1.dsr->length ? &q->src1 : &q->dst;
  q->n = decides->dsr->length;
  return q->n && quick_range(&q->dst, q->n) && (!q->src0.dsr || quick_range(&q->src0, q->n)) &&
         (!q->src1.dsr || quick_range(&q->src1, q->n));
}

bool quick_reads(const quick *q, uint16_t low, uint16_t high) {
  return low <= high && (meet(&q->src0, low, high) || meet(&q->src1, low, high));
}

_Static_assert(OP_COUNT <= 256, "the key of quick_slots holds 8 bits of the opcode");

/* Slots follow from the operation, its length, the strides, and in which banks the sources begin. */
bool quick_slots(band *b, const isa_ins *ins, const quick *q, slot_entry **entry) {
  uint64_t key = (uint64_t)(ins->op & 0xff) | (uint64_t)(q->n & 0xffff) << 8 | (uint64_t)(uint16_t)q->src0.stride << 24 |
                 (uint64_t)(uint16_t)q->src1.stride << 40 | (uint64_t)(q->src0.base & 15) << 56 | (uint64_t)(q->src1.base & 15) << 60;
  uint32_t stride = 1u << 16 | (uint16_t)q->dst.stride; /* never that of an empty entry */
  slot_entry *e = &b->slots[((key * 0x9e3779b97f4a7c15u) >> 32 ^ stride * 0x85ebca6bu) >> 20 & (SLOT_ENTRIES - 1)];
  *entry = e;
  if (e->key == key && e->stride == stride) return true;
  *e = (slot_entry){.key = key, .stride = stride};
  return false;
}

static void save_address(const quick_operand *o, uint32_t n) {
  if (o->dsr && o->dsr->flags & DSD_SAVE_ADDRESS) o->dsr->base = (uint16_t)(o->base + (int32_t)n * o->stride);
}

void quick_run(wse_fabric *f, band *b, uint32_t pe, const isa_ins *ins, const quick *q, const slot_entry *slots, uint64_t first) {
  uint8_t *sram = sram_of(f, pe);
  span s = {.dst = sram + q->dst.base, .step_dst = q->dst.stride, .extra = q->extra, .n = q->n,
            .value0 = q->src0.value, .value1 = q->src1.value, .step0 = q->src0.stride, .step1 = q->src1.stride,
            .overlaps = overtaken(&q->dst, &q->src0) || overtaken(&q->dst, &q->src1)};
  if (q->src0.dsr) s.src0 = sram + q->src0.base;
  if (q->src1.dsr) s.src1 = sram + q->src1.base;
  f->spans[ins->op](f->fp16, &s);
  vector_count(f, b, pe, slots->reads, slots->writes, slots->flops, q->n, first);
  save_address(&q->src1, q->n);
  save_address(&q->src0, q->n);
  save_address(&q->dst, q->n); /* of a DSR named twice the destination's counts */
}
