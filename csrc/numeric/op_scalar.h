/* op_scalar.h - the result of a SCALAR instruction: a function sc_NAME for each row of isa.def except LD, ST and jumps.
 * Of a conditional branch, the result is whether it is taken; a is the register.  RRX: a, b; RX: a is the source; RRRR:
 * a, b, c in this order.
 *
 * An instruction of 8 or 16 bits uses only the low 8 or 16 bits of its operands, counts of shifts included, and
 * zero-extends its result.  U8 .. S32 are an operand as unsigned or signed integer, H and S its value as float; TO_H
 * and TO_S round and give bits. */
#ifndef OP_SCALAR_H
#define OP_SCALAR_H

#include "numeric/numeric.h"

#define U8(v) ((uint8_t)(v))
#define U16(v) ((uint16_t)(v))
#define U32(v) ((uint32_t)(v))
#define S8(v) ((int8_t)(v))
#define S16(v) ((int16_t)(v))
#define S32(v) ((int32_t)(v))
#define H(v) num_h(fmt, v)
#define S(v) num_s(v)
#define TO_H(value) num_to_h(fmt, value)
#define TO_S(value) num_to_s(value)
#define SC(name, value)                                                        \
  NUM_INLINE uint32_t sc_##name(int fmt, uint32_t a, uint32_t b, uint32_t c) { \
    (void)fmt, (void)a, (void)b, (void)c;                                      \
    return (uint32_t)(value);                                                  \
  }

/* Quotient toward zero and remainder.  Dividing by -1 is negation, which wraps where C's quotient would overflow. */
NUM_INLINE uint32_t sc_quotient(int32_t a, int32_t b) {
  return b == 0 ? 0xffffffff : b == -1 ? 0 - (uint32_t)a : (uint32_t)(a / b);
}
NUM_INLINE uint32_t sc_remainder(int32_t a, int32_t b) {
  return b == 0 ? (uint32_t)a : b == -1 ? 0 : (uint32_t)(a % b);
}

/* clang-format off */
SC(mov, a)
SC(iadd8, U8(a + b))
SC(iadd16, U16(a + b))
SC(iadd32, a + b)
SC(isub8, U8(a - b))
SC(isub16, U16(a - b))
SC(isub32, a - b)
SC(imul8, U8(a * b))
SC(imul16, U16(a * b))
SC(imul32, a * b)
SC(idivs8, U8(sc_quotient(S8(a), S8(b))))
SC(idivs16, U16(sc_quotient(S16(a), S16(b))))
SC(idivs32, sc_quotient(S32(a), S32(b)))
SC(idivu8, U8(b) ? U8(a) / U8(b) : 0xff)
SC(idivu16, U16(b) ? U16(a) / U16(b) : 0xffff)
SC(idivu32, b ? a / b : 0xffffffff)
SC(irems8, U8(sc_remainder(S8(a), S8(b))))
SC(irems16, U16(sc_remainder(S16(a), S16(b))))
SC(irems32, sc_remainder(S32(a), S32(b)))
SC(iremu8, U8(b) ? U8(a) % U8(b) : U8(a))
SC(iremu16, U16(b) ? U16(a) % U16(b) : U16(a))
SC(iremu32, b ? a % b : a)
SC(iand, a & b)
SC(ior, a | b)
SC(ixor, a ^ b)
SC(ishl8, U8(b) > 7 ? 0 : U8(a << U8(b)))
SC(ishl16, U16(b) > 15 ? 0 : U16(a << U16(b)))
SC(ishl32, b > 31 ? 0 : a << b)
SC(ishr8, U8(b) > 7 ? 0 : U8(a) >> U8(b))
SC(ishr16, U16(b) > 15 ? 0 : U16(a) >> U16(b))
SC(ishr32, b > 31 ? 0 : a >> b)
SC(isar8, U8(S8(a) >> (U8(b) > 7 ? 7 : U8(b))))
SC(isar16, U16(S16(a) >> (U16(b) > 15 ? 15 : U16(b))))
SC(isar32, U32(S32(a) >> (b > 31 ? 31 : b)))
SC(ieq8, U8(a) == U8(b))
SC(ieq16, U16(a) == U16(b))
SC(ieq32, a == b)
SC(ine8, U8(a) != U8(b))
SC(ine16, U16(a) != U16(b))
SC(ine32, a != b)
SC(ilts8, S8(a) < S8(b))
SC(ilts16, S16(a) < S16(b))
SC(ilts32, S32(a) < S32(b))
SC(iles8, S8(a) <= S8(b))
SC(iles16, S16(a) <= S16(b))
SC(iles32, S32(a) <= S32(b))
SC(iltu8, U8(a) < U8(b))
SC(iltu16, U16(a) < U16(b))
SC(iltu32, a < b)
SC(ileu8, U8(a) <= U8(b))
SC(ileu16, U16(a) <= U16(b))
SC(ileu32, a <= b)
SC(sext8, U32(S8(a)))
SC(sext16, U32(S16(a)))
SC(zext8, U8(a))
SC(zext16, U16(a))
SC(sel, a != 0 ? b : c)
SC(hadd, TO_H(H(a) + H(b)))
SC(hsub, TO_H(H(a) - H(b)))
SC(hmul, TO_H(H(a) * H(b)))
SC(hdiv, TO_H(H(a) / H(b)))
SC(hfma, num_fma_h(fmt, a, b, c))
SC(hsqrt, TO_H(sqrt(H(a))))
SC(heq, H(a) == H(b))
SC(hlt, H(a) < H(b))
SC(hle, H(a) <= H(b))
SC(sadd, TO_S(S(a) + S(b)))
SC(ssub, TO_S(S(a) - S(b)))
SC(smul, TO_S(S(a) * S(b)))
SC(sdiv, TO_S(S(a) / S(b)))
SC(sfma, TO_S(S(a) + S(b) * S(c))) /* two roundings: build with -ffp-contract=off */
SC(ssqrt, TO_S(sqrtf(S(a))))
SC(seq, S(a) == S(b))
SC(slt, S(a) < S(b))
SC(sle, S(a) <= S(b))
SC(h2s, TO_S(num_widen(fmt, a)))
SC(s2h, TO_H(S(a)))
SC(i2s, TO_S((float)S32(a)))
SC(u2s, TO_S((float)a))
SC(i2h, TO_H(S32(a)))
SC(u2h, TO_H(a))
SC(s2i, num_integer(S(a), INT32_MIN, INT32_MAX))
SC(s2u, num_integer(S(a), 0, UINT32_MAX))
SC(h2i, num_integer(H(a), INT32_MIN, INT32_MAX))
SC(h2u, num_integer(H(a), 0, UINT32_MAX))
/* clang-format on */
SC(bz, a == 0)
SC(bnz, a != 0)

#undef U8
#undef U16
#undef U32
#undef S8
#undef S16
#undef S32
#undef H
#undef S
#undef TO_H
#undef TO_S
#undef SC

#endif
