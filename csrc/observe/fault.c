/* fault.c - the first fault of a run: the earliest cycle wins, then the lowest PE, so that it does not depend on
 * threads. */
#include "observe/fault.h"

wse_fault fault_at(const struct wse_fabric *fabric, uint32_t pe, uint64_t cycle, int kind) {
  return (wse_fault){.kind = kind,
                     .x = (int32_t)(pe % (uint32_t)fabric->width),
                     .y = (int32_t)(pe / (uint32_t)fabric->width),
                     .color = -1,
                     .queue = -1,
                     .task = -1,
                     .port = -1,
                     .pc = -1,
                     .cycle = cycle};
}

static bool earlier(const wse_fault *a, const wse_fault *b) {
  if (b->kind == WSE_FAULT_NONE) return true;
  if (a->cycle != b->cycle) return a->cycle < b->cycle;
  return a->y != b->y ? a->y < b->y : a->x < b->x;
}

void fault_raise(band_state *band, wse_fault fault) {
  if (earlier(&fault, &band->fault)) band->fault = fault;
}

void ce_fault(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t at, int kind, uint32_t pc, uint32_t detail) {
  wse_fault fault = fault_at(fabric, pe, at, kind);
  fault.task = fabric->ces[pe].task;
  fault.pc = (int32_t)pc;
  fault.detail = detail;
  fault_raise(band, fault);
  fabric->ces[pe].state = MAIN_IDLE;
  fabric->ces[pe].main_at = NEVER;
}

void wse_fault_of(const wse_fabric *fabric, wse_fault *out) {
  *out = fabric->bands[0].fault;
  for (int i = 1; i < fabric->band_total; i++)
    if (fabric->bands[i].fault.kind != WSE_FAULT_NONE && earlier(&fabric->bands[i].fault, out))
      *out = fabric->bands[i].fault;
}
