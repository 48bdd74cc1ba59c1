/* vector.h - vector operations: begin one, run a memory operation whole, end one. */
#ifndef PE_VECTOR_H
#define PE_VECTOR_H

#include "state/state.h"

enum { VECTOR_OK, VECTOR_FAULT };

/* Decodes the operands of an instruction.  On VECTOR_FAULT *kind is the fault. */
int vector_begin(wse_fabric *fabric, uint32_t pe, const isa_ins *ins, uint32_t pc, vector_operation *operation,
                 int *kind);
bool vector_has_fabric(
    const vector_operation *operation); /* it has a fabric or FIFO operand: elements may have to wait */

/* Computes all elements of a memory operation.  Returns its slots; *second: of these for bank conflicts. */
uint64_t vector_memory(wse_fabric *fabric, band_state *band, uint32_t pe, vector_operation *operation, uint64_t first,
                       uint64_t *second);

/* Slots of a memory operation; *second: of these for bank conflicts. */
uint64_t vector_slots(wse_fabric *fabric, uint32_t pe, const vector_operation *operation, uint64_t *second);

/* An operation with a FIFO begins: it takes the length of each of its FIFOs.  A FIFO that ends it keeps what is left.
 */
void vector_takes_lengths(wse_fabric *fabric, uint32_t pe, const vector_operation *operation);
void vector_end(wse_fabric *fabric, uint32_t pe, vector_operation *operation);

/* The range of bytes that an operation wrote; low > high: none. */
void vector_written(const wse_fabric *fabric, uint32_t pe, const vector_operation *operation, uint16_t *low,
                    uint16_t *high);
bool vector_reads(const wse_fabric *fabric, uint32_t pe, const vector_operation *operation, uint16_t low,
                  uint16_t high);

/* The cycle from which the next operation can read what an operation writes; 0: at once, because an element that has a
 * slot for itself is forwarded.  simple: slots without bank conflicts. */
uint64_t vector_readable(const wse_fabric *fabric, uint64_t first, uint64_t slots, uint64_t simple, uint64_t elements);
/* Fills an entry of the cache of slots.  They depend on the entry's key only, so that they hold for every PE. */
void vector_fill_slots(wse_fabric *fabric, uint32_t pe, const isa_ins *ins, slot_entry *entry);

#endif
