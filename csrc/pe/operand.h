/* operand.h - operands of vector operations: from an instruction's byte to a DSR, its addresses and banks. */
#ifndef PE_OPERAND_H
#define PE_OPERAND_H

#include "pe/dsd.h"

/* Decodes an operand byte of an instruction, for elements of `size` bytes (0: there is to be none).  False: *kind is
 * the fault. */
bool operand_decode(wse_fabric *fabric, uint32_t pe, uint8_t byte, int size, bool writes, vector_operand *operand,
                    int *kind);
/* Whether a fabric input that binds its queue may do so.  False: *kind is the fault. */
bool operand_may_bind(const wse_fabric *fabric, const dsr *d, int *kind);
/* Which of eight successive groups of lanes have both sources in one bank, as bits.  Strides repeat over the banks
 * within eight groups. */
uint32_t operand_conflicts(wse_fabric *fabric, uint32_t pe, const vector_operation *operation, int lanes);
/* n elements at constant strides, none of them beyond SRAM; also if it is no DSR. */
bool operand_in_sram(const vector_operand *operand, uint32_t n);
/* Whether an element of the source may be overwritten by an earlier element of the destination.  Not if both are the
 * same array. */
bool operand_overlaps(const vector_operand *dst, const vector_operand *src, uint32_t n);
/* First and last byte of n elements in memory; false if there are none. */
bool operand_range(const wse_fabric *fabric, uint32_t pe, const vector_operand *operand, uint32_t n, uint16_t *low,
                   uint16_t *high);

static inline const xdsr *operand_xdsr(const wse_fabric *fabric, uint32_t pe, const dsr *d) {
  return &fabric->xdsrs[d->x & 15][pe];
}
static inline xdsr *operand_fifo(wse_fabric *fabric, uint32_t pe, const vector_operand *operand) {
  return &fabric->xdsrs[operand->d.x & 15][pe];
}

static inline bool operand_streams(const vector_operand *operand, int32_t *stride, const xdsr *x) {
  if (operand->is != OPERAND_IS_DSR || !dsd_is_memory(&operand->d)) return false;
  *stride = dsd_stride(&operand->d, x);
  return *stride != 0;
}

static inline uint32_t operand_load(const wse_fabric *fabric, uint32_t pe, const vector_operand *operand, uint32_t i) {
  return operand->is == OPERAND_IS_DSR
             ? sram_load(sram_of(fabric, pe), dsd_address(&operand->d, operand_xdsr(fabric, pe, &operand->d), i),
                         operand->size)
             : operand->value;
}

#endif
