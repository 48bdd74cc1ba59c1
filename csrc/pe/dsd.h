/* dsd.h - data structure descriptors: the address of an element.
 *
 * Addresses are bytes in a space of 64 KiB that wraps.  SRAM is its first 48 KiB; reads beyond it give 0, writes have
 * no effect [SDK: memory].  No address faults.
 */
#ifndef PE_DSD_H
#define PE_DSD_H

#include "state/state.h"

static inline bool dsd_is_memory(const dsr *d) { return d->kind >= DSD_MEM1D && d->kind <= DSD_CIRCULAR; }
static inline bool dsd_is_fabric(const dsr *d) { return d->kind == DSD_FABIN || d->kind == DSD_FABOUT; }

/* Whether a fabric descriptor keeps control wavelets among data as words marked in their two upper bits. */
enum { TRANSFORM_SHIFT = 30, TRANSFORM_MARK = 3 };
static inline bool dsd_transforms(const dsr *d) { return dsd_is_fabric(d) && d->flags & DSD_TRANSFORM; }

/* The DSR for an operation on elements of `size` bytes: with its stride in bytes. */
static inline dsr dsd_sized(const dsr *d, int size) {
  dsr sized = *d;
  if (d->kind == DSD_MEM1D && d->flags & DSD_ELEMENTS) sized.stride = (int16_t)(d->stride * size);
  return sized;
}

static inline uint16_t dsd_address(const dsr *d, const xdsr *x, uint32_t i) {
  switch (d->kind) {
    case DSD_MEM4D: {
      int32_t at = d->base;
      for (int k = 3; k > 0; k--) {
        uint32_t n = x->tensor.extent[k] ? x->tensor.extent[k] : 1;
        at += (int32_t)(i % n) * x->tensor.stride[k];
        i /= n;
      }
      return (uint16_t)(at + (int32_t)(i & 0xffff) * x->tensor.stride[0]);
    }
    case DSD_CIRCULAR: {
      int64_t size = x->circle.bytes ? x->circle.bytes : 1;
      int64_t at = ((int64_t)(uint16_t)(d->base - x->circle.start) + (int64_t)i * d->stride) % size;
      return (uint16_t)(x->circle.start + (at < 0 ? at + size : at));
    }
    default: return (uint16_t)(d->base + (int32_t)i * d->stride);
  }
}

/* Bytes between elements in the fastest dimension, for the rules of banks and strides. */
static inline int32_t dsd_stride(const dsr *d, const xdsr *x) {
  if (d->kind != DSD_MEM4D) return d->stride;
  for (int k = 3; k > 0; k--)
    if (x->tensor.extent[k] > 1) return x->tensor.stride[k];
  return x->tensor.stride[0];
}

/* The address with which the next operation continues after n elements. */
static inline uint16_t dsd_end(const dsr *d, const xdsr *x, uint32_t n) {
  if (d->kind == DSD_MEM4D) return (uint16_t)(d->base + x->tensor.extent[0] * x->tensor.stride[0]);
  return dsd_address(d, x, n);
}

static inline uint32_t sram_load16(const uint8_t *sram, uint16_t at) {
  uint16_t v;
  if (at > WSE_SRAM - 2) return at < WSE_SRAM ? sram[at] : 0;
  memcpy(&v, sram + at, 2);
  return v;
}
static inline void sram_store16(uint8_t *sram, uint16_t at, uint32_t value) {
  uint16_t v = (uint16_t)value;
  if (at <= WSE_SRAM - 2) memcpy(sram + at, &v, 2);
  else if (at < WSE_SRAM) sram[at] = (uint8_t)v;
}
static inline uint32_t sram_load(const uint8_t *sram, uint16_t at, int size) {
  uint32_t word;
  if (size == 4 && at <= WSE_SRAM - 4) return memcpy(&word, sram + at, 4), word;
  if (size == 1) return at < WSE_SRAM ? sram[at] : 0;
  uint32_t low = sram_load16(sram, at);
  return size == 2 ? low : low | sram_load16(sram, (uint16_t)(at + 2)) << 16;
}
static inline void sram_store(uint8_t *sram, uint16_t at, int size, uint32_t value) {
  if (size == 4 && at <= WSE_SRAM - 4) {
    memcpy(sram + at, &value, 4);
    return;
  }
  if (size == 1) {
    if (at < WSE_SRAM) sram[at] = (uint8_t)value;
    return;
  }
  sram_store16(sram, at, value);
  if (size == 4) sram_store16(sram, (uint16_t)(at + 2), value >> 16);
}

#endif
