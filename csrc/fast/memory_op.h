/* memory_op.h - fast path of memory operations over constant strides in SRAM, without options. */
#ifndef FAST_MEMORY_OP_H
#define FAST_MEMORY_OP_H

#include "state/state.h"

/* quick.c: memory operations as most are. */
enum { QUICK_BANKS = 8 };
typedef struct {
  dsr *dsr; /* NULL: a register's value, or no operand */
  int32_t base, stride, low, high; /* bytes; low and high: the range it walks over */
  uint32_t value;
  uint8_t size;
} quick_operand;
typedef struct {
  quick_operand dst, src0, src1;
  uint32_t extra, n;
} quick;

/* False if the operation has to go the long way. */
bool quick_begin(const wse_fabric *f, uint32_t pe, const isa_ins *ins, quick *q);
bool quick_reads(const quick *q, uint16_t low, uint16_t high);

/* The entry that holds the operation's slots.  False: it is empty but for its key, and the caller is to fill it. */
bool quick_slots(band *b, const isa_ins *ins, const quick *q, slot_entry **entry);
/* Does all elements, the first of them in cycle `first`. */
void quick_run(wse_fabric *f, band *b, uint32_t pe, const isa_ins *ins, const quick *q, const slot_entry *slots, uint64_t first);

#endif
