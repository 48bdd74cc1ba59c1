/* lane_operations.h - groups of compute elements that run ahead together, and what they execute besides scalar code. */
#ifndef PE_LANE_OPERATIONS_H
#define PE_LANE_OPERATIONS_H

#include "pe/rows.h"

/* Times of a group are on a clock that shows ORIGIN in the cycle lane_state.base of each of its lanes.  Its counts are
 * those of each of its lanes, but for lane_run.extra. */
#define ORIGIN ((uint64_t)1 << 32)

typedef struct {
  uint64_t lanes;
  uint32_t pc;
  uint64_t at;        /* cycle of the next instruction, if it need not wait */
  uint64_t limit;     /* cycle that no lane may reach */
  uint64_t window;    /* cycle at which the last lane has reached the end of its window */
  uint64_t bin_end;   /* first cycle in which a lane enters another bin of the series */
  uint64_t accounted; /* as in ce_state, and those below; times that have passed are 0 */
  uint64_t late_at, known_at, loaded_at;
  uint32_t late, fresh[2], gap; /* late: OPERAND_NONE, fresh: NO_REGISTER: none */
  bool waits;                   /* the cycles before `at` belong to `gap`, though it has issued nothing */
  bool follows_vector;          /* if not, the next ones are 0 */
  uint16_t written_low, written_high;
  uint64_t vector_at, readable_at;
  uint64_t issued_at;    /* cycle in which the last instruction issued, but for those that take no time */
  uint64_t sequenced_at; /* ... the last one that takes no time */
  int sequenced;         /* of these, issued in that cycle */
  uint64_t counts[WSE_CTR_COUNT];
} lane_group;

typedef struct {
  uint64_t base; /* a cycle */
  /* bin of the series: the cycle that stands for it, its end; scalar instructions before */
  uint64_t bin_first, bin_end, bin_issued;
} lane_state;

typedef struct {
  wse_fabric *fabric;
  band_state *band;
  const isa_ins *code;
  uint32_t length, pe0;
  uint32_t *registers;
  uint64_t limit, window;
  int total;
  lane_group groups[LANES];
  lane_state lane[LANES];
  uint64_t first_base, last_base; /* no base is before, after these */
  uint64_t steps, lane_steps;     /* instructions of groups, and of their lanes */
  bool differ;                    /* groups have joined: `extra` is set */
  uint64_t extra[LANES][WSE_CTR_COUNT];
} lane_run;

static inline uint64_t cycle_of(const lane_run *run, uint64_t lane, uint64_t at) {
  return run->lane[lane].base + (at - ORIGIN);
}

/* A count of a lane of the group. */
static inline uint64_t count_of(const lane_run *run, const lane_group *g, uint64_t lane, int counter) {
  return g->counts[counter] + (run->differ ? run->extra[lane][counter] : 0);
}

/* As account(): cycles before `until` that are not accounted for yet. */
static inline void group_account(lane_group *g, uint64_t until, uint32_t cause) {
  if (until <= g->accounted) return;
  g->counts[cause] += until - g->accounted;
  g->accounted = until;
}

/* Whether lanes may execute the instruction, going by itself alone. */
bool lane_may_execute(const isa_ins *ins);
/* ... and by the descriptors of one of them. */
bool lane_may_begin(const wse_fabric *fabric, uint32_t pe, const isa_ins *ins);
/* Executes a memory operation or an instruction that only concerns its PE, in all lanes of a group.  False: it is none
 * of these, or not the same in all lanes, or too long; nothing has changed. */
bool lane_operation(lane_run *run, lane_group *g);

#endif
