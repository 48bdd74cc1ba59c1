/* map.c - loops over the elements of a descriptor: mapstep and maploop. */
#include "pe/map.h"

#include "fast/issue_rules.h"
#include "observe/check.h"
#include "observe/fault.h"
#include "pe/dsd.h"
#include "pe/operand.h"
#include "pe/ramp.h"
#include "state/queue.h"

/* Takes the next element of a DSR for mapstep.  Returns 1: taken, 0: none left, -1: it must wait, -2: no such DSR. */
static int map_element(wse_fabric *fabric, band_state *band, uint32_t pe, dsr *d, uint32_t *value, uint64_t at,
                       uint64_t now) {
  if (!d->length && d->kind != DSD_FIFO) return d->kind == DSD_NONE ? -2 : 0;
  int size = d->flags & DSD_WIDE ? 4 : 2;
  if (dsd_is_memory(d)) {
    dsr sized = dsd_sized(d, size);
    uint16_t address = dsd_address(&sized, &fabric->xdsrs[d->x & 15][pe], d->index);
    *value = sram_load(sram_of(fabric, pe), address, size);
    if (fabric->check) {
      check_by by = {fabric->ces[pe].pc, MAIN, at};
      check_bounds(fabric, pe, dsd_address(&sized, &fabric->xdsrs[d->x & 15][pe], 0), address, size, by);
      check_load(fabric, pe, address, size, by);
    }
    d->index++;
  } else if (d->kind == DSD_FABIN && d->queue < WSE_QUEUES) {
    ramp_queue *queue = iq_of(fabric, d->queue, pe);
    int kind;
    bool binds = d->flags & DSD_BINDS && !class_binds(class_of(fabric, pe), d->queue, d->color);
    if (binds && !operand_may_bind(fabric, d, &kind)) return -2;
    if (at <= now && binds && !ramp_bind_dsd(fabric, pe, d, UINT32_MAX, now)) return -1;
    if (at > now || !queue->count || !wavelet_ready(queue_head(queue), now)) return -1;
    if (queue_head(queue).meta &
        WAVELET_CONTROL) { /* ends the loop, as it ends an operation, if the descriptor says so */
      if ((d->on_control & 3) != ON_CONTROL_TERMINATE) return -1;
      iq_take(fabric, band, pe, d->queue, now);
      return 0;
    }
    *value = iq_take(fabric, band, pe, d->queue, now).data;
    if (size == 2) *value &= 0xffff;
  } else {
    return -2;
  }
  if (!(dsd_is_fabric(d) && d->length == LENGTH_INFINITE)) d->length--;
  return 1;
}

void map_issued(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t at) {
  ce_state *ce = &fabric->ces[pe];
  if (end_wait(fabric, band, pe, at)) { /* the next instruction cannot have been dispatched before */
    if (ce->vector_at < at) ce->vector_at = at;
    if (ce->main_at < at) ce->main_at = at;
  }
  counters_of(fabric, pe)[WSE_CTR_SYSTEMS]++;
  band->opcodes[OP_mapstep]++;
  if (band->profile) profile_issue(fabric, band, pe, ce->follows_vector);
  if (ce->follows_vector) return;
  use_slot(fabric, band, pe, at, WSE_CTR_BUSY_SCALAR);
  ce->main_at = at + 1;
}

/* mapstep and maploop are executed by the sequencer of operations: right after an operation they do not wait for it to
 * drain. */
int issue_map(wse_fabric *fabric, band_state *band, uint32_t pe, const isa_ins *ins, uint64_t at, uint64_t now) {
  ce_state *ce = &fabric->ces[pe];
  if ((ins->op & ~INS_IMMEDIATE) == OP_maploop) {
    ce->pc = (uint32_t)ins->imm;
    return ISSUED;
  }
  int number = operand_dsr(ins->b);
  if (number < 0) {
    ce_fault(fabric, band, pe, at, WSE_FAULT_BAD_OPERAND, ce->pc, ins->b);
    return STOPS;
  }
  uint32_t value = 0;
  int got = map_element(fabric, band, pe, &fabric->dsrs[number][pe], &value, at, now);
  if (got == -1) {
    if (at <= now) ce->waits = WSE_CTR_STALL_INPUT;
    if (at <= now && band->profile) profile_waits(fabric, pe, false);
    return WAITS;
  }
  if (got == -2) {
    ce_fault(fabric, band, pe, at, WSE_FAULT_BAD_DSR, ce->pc, ins->b);
    return STOPS;
  }
  map_issued(fabric, band, pe, at);
  if (got) {
    *register_of(fabric, pe, ins->a & (WSE_REGISTERS - 1)) = value;
    ce->pc++;
  } else {
    ce->pc = (uint32_t)ins->imm;
  }
  return ISSUED;
}
