/* memory_op.h - fast path of memory operations over constant strides in SRAM, without options. */
#ifndef FAST_MEMORY_OP_H
#define FAST_MEMORY_OP_H

#include "fast/span.h"
#include "state/state.h"

/* Banks that the cached slots are valid for. */
enum { MEMORY_OP_BANKS = 8 };
typedef struct {
  dsr *dsr;                        /* NULL: a register's value, or no operand */
  int32_t base, stride, low, high; /* bytes; low .. high: the bytes that it covers */
  uint32_t value;
  uint8_t size;
} memory_operand;
typedef struct {
  memory_operand dst, src0, src1;
  uint32_t extra, n;
} memory_op;

/* Whether the instruction has no rare feature, whatever its descriptors are. */
bool memory_op_is_plain(const isa_ins *ins);
/* An operand with elements of `size` bytes that a DSR describes.  False: it has a rare feature. */
bool memory_operand_take(dsr *d, int size, memory_operand *operand);
/* Sets the number of elements, and the bytes that each operand covers.  False: there are none, or some lie outside SRAM
 * or wrap. */
bool memory_op_measure(memory_op *op);
/* False if the operation has to take the general path. */
bool memory_op_begin(const wse_fabric *fabric, uint32_t pe, const isa_ins *ins, memory_op *op);
/* The operation once more: its descriptors and registers may have changed only in where its operands begin, which is
 * inside SRAM, and in values. */
void memory_op_again(const wse_fabric *fabric, uint32_t pe, const isa_ins *ins, memory_op *op);
bool memory_op_reads(const memory_op *op, uint16_t low, uint16_t high);

/* Looks up the operation's slots.  False: the entry is new, and the caller has to fill all but its key. */
bool memory_op_slots(band_state *band, const isa_ins *ins, const memory_op *op, slot_entry **entry);
/* Computes all elements, the first of them in cycle `first`. */
void memory_op_run(wse_fabric *fabric, band_state *band, uint32_t pe, const isa_ins *ins, const memory_op *op,
                   const slot_entry *slots, uint64_t first);
/* Its elements in an SRAM. */
span memory_op_span(const memory_op *op, uint8_t *sram);
/* Its DSRs that save their address, those of the PE `from` PEs further on, which are the same. */
void memory_op_save(const memory_op *op, uint32_t from);
bool memory_op_saves(const memory_op *op); /* whether that changes anything */

#endif
