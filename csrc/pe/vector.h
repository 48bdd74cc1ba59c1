/* vector.h - vector operations: begin one, run a memory operation whole, do one element of a fabric operation. */
#ifndef VECTOR_H
#define VECTOR_H

#include "state/state.h"

enum { VECTOR_OK, VECTOR_FAULT };

/* Decodes the instruction's operands as they are now.  On VECTOR_FAULT *kind says which. */
int vector_begin(wse_fabric *f, uint32_t pe, const isa_ins *ins, uint32_t pc, operation *o, int *kind);
bool vector_has_fabric(const operation *o); /* a fabric or FIFO operand: its elements wait */

/* All elements of a memory operation; returns its slots, of which *second are for bank conflicts. */
uint64_t vector_memory(wse_fabric *f, band *b, uint32_t pe, operation *o, uint64_t first, uint64_t *second);

/* Slots of a memory operation, of which *second are for bank conflicts. */
uint64_t vector_slots(wse_fabric *f, uint32_t pe, const operation *o, uint64_t *second);
/* n elements, each with so many bytes read and written and so many flops. */
void vector_count(wse_fabric *f, band *b, uint32_t pe, uint64_t reads, uint64_t writes, uint64_t flops, uint64_t n, uint64_t now);

/* Bytes of an element of each operand of an instruction; 0: there is none. */
typedef struct {
  uint8_t dst, src0, src1, extra;
} vector_sizes;
vector_sizes vector_sizes_of(int op);

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
/* Does all elements, the first of them in cycle `first`. */
const slot_entry *quick_run(wse_fabric *f, band *b, uint32_t pe, const isa_ins *ins, const quick *q, uint64_t first);

enum { STEP_WAITS, STEP_DID, STEP_ENDED };
/* The next element of a fabric operation, if what it needs is there in this cycle. */
int vector_step(wse_fabric *f, band *b, uint32_t pe, operation *o, bool asynchronous, uint64_t now);
void vector_end(wse_fabric *f, uint32_t pe, operation *o);

/* Bytes an operation wrote, as a range; empty if none. */
void vector_written(const wse_fabric *f, uint32_t pe, const operation *o, uint16_t *low, uint16_t *high);
bool vector_reads(const wse_fabric *f, uint32_t pe, const operation *o, uint16_t low, uint16_t high);

/* n elements of operands that lie in SRAM with constant strides in bytes; a source that is NULL has the same value throughout. */
typedef struct span {
  uint8_t *dst;
  const uint8_t *src0, *src1;
  int32_t step_dst, step0, step1;
  uint32_t value0, value1, extra, n;
  bool overlaps; /* an element may be written before it is read */
} span;
bool operand_in_sram(const operand *o, uint32_t n); /* n elements at constant strides, none of them beyond */
extern const span_function span_base[], span_avx2[], span_avx512[]; /* by opcode (span.h) */
const span_function *span_table(bool portable);                     /* the fastest this processor can run */

/* ce.c: takes the head of an input queue, and wakes the router if it may have waited for the room. */
wavelet iq_take(wse_fabric *f, band *b, uint32_t pe, int q, uint64_t now);
void task_then(wse_fabric *f, uint32_t pe, int what, int task);

/* Operand byte of an instruction to a DSR plane; -1 if it is none. */
static inline int operand_dsr(uint8_t byte) { return byte < 48 ? byte : -1; }

#endif
