/* rows.c - scalar instructions on rows of 64 registers.
 *
 * Compiled once per instruction set of the host (rows_avx2.c and rows_avx512.c include this file).  The results are
 * those of numeric/op_scalar.h, to the bit. */
#include "pe/rows.h"

#include "numeric/host.h"
#include "numeric/op_scalar.h"

#ifndef ROW_TABLE
#define ROW_TABLE rows_base
#define ROW_BASE
#endif

/* An element never depends on another one: ivdep lets dst be one of the sources. */
#define ROW(name, format)                                                                                   \
  static void row_##name##_##format(uint32_t *dst, const uint32_t *a, const uint32_t *b, const uint32_t *c, \
                                    const uint32_t *lanes) {                                                \
    (void)a, (void)b, (void)c;                                                                              \
    _Pragma("GCC ivdep") for (int i = 0; i < LANES; i++) {                                                  \
      uint32_t v = sc_##name(WSE_FP16_##format, a[i], b[i], c[i]);                                          \
      dst[i] = (v & lanes[i]) | (dst[i] & ~lanes[i]);                                                       \
    }                                                                                                       \
  }

/* Eight flags, in the low bits of eight bytes, come together in the top byte of a product. */
static uint64_t gather_flags(const uint8_t flags[LANES]) {
  uint64_t lanes = 0;
  for (int i = 0; i < LANES; i += 8) {
    uint64_t eight;
    memcpy(&eight, flags + i, 8);
    lanes |= (eight * 0x0102040810204080u >> 56) << i;
  }
  return lanes;
}

#define TEST(name)                                              \
  static uint64_t test_##name(const uint32_t *a) {              \
    uint8_t flags[LANES];                                       \
    for (int i = 0; i < LANES; i++)                             \
      flags[i] = (uint8_t)sc_##name(WSE_FP16_IEEE, a[i], 0, 0); \
    return gather_flags(flags);                                 \
  }

static void spread(uint32_t *row, uint64_t lanes) {
  uint32_t low = (uint32_t)lanes, high = (uint32_t)(lanes >> 32);
  for (int i = 0; i < 32; i++)
    row[i] = 0 - (low >> i & 1);
  for (int i = 0; i < 32; i++)
    row[32 + i] = 0 - (high >> i & 1);
}

#define ROWS_RX(name) ROW(name, IEEE) ROW(name, BF16) ROW(name, CB16)
#define ROWS_RRX ROWS_RX
#define ROWS_RRRR ROWS_RX
#define ROWS_LD(name)
#define ROWS_ST(name)
#define ROWS_BR TEST
#define ROWS_JMP(name)
#define ROWS_JAL(name)
#define ROWS_JR(name)
#define SCALAR(name, form, ...) ROWS_##form(name)
#include "tables/isa.def"

#define ENTRY_RX(name)                                                                                  \
  .op[WSE_FP16_IEEE][OP_##name] = row_##name##_IEEE, .op[WSE_FP16_BF16][OP_##name] = row_##name##_BF16, \
  .op[WSE_FP16_CB16][OP_##name] = row_##name##_CB16,
#define ENTRY_RRX ENTRY_RX
#define ENTRY_RRRR ENTRY_RX
#define ENTRY_LD(name)
#define ENTRY_ST(name)
#define ENTRY_BR(name) .test[OP_##name] = test_##name,
#define ENTRY_JMP(name)
#define ENTRY_JAL(name)
#define ENTRY_JR(name)

const row_table ROW_TABLE = {
#define SCALAR(name, form, ...) ENTRY_##form(name)
#include "tables/isa.def"
    .spread = spread,
};

#ifdef ROW_BASE
const row_table *row_functions(int portable) { return HOST_PICK(portable, &rows_base, &rows_avx2, &rows_avx512); }
#endif
