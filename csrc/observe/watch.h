/* watch.h - a run that notes the first cycle in which a debugger may have to stop.
 *
 * The instructions that are watched have the opcode OP_WATCHED in the code of their class, which ends every fast path
 * before them, and the engine executes them from a copy of the code.  Main threads may run ahead: when the run ends,
 * the fabric may be past the cycle that was noted. */
#ifndef OBSERVE_WATCH_H
#define OBSERVE_WATCH_H

#include "state/state.h"

enum { OP_WATCHED = INS_IMMEDIATE - 1 }; /* no opcode */

typedef struct watch_state {
  isa_ins **code;             /* [class_total]: the code as it was */
  uint8_t *pes;               /* [pe]: 1: the main thread is watched; NULL: all are */
  uint32_t colors;            /* mask: wavelets of these colors are watched ... */
  const uint8_t *wavelet_pes; /* ... that land where this is not 0, [pe]; NULL: anywhere */
  _Atomic uint64_t first;     /* NEVER: nothing of that was seen */
} watch_state;

static inline void watch_note(watch_state *watch, uint64_t cycle) {
  uint64_t first = atomic_load_explicit(&watch->first, memory_order_relaxed);
  while (cycle < first && !atomic_compare_exchange_weak(&watch->first, &first, cycle)) {
  }
}

static inline uint64_t watch_first(const wse_fabric *fabric) {
  return fabric->watch ? atomic_load_explicit(&fabric->watch->first, memory_order_relaxed) : NEVER;
}

/* The main thread has come to ces[pe].pc, in this cycle or a later one in which it has used a slot. */
static inline void watch_arrives(wse_fabric *fabric, uint32_t pe, uint64_t cycle) {
  if (!fabric->watch || (fabric->watch->pes && !fabric->watch->pes[pe])) return;
  const ce_state *ce = &fabric->ces[pe];
  const pe_class *class = &fabric->classes[fabric->class_of[pe]];
  if (ce->state != MAIN_RUN || ce->pc >= class->code_length || class->code[ce->pc].op != OP_WATCHED) return;
  watch_note(fabric->watch, ce->accounted > cycle ? ce->accounted - 1 : cycle);
}

/* A wavelet goes down the ramp. */
static inline void watch_lands(wse_fabric *fabric, uint32_t pe, int color, uint64_t cycle) {
  watch_state *watch = fabric->watch;
  if (!watch || !(watch->colors >> color & 1) || (watch->wavelet_pes && !watch->wavelet_pes[pe])) return;
  watch_note(watch, cycle);
}

#endif
