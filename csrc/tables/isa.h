/* isa.h - opcodes and the layout of an instruction word, from isa.def.
 *
 * An instruction is 64 bits: opcode 0..15 (bit 15: the last operand is an immediate), a 16..23, b 24..31, then either
 * a 32-bit immediate, or for vector operations c 32..39, d 40..47, options 48..63.  RRRR keeps its c in 32..39, its
 * third source in 40..47.
 *
 * A vector operand byte is a DSR: 0..15 dest file, 16..31 src0 file, 32..47 src1 file; or a register, 0x40 + r; or
 * none, 0xff. DSR contents, 16 bytes, little-endian: kind u8, flags u8, queue u8, color u8, base u16 (byte address),
 * length u16, stride i16 (bytes, or elements: DSD_ELEMENTS), options u16 (as in an instruction), xdsr u8 (bits 4 and 5:
 * SIMD_ mode), on_control u8, index u16. XDSR contents, 16 bytes: mem4d: extent u16[4] (slowest first), stride i16[4]
 * (bytes); circular: start u16, bytes u16; FIFO: start u16, capacity u16, head u16, count u16
 * (words if the stride is 2, else elements),
 * activate-on-push u8, activate-on-pop u8 (task id, 255 none), was-full u8, was-empty u8 (the machine's: elements that
 * the writer, the reader waits for, 0 none), action when empty u8, action when full u8.
 */
#ifndef ISA_H
#define ISA_H

#include <stdbool.h>
#include <stdint.h>

enum {
#define VECTOR(name, ...) OP_##name,
#define SCALAR(name, ...) OP_##name,
#define SYSTEM(name, ...) OP_##name,
#include "tables/isa.def"
  OP_COUNT
};

enum { INS_IMMEDIATE = 0x8000, OPERAND_REGISTER = 0x40, OPERAND_NONE = 0xff };

typedef struct {
  uint16_t op;
  uint8_t a, b;
  union {
    int32_t imm;
    struct {
      uint8_t c, d;
      uint16_t options;
    };
  };
} isa_ins;

enum {
  OPT_ASYNC = 1,
  OPT_UT = 1, /* shift; 3 bits */
  OPT_UT_GIVEN = 1 << 4,
  OPT_THEN = 5, /* shift; 2 bits */
  OPT_THEN_NONE = 0,
  OPT_THEN_ACTIVATE = 1,
  OPT_THEN_UNBLOCK = 2,
  OPT_TASK = 7, /* shift; 6 bits */
};

enum { DSD_NONE, DSD_MEM1D, DSD_MEM4D, DSD_CIRCULAR, DSD_FIFO, DSD_FABIN, DSD_FABOUT };

enum {
  DSD_CONTROL = 1,        /* fabout: sends control wavelets */
  DSD_SAVE_ADDRESS = 2,   /* memory: the next operation goes on where this one ended */
  DSD_ADVANCE_SWITCH = 4, /* fabout: the last wavelet advances the switch of its own router */
  DSD_INDEX = 8,          /* fabout: index in the upper half of the wavelet */
  DSD_SIMD = 16,          /* fabric, FIFO: several elements at once, in the SIMD_ mode of the descriptor */
  DSD_WIDE = 32,          /* mapstep, mapput: elements of 32 bits */
  DSD_ELEMENTS = 64,      /* 1d memory: the stride counts elements of the operation, not bytes */
  DSD_BINDS = 128,        /* fabin: its operations bind the queue to the color while they run */
};

/* Flags of fabric descriptors alone; those of the same bits are of other kinds. */
enum {
  DSD_TRANSFORM = DSD_ELEMENTS,     /* fabric: the two upper bits of a data word say that it is a control wavelet */
  DSD_ZERO_FIRST = DSD_SAVE_ADDRESS, /* fabout: the end of the operation clears the first source, in memory */
  DSD_ZERO_SECOND = DSD_BINDS,      /* fabout: it clears the second source, or the only one */
};

enum { DSD_COUNTS = DSD_INDEX }; /* FIFO: its length counts as that of other operands, unless it is 0 */
enum { DSD_SCALAR = DSD_ADVANCE_SWITCH }; /* 1d memory: a scalar, which keeps its value if a FIFO has too few elements */

/* How many elements an operation takes at once.  A wavelet holds two of 16 bits or one of 32, and so does a place in a
 * FIFO that has a mode.  SIMD_32: one of these.  SIMD_64: two, except for the last elements of the operation.
 * SIMD_32_OR_64: two if they are there, else one. */
enum { SIMD_32, SIMD_64, SIMD_32_OR_64, SIMD_MODES, SIMD_MODE = 4 /* shift; 2 bits */ };

/* What an operation does at an empty or full FIFO. */
enum { FIFO_TEST_OR_SUSPEND, FIFO_TERMINATE, FIFO_SUSPEND, FIFO_FAULT };

enum { LENGTH_INFINITE = 0x7fff };

enum { ON_CONTROL_NONE, ON_CONTROL_TERMINATE, ON_CONTROL_ACTIVATE, ON_CONTROL_UNBLOCK }; /* low 2 bits; task id above */

/* DSR that a vector operand byte names: 0 .. 47, dest file first; -1 if it names none. */
static inline int operand_dsr(uint8_t byte) { return byte < 48 ? byte : -1; }

/* Columns of isa.def as constants: ISA_BYTES_W, ISA_HALF_H ... of TYPE rows, rules of VECTOR rows, privacy of SYSTEM
 * rows. */
enum {
#define TYPE(name, bytes, is_float, half, ...) ISA_BYTES_##name = bytes, ISA_HALF_##name = half,
#include "tables/isa.def"
};
enum { ISA_EACH, ISA_COPY, ISA_CARRY, ISA_FILTER };
enum { ISA_PRIVATE, ISA_SHARED, ISA_ROUTES };

/* What is asked of every instruction that is issued: switches, as they compile to comparisons. */
#define ISA_IF_PRIVATE(what) what
#define ISA_IF_SHARED(what)
#define ISA_IF_ROUTES(what)
static inline bool isa_is_vector(int op) {
  switch (op) {
#define VECTOR(name, ...) case OP_##name:
#include "tables/isa.def"
    return true;
    default: return false;
  }
}
static inline bool isa_is_scalar(int op) {
  switch (op) {
#define SCALAR(name, ...) case OP_##name:
#include "tables/isa.def"
    return true;
    default: return false;
  }
}
static inline bool isa_is_private(int op) { /* SCALAR rows are */
  switch (op) {
#define SCALAR(name, ...) case OP_##name:
#define SYSTEM(name, form, privacy, ...) ISA_IF_##privacy(case OP_##name:)
#include "tables/isa.def"
    return true;
    default: return false;
  }
}

/* A row as the engine uses it.  Only VECTOR rows set more than privacy. */
typedef struct {
  uint8_t privacy;                /* of VECTOR rows it depends on the operands: ISA_SHARED */
  uint8_t rule, flops;            /* flops: floating-point operations of an element */
  uint8_t lanes[2];               /* elements a cycle on WSE-2 and WSE-3 */
  uint8_t dst, src0, src1, extra; /* bytes of an element, 0 if there is no such operand */
} isa_row;
extern const isa_row isa_rows[]; /* [OP_COUNT], by opcode */

#endif
