/* scalar_block.c - times blocks of scalar instructions.  The rules are those of scalar_rules.h. */
#include "pe/scalar_block.h"

#include <stdlib.h>

#include "pe/scalar_rules.h"

/* Of a block: instructions, and cycles until its last instruction.  If that takes more than 16 bits hold, there is no
 * block. */
enum { MOST = 64, MOST_CYCLES = 1 << 12 };

#define WAITED(cause)
#define LATE_FOR(cause)
#define DO_RX(name, bytes)
#define DO_RRX(name, bytes)
#define DO_RRRR(name, bytes)
#define DO_LD(name, bytes) (cost += OFFSET, loaded += bytes)
#define DO_ST(name, bytes) (cost += OFFSET, stored += bytes)
#define DO_BR(name, bytes)
#define DO_JMP(name, bytes)
#define DO_JAL(name, bytes)
#define DO_JR(name, bytes)
#define ISSUE(is_branch)  \
  do {                    \
    last = at;            \
    n++;                  \
    branches = is_branch; \
  } while (0)

static scalar_block time_block(const wse_fabric *fabric, const pe_class *class, uint32_t pc) {
  const uint64_t limit = MOST_CYCLES, load_latency = (uint64_t)P(fabric, load_latency),
                 offset_cycles = (uint64_t)P(fabric, offset_cycles);
  uint64_t at = 0, next = 0, late_at = 0, known_at = 0, last = 0, loaded = 0, stored = 0;
  uint32_t n = 0, late = OPERAND_NONE, fresh[2] = {NO_REGISTER, NO_REGISTER};
  bool branches = false;
  while (pc < class->code_length && n < MOST && !branches) {
    const isa_ins *ins = &class->code[pc++];
    uint32_t op = ins->op & ~(uint32_t)INS_IMMEDIATE;
    bool immediate = ins->op & INS_IMMEDIATE;
    uint64_t cost = 1;
    switch (op) {
#define SCALAR TIMED_SCALAR
#include "tables/isa.def"
      default: goto out;
    }
    next = at += cost;
  }
out:
  if (next > UINT16_MAX || late_at > UINT16_MAX || known_at > UINT16_MAX) n = 0;
  return (scalar_block){.n = (uint16_t)n,
                        .last = (uint16_t)last,
                        .next = (uint16_t)next,
                        .loaded = (uint16_t)loaded,
                        .stored = (uint16_t)stored,
                        .late_after = (uint16_t)late_at,
                        .known_after = (uint16_t)known_at,
                        .late = (uint8_t)late,
                        .fresh = {(uint8_t)fresh[0], (uint8_t)fresh[1]},
                        .loads = known_at > 0,
                        .branches = branches};
}

/* Whether the instruction after this one begins a block, for this one is no scalar instruction or branches.  *target:
 * where it may lead to; its own pc: nowhere that is known. */
static bool ends_block(const pe_class *class, uint32_t pc, uint32_t *target) {
  const isa_ins *ins = &class->code[pc];
  int op = ins->op & ~INS_IMMEDIATE;
  *target = pc;
  bool jumps = op == OP_mapstep || op == OP_maploop, ends = true;
  switch (op) {
#define SCALAR(name, form, ...)     \
  case OP_##name:                   \
    ends = jumps = IS_##form;       \
    if (op == OP_jr) jumps = false; \
    break;
#include "tables/isa.def"
    default: break;
  }
  if (jumps && (uint32_t)ins->imm < class->code_length) *target = (uint32_t)ins->imm;
  return ends;
}

bool scalar_blocks(const wse_fabric *fabric, pe_class *class) {
  uint32_t length = class->code_length, total = 1; /* block 0 is empty */
  class->block_at = calloc(length + 1, sizeof *class->block_at);
  class->blocks = calloc(length + 1, sizeof *class->blocks);
  uint8_t *begins = calloc(length + 1, 1);
  if (!class->block_at || !class->blocks || !begins) {
    free(begins);
    return false;
  }
  begins[0] = 1;
  for (int task = 0; task < WSE_TASKS; task++)
    if (class->task_kind[task] != WSE_TASK_UNBOUND) begins[class->task_pc[task]] = 1;
  for (uint32_t pc = 0; pc < length; pc++) {
    uint32_t target;
    if (ends_block(class, pc, &target)) begins[pc + 1] = 1;
    if (target != pc) begins[target] = 1;
  }
  for (uint32_t pc = 0; pc < length; pc++) {
    if (!begins[pc]) continue;
    scalar_block block = time_block(fabric, class, pc);
    if (!block.n) continue;
    begins[pc + block.n] = 1; /* a long block goes on as another one */
    class->block_at[pc] = total;
    class->blocks[total++] = block;
  }
  free(begins);
  scalar_block *fewer = realloc(class->blocks, total * sizeof *fewer);
  if (fewer) class->blocks = fewer;
  return true;
}
