/* operand.h - operands of vector operations: from an instruction's byte to a DSR, its addresses and banks. */
#ifndef PE_OPERAND_H
#define PE_OPERAND_H

#include "pe/dsd.h"

/* Decodes an operand byte of an instruction, for elements of `size` bytes (0: there is to be none).  False: *kind is the fault. */
bool operand_decode(wse_fabric *f, uint32_t pe, uint8_t byte, int size, bool writes, operand *o, int *kind);
/* Which of eight successive groups have both sources in one bank, as bits: strides repeat over the banks within eight. */
uint32_t operand_conflicts(wse_fabric *f, uint32_t pe, const operation *o, int lanes);
/* n elements at constant strides, none of them beyond SRAM; also if it is no DSR. */
bool operand_in_sram(const operand *o, uint32_t n);
/* Elements of a source that an earlier element of the destination overwrites: not if both walk together. */
bool operand_overlaps(const operand *dst, const operand *src, uint32_t n);
/* First and last byte of n elements in memory; false if there are none. */
bool operand_range(const wse_fabric *f, uint32_t pe, const operand *o, uint32_t n, uint16_t *low, uint16_t *high);

static inline const xdsr *operand_xdsr(const wse_fabric *f, uint32_t pe, const dsr *d) { return &f->xdsrs[d->x & 15][pe]; }
static inline xdsr *operand_fifo(wse_fabric *f, uint32_t pe, const operand *o) { return &f->xdsrs[o->d.x & 15][pe]; }

static inline bool operand_streams(const operand *o, int32_t *stride, const xdsr *x) {
  if (o->is != OPERAND_IS_DSR || !dsd_is_memory(&o->d)) return false;
  *stride = dsd_stride(&o->d, x);
  return *stride != 0;
}

static inline uint32_t operand_load(const wse_fabric *f, uint32_t pe, const operand *o, uint32_t i) {
  return o->is == OPERAND_IS_DSR ? sram_load(sram_of(f, pe), dsd_address(&o->d, operand_xdsr(f, pe, &o->d), i), o->size) : o->value;
}

#endif
