/* system.c - SYSTEM rows: tasks, DSRs, queues, colors, time. */
#include "pe/system.h"

#include <stdlib.h>

#include "observe/fault.h"
#include "observe/trace.h"
#include "pe/dsd.h"
#include "pe/ramp.h"
#include "router/buffer.h"
#include "router/route_register.h"
#include "state/queue.h"
#include "state/wake.h"

static uint32_t *reg(ce *c, uint32_t number) { return &c->r[number & (WSE_REGISTERS - 1)]; }

/* Operand of X and RX rows, and the second of XX. */
static uint32_t last(ce *c, const isa_ins *ins) { return ins->op & INS_IMMEDIATE ? (uint32_t)ins->imm : *reg(c, ins->c); }
static uint32_t first(ce *c, const isa_ins *ins) { return ins->op & INS_IMMEDIATE ? ins->a : *reg(c, ins->a); }

static int refuse(wse_fabric *f, band *b, uint32_t pe, ce *c, uint64_t at, int kind, uint32_t detail) {
  ce_fault(f, b, pe, at, kind, c->pc, detail);
  return SYSTEM_FAULTED;
}

/* Four registers from `from` on, as the 16 bytes of a DSR or XDSR, and back. */
static void gather(ce *c, uint32_t from, void *to) {
  uint32_t w[4];
  for (uint32_t i = 0; i < 4; i++) w[i] = *reg(c, from + i);
  memcpy(to, w, 16);
}
static void scatter(ce *c, uint32_t from, const void *what) {
  uint32_t w[4];
  memcpy(w, what, 16);
  for (uint32_t i = 0; i < 4; i++) *reg(c, from + i) = w[i];
}

static uint32_t random16(ce *c) {
  uint32_t state = c->random ? c->random : 0xdeadbeef & 0x7fffff;
  for (int i = 0; i < 128; i++) state = (state << 1 | ((state >> 22 ^ state >> 17) & 1)) & 0x7fffff;
  c->random = state;
  return state & 0xffff;
}

static uint32_t timestamp(ce *c, uint32_t word, uint64_t at) {
  if (word == 0) c->time_latch = (c->time_stopped ? c->time_base : at - c->time_base) & 0xffffffffffff;
  return (uint32_t)(c->time_latch >> 16 * (word < 3 ? word : 2)) & 0xffff;
}

static void timestamp_set(ce *c, uint32_t what, uint64_t at) {
  if (what == 2) c->time_base = c->time_stopped ? 0 : at;
  if (what > 1 || c->time_stopped == (what == 0)) return;
  c->time_base = at - c->time_base; /* stopped: the value; running: the cycle of zero */
  c->time_stopped = what == 0;
}

/* What the host has no memory for is lost. */
static void say(band *b, uint64_t at, uint32_t pe, uint32_t kind, uint32_t value) {
  if (b->said_count == b->said_room) {
    uint64_t room = b->said_room ? b->said_room * 2 : 256;
    wse_event *grown = realloc(b->said, room * sizeof *grown);
    if (!grown) return;
    b->said = grown;
    b->said_room = room;
  }
  b->said[b->said_count] = (wse_event){.cycle = at, .pe = pe, .kind = (uint16_t)kind, .b = value, .order = (uint32_t)b->said_count};
  b->said_count++;
}

/* Rebinding keeps both directions of an input queue's map. */
static int bind_queue(wse_fabric *f, band *b, uint32_t pe, ce *c, const isa_ins *ins, uint64_t at) {
  uint32_t q = first(c, ins), color = last(c, ins);
  bool input = (ins->op & ~INS_IMMEDIATE) == OP_iqbind;
  if (q >= WSE_QUEUES || !(input ? f->iq_room : f->oq_room)[q]) return refuse(f, b, pe, c, at, WSE_FAULT_BAD_QUEUE, q);
  if (color >= WSE_COLORS || f->color_index[color] < 0) return refuse(f, b, pe, c, at, WSE_FAULT_BAD_COLOR, color);
  rebinding *r = &f->rebound[pe];
  if (input) {
    int old = color_of_iq(f, pe, class_of(f, pe), (int)q);
    if (old >= 0 && queue_of_color(f, pe, old) == (int)q) r->queue_of[old] = NO_BINDING;
    r->queue_of[color] = (uint8_t)(q + 1);
    r->iq[q] = (uint8_t)(color + 1);
  } else {
    r->oq[q] = (uint8_t)(color + 1);
  }
  atomic_store_explicit(&f->any_rebound, true, memory_order_relaxed);
  for (int i = 0; i < f->colors; i++) ramp_refresh(f, pe, i);
  wake_router(f, pe, at + 1);
  return SYSTEM_DONE;
}

/* The machine's own router registers, as programs that reach into them know them [csl-examples: spmv-hypersparse]. */
static int router_register(wse_fabric *f, band *b, uint32_t pe, ce *c, const isa_ins *ins, uint64_t at) {
  uint32_t address = last(c, ins), color = address & 0x1f;
  bool is_switch = (address & ~0x1fu) == 0x7f40, store = (ins->op & ~INS_IMMEDIATE) == OP_cfgst;
  int index = color < WSE_COLORS && (is_switch || (address & ~0x1fu) == 0x7f20) ? f->color_index[color] : -1;
  if (index < 0) return refuse(f, b, pe, c, at, WSE_FAULT_BAD_COLOR, address);
  uint64_t *route = &f->route[index][pe];
  if (!store) {
    *reg(c, ins->a) = is_switch ? config_switch(*route) : config_color(*route);
    return SYSTEM_DONE;
  }
  uint16_t word = (uint16_t)*reg(c, ins->a);
  *route = is_switch ? config_with_switch(*route, word) : config_with_color(*route, word);
  route_refresh(f, pe, index);
  wake_router(f, pe, at + 1);
  return SYSTEM_DONE;
}

static int color_register(wse_fabric *f, band *b, uint32_t pe, ce *c, const isa_ins *ins, uint64_t at) {
  uint32_t color = last(c, ins);
  if (color >= WSE_COLORS || f->color_index[color] < 0) return refuse(f, b, pe, c, at, WSE_FAULT_BAD_COLOR, color);
  int index = f->color_index[color];
  uint64_t *route = &f->route[index][pe];
  switch (ins->op & ~INS_IMMEDIATE) {
    case OP_colorld:
      *reg(c, ins->a) = (uint32_t)*route;
      *reg(c, ins->a + 1u) = (uint32_t)(*route >> 32);
      return SYSTEM_DONE;
    case OP_colorst: { /* the filter stays: its table is the loader's */
      uint64_t value = *reg(c, ins->a) | (uint64_t)*reg(c, ins->a + 1u) << 32, low = ((uint64_t)1 << WSE_ROUTE_FILTER) - 1;
      *route = (*route & ~low) | (value & low);
      break;
    }
    default: *route &= ~((uint64_t)1 << WSE_ROUTE_TEARDOWN);
  }
  route_refresh(f, pe, index);
  wake_router(f, pe, at + 1);
  return SYSTEM_DONE;
}

static int task_bits(wse_fabric *f, band *b, uint32_t pe, ce *c, const isa_ins *ins, uint64_t at) {
  uint32_t task = last(c, ins);
  if (task >= WSE_TASKS) return refuse(f, b, pe, c, at, WSE_FAULT_BAD_TASK, task);
  uint64_t bit = (uint64_t)1 << task;
  switch (ins->op & ~INS_IMMEDIATE) {
    case OP_activate:
      if (class_of(f, pe)->task_kind[task] == WSE_TASK_UNBOUND) return refuse(f, b, pe, c, at, WSE_FAULT_BAD_TASK, task);
      c->active |= bit;
      break;
    case OP_block: c->blocked |= bit; break;
    default: c->blocked &= ~bit;
  }
  return SYSTEM_DONE;
}

static int dsr_bits(wse_fabric *f, band *b, uint32_t pe, ce *c, const isa_ins *ins, uint64_t at) {
  int number = operand_dsr(ins->a);
  if (number < 0) return refuse(f, b, pe, c, at, WSE_FAULT_BAD_OPERAND, ins->a);
  dsr *d = &f->dsrs[number][pe];
  switch (ins->op) {
    case OP_ldds: gather(c, ins->b, d); break;
    case OP_stds: scatter(c, ins->b, d); break;
    case OP_dsindex: d->index = (uint16_t)*reg(c, ins->b); break;
    default: { /* mapput */
      if (!dsd_is_memory(d)) return refuse(f, b, pe, c, at, WSE_FAULT_BAD_DSR, ins->a);
      int size = d->flags & DSD_WIDE ? 4 : 2;
      dsr sized = dsd_sized(d, size);
      sram_store(sram_of(f, pe), dsd_address(&sized, &f->xdsrs[d->x & 15][pe], d->index), size, *reg(c, ins->b));
      d->index++;
    }
  }
  return SYSTEM_DONE;
}

int system_execute(wse_fabric *f, band *b, uint32_t pe, ce *c, const isa_ins *ins, uint64_t at) {
  switch (ins->op & ~INS_IMMEDIATE) {
    case OP_nop: break;
    case OP_trap: return refuse(f, b, pe, c, at, WSE_FAULT_TRAP, last(c, ins));
    case OP_activate: case OP_block: case OP_unblock: return task_bits(f, b, pe, c, ins, at);
    case OP_utblock: c->suspended |= (uint8_t)(1u << (last(c, ins) & 7)); break;
    case OP_utunblock: c->suspended &= (uint8_t)~(1u << (last(c, ins) & 7)); break;
    case OP_utprio: {
      uint32_t shift = 2 * (first(c, ins) & 7), priority = last(c, ins) > 2 ? 2 : last(c, ins);
      c->thread_priority = (uint16_t)((c->thread_priority & ~(3u << shift)) | (priority ^ 1) << shift);
      break;
    }
    case OP_mainprio: c->main_priority = (uint8_t)(last(c, ins) & 3); break;
    case OP_ldds: case OP_stds: case OP_dsindex: case OP_mapput: return dsr_bits(f, b, pe, c, ins, at);
    case OP_ldxd: gather(c, ins->b, &f->xdsrs[ins->a & 15][pe]); break;
    case OP_stxd: scatter(c, ins->b, &f->xdsrs[ins->a & 15][pe]); break;
    case OP_iqbind: case OP_oqbind: return bind_queue(f, b, pe, c, ins, at);
    case OP_iqempty: *reg(c, ins->a) = !(c->input_queues >> (last(c, ins) & 7) & 1); break;
    case OP_oqempty: *reg(c, ins->a) = !(c->output_queues >> (last(c, ins) & 7) & 1); break;
    case OP_colorld: case OP_colorst: case OP_tdexit: return color_register(f, b, pe, c, ins, at);
    case OP_cfgld: case OP_cfgst: return router_register(f, b, pe, c, ins, at);
    case OP_tsc: *reg(c, ins->a) = timestamp(c, last(c, ins), at); break;
    case OP_tscset: timestamp_set(c, last(c, ins), at); break;
    case OP_coord: *reg(c, ins->a) = last(c, ins) ? pe / (uint32_t)f->width : pe % (uint32_t)f->width; break;
    case OP_rand: *reg(c, ins->a) = random16(c); break;
    case OP_mark: trace_event(f, b, at, pe, WSE_EV_MARK, 0, last(c, ins)); break;
    case OP_say: say(b, at, pe, first(c, ins), last(c, ins)); break;
    case OP_hostsig:
      f->host_signal[pe] = last(c, ins);
      trace_event(f, b, at, pe, WSE_EV_HOSTSIG, 0, last(c, ins));
      break;
    default: return refuse(f, b, pe, c, at, WSE_FAULT_BAD_OPCODE, ins->op);
  }
  return SYSTEM_DONE;
}
