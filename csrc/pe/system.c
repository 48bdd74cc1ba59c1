/* system.c - system instructions: tasks, DSRs, queues, colors, time. */
#include "pe/system.h"

#include <stdlib.h>

#include "observe/check.h"
#include "observe/fault.h"
#include "observe/senders.h"
#include "observe/trace.h"
#include "pe/dsd.h"
#include "pe/ramp.h"
#include "router/buffer.h"
#include "router/route_register.h"
#include "state/queue.h"
#include "state/wake.h"

static uint32_t *reg(wse_fabric *fabric, uint32_t pe, uint32_t number) {
  return register_of(fabric, pe, number & (WSE_REGISTERS - 1));
}

/* The operand of forms X and RX, and the second one of XX. */
static uint32_t last(wse_fabric *fabric, uint32_t pe, const isa_ins *ins) {
  return ins->op & INS_IMMEDIATE ? (uint32_t)ins->imm : *reg(fabric, pe, ins->c);
}
static uint32_t first(wse_fabric *fabric, uint32_t pe, const isa_ins *ins) {
  return ins->op & INS_IMMEDIATE ? ins->a : *reg(fabric, pe, ins->a);
}

static int refuse(wse_fabric *fabric, band_state *band, uint32_t pe, ce_state *ce, uint64_t at, int kind,
                  uint32_t detail) {
  ce_fault(fabric, band, pe, at, kind, ce->pc, detail);
  return SYSTEM_FAULTED;
}

/* Four registers from `from` on, as the 16 bytes of a DSR or XDSR, and back. */
static void gather(wse_fabric *fabric, uint32_t pe, uint32_t from, void *to) {
  uint32_t w[4];
  for (uint32_t i = 0; i < 4; i++)
    w[i] = *reg(fabric, pe, from + i);
  memcpy(to, w, 16);
}
static void scatter(wse_fabric *fabric, uint32_t pe, uint32_t from, const void *what) {
  uint32_t w[4];
  memcpy(w, what, 16);
  for (uint32_t i = 0; i < 4; i++)
    *reg(fabric, pe, from + i) = w[i];
}

static uint32_t random16(ce_state *ce) {
  uint32_t *generator = &ce->random[ce->generator];
  uint32_t state = *generator ? *generator : 0xdeadbeef & 0x7fffff;
  for (int i = 0; i < 128; i++)
    state = (state << 1 | ((state >> 22 ^ state >> 17) & 1)) & 0x7fffff;
  *generator = state;
  return state & 0xffff;
}

/* Bit q: queue q holds nothing; bit 8 + q: it is full.  A queue that the machine lacks is empty. */
static uint32_t queue_status(wse_fabric *fabric, uint32_t pe, const ce_state *ce, bool input) {
  uint32_t status = (uint8_t)~(input ? ce->input_queues : ce->output_queues);
  for (int q = 0; q < WSE_QUEUES; q++) {
    uint32_t capacity = (input ? fabric->iq_capacity : fabric->oq_capacity)[q];
    if (capacity && queue_full(input ? iq_of(fabric, q, pe) : oq_of(fabric, q, pe), capacity)) status |= 256u << q;
  }
  return status;
}

static uint32_t in_teardown(const wse_fabric *fabric, uint32_t pe) {
  uint32_t colors = 0;
  for (int i = 0; i < fabric->colors; i++)
    if (fabric->route[i][pe] >> WSE_ROUTE_TEARDOWN & 1) colors |= 1u << fabric->color_of[i];
  return colors;
}

/* Tasks whose priority differs from the one they were bound with. */
static int task_priority(wse_fabric *fabric, band_state *band, uint32_t pe, ce_state *ce, const isa_ins *ins,
                         uint64_t at) {
  uint32_t task = first(fabric, pe, ins);
  if (task >= WSE_TASKS) return refuse(fabric, band, pe, ce, at, WSE_FAULT_BAD_TASK, task);
  bool changes = (class_of(fabric, pe)->high >> task & 1) != (last(fabric, pe, ins) != 0);
  ce->high_changed = (ce->high_changed & ~((uint64_t)1 << task)) | (uint64_t)changes << task;
  return SYSTEM_DONE;
}

/* The n-th color of the PE that has a filter, in the order of their numbers; -1: there are fewer. */
static int color_of_filter(const wse_fabric *fabric, uint32_t pe, uint32_t n) {
  for (int color = 0; color < WSE_COLORS; color++) {
    int i = fabric->color_index[color];
    if (i >= 0 && fabric->route[i][pe] >> WSE_ROUTE_FILTER && n-- == 0) return i;
  }
  return -1;
}

static int filter_set(wse_fabric *fabric, band_state *band, uint32_t pe, ce_state *ce, const isa_ins *ins,
                      uint64_t at) {
  uint32_t field = first(fabric, pe, ins);
  int color = color_of_filter(fabric, pe, field / 4);
  if (color < 0) return refuse(fabric, band, pe, ce, at, WSE_FAULT_BAD_OPERAND, field / 4);
  uint32_t **planes[] = {fabric->filter_count, fabric->filter_limit, fabric->filter_most, fabric->filter_most};
  planes[field % 4][color][pe] = last(fabric, pe, ins);
  route_hold(fabric, pe, color, at);
  return SYSTEM_DONE;
}

/* Both sides of a switch position; position 0 is set by cfgst. */
static int switch_set(wse_fabric *fabric, band_state *band, uint32_t pe, ce_state *ce, const isa_ins *ins,
                      uint64_t at) {
  uint32_t color = first(fabric, pe, ins) % 32, position = first(fabric, pe, ins) / 32 & 3,
           sides = last(fabric, pe, ins);
  int index = color < WSE_COLORS ? fabric->color_index[color] : -1;
  if (index < 0) return refuse(fabric, band, pe, ce, at, WSE_FAULT_BAD_COLOR, color);
  uint64_t *route = &fabric->route[index][pe];
  uint64_t last_position = *route >> WSE_ROUTE_LAST & 3;
  *route = config_position(*route, (int)position, config_mask(sides >> 5 & 31), config_mask(sides & 31));
  if (position > last_position)
    *route = (*route & ~((uint64_t)3 << WSE_ROUTE_LAST)) | (uint64_t)position << WSE_ROUTE_LAST;
  route_refresh(fabric, pe, index);
  route_hold(fabric, pe, index, at);
  return SYSTEM_DONE;
}

static uint32_t timestamp(ce_state *ce, uint32_t word, uint64_t at) {
  if (word == 0) ce->time_latch = (ce->time_stopped ? ce->time_base : at - ce->time_base) & 0xffffffffffff;
  return (uint32_t)(ce->time_latch >> 16 * (word < 3 ? word : 2)) & 0xffff;
}

static void timestamp_set(ce_state *ce, uint32_t what, uint64_t at) {
  if (what == 2) ce->time_base = ce->time_stopped ? 0 : at;
  if (what > 1 || ce->time_stopped == (what == 0)) return;
  ce->time_base = at - ce->time_base; /* stopped: the value; running: the cycle of zero */
  ce->time_stopped = what == 0;
}

/* A message is dropped if there is no memory for it. */
static void say(band_state *band, uint64_t at, uint32_t pe, uint32_t kind, uint32_t value) {
  if (band->message_count == band->message_capacity) {
    uint64_t capacity = band->message_capacity ? band->message_capacity * 2 : 256;
    wse_event *grown = realloc(band->messages, capacity * sizeof *grown);
    if (!grown) return;
    band->messages = grown;
    band->message_capacity = capacity;
  }
  band->messages[band->message_count] =
      (wse_event){.cycle = at, .pe = pe, .kind = (uint16_t)kind, .b = value, .order = (uint32_t)band->message_count};
  band->message_count++;
}

/* Binds a queue; an input queue is kept in both directions, queue to color and color to queue. */
static int bind_queue(wse_fabric *fabric, band_state *band, uint32_t pe, ce_state *ce, const isa_ins *ins,
                      uint64_t at) {
  uint32_t q = first(fabric, pe, ins), color = last(fabric, pe, ins);
  bool input = (ins->op & ~INS_IMMEDIATE) == OP_iqbind;
  if (q >= WSE_QUEUES || !(input ? fabric->iq_capacity : fabric->oq_capacity)[q])
    return refuse(fabric, band, pe, ce, at, WSE_FAULT_BAD_QUEUE, q);
  if (color >= WSE_COLORS || fabric->color_index[color] < 0)
    return refuse(fabric, band, pe, ce, at, WSE_FAULT_BAD_COLOR, color);
  if (input) {
    ramp_bind(fabric, pe, (int)q, (int)color, UINT32_MAX, at);
  } else {
    fabric->rebound[pe].oq[q] = (uint8_t)(color + 1);
    atomic_store_explicit(&fabric->any_rebound, true, memory_order_relaxed);
  }
  return SYSTEM_DONE;
}

static int flush(wse_fabric *fabric, band_state *band, uint32_t pe, ce_state *ce, const isa_ins *ins, uint64_t at) {
  uint32_t q = last(fabric, pe, ins);
  bool input = (ins->op & ~INS_IMMEDIATE) == OP_iqflush;
  if (q >= WSE_QUEUES || !(input ? fabric->iq_capacity : fabric->oq_capacity)[q])
    return refuse(fabric, band, pe, ce, at, WSE_FAULT_BAD_QUEUE, q);
  if (class_of(fabric, pe)->task_kind[TASK_TEARDOWN] == WSE_TASK_UNBOUND)
    return refuse(fabric, band, pe, ce, at, WSE_FAULT_BAD_TASK, TASK_TEARDOWN);
  uint32_t bit = 1u << (input ? q : q + 8);
  ce->flushing |= (uint16_t)bit;
  ramp_flushed(fabric, pe, bit, at);
  return SYSTEM_DONE;
}

/* The router registers at their machine addresses, for programs that use them directly [csl-examples: spmv-
 * hypersparse]. */
static int router_register(wse_fabric *fabric, band_state *band, uint32_t pe, ce_state *ce, const isa_ins *ins,
                           uint64_t at) {
  uint32_t address = last(fabric, pe, ins), color = address & 0x1f;
  bool is_switch = (address & ~0x1fu) == 0x7f40, store = (ins->op & ~INS_IMMEDIATE) == OP_cfgst;
  int index = color < WSE_COLORS && (is_switch || (address & ~0x1fu) == 0x7f20) ? fabric->color_index[color] : -1;
  if (index < 0) return refuse(fabric, band, pe, ce, at, WSE_FAULT_BAD_COLOR, address);
  uint64_t *route = &fabric->route[index][pe];
  if (!store) {
    *reg(fabric, pe, ins->a) = is_switch ? config_switch(*route) : config_color(*route);
    return SYSTEM_DONE;
  }
  uint16_t word = (uint16_t)*reg(fabric, pe, ins->a);
  *route = is_switch ? config_with_switch(*route, word) : config_with_color(*route, word);
  route_refresh(fabric, pe, index);
  route_hold(fabric, pe, index, at);
  return SYSTEM_DONE;
}

static int color_register(wse_fabric *fabric, band_state *band, uint32_t pe, ce_state *ce, const isa_ins *ins,
                          uint64_t at) {
  uint32_t color = last(fabric, pe, ins);
  if (color >= WSE_COLORS || fabric->color_index[color] < 0)
    return refuse(fabric, band, pe, ce, at, WSE_FAULT_BAD_COLOR, color);
  int index = fabric->color_index[color];
  uint64_t *route = &fabric->route[index][pe];
  switch (ins->op & ~INS_IMMEDIATE) {
    case OP_colorld:
      *reg(fabric, pe, ins->a) = (uint32_t)*route;
      *reg(fabric, pe, ins->a + 1u) = (uint32_t)(*route >> 32);
      return SYSTEM_DONE;
    case OP_colorst: { /* the filter is kept: its table belongs to the loader */
      uint64_t value = *reg(fabric, pe, ins->a) | (uint64_t)*reg(fabric, pe, ins->a + 1u) << 32,
               low = ((uint64_t)1 << WSE_ROUTE_FILTER) - 1;
      *route = (*route & ~low) | (value & low);
      break;
    }
    default: *route &= ~((uint64_t)1 << WSE_ROUTE_TEARDOWN);
  }
  route_refresh(fabric, pe, index);
  route_hold(fabric, pe, index, at);
  return SYSTEM_DONE;
}

static int task_bits(wse_fabric *fabric, band_state *band, uint32_t pe, ce_state *ce, const isa_ins *ins, uint64_t at) {
  uint32_t task = last(fabric, pe, ins);
  if (task >= WSE_TASKS) return refuse(fabric, band, pe, ce, at, WSE_FAULT_BAD_TASK, task);
  uint64_t bit = (uint64_t)1 << task;
  switch (ins->op & ~INS_IMMEDIATE) {
    case OP_activate:
      if (class_of(fabric, pe)->task_kind[task] == WSE_TASK_UNBOUND)
        return refuse(fabric, band, pe, ce, at, WSE_FAULT_BAD_TASK, task);
      if (fabric->check) check_activate(fabric, pe, (int)task, ce->pc, at);
      ce->active |= bit;
      break;
    case OP_block: ce->blocked |= bit; break;
    default: ce->blocked &= ~bit;
  }
  return SYSTEM_DONE;
}

static int dsr_bits(wse_fabric *fabric, band_state *band, uint32_t pe, ce_state *ce, const isa_ins *ins, uint64_t at) {
  int number = operand_dsr(ins->a);
  if (number < 0) return refuse(fabric, band, pe, ce, at, WSE_FAULT_BAD_OPERAND, ins->a);
  dsr *d = &fabric->dsrs[number][pe];
  switch (ins->op) {
    case OP_ldds:
      if (fabric->check) senders_describes(fabric, pe, ins->b & (WSE_REGISTERS - 1));
      gather(fabric, pe, ins->b, d);
      break;
    case OP_stds: scatter(fabric, pe, ins->b, d); break;
    case OP_dsindex:
      if (fabric->check) senders_describes(fabric, pe, ins->b & (WSE_REGISTERS - 1));
      d->index = (uint16_t)*reg(fabric, pe, ins->b);
      break;
    default: { /* mapput */
      if (!dsd_is_memory(d)) return refuse(fabric, band, pe, ce, at, WSE_FAULT_BAD_DSR, ins->a);
      int size = d->flags & DSD_WIDE ? 4 : 2;
      dsr sized = dsd_sized(d, size);
      uint16_t address = dsd_address(&sized, &fabric->xdsrs[d->x & 15][pe], d->index);
      sram_store(sram_of(fabric, pe), address, size, *reg(fabric, pe, ins->b));
      if (fabric->check) {
        check_by by = {ce->pc, MAIN, at};
        check_bounds(fabric, pe, dsd_address(&sized, &fabric->xdsrs[d->x & 15][pe], 0), address, size, by);
        check_store(fabric, pe, address, size, by);
      }
      d->index++;
    }
  }
  return SYSTEM_DONE;
}

int system_execute(wse_fabric *fabric, band_state *band, uint32_t pe, ce_state *ce, const isa_ins *ins, uint64_t at) {
  switch (ins->op & ~INS_IMMEDIATE) {
    case OP_nop:
    case OP_c2dstart: break;
    case OP_trap: return refuse(fabric, band, pe, ce, at, WSE_FAULT_TRAP, last(fabric, pe, ins));
    case OP_activate:
    case OP_block:
    case OP_unblock: return task_bits(fabric, band, pe, ce, ins, at);
    case OP_utblock: ce->suspended |= (uint8_t)(1u << (last(fabric, pe, ins) & 7)); break;
    case OP_utunblock: ce->suspended &= (uint8_t)~(1u << (last(fabric, pe, ins) & 7)); break;
    case OP_utprio: {
      uint32_t shift = 2 * (first(fabric, pe, ins) & 7),
               priority = last(fabric, pe, ins) > 2 ? 2 : last(fabric, pe, ins);
      ce->thread_priority = (uint16_t)((ce->thread_priority & ~(3u << shift)) | (priority ^ 1) << shift);
      break;
    }
    case OP_mainprio: ce->main_priority = (uint8_t)(last(fabric, pe, ins) & 3); break;
    case OP_ldds:
    case OP_stds:
    case OP_dsindex:
    case OP_mapput: return dsr_bits(fabric, band, pe, ce, ins, at);
    case OP_ldxd: gather(fabric, pe, ins->b, &fabric->xdsrs[ins->a & 15][pe]); break;
    case OP_stxd: scatter(fabric, pe, ins->b, &fabric->xdsrs[ins->a & 15][pe]); break;
    case OP_iqbind:
    case OP_oqbind: return bind_queue(fabric, band, pe, ce, ins, at);
    case OP_iqempty: *reg(fabric, pe, ins->a) = !(ce->input_queues >> (last(fabric, pe, ins) & 7) & 1); break;
    case OP_oqempty: *reg(fabric, pe, ins->a) = !(ce->output_queues >> (last(fabric, pe, ins) & 7) & 1); break;
    case OP_iqflush:
    case OP_oqflush: return flush(fabric, band, pe, ce, ins, at);
    case OP_flushed: *reg(fabric, pe, ins->a) = ce->flushed; break;
    case OP_unflush: ce->flushed &= (uint16_t)~last(fabric, pe, ins); break;
    case OP_colorld:
    case OP_colorst:
    case OP_tdexit: return color_register(fabric, band, pe, ce, ins, at);
    case OP_cfgld:
    case OP_cfgst: return router_register(fabric, band, pe, ce, ins, at);
    case OP_tsc: *reg(fabric, pe, ins->a) = timestamp(ce, last(fabric, pe, ins), at); break;
    case OP_tscset: timestamp_set(ce, last(fabric, pe, ins), at); break;
    case OP_coord:
      *reg(fabric, pe, ins->a) = last(fabric, pe, ins) ? pe / (uint32_t)fabric->width : pe % (uint32_t)fabric->width;
      break;
    case OP_rand: *reg(fabric, pe, ins->a) = random16(ce); break;
    case OP_prng: ce->generator = (uint8_t)(last(fabric, pe, ins) % GENERATORS); break;
    case OP_seed: ce->random[ce->generator] = last(fabric, pe, ins) & 0x7fffff; break;
    case OP_iqstat:
    case OP_oqstat: *reg(fabric, pe, ins->a) = queue_status(fabric, pe, ce, ins->op == OP_iqstat); break;
    case OP_tdpend: *reg(fabric, pe, ins->a) = in_teardown(fabric, pe); break;
    case OP_taskprio: return task_priority(fabric, band, pe, ce, ins, at);
    case OP_filtst: return filter_set(fabric, band, pe, ce, ins, at);
    case OP_switchst: return switch_set(fabric, band, pe, ce, ins, at);
    case OP_mark: trace_event(fabric, band, at, pe, WSE_EV_MARK, 0, last(fabric, pe, ins)); break;
    case OP_say: say(band, at, pe, first(fabric, pe, ins), last(fabric, pe, ins)); break;
    case OP_hostsig:
      fabric->host_signal[pe] = last(fabric, pe, ins);
      trace_event(fabric, band, at, pe, WSE_EV_HOSTSIG, 0, last(fabric, pe, ins));
      break;
    default: return refuse(fabric, band, pe, ce, at, WSE_FAULT_BAD_OPCODE, ins->op);
  }
  return SYSTEM_DONE;
}
