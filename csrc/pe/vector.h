/* vector.h - vector operations: begin one, run a memory operation whole, end one. */
#ifndef PE_VECTOR_H
#define PE_VECTOR_H

#include "state/state.h"

enum { VECTOR_OK, VECTOR_FAULT };

/* Decodes the instruction's operands as they are now.  On VECTOR_FAULT *kind says which. */
int vector_begin(wse_fabric *f, uint32_t pe, const isa_ins *ins, uint32_t pc, operation *o, int *kind);
bool vector_has_fabric(const operation *o); /* a fabric or FIFO operand: its elements wait */

/* All elements of a memory operation; returns its slots, of which *second are for bank conflicts. */
uint64_t vector_memory(wse_fabric *f, band *b, uint32_t pe, operation *o, uint64_t first, uint64_t *second);

/* Slots of a memory operation, of which *second are for bank conflicts. */
uint64_t vector_slots(wse_fabric *f, uint32_t pe, const operation *o, uint64_t *second);

void vector_end(wse_fabric *f, uint32_t pe, operation *o);

/* Bytes an operation wrote, as a range; empty if none. */
void vector_written(const wse_fabric *f, uint32_t pe, const operation *o, uint16_t *low, uint16_t *high);
bool vector_reads(const wse_fabric *f, uint32_t pe, const operation *o, uint16_t low, uint16_t high);

#endif
