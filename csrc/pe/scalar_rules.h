/* scalar_rules.h - when a scalar instruction issues, and what it costs.
 *
 * In order, one a cycle.  Integer results can be used by the next instruction, floating-point results a cycle later
 * (fp_latency).  An address has to be known address_latency cycles before the access, and the sum of a register and an
 * offset takes offset_cycles: the machine's loads and stores take a register or a constant.  Divisions and roots are
 * software on the machine and occupy the thread (fdiv_, idiv_, sqrt_latency).
 *
 * Two files include this: scalar.c executes the instructions of one compute element, lanes.c those of many that
 * stand at the same place.  Each includes isa.def in a switch over `op`, defines ISSUE, WAITED, LATE_FOR and
 * DO_ for each form, and has the variables
 *   ins, op, immediate   the instruction
 *   at, cost, limit      its cycle; the cycles to the next instruction; the first cycle not to be reached
 *   late, late_at        the register with a late result, and the cycle from which it can be read
 *   fresh, known_at      the last registers written; see ce_state
 *   address_latency, offset_cycles, branch_taken, branch_not_taken
 */
#ifndef PE_SCALAR_RULES_H
#define PE_SCALAR_RULES_H

/* Whether an instruction needs the late result, by its form. */
#define READS_RX (!immediate && ins->c == late)
#define READS_RRX (ins->b == late || (!immediate && ins->c == late))
#define READS_RRRR (ins->b == late || ins->c == late || ins->d == late)
#define READS_LD (ins->b == late)
#define READS_ST (ins->b == late) /* and what it stores: AWAIT_ST */
#define READS_BR (ins->a == late)
#define READS_JMP false
#define READS_JAL false
#define READS_JR (ins->a == late)
#define OFFSET (ins->b != OPERAND_NONE && ins->imm ? offset_cycles : 0)

/* Waits until the address of a load or store is known: its register may have been written in the last two cycles. */
#define AWAIT_ADDRESS                                               \
  do {                                                              \
    if (ins->b == fresh[0] && at < known_at) at = known_at;         \
    if (ins->b == fresh[1] && at + 1 < known_at) at = known_at - 1; \
  } while (0)
#define AWAIT_LD AWAIT_ADDRESS
/* What is stored is needed after the address has been computed. */
#define AWAIT_ST                                                        \
  do {                                                                  \
    AWAIT_ADDRESS;                                                      \
    WAITED(WSE_CAUSE_ADDRESS);                                          \
    if (ins->a == late && at + OFFSET < late_at) at = late_at - OFFSET; \
  } while (0)
/* What an instruction has waited for last, for a profile. */
#define AWAITED_LD WSE_CAUSE_ADDRESS
#define AWAITED_ST late_cause
#define AWAITED_RX 0
#define AWAITED_RRX 0
#define AWAITED_RRRR 0
#define AWAITED_BR 0
#define AWAITED_JMP 0
#define AWAITED_JAL 0
#define AWAITED_JR 0
#define AWAIT_RX
#define AWAIT_RRX
#define AWAIT_RRRR
#define AWAIT_BR
#define AWAIT_JMP
#define AWAIT_JAL
#define AWAIT_JR

/* Notes the register that an instruction wrote in cycle `at`. */
#define WROTE                                                                           \
  do {                                                                                  \
    fresh[1] = at + address_latency == known_at + 1 ? fresh[0] : (uint32_t)NO_REGISTER; \
    fresh[0] = ins->a;                                                                  \
    known_at = at + address_latency;                                                    \
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
#define SCALAR(name, form, latency, bytes, ...)                 \
  case OP_##name:                                               \
    if (late_at > at && READS_##form) at = late_at;             \
    WAITED(late_cause);                                         \
    AWAIT_##form;                                               \
    WAITED(AWAITED_##form);                                     \
    if (at >= limit) goto out;                                  \
    ISSUE(IS_##form);                                           \
    DO_##form(name, bytes);                                     \
    if (WRITES_##form) WROTE;                                   \
    if (!IS_##form) {                                           \
      uint64_t takes = (uint64_t)fabric->params[WSE_##latency]; \
      if (takes > LATE) {                                       \
        cost += takes - 1;                                      \
      } else if (takes > 1) {                                   \
        late = ins->a;                                          \
        late_at = at + takes;                                   \
        LATE_FOR(bytes ? WSE_CAUSE_LOAD : WSE_CAUSE_RESULT);    \
      }                                                         \
    }                                                           \
    break;
#define WSE_branch WSE_branch_taken

#endif
