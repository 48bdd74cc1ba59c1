/* operand.c - operands of vector operations: decoding, banks and ranges of memory. */
#include "pe/operand.h"

#include "state/queue.h"

bool operand_may_bind(const wse_fabric *fabric, const dsr *d, int *kind) {
  *kind = WSE_FAULT_BAD_QUEUE;
  if (d->queue >= WSE_QUEUES || !fabric->iq_capacity[d->queue] || d->color >= WSE_COLORS) return false;
  *kind = WSE_FAULT_BAD_COLOR;
  return fabric->color_index[d->color] >= 0;
}

bool operand_decode(wse_fabric *fabric, uint32_t pe, uint8_t byte, int size, bool writes, vector_operand *operand,
                    int *kind) {
  memset(operand, 0, sizeof *operand);
  operand->size = (uint8_t)size;
  if (!size) {
    *kind = WSE_FAULT_BAD_OPERAND;
    return byte == OPERAND_NONE;
  }
  if (byte >= OPERAND_REGISTER && byte < OPERAND_REGISTER + WSE_REGISTERS) {
    operand->is = OPERAND_IS_VALUE;
    operand->number = byte - OPERAND_REGISTER;
    operand->value = *register_of(fabric, pe, operand->number);
    return true;
  }
  if (operand_dsr(byte) < 0) {
    *kind = WSE_FAULT_BAD_OPERAND;
    return false;
  }
  operand->is = OPERAND_IS_DSR;
  operand->number = byte;
  operand->d = dsd_sized(&fabric->dsrs[byte][pe], size);
  *kind = WSE_FAULT_BAD_DSR;
  if (operand->d.kind == DSD_NONE || operand->d.kind > DSD_FABOUT || operand->d.x >= SIMD_MODES << SIMD_MODE)
    return false;
  if (operand->d.kind == (writes ? DSD_FABIN : DSD_FABOUT)) return false;
  if (dsd_is_memory(&operand->d))
    operand->d.base = (uint16_t)(operand->d.base + 2 * operand->d.index); /* .index of a memory operand counts words */
  if (dsd_is_fabric(&operand->d)) {
    *kind = WSE_FAULT_BAD_QUEUE;
    if (operand->d.queue >= WSE_QUEUES) return false;
    const pe_class *class = class_of(fabric, pe);
    if (operand->d.kind == DSD_FABIN && class_binds(class, operand->d.queue, operand->d.color))
      operand->d.flags &= (uint8_t)~DSD_BINDS;
    if (operand->d.kind == DSD_FABIN && operand->d.flags & DSD_BINDS)
      return operand_may_bind(fabric, &operand->d, kind);
    if (operand->d.kind == DSD_FABIN) return color_of_iq(fabric, pe, class, operand->d.queue) >= 0;
    int bound = color_of_oq(fabric, pe, class, operand->d.queue);
    if (bound >= 0 && operand->d.color != 0xff && operand->d.color != bound) return false;
    if (bound >= 0) operand->d.color = (uint8_t)bound;
    if (!fabric->oq_capacity[operand->d.queue] || operand->d.color >= WSE_COLORS) return false;
    *kind = WSE_FAULT_BAD_COLOR;
    return fabric->color_index[operand->d.color] >= 0;
  }
  return true;
}

static uint32_t banks_of(uint32_t banks, uint16_t at, int32_t stride, int size, int group) {
  uint32_t mask = 0;
  if (stride == size && banks == 8) { /* contiguous elements: a run of banks, modulo their number */
    uint32_t run = (1u << group * size / 2) - 1, from = at / 2 & 7;
    return (run << from | run >> (8 - from)) & 0xff;
  }
  for (int i = 0; i < group; i++)
    for (int word = 0; word < size / 2; word++)
      mask |= 1u << ((uint32_t)(uint16_t)(at + i * stride + 2 * word) / 2 % banks);
  return mask;
}

uint32_t operand_conflicts(wse_fabric *fabric, uint32_t pe, const vector_operation *operation, int lanes) {
  int32_t stride0, stride1;
  const xdsr *x0 = operand_xdsr(fabric, pe, &operation->src0.d), *x1 = operand_xdsr(fabric, pe, &operation->src1.d);
  if (!operand_streams(&operation->src0, &stride0, x0) || !operand_streams(&operation->src1, &stride1, x1)) return 0;
  int widest = operation->src0.size > operation->src1.size ? operation->src0.size : operation->src1.size,
      group = lanes < 8 / widest ? lanes : 8 / widest;
  uint16_t at0 = dsd_address(&operation->src0.d, x0, 0), at1 = dsd_address(&operation->src1.d, x1, 0);
  uint32_t banks = (uint32_t)P(fabric, sram_banks);
  if (stride0 == stride1 && operation->src0.size == operation->src1.size) /* all groups are alike */
    return (banks_of(banks, at0, stride0, operation->src0.size, group) &
            banks_of(banks, at1, stride1, operation->src1.size, group))
               ? 0xff
               : 0;
  uint32_t mask = 0;
  for (int i = 0; i < 8; i++)
    if (banks_of(banks, (uint16_t)(at0 + i * group * stride0), stride0, operation->src0.size, group) &
        banks_of(banks, (uint16_t)(at1 + i * group * stride1), stride1, operation->src1.size, group))
      mask |= 1u << i;
  return mask;
}

bool operand_in_sram(const vector_operand *operand, uint32_t n) {
  if (operand->is != OPERAND_IS_DSR) return true;
  if (operand->d.kind != DSD_MEM1D) return false;
  int64_t first = operand->d.base, last = first + (int64_t)(n - 1) * operand->d.stride;
  return first + operand->size <= WSE_SRAM && last >= 0 && last + operand->size <= WSE_SRAM;
}

bool operand_overlaps(const vector_operand *dst, const vector_operand *src, uint32_t n) {
  if (src->is != OPERAND_IS_DSR) return false;
  if (src->d.base == dst->d.base && src->d.stride == dst->d.stride && src->size == dst->size &&
      (dst->d.stride >= dst->size || dst->d.stride <= -dst->size))
    return false;
  int32_t d0 = dst->d.base, d1 = d0 + (int32_t)(n - 1) * dst->d.stride, s0 = src->d.base,
          s1 = s0 + (int32_t)(n - 1) * src->d.stride;
  int32_t d_low = d0 < d1 ? d0 : d1, d_high = (d0 < d1 ? d1 : d0) + dst->size;
  int32_t s_low = s0 < s1 ? s0 : s1, s_high = (s0 < s1 ? s1 : s0) + src->size;
  return d_low < s_high && s_low < d_high;
}

bool operand_range(const wse_fabric *fabric, uint32_t pe, const vector_operand *operand, uint32_t n, uint16_t *low,
                   uint16_t *high) {
  if (operand->is != OPERAND_IS_DSR || !dsd_is_memory(&operand->d) || !n) return false;
  uint16_t first = dsd_address(&operand->d, operand_xdsr(fabric, pe, &operand->d), 0),
           last = dsd_address(&operand->d, operand_xdsr(fabric, pe, &operand->d), n - 1);
  *low = first < last ? first : last;
  *high = (uint16_t)((first < last ? last : first) + operand->size - 1);
  return true;
}
