/* op_vector.h - the result of one element of a VECTOR instruction: a function op_NAME for each row of isa.def.  dfilt
 * has no value: its function gives 0.  a is an element of src0, b of src1, x is extra; a function ignores what its row
 * does not have.
 *
 * H(v) is the value of a 16-bit float as a double, F(v) as a float, S(v) the value of an f32, W(v) a 16-bit word; TO_H
 * rounds a double to bits, NARROW a float, TO_S gives the bits of an f32.  Results of 16 bits are zero-extended. */
#ifndef OP_VECTOR_H
#define OP_VECTOR_H

#include "numeric/numeric.h"

#define W(v) ((uint16_t)(v))
#define H(v) num_h(fmt, v)
#define F(v) num_widen(fmt, v)
#define S(v) num_s(v)
#define TO_H(value) num_to_h(fmt, value)
#define NARROW(value) num_narrow(fmt, value)
#define TO_S(value) num_to_s(value)
#define OP(name, value)                                                        \
  NUM_INLINE uint32_t op_##name(int fmt, uint32_t a, uint32_t b, uint32_t x) { \
    (void)fmt, (void)a, (void)b, (void)x;                                      \
    return (uint32_t)(value);                                                  \
  }

/* addc16: x is the carry in, bit 16 of the result the carry out. */
/* clang-format off */
OP(add16, W(a + b))
OP(addc16, (uint32_t)W(a) + W(b) + (x & 1))
OP(sub16, W(a - b))
OP(and16, W(a & b))
OP(or16, W(a | b))
OP(xor16, W(a ^ b))
OP(sll16, W(b) > 15 ? 0 : W((uint32_t)W(a) << W(b)))
OP(slr16, W(b) > 15 ? 0 : W(a) >> W(b))
OP(sar16, W((int16_t)a >> (W(b) > 15 ? 15 : W(b))))
OP(clz, W(a) ? (uint32_t)__builtin_clz(W(a)) - 16 : 16)
OP(ctz, W(a) ? (uint32_t)__builtin_ctz(W(a)) : 16)
OP(popcnt, (uint32_t)__builtin_popcount(W(a)))
OP(mov16, W(a))
OP(mov32, a)
OP(fmovh, W(a))
OP(fmovs, a)
OP(faddh, NARROW(F(a) + F(b)))
OP(fsubh, NARROW(F(a) - F(b)))
OP(fmulh, NARROW(F(a) * F(b)))
OP(fmaxh, num_max(W(a), W(b), num_inf_h(fmt), 0x8000, num_nan_h(fmt)))
OP(fadds, TO_S(S(a) + S(b)))
OP(fsubs, TO_S(S(a) - S(b)))
OP(fmuls, TO_S(S(a) * S(b)))
OP(fmaxs, num_max(a, b, NUM_INF_S, 0x80000000, NUM_NAN_S))
OP(fmach, num_fma_h(fmt, a, b, x))
OP(fmacs, TO_S(S(a) + S(b) * S(x))) /* two roundings: build with -ffp-contract=off */
OP(fmachs, TO_S(num_fma_hs(S(a), H(b), H(x))))
OP(faddhs, TO_S(num_fma_hs(S(a), H(b), 1)))
OP(fabsh, a & 0x7fff)
OP(fnegh, W(a) ^ 0x8000)
OP(fabss, a & 0x7fffffff)
OP(fnegs, a ^ 0x80000000)
OP(fnormh, H(a) == H(a) ? TO_H(num_norm(H(a))) : W(a))
OP(fnorms, S(a) == S(a) ? TO_S((float)num_norm(S(a))) : a)
OP(fscaleh, TO_H(num_scale(H(a), b)))
OP(fscales, TO_S((float)num_scale(S(a), b)))
OP(fh2s, TO_S(F(a)))
OP(fs2h, NARROW(S(a)))
OP(fh2xp16, W(num_integer(num_nearest(H(a)), -32768, 32767)))
OP(fs2xp16, W(num_integer(num_nearest(S(a)), -32768, 32767)))
OP(xp162fh, TO_H((int16_t)a))
OP(xp162fs, TO_S((int16_t)a))
OP(dfilt, 0)
/* clang-format on */

#undef W
#undef H
#undef F
#undef S
#undef TO_H
#undef NARROW
#undef TO_S
#undef OP

#endif
