/* operand.c - operands of vector operations: decoding, banks and ranges of memory. */
#include "pe/operand.h"

#include "state/queue.h"

bool operand_decode(wse_fabric *f, uint32_t pe, uint8_t byte, int size, bool writes, operand *o, int *kind) {
  memset(o, 0, sizeof *o);
  o->size = (uint8_t)size;
  if (!size) {
    *kind = WSE_FAULT_BAD_OPERAND;
    return byte == OPERAND_NONE;
  }
  if (byte >= OPERAND_REGISTER && byte < OPERAND_REGISTER + WSE_REGISTERS) {
    o->is = OPERAND_IS_VALUE;
    o->number = byte - OPERAND_REGISTER;
    o->value = f->ces[pe].r[o->number];
    return true;
  }
  if (operand_dsr(byte) < 0) {
    *kind = WSE_FAULT_BAD_OPERAND;
    return false;
  }
  o->is = OPERAND_IS_DSR;
  o->number = byte;
  o->d = dsd_sized(&f->dsrs[byte][pe], size);
  *kind = WSE_FAULT_BAD_DSR;
  if (o->d.kind == DSD_NONE || o->d.kind > DSD_FABOUT || o->d.x > 15) return false;
  if (o->d.kind == (writes ? DSD_FABIN : DSD_FABOUT)) return false;
  if (dsd_is_memory(&o->d)) o->d.base = (uint16_t)(o->d.base + 2 * o->d.index); /* .index of a memory operand counts words */
  if (dsd_is_fabric(&o->d)) {
    *kind = WSE_FAULT_BAD_QUEUE;
    if (o->d.queue >= WSE_QUEUES) return false;
    const pe_class *k = class_of(f, pe);
    if (o->d.kind == DSD_FABIN) return color_of_iq(f, pe, k, o->d.queue) >= 0;
    int bound = color_of_oq(f, pe, k, o->d.queue);
    if (bound >= 0 && o->d.color != 0xff && o->d.color != bound) return false;
    if (bound >= 0) o->d.color = (uint8_t)bound;
    if (!f->oq_room[o->d.queue] || o->d.color >= WSE_COLORS) return false;
    *kind = WSE_FAULT_BAD_COLOR;
    return f->color_index[o->d.color] >= 0;
  }
  return true;
}

static uint32_t banks_of(uint32_t banks, uint16_t at, int32_t stride, int size, int group) {
  uint32_t mask = 0;
  if (stride == size && banks == 8) { /* neighbors: a run of banks, round the corner */
    uint32_t run = (1u << group * size / 2) - 1, from = at / 2 & 7;
    return (run << from | run >> (8 - from)) & 0xff;
  }
  for (int i = 0; i < group; i++)
    for (int word = 0; word < size / 2; word++) mask |= 1u << ((uint32_t)(uint16_t)(at + i * stride + 2 * word) / 2 % banks);
  return mask;
}

uint32_t operand_conflicts(wse_fabric *f, uint32_t pe, const operation *o, int lanes) {
  int32_t stride0, stride1;
  const xdsr *x0 = operand_xdsr(f, pe, &o->src0.d), *x1 = operand_xdsr(f, pe, &o->src1.d);
  if (!operand_streams(&o->src0, &stride0, x0) || !operand_streams(&o->src1, &stride1, x1)) return 0;
  int widest = o->src0.size > o->src1.size ? o->src0.size : o->src1.size, group = lanes < 8 / widest ? lanes : 8 / widest;
  uint16_t at0 = dsd_address(&o->src0.d, x0, 0), at1 = dsd_address(&o->src1.d, x1, 0);
  uint32_t banks = (uint32_t)P(f, sram_banks);
  if (stride0 == stride1 && o->src0.size == o->src1.size) /* one group is like the other */
    return (banks_of(banks, at0, stride0, o->src0.size, group) & banks_of(banks, at1, stride1, o->src1.size, group)) ? 0xff : 0;
  uint32_t mask = 0;
  for (int i = 0; i < 8; i++)
    if (banks_of(banks, (uint16_t)(at0 + i * group * stride0), stride0, o->src0.size, group) &
        banks_of(banks, (uint16_t)(at1 + i * group * stride1), stride1, o->src1.size, group))
      mask |= 1u << i;
  return mask;
}

bool operand_in_sram(const operand *o, uint32_t n) {
  if (o->is != OPERAND_IS_DSR) return true;
  if (o->d.kind != DSD_MEM1D) return false;
  int64_t first = o->d.base, last = first + (int64_t)(n - 1) * o->d.stride;
  return first + o->size <= WSE_SRAM && last >= 0 && last + o->size <= WSE_SRAM;
}

bool operand_overlaps(const operand *dst, const operand *src, uint32_t n) {
  if (src->is != OPERAND_IS_DSR) return false;
  if (src->d.base == dst->d.base && src->d.stride == dst->d.stride && src->size == dst->size &&
      (dst->d.stride >= dst->size || dst->d.stride <= -dst->size))
    return false;
  int32_t d0 = dst->d.base, d1 = d0 + (int32_t)(n - 1) * dst->d.stride, s0 = src->d.base, s1 = s0 + (int32_t)(n - 1) * src->d.stride;
  int32_t d_low = d0 < d1 ? d0 : d1, d_high = (d0 < d1 ? d1 : d0) + dst->size;
  int32_t s_low = s0 < s1 ? s0 : s1, s_high = (s0 < s1 ? s1 : s0) + src->size;
  return d_low < s_high && s_low < d_high;
}

bool operand_range(const wse_fabric *f, uint32_t pe, const operand *o, uint32_t n, uint16_t *low, uint16_t *high) {
  if (o->is != OPERAND_IS_DSR || !dsd_is_memory(&o->d) || !n) return false;
  uint16_t first = dsd_address(&o->d, operand_xdsr(f, pe, &o->d), 0), last = dsd_address(&o->d, operand_xdsr(f, pe, &o->d), n - 1);
  *low = first < last ? first : last;
  *high = (uint16_t)((first < last ? last : first) + o->size - 1);
  return true;
}
