/* scalar_rules.h - when a scalar instruction issues, and what it costs.
 *
 * In order, one a cycle.  Integer results and values from constant addresses can be used by the next instruction,
 * floating-point results a cycle later (fp_latency), and what is loaded through a register load_latency cycles after
 * the access.  A store needs what it stores a cycle later than others.  The sum of a register and an offset takes
 * offset_cycles: the machine's loads and stores take a register or a constant.  Divisions and roots are software on the
 * machine and occupy the thread (fdiv_, idiv_, sqrt_latency).
 *
 * Three files include this: scalar.c executes the instructions of one compute element, lanes.c those of many that
 * stand at the same place, scalar_block.c times those without branches between them.  Each includes isa.def in a switch
 * over `op` with SCALAR as TIMED_SCALAR, defines ISSUE, WAITED, LATE_FOR and DO_ for each form, and has the variables
 *   ins, op, immediate   the instruction
 *   at, cost, limit      its cycle; the cycles to the next instruction; the first cycle not to be reached
 *   late, late_at        the register with a late result, and the cycle from which it can be read
 *   fresh, known_at      the last registers loaded; see ce_state
 *   load_latency, offset_cycles, branch_taken, branch_not_taken
 */
#ifndef PE_SCALAR_RULES_H
#define PE_SCALAR_RULES_H

/* Whether an instruction needs a register as it issues, by its form. */
#define READS_RX(reg) (!immediate && ins->c == (reg))
#define READS_RRX(reg) (ins->b == (reg) || (!immediate && ins->c == (reg)))
#define READS_RRRR(reg) (ins->b == (reg) || ins->c == (reg) || ins->d == (reg))
#define READS_LD(reg) (ins->b == (reg))
#define READS_ST(reg) (ins->b == (reg)) /* and what it stores: AWAIT_ST */
#define READS_BR(reg) (ins->a == (reg))
#define READS_JMP(reg) false
#define READS_JAL(reg) false
#define READS_JR(reg) (ins->a == (reg))
#define OFFSET (ins->b != OPERAND_NONE && ins->imm ? offset_cycles : 0)

/* What is stored is needed a cycle after the address, which takes its own cycles to compute. */
#define AWAIT_ST                                                                    \
  do {                                                                              \
    const uint64_t later = OFFSET + 1;                                              \
    if (ins->a == late && at + later < late_at) at = late_at - later;               \
    WAITED(late_cause);                                                             \
    if (ins->a == fresh[0] && at + later < known_at) at = known_at - later;         \
    if (ins->a == fresh[1] && at + later + 1 < known_at) at = known_at - 1 - later; \
    WAITED(WSE_CAUSE_LOAD);                                                         \
  } while (0)
#define AWAIT_RX
#define AWAIT_RRX
#define AWAIT_RRRR
#define AWAIT_LD
#define AWAIT_BR
#define AWAIT_JMP
#define AWAIT_JAL
#define AWAIT_JR

/* Notes the register that a load wrote whose value is there in cycle `ready`. */
#define WROTE(ready)                                                       \
  do {                                                                     \
    fresh[1] = (ready) == known_at + 1 ? fresh[0] : (uint32_t)NO_REGISTER; \
    fresh[0] = ins->a;                                                     \
    known_at = (ready);                                                    \
  } while (0)
/* ... that another instruction wrote. */
#define FORGET                                                \
  do {                                                        \
    if (ins->a == fresh[0]) fresh[0] = (uint32_t)NO_REGISTER; \
    if (ins->a == fresh[1]) fresh[1] = (uint32_t)NO_REGISTER; \
  } while (0)

enum {
  LATE = 2,
  NO_REGISTER = WSE_REGISTERS, /* no operand has this value */
  LAST = WSE_REGISTERS - 1,
  IS_BR = 1,
  IS_JMP = 1,
  IS_JAL = 1,
  IS_JR = 1,
  IS_RX = 0,
  IS_RRX = 0,
  IS_RRRR = 0,
  IS_LD = 0,
  IS_ST = 0,
  LOADS_RX = 0,
  LOADS_RRX = 0,
  LOADS_RRRR = 0,
  LOADS_LD = 1,
  LOADS_ST = 0,
  LOADS_BR = 0,
  LOADS_JMP = 0,
  LOADS_JAL = 0,
  LOADS_JR = 0,
  WRITES_BR = 0,
  WRITES_JMP = 0,
  WRITES_JAL = 1,
  WRITES_JR = 0,
  WRITES_RX = 1,
  WRITES_RRX = 1,
  WRITES_RRRR = 1,
  WRITES_LD = 1,
  WRITES_ST = 0
};

/* A late result is a register and the cycle from which it can be read.  Longer latencies occupy the thread. */
#define TIMED_SCALAR(name, form, latency, bytes, ...)                              \
  case OP_##name:                                                                  \
    if (late_at > at && READS_##form(late)) at = late_at;                          \
    WAITED(late_cause);                                                            \
    if (known_at > at) {                                                           \
      if (READS_##form(fresh[0])) at = known_at;                                   \
      if (known_at - 1 > at && READS_##form(fresh[1])) at = known_at - 1;          \
      WAITED(WSE_CAUSE_LOAD);                                                      \
    }                                                                              \
    AWAIT_##form;                                                                  \
    if (at >= limit) goto out;                                                     \
    ISSUE(IS_##form);                                                              \
    DO_##form(name, bytes);                                                        \
    if (LOADS_##form && ins->b != OPERAND_NONE) WROTE(at + OFFSET + load_latency); \
    else if (WRITES_##form) FORGET;                                                \
    if (!IS_##form) {                                                              \
      uint64_t takes = (uint64_t)fabric->params[WSE_##latency];                    \
      if (takes > LATE) {                                                          \
        cost += takes - 1;                                                         \
      } else if (takes > 1) {                                                      \
        late = ins->a;                                                             \
        late_at = at + takes;                                                      \
        LATE_FOR(bytes ? WSE_CAUSE_LOAD : WSE_CAUSE_RESULT);                       \
      }                                                                            \
    }                                                                              \
    break;
#define WSE_branch WSE_branch_taken

#endif
