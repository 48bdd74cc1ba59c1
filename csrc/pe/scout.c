/* scout.c - how long a main thread does nothing that anything outside it can see.
 *
 * The instructions that follow are executed on a copy of the registers.  Scalar stores are kept in a list.  What memory
 * operations and microthreads write, and what loops take from memory, is not computed: registers and bytes that depend
 * on it are unknown.  The scout ends at an instruction whose address, branch or descriptor is unknown; at each but
 * scalar ones, loops, loads of DSRs, and operations over memory without any rare feature; and after MOST of them.
 *
 * Compute elements of a class mostly do the same.  So a scout notes all that it read of the state; where another one
 * begins at the same instruction and finds the same there, it has the same result (scout_memo).
 *
 * The cycles are a lower bound: instructions in order, without waiting for results or for slots that others use, and
 * operations without conflicts of banks.
 */
#include "pe/scout.h"

#include <stdlib.h>

#include "fast/issue_rules.h"
#include "fast/memory_op.h"
#include "numeric/op_scalar.h"
#include "observe/account.h"
#include "pe/dsd.h"

enum { MOST = 96, MOST_RANGES = 12, MOST_STORES = 16, MOST_DSRS = 48 };
enum { MEMOS = 256, MEMO_REGISTERS = 20, MEMO_DSRS = 8, MEMO_LOADS = 16 };

typedef struct {
  uint16_t low, high; /* first and last byte */
} byte_range;

typedef struct {
  uint16_t at;
  uint8_t bytes;
  uint32_t value;
} kept_store;

/* What a scout has read, and its result.  Times are cycles after `from`. */
struct scout_memo {
  const isa_ins *ins; /* the first instruction; NULL: the entry is empty */
  uint64_t at, end, loaded_at, takes;
  bool follows_vector;
  bool overflows; /* it has read more than there is room for */
  uint8_t registers, dsrs, loads, ranges;
  uint8_t number[MEMO_REGISTERS], dsr_number[MEMO_DSRS], bytes[MEMO_LOADS];
  uint16_t address[MEMO_LOADS];
  uint32_t value[MEMO_REGISTERS], loaded[MEMO_LOADS];
  dsr dsr[MEMO_DSRS];
  byte_range range[THREADS]; /* what each microthread may write */
};

typedef struct {
  const wse_fabric *fabric;
  scout_memo memo; /* of this scout */
  uint32_t pe;
  const uint8_t *sram;
  uint32_t have;    /* registers in `registers`; the others are as the compute element has them */
  uint32_t unknown; /* registers of unknown value */
  bool stuck;       /* an unknown register was read */
  bool follows_vector;
  /* The first cycles, at the earliest, of the next instruction; of one that is an operation and follows another, whose
   * last element comes before it; of an operation after a load of a DSR. */
  uint64_t at, end, loaded_at;
  uint32_t registers[WSE_REGISTERS];
  int ranges, stores;
  byte_range forgotten[MOST_RANGES]; /* bytes of unknown value */
  kept_store store[MOST_STORES];
  uint64_t loaded; /* DSRs in `dsrs`; the others are as the compute element has them */
  dsr dsrs[MOST_DSRS];
} scouting;

/* Notes that bytes low .. high are not known.  False: there is no room. */
static bool forget_bytes(scouting *s, uint32_t low, uint32_t high) {
  for (int i = 0; i < s->ranges; i++) {
    byte_range *r = &s->forgotten[i];
    if (low > r->high + 1u || high + 1 < r->low) continue; /* neither overlaps nor adjoins */
    if (low < r->low) r->low = (uint16_t)low;
    if (high > r->high) r->high = (uint16_t)high;
    return true;
  }
  if (s->ranges == MOST_RANGES) return false;
  s->forgotten[s->ranges++] = (byte_range){(uint16_t)low, (uint16_t)high};
  return true;
}

static bool overlaps_unknown(const scouting *s, uint32_t low, uint32_t high) {
  for (int i = 0; i < s->ranges; i++)
    if (low <= s->forgotten[i].high && s->forgotten[i].low <= high) return true;
  return false;
}

/* Sets `stuck` if the value is unknown. */
static uint32_t load(scouting *s, uint16_t at, int bytes) {
  uint32_t high = at + (uint32_t)bytes - 1;
  s->stuck = true;
  if (high >= WSE_SRAM || overlaps_unknown(s, at, high)) return 0;
  for (int i = s->stores; i-- > 0;) {
    const kept_store *kept = &s->store[i];
    if (at > kept->at + kept->bytes - 1u || high < kept->at) continue;
    s->stuck = kept->at != at || kept->bytes != bytes;
    return kept->value;
  }
  s->stuck = false;
  uint32_t value = sram_load(s->sram, at, bytes);
  scout_memo *memo = &s->memo;
  if (memo->loads == MEMO_LOADS) {
    memo->overflows = true;
    return value;
  }
  memo->address[memo->loads] = at;
  memo->bytes[memo->loads] = (uint8_t)bytes;
  memo->loaded[memo->loads++] = value;
  return value;
}

/* Keeps a value, which is unknown if `stuck` is set.  False: there is no room. */
static bool keep(scouting *s, uint16_t at, int bytes, uint32_t value) {
  uint32_t high = at + (uint32_t)bytes - 1;
  if (high >= WSE_SRAM) return false;
  if (s->stuck || overlaps_unknown(s, at, high)) return forget_bytes(s, at, high);
  if (bytes < 4) value &= (1u << 8 * bytes) - 1;
  for (int i = s->stores; i-- > 0;) {
    kept_store *kept = &s->store[i];
    if (at > kept->at + kept->bytes - 1u || high < kept->at) continue;
    if (kept->at != at || kept->bytes != bytes) return false;
    kept->value = value;
    return true;
  }
  if (s->stores == MOST_STORES) return false;
  s->store[s->stores++] = (kept_store){at, (uint8_t)bytes, value};
  return true;
}

/* What microthreads under way may write: sets `range`.  False: it is not known. */
static bool thread_ranges(const wse_fabric *fabric, uint32_t pe, scout_memo *memo) {
  for (uint32_t threads = fabric->ces[pe].threads; threads; threads &= threads - 1) {
    const vector_operation *operation = &fabric->operations[__builtin_ctz(threads)][pe];
    const dsr *d = &operation->dst.d;
    if (operation->dst.is != OPERAND_IS_DSR || d->kind != DSD_MEM1D || operation->left == UINT32_MAX) return false;
    int32_t first = d->base, last = first + (int32_t)(operation->done + operation->left) * d->stride;
    int32_t low = first < last ? first : last, high = (first < last ? last : first) + operation->dst.size;
    if (low < 0 || high > UINT16_MAX) return false;
    memo->range[memo->ranges++] = (byte_range){(uint16_t)low, (uint16_t)high};
  }
  return true;
}

/* A DSR, to be read.  One that is not `loaded` is the compute element's. */
static dsr *dsr_of(scouting *s, int number) {
  if (s->loaded >> number & 1) return &s->dsrs[number];
  scout_memo *memo = &s->memo;
  dsr *d = &s->fabric->dsrs[number][s->pe];
  int i = 0;
  while (i < memo->dsrs && memo->dsr_number[i] != number)
    i++;
  if (i == MEMO_DSRS) {
    memo->overflows = true;
  } else if (i == memo->dsrs) {
    memo->dsr_number[i] = (uint8_t)number;
    memo->dsr[i] = *d;
    memo->dsrs++;
  }
  return d;
}

/* The same, to be changed. */
static dsr *own_dsr(scouting *s, int number) {
  if (!(s->loaded >> number & 1)) s->dsrs[number] = s->fabric->dsrs[number][s->pe];
  s->loaded |= (uint64_t)1 << number;
  return &s->dsrs[number];
}

/* An operand of a memory operation; the value of a register is not read.  False: it has a rare feature. */
static bool operand_of(scouting *s, uint8_t byte, int size, memory_operand *operand) {
  *operand = (memory_operand){.size = (uint8_t)size};
  if (!size) return byte == OPERAND_NONE;
  if (byte >= OPERAND_REGISTER && byte < OPERAND_REGISTER + WSE_REGISTERS) return true;
  int number = operand_dsr(byte);
  if (number < 0) return false;
  dsr *d = dsr_of(s, number);
  return memory_operand_take(d->flags & DSD_SAVE_ADDRESS ? own_dsr(s, number) : d, size, operand);
}

/* False: it is no memory operation that is sure to be private and without a fault. */
static bool memory_operation(scouting *s, const isa_ins *ins) {
  const isa_row *row = &isa_rows[ins->op];
  memory_op op;
  if (!memory_op_is_plain(ins) || !operand_of(s, ins->a, row->dst, &op.dst) || !op.dst.dsr ||
      !operand_of(s, ins->b, row->src0, &op.src0) || !operand_of(s, ins->c, row->src1, &op.src1) ||
      !memory_op_measure(&op) || !forget_bytes(s, (uint32_t)op.dst.low, (uint32_t)op.dst.high))
    return false;
  memory_op_save(&op, 0);
  const wse_fabric *fabric = s->fabric;
  uint64_t dispatch = s->at > s->loaded_at ? s->at : s->loaded_at;
  uint64_t first = s->follows_vector ? restart_cycle(fabric, s->end) : dispatch;
  first += (uint64_t)P(fabric, op_start_cycles);
  if (first < s->end) first = s->end;
  uint32_t slots = op.n / row->lanes[P(fabric, simd_column)];
  s->end = first + (slots ? slots : 1);
  s->at = drained_cycle(fabric, s->end);
  s->loaded_at = 0;
  s->follows_vector = true;
  return true;
}

static uint32_t read_register(scouting *s, uint32_t number) {
  number &= WSE_REGISTERS - 1;
  if (!(s->have >> number & 1)) {
    scout_memo *memo = &s->memo;
    s->registers[number] = *register_of(s->fabric, s->pe, number);
    if (memo->registers < MEMO_REGISTERS) {
      memo->number[memo->registers] = (uint8_t)number;
      memo->value[memo->registers++] = s->registers[number];
    } else {
      memo->overflows = true;
    }
  }
  s->have |= 1u << number;
  s->stuck |= s->unknown >> number & 1;
  return s->registers[number];
}

/* The value is unknown if a register that was read for it is. */
static void write_register(scouting *s, uint32_t number, uint32_t value) {
  number &= WSE_REGISTERS - 1;
  s->registers[number] = value;
  s->have |= 1u << number;
  s->unknown = (s->unknown & ~(1u << number)) | (uint32_t)s->stuck << number;
  s->stuck = false;
}
#define READ(operand) read_register(s, operand)
#define WRITE(value) write_register(s, ins->a, value)
#define OTHER (immediate ? (uint32_t)ins->imm : READ(ins->c))
#define ADDRESS (uint16_t)((ins->b == OPERAND_NONE ? 0 : READ(ins->b)) + (uint32_t)ins->imm)
#define HAS_OFFSET (ins->b != OPERAND_NONE && ins->imm)
#define DO_RX(name, bytes) WRITE(sc_##name(fmt, OTHER, 0, 0))
#define DO_RRX(name, bytes) WRITE(sc_##name(fmt, READ(ins->b), OTHER, 0))
#define DO_RRRR(name, bytes) WRITE(sc_##name(fmt, READ(ins->b), READ(ins->c), READ(ins->d)))
#define DO_LD(name, bytes)                                         \
  do {                                                             \
    uint16_t at = ADDRESS;                                         \
    if (s->stuck) return false;                                    \
    WRITE(load(s, at, bytes));                                     \
    if (HAS_OFFSET) cost += (uint64_t)P(s->fabric, offset_cycles); \
  } while (0)
#define DO_ST(name, bytes)                                           \
  do {                                                               \
    uint16_t at = ADDRESS;                                           \
    if (s->stuck || !keep(s, at, bytes, READ(ins->a))) return false; \
    s->stuck = false;                                                \
    if (HAS_OFFSET) cost += (uint64_t)P(s->fabric, offset_cycles);   \
  } while (0)
#define TAKE(target)                             \
  do {                                           \
    *pc = (target);                              \
    cost = (uint64_t)P(s->fabric, branch_taken); \
  } while (0)
#define DO_BR(name, bytes)                                \
  do {                                                    \
    bool taken = sc_##name(fmt, READ(ins->a), 0, 0);      \
    if (s->stuck) return false;                           \
    if (taken) TAKE((uint32_t)ins->imm);                  \
    else cost = (uint64_t)P(s->fabric, branch_not_taken); \
  } while (0)
#define DO_JMP(name, bytes) TAKE((uint32_t)ins->imm)
#define DO_JAL(name, bytes)   \
  do {                        \
    WRITE(*pc);               \
    TAKE((uint32_t)ins->imm); \
  } while (0)
#define DO_JR(name, bytes)      \
  do {                          \
    TAKE(READ(ins->a));         \
    if (s->stuck) return false; \
  } while (0)

/* The step of a loop over an array in memory.  False: the scout ends at it. */
static bool map_step(scouting *s, const isa_ins *ins, uint32_t *pc) {
  int number = operand_dsr(ins->b);
  if (number < 0 || dsr_of(s, number)->kind != DSD_MEM1D) return false;
  if (!s->follows_vector) s->at++;
  if (!dsr_of(s, number)->length) {
    *pc = (uint32_t)ins->imm;
    return true;
  }
  s->stuck = true; /* most loops use the element in operations only */
  write_register(s, ins->a, 0);
  dsr *d = own_dsr(s, number);
  d->index++;
  d->length--;
  return true;
}

/* Executes the instruction before *pc, which is no vector operation.  False: the scout ends at it. */
static bool other_instruction(scouting *s, const isa_ins *ins, int op, uint32_t *pc) {
  const bool immediate = ins->op & INS_IMMEDIATE;
  const int fmt = s->fabric->fp16;
  uint64_t cost = 1;
  switch (op) {
#define SCALAR(name, form, latency, bytes, ...) \
  case OP_##name: DO_##form(name, bytes); break;
#include "tables/isa.def"
    case OP_nop: break;
    case OP_maploop: *pc = (uint32_t)ins->imm; return true;
    case OP_mapstep: return map_step(s, ins, pc);
    case OP_ldds: {
      int number = operand_dsr(ins->a);
      if (number < 0) return false;
      uint32_t words[4];
      for (uint32_t i = 0; i < 4; i++)
        words[i] = READ(ins->b + i);
      if (s->stuck) return false;
      memcpy(&s->dsrs[number], words, sizeof words);
      s->loaded |= (uint64_t)1 << number;
      cost = (uint64_t)P(s->fabric, dsr_load_cycles);
      s->loaded_at = loaded_cycle(s->fabric, s->at);
      break;
    }
    default: return false;
  }
  s->at += cost;
  s->follows_vector = false;
  return true;
}

/* Whether a scout that begins as `memo` does would find what `found` found. */
static bool finds_the_same(const wse_fabric *fabric, uint32_t pe, const scout_memo *memo, const scout_memo *found) {
  if (found->ins != memo->ins || found->at != memo->at || found->end != memo->end ||
      found->loaded_at != memo->loaded_at || found->follows_vector != memo->follows_vector ||
      found->ranges != memo->ranges || memcmp(found->range, memo->range, memo->ranges * sizeof *memo->range))
    return false;
  for (int i = 0; i < found->registers; i++)
    if (*register_of(fabric, pe, found->number[i]) != found->value[i]) return false;
  for (int i = 0; i < found->dsrs; i++)
    if (memcmp(&fabric->dsrs[found->dsr_number[i]][pe], &found->dsr[i], sizeof(dsr))) return false;
  const uint8_t *sram = sram_of(fabric, pe);
  for (int i = 0; i < found->loads; i++)
    if (sram_load(sram, found->address[i], found->bytes[i]) != found->loaded[i]) return false;
  return true;
}

/* Goes through the instructions from pc on.  Returns the first cycle of the one at which it ends. */
static uint64_t go_on(scouting *s, const pe_class *class, uint32_t pc) {
  for (int i = 0; i < s->memo.ranges; i++)
    if (!forget_bytes(s, s->memo.range[i].low, s->memo.range[i].high)) return s->at < s->end ? s->at : s->end;
  for (int n = 0; n < MOST && pc < class->code_length; n++) {
    const isa_ins *ins = &class->code[pc++];
    int op = ins->op & ~INS_IMMEDIATE;
    if (op >= OP_COUNT) break;
    if (isa_is_vector(op) ? ins->op & INS_IMMEDIATE || !memory_operation(s, ins) : !other_instruction(s, ins, op, &pc))
      break;
  }
  return s->follows_vector ? s->end : s->at;
}

scout_memo *scout_memos(void) { return calloc(MEMOS, sizeof(scout_memo)); }

uint64_t scout(const wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t from) {
  const ce_state *ce = &fabric->ces[pe];
  const pe_class *class = class_of(fabric, pe);
  if (ce->pc >= class->code_length) return from;
  scouting s; /* large: not initialized as a whole */
  scout_memo *memo = &s.memo;
  memo->registers = memo->dsrs = memo->loads = memo->ranges = 0;
  memo->overflows = false;
  if (!thread_ranges(fabric, pe, memo)) return from;
  s.follows_vector = ce->state == MAIN_MEMORY || ce->follows_vector;
  s.at = ce->state == MAIN_MEMORY ? drained_cycle(fabric, ce->memory_mark + ce->memory_left) : ce->main_at;
  s.end = s.follows_vector ? s.at - (uint64_t)P(fabric, op_drain_cycles) : 0;
  if (s.at < from) s.at = from;
  /* an operation that could have begun before does so in cycle `from` */
  if (s.end + (uint64_t)P(fabric, op_restart_cycles) < from) s.end = from - (uint64_t)P(fabric, op_restart_cycles);
  s.loaded_at = ce->loaded_at < from ? from : ce->loaded_at;
  memo->ins = &class->code[ce->pc];
  memo->at = s.at - from;
  memo->end = s.end - from;
  memo->loaded_at = s.loaded_at - from;
  memo->follows_vector = s.follows_vector;
  uint64_t key = ((uintptr_t)memo->ins / sizeof(isa_ins) + (memo->at << 16) + (memo->end << 32)) * 0x9e3779b97f4a7c15u;
  scout_memo *found = &band->memos[key >> 32 & (MEMOS - 1)];
  if (finds_the_same(fabric, pe, memo, found)) return from + found->takes;
  s.fabric = fabric;
  s.pe = pe;
  s.sram = sram_of(fabric, pe);
  s.ranges = s.stores = 0;
  s.loaded = 0;
  s.have = s.unknown = 0;
  s.stuck = false;
  uint64_t until = go_on(&s, class, ce->pc);
  if (until < from) until = from;
  memo->takes = until - from;
  if (!memo->overflows) *found = *memo;
  return until;
}
