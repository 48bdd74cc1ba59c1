/* vector.c - VECTOR rows over DSDs.
 *
 * An operation goes through its elements in order, one group of lanes a slot.  How many elements a slot takes is the least of
 * the row's lanes, what strides allow, and what the SRAM ports allow; two memory sources that touch one bank in a slot take
 * the slot twice [machine.def: sram_*, bank_conflict_factor, stride_rule].  A fabric operand gives or takes a wavelet a slot.
 *
 * Memory operations compute all elements when they are dispatched and complete by a timer: what another thread of the same PE
 * writes meanwhile into their operands is a race of the program, which the machine does not order either.
 */
#include "pe/vector.h"

#include "pe/dsd.h"
#include "numeric/op_vector.h"
#include "pe/ramp.h"
#include "state/wake.h"

enum { SIZE_NONE = 0, SIZE_H = 2, SIZE_W = 2, SIZE_S = 4, SIZE_D = 4 };
enum { FLOAT_NONE, FLOAT_W = 0, FLOAT_D = 0, FLOAT_H = 1, FLOAT_S = 1 };

typedef struct {
  uint8_t dst, src0, src1, extra, lanes[2], is_float, flops;
} vector_row;

static const vector_row rows[] = {
#define VECTOR(name, dst, src0, src1, extra, lanes2, lanes3, ...) \
  [OP_##name] = {SIZE_##dst, SIZE_##src0, SIZE_##src1, SIZE_##extra, {lanes2, lanes3}, FLOAT_##dst, 0},
#include "tables/isa.def"
};

vector_sizes vector_sizes_of(int op) {
  return (vector_sizes){rows[op].dst, rows[op].src0, rows[op].src1, rows[op].extra};
}

static int flops_of(int op) {
  switch (op) {
    case OP_faddh: case OP_fsubh: case OP_fmulh: case OP_fmaxh: case OP_fadds: case OP_fsubs: case OP_fmuls: case OP_fmaxs:
    case OP_faddhs: return 1;
    case OP_fmach: case OP_fmacs: case OP_fmachs: return 2;
    default: return 0;
  }
}

/* --- values ---------------------------------------------------------------------------------------------------------- */

typedef uint32_t (*element_function)(uint32_t a, uint32_t b, uint32_t x);
NUM_INLINE uint32_t op_dfilt(int fmt, uint32_t a, uint32_t b, uint32_t x) { return (void)fmt, (void)a, (void)b, (void)x, 0; }

#define VECTOR(name, ...)                                                                                     \
  static uint32_t ieee_##name(uint32_t a, uint32_t b, uint32_t x) { return op_##name(WSE_FP16_IEEE, a, b, x); } \
  static uint32_t bf16_##name(uint32_t a, uint32_t b, uint32_t x) { return op_##name(WSE_FP16_BF16, a, b, x); } \
  static uint32_t cb16_##name(uint32_t a, uint32_t b, uint32_t x) { return op_##name(WSE_FP16_CB16, a, b, x); }
#include "tables/isa.def"

static const element_function elements[][3] = {
#define VECTOR(name, ...) [OP_##name] = {ieee_##name, bf16_##name, cb16_##name},
#include "tables/isa.def"
};

const span_function *span_table(bool portable) {
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
  if (!portable && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    return span_avx512;
  if (!portable && __builtin_cpu_supports("avx2")) return span_avx2;
#endif
  (void)portable;
  return span_base;
}

/* --- operands -------------------------------------------------------------------------------------------------------- */

static const xdsr *xdsr_of(const wse_fabric *f, uint32_t pe, const dsr *d) { return &f->xdsrs[d->x & 15][pe]; }
static xdsr *fifo_of(wse_fabric *f, uint32_t pe, const operand *o) { return &f->xdsrs[o->d.x & 15][pe]; }

static bool decode(wse_fabric *f, uint32_t pe, uint8_t byte, int size, bool writes, operand *o, int *kind) {
  memset(o, 0, sizeof *o);
  o->size = (uint8_t)size;
  if (!size) {
    *kind = WSE_FAULT_BAD_OPERAND;
    return byte == OPERAND_NONE;
  }
  if (byte >= OPERAND_REGISTER && byte < OPERAND_REGISTER + WSE_REGISTERS) {
    o->is = OPERAND_IS_VALUE;
    o->number = byte - OPERAND_REGISTER;
    o->value = f->ces[pe].r[o->number];
    return true;
  }
  if (operand_dsr(byte) < 0) {
    *kind = WSE_FAULT_BAD_OPERAND;
    return false;
  }
  o->is = OPERAND_IS_DSR;
  o->number = byte;
  o->d = dsd_sized(&f->dsrs[byte][pe], size);
  *kind = WSE_FAULT_BAD_DSR;
  if (o->d.kind == DSD_NONE || o->d.kind > DSD_FABOUT || o->d.x > 15) return false;
  if (o->d.kind == (writes ? DSD_FABIN : DSD_FABOUT)) return false;
  if (dsd_is_memory(&o->d)) o->d.base = (uint16_t)(o->d.base + 2 * o->d.index); /* .index of a memory operand counts words */
  if (dsd_is_fabric(&o->d)) {
    *kind = WSE_FAULT_BAD_QUEUE;
    if (o->d.queue >= WSE_QUEUES) return false;
    const pe_class *k = class_of(f, pe);
    if (o->d.kind == DSD_FABIN) return color_of_iq(f, pe, k, o->d.queue) >= 0;
    int bound = color_of_oq(f, pe, k, o->d.queue);
    if (bound >= 0 && o->d.color != 0xff && o->d.color != bound) return false;
    if (bound >= 0) o->d.color = (uint8_t)bound;
    if (!f->oq_room[o->d.queue] || o->d.color >= WSE_COLORS) return false;
    *kind = WSE_FAULT_BAD_COLOR;
    return f->color_index[o->d.color] >= 0;
  }
  return true;
}

/* The first operand with a length decides, sources first; without end only if every length is [SDK: DSDs]. */
static uint32_t length_of(const operation *o) {
  const operand *order[] = {&o->src0, &o->src1, &o->dst};
  bool endless = false;
  for (int i = 0; i < 3; i++) {
    if (order[i]->is != OPERAND_IS_DSR || !order[i]->d.length || order[i]->d.kind == DSD_FIFO) continue;
    if (dsd_is_fabric(&order[i]->d) && order[i]->d.length == LENGTH_INFINITE) endless = true;
    else return order[i]->d.length;
  }
  return endless ? UINT32_MAX : 1;
}

bool vector_has_fabric(const operation *o) {
  const operand *all[] = {&o->dst, &o->src0, &o->src1};
  for (int i = 0; i < 3; i++)
    if (all[i]->is == OPERAND_IS_DSR && !dsd_is_memory(&all[i]->d)) return true;
  return false;
}

static bool streams_memory(const operand *o, int32_t *stride, const xdsr *x) {
  if (o->is != OPERAND_IS_DSR || !dsd_is_memory(&o->d)) return false;
  *stride = dsd_stride(&o->d, x);
  return *stride != 0;
}

static uint32_t banks_of(uint32_t banks, uint16_t at, int32_t stride, int size, int group) {
  uint32_t mask = 0;
  if (stride == size && banks == 8) { /* neighbors: a run of banks, round the corner */
    uint32_t run = (1u << group * size / 2) - 1, from = at / 2 & 7;
    return (run << from | run >> (8 - from)) & 0xff;
  }
  for (int i = 0; i < group; i++)
    for (int word = 0; word < size / 2; word++) mask |= 1u << ((uint32_t)(uint16_t)(at + i * stride + 2 * word) / 2 % banks);
  return mask;
}

/* Which of eight successive groups have both sources in one bank, as bits: strides repeat over the banks within eight. */
static uint32_t conflicts_in_eight(wse_fabric *f, uint32_t pe, const operation *o, int lanes) {
  int32_t stride0, stride1;
  const xdsr *x0 = xdsr_of(f, pe, &o->src0.d), *x1 = xdsr_of(f, pe, &o->src1.d);
  if (!streams_memory(&o->src0, &stride0, x0) || !streams_memory(&o->src1, &stride1, x1)) return 0;
  int widest = o->src0.size > o->src1.size ? o->src0.size : o->src1.size, group = lanes < 8 / widest ? lanes : 8 / widest;
  uint16_t at0 = dsd_address(&o->src0.d, x0, 0), at1 = dsd_address(&o->src1.d, x1, 0);
  uint32_t banks = (uint32_t)P(f, sram_banks);
  if (stride0 == stride1 && o->src0.size == o->src1.size) /* one group is like the other */
    return (banks_of(banks, at0, stride0, o->src0.size, group) & banks_of(banks, at1, stride1, o->src1.size, group)) ? 0xff : 0;
  uint32_t mask = 0;
  for (int i = 0; i < 8; i++)
    if (banks_of(banks, (uint16_t)(at0 + i * group * stride0), stride0, o->src0.size, group) &
        banks_of(banks, (uint16_t)(at1 + i * group * stride1), stride1, o->src1.size, group))
      mask |= 1u << i;
  return mask;
}

/* A wavelet may carry two 16-bit elements if every fabric operand of the operation says so. */
static int elements_per_wavelet(const operation *o) {
  const operand *all[] = {&o->dst, &o->src0, &o->src1};
  int wide = 1;
  for (int i = 0; i < 3; i++) {
    if (all[i]->is != OPERAND_IS_DSR || !dsd_is_fabric(&all[i]->d)) continue;
    if (!(all[i]->d.flags & DSD_SIMD) || all[i]->size != 2) return 1;
    wide = 2;
  }
  return wide;
}

bool operand_in_sram(const operand *o, uint32_t n) {
  if (o->is != OPERAND_IS_DSR) return true;
  if (o->d.kind != DSD_MEM1D) return false;
  int64_t first = o->d.base, last = first + (int64_t)(n - 1) * o->d.stride;
  return first + o->size <= WSE_SRAM && last >= 0 && last + o->size <= WSE_SRAM;
}

/* Elements of these operations need none of what is rare: FIFOs, control, carries, wrapping addresses. */
static bool is_plain(const operation *o) {
  if (o->op == OP_dfilt || o->op == OP_addc16 || o->on_control & 3 || o->dst.is != OPERAND_IS_DSR) return false;
  const operand *all[] = {&o->dst, &o->src0, &o->src1};
  int inputs = 0;
  for (int i = 0; i < 3; i++) {
    if (all[i]->is != OPERAND_IS_DSR) continue;
    if (all[i]->d.kind == DSD_FABIN) inputs++;
    else if (all[i]->d.kind == DSD_FABOUT) {
      if (all[i]->d.flags & (DSD_CONTROL | DSD_ADVANCE_SWITCH | DSD_INDEX)) return false;
    } else if (o->left == UINT32_MAX || !operand_in_sram(all[i], o->left)) {
      return false;
    }
  }
  return inputs <= 1;
}

/* Options of an operation on a DSR that was loaded with options: what the instruction does not say is as the load said. */
static uint16_t with_load(uint16_t options, uint16_t load) {
  if (!(load & OPT_ASYNC)) return options;
  if (options & OPT_UT_GIVEN) load &= (uint16_t) ~(OPT_UT_GIVEN | 7 << OPT_UT);
  return options >> OPT_THEN & 3 ? options : options | load;
}

int vector_begin(wse_fabric *f, uint32_t pe, const isa_ins *ins, uint32_t pc, operation *o, int *kind) {
  const vector_row *row = &rows[ins->op];
  uint16_t options = ins->options;
  if (!decode(f, pe, ins->a, row->dst, true, &o->dst, kind) || !decode(f, pe, ins->b, row->src0, false, &o->src0, kind) ||
      !decode(f, pe, ins->c, row->src1, false, &o->src1, kind))
    return VECTOR_FAULT;
  *kind = WSE_FAULT_BAD_OPERAND;
  if (row->extra) {
    if (ins->d < OPERAND_REGISTER || ins->d >= OPERAND_REGISTER + WSE_REGISTERS) return VECTOR_FAULT;
    o->extra = f->ces[pe].r[ins->d - OPERAND_REGISTER];
  } else {
    if (ins->d != OPERAND_NONE) return VECTOR_FAULT;
    o->extra = 0;
  }
  const operand *all[] = {&o->dst, &o->src0, &o->src1};
  int inputs = 0;
  o->on_control = 0;
  for (int i = 0; i < 3; i++) {
    if (all[i]->is != OPERAND_IS_DSR) continue;
    options = with_load(options, all[i]->d.options);
    if (all[i]->d.kind != DSD_FABIN) continue;
    inputs++;
    if (all[i]->d.on_control & 3) o->on_control = all[i]->d.on_control;
  }
  *kind = WSE_FAULT_FABRIC_INPUTS;
  if (inputs > P(f, fabric_inputs)) return VECTOR_FAULT;
  *kind = WSE_FAULT_BAD_DSR;
  if (ins->op == OP_dfilt && (o->src0.is != OPERAND_IS_DSR || o->src0.d.kind != DSD_FABIN)) return VECTOR_FAULT;
  *kind = WSE_FAULT_ASYNC;
  if (options & OPT_ASYNC && (!vector_has_fabric(o) || o->dst.is == OPERAND_IS_VALUE)) return VECTOR_FAULT;
  o->op = ins->op;
  o->options = options;
  o->pc = pc;
  o->left = length_of(o);
  o->done = 0;
  o->carry = 0;
  o->element = elements[o->op][f->fp16];
  o->flops = (uint8_t)flops_of(o->op);
  int32_t stride;
  o->reads = o->writes = 0;
  for (int i = 1; i < 3; i++)
    if (streams_memory(all[i], &stride, xdsr_of(f, pe, &all[i]->d))) o->reads += all[i]->size;
  if (streams_memory(&o->dst, &stride, xdsr_of(f, pe, &o->dst.d))) o->writes = o->dst.size;
  if (vector_has_fabric(o)) {
    o->wide = (uint8_t)elements_per_wavelet(o);
    o->period = 1;
    if (o->dst.is != OPERAND_IS_VALUE) o->conflicts = (uint8_t)conflicts_in_eight(f, pe, o, o->wide);
    else if (o->flops) o->period = (uint8_t)P(f, reduce_fp_cycles);
    o->plain = is_plain(o);
  }
  return VECTOR_OK;
}

/* --- slots ----------------------------------------------------------------------------------------------------------- */

/* Lanes left by a stride, given in bytes. */
static int stride_lanes(const wse_fabric *f, int lanes, int32_t stride, int size) {
  int32_t s = stride / size;
  if (P(f, stride_rule) == 1) {
    int32_t by = s < 0 ? -s : s;
    return by < 2 ? lanes : lanes / by > 1 ? lanes / by : 1;
  }
  if (s == 0 || s == 1) return lanes;
  switch (((s % 8) + 8) % 8) {
    case 0: return 1;
    case 1: case 4: case 7: return lanes < 2 ? lanes : 2;
    default: return lanes;
  }
}

uint64_t vector_slots(wse_fabric *f, uint32_t pe, const operation *o, uint64_t *second) {
  const vector_row *row = &rows[o->op];
  *second = 0;
  if (!o->left) return 0;
  if (o->dst.is == OPERAND_IS_VALUE) return o->left * (uint64_t)(row->is_float && flops_of(o->op) ? P(f, reduce_fp_cycles) : 1);
  const operand *sources[] = {&o->src0, &o->src1};
  int lanes = row->lanes[P(f, simd_column)], reads = 0;
  int32_t stride;
  for (int i = 0; i < 2; i++) {
    if (!streams_memory(sources[i], &stride, xdsr_of(f, pe, &sources[i]->d))) continue;
    reads++;
    lanes = stride_lanes(f, lanes, stride, sources[i]->size);
  }
  if (streams_memory(&o->dst, &stride, xdsr_of(f, pe, &o->dst.d))) lanes = stride_lanes(f, lanes, stride, o->dst.size);
  int64_t rate = lanes * 1000, port = reads > 1 ? P(f, sram_read2_milli) : P(f, sram_read_milli);
  for (int i = 0; i < 2; i++)
    if (streams_memory(sources[i], &stride, xdsr_of(f, pe, &sources[i]->d)) && port / sources[i]->size < rate)
      rate = port / sources[i]->size;
  if (o->dst.size && P(f, sram_write_milli) / o->dst.size < rate) rate = P(f, sram_write_milli) / o->dst.size;
  if (rate < 1) rate = 1;
  uint64_t slots = (o->left * (uint64_t)1000 + (uint64_t)rate - 1) / (uint64_t)rate;
  uint32_t conflicts = conflicts_in_eight(f, pe, o, lanes);
  if (conflicts) {
    uint64_t rest = conflicts & ((1u << slots % 8) - 1);
    *second = (slots / 8 * (uint64_t)__builtin_popcount(conflicts) + (uint64_t)__builtin_popcountll(rest)) *
              (uint64_t)(P(f, bank_conflict_factor) - 1);
  }
  return slots + *second;
}

/* --- memory operations ------------------------------------------------------------------------------------------------ */

static uint32_t load_operand(const wse_fabric *f, uint32_t pe, const operand *o, uint32_t i) {
  return o->is == OPERAND_IS_DSR ? sram_load(sram_of(f, pe), dsd_address(&o->d, xdsr_of(f, pe, &o->d), i), o->size) : o->value;
}

static void compute_slowly(wse_fabric *f, uint32_t pe, operation *o) {
  element_function element = elements[o->op][f->fp16];
  ce *c = &f->ces[pe];
  uint32_t extra = o->extra;
  for (uint32_t i = 0; i < o->left; i++) {
    uint32_t v = element(load_operand(f, pe, &o->src0, i), load_operand(f, pe, &o->src1, i), extra);
    if (o->op == OP_addc16) extra = v >> 16, v &= 0xffff;
    if (o->dst.is == OPERAND_IS_DSR) {
      sram_store(sram_of(f, pe), dsd_address(&o->dst.d, xdsr_of(f, pe, &o->dst.d), i), o->dst.size, v);
      continue;
    }
    c->r[o->dst.number] = v; /* a source that names the same register sees the running value */
    if (o->src0.is == OPERAND_IS_VALUE) o->src0.value = c->r[o->src0.number];
    if (o->src1.is == OPERAND_IS_VALUE) o->src1.value = c->r[o->src1.number];
  }
}

/* Elements of a source that an earlier element of the destination overwrites: not if both walk together. */
static bool overlaps(const operand *dst, const operand *src, uint32_t n) {
  if (src->is != OPERAND_IS_DSR) return false;
  if (src->d.base == dst->d.base && src->d.stride == dst->d.stride && src->size == dst->size &&
      (dst->d.stride >= dst->size || dst->d.stride <= -dst->size))
    return false;
  int32_t d0 = dst->d.base, d1 = d0 + (int32_t)(n - 1) * dst->d.stride, s0 = src->d.base, s1 = s0 + (int32_t)(n - 1) * src->d.stride;
  int32_t d_low = d0 < d1 ? d0 : d1, d_high = (d0 < d1 ? d1 : d0) + dst->size;
  int32_t s_low = s0 < s1 ? s0 : s1, s_high = (s0 < s1 ? s1 : s0) + src->size;
  return d_low < s_high && s_low < d_high;
}

static void compute(wse_fabric *f, uint32_t pe, operation *o) {
  if (!o->left) return;
  if (o->dst.is != OPERAND_IS_DSR || !operand_in_sram(&o->dst, o->left) || !operand_in_sram(&o->src0, o->left) ||
      !operand_in_sram(&o->src1, o->left)) {
    compute_slowly(f, pe, o);
    return;
  }
  uint8_t *sram = sram_of(f, pe);
  span s = {.dst = sram + o->dst.d.base, .step_dst = o->dst.d.stride, .extra = o->extra, .n = o->left,
            .value0 = o->src0.value, .value1 = o->src1.value,
            .overlaps = overlaps(&o->dst, &o->src0, o->left) || overlaps(&o->dst, &o->src1, o->left)};
  if (o->src0.is == OPERAND_IS_DSR) s.src0 = sram + o->src0.d.base, s.step0 = o->src0.d.stride;
  if (o->src1.is == OPERAND_IS_DSR) s.src1 = sram + o->src1.d.base, s.step1 = o->src1.d.stride;
  f->spans[o->op](f->fp16, &s);
}

void vector_count(wse_fabric *f, band *b, uint32_t pe, uint64_t reads, uint64_t writes, uint64_t flops, uint64_t n, uint64_t now) {
  uint64_t *c = counters_of(f, pe);
  c[WSE_CTR_ELEMENTS] += n;
  c[WSE_CTR_SRAM_READ] += n * reads;
  c[WSE_CTR_SRAM_WRITE] += n * writes;
  if (!flops) return;
  c[WSE_CTR_FLOPS] += n * flops;
  series_add(f, b, now, SERIES_FLOPS, n * flops);
}

static void count(wse_fabric *f, band *b, uint32_t pe, const operation *o, uint64_t n, uint64_t now) {
  vector_count(f, b, pe, o->reads, o->writes, o->flops, n, now);
}

uint64_t vector_memory(wse_fabric *f, band *b, uint32_t pe, operation *o, uint64_t first, uint64_t *second) {
  uint64_t slots = vector_slots(f, pe, o, second);
  compute(f, pe, o);
  count(f, b, pe, o, o->left, first);
  o->done = o->left;
  vector_end(f, pe, o);
  return slots;
}

/* --- fabric operations ------------------------------------------------------------------------------------------------ */

static bool on_control(wse_fabric *f, band *b, uint32_t pe, operation *o, const operand *from, uint64_t now) {
  if (!(o->on_control & 3)) return false;
  iq_take(f, b, pe, from->d.queue, now);
  if ((o->on_control & 3) == ON_CONTROL_ACTIVATE) task_then(f, pe, OPT_THEN_ACTIVATE, o->on_control >> 2);
  if ((o->on_control & 3) == ON_CONTROL_UNBLOCK) task_then(f, pe, OPT_THEN_UNBLOCK, o->on_control >> 2);
  return true;
}

enum { INPUT_READY, INPUT_WAITS, INPUT_ENDS };

/* Whether a source has what the next n elements need. */
static int input_ready(wse_fabric *f, band *b, uint32_t pe, operation *o, const operand *from, int n, uint64_t now) {
  if (from->is != OPERAND_IS_DSR || dsd_is_memory(&from->d)) return INPUT_READY;
  if (from->d.kind == DSD_FIFO) {
    xdsr *fifo = fifo_of(f, pe, from);
    if (fifo->fifo.count >= n) return INPUT_READY;
    fifo->fifo.was_empty = 1;
    return INPUT_WAITS;
  }
  queue *q = iq_of(f, from->d.queue, pe);
  while (q->count && wavelet_ready(queue_head(q), now)) {
    if (!(queue_head(q).meta & WAVELET_CONTROL)) return INPUT_READY;
    if (on_control(f, b, pe, o, from, now)) return INPUT_ENDS;
    if (!control_for_routers(class_of(f, pe), queue_head(q))) return INPUT_WAITS; /* its task must take it */
    iq_take(f, b, pe, from->d.queue, now);
  }
  return INPUT_WAITS;
}

static bool output_ready(wse_fabric *f, uint32_t pe, const operand *to, int n) {
  if (to->is != OPERAND_IS_DSR || dsd_is_memory(&to->d)) return true;
  if (to->d.kind == DSD_FABOUT) return !queue_full(oq_of(f, to->d.queue, pe), f->oq_room[to->d.queue]);
  xdsr *fifo = fifo_of(f, pe, to);
  if (fifo->fifo.count + n <= fifo->fifo.capacity) return true;
  fifo->fifo.was_full = 1;
  return false;
}

static uint32_t take_fifo(wse_fabric *f, uint32_t pe, const operand *from) {
  xdsr *x = fifo_of(f, pe, from);
  uint32_t v = sram_load(sram_of(f, pe), (uint16_t)(x->fifo.start + x->fifo.head * from->size), from->size);
  x->fifo.head = (uint16_t)((x->fifo.head + 1) % (x->fifo.capacity ? x->fifo.capacity : 1));
  x->fifo.count--;
  if (x->fifo.was_full && x->fifo.on_pop != 0xff) task_then(f, pe, OPT_THEN_ACTIVATE, x->fifo.on_pop);
  x->fifo.was_full = 0;
  return v;
}

static void put_fifo(wse_fabric *f, uint32_t pe, const operand *to, uint32_t v) {
  xdsr *x = fifo_of(f, pe, to);
  uint32_t at = (uint32_t)(x->fifo.head + x->fifo.count) % (x->fifo.capacity ? x->fifo.capacity : 1);
  sram_store(sram_of(f, pe), (uint16_t)(x->fifo.start + at * to->size), to->size, v);
  x->fifo.count++;
  if (x->fifo.was_empty && x->fifo.on_push != 0xff) task_then(f, pe, OPT_THEN_ACTIVATE, x->fifo.on_push);
  x->fifo.was_empty = 0;
}

static void put_fabric(wse_fabric *f, uint32_t pe, operation *o, uint32_t word, bool last, uint64_t now) {
  const dsr *d = &o->dst.d;
  uint32_t flags = (d->flags & DSD_CONTROL ? WAVELET_CONTROL : 0) | (last && d->flags & DSD_ADVANCE_SWITCH ? WAVELET_ADVANCE : 0);
  if (d->flags & DSD_INDEX) word = (word & 0xffff) | (uint32_t)d->index << 16;
  queue *q = oq_of(f, d->queue, pe);
  uint64_t leaves = now + (uint64_t)P(f, ramp_out_cycles) - 1; /* the ramp takes the last cycle */
  /* on WSE-2 an output queue serves several colors: each entry of its ring carries its own beside the wavelet */
  q->ring[(q->head + q->count) & f->oq_mask[d->queue]] = (wavelet){word, wavelet_meta(leaves, flags)};
  ((uint8_t *)(q->ring + f->oq_mask[d->queue] + 1))[(q->head + q->count) & f->oq_mask[d->queue]] =
      (uint8_t)f->color_index[d->color];
  q->count++;
  f->ces[pe].output_queues |= (uint8_t)(1u << d->queue);
  counters_of(f, pe)[WSE_CTR_WAVELETS_OUT]++;
}

/* The one or two elements of a wavelet, if the source is the fabric. */
static void take_wavelet(wse_fabric *f, band *b, uint32_t pe, const operand *from, uint32_t v[2], uint64_t now) {
  if (from->is != OPERAND_IS_DSR || from->d.kind != DSD_FABIN) return;
  uint32_t word = iq_take(f, b, pe, from->d.queue, now).data;
  v[0] = from->size == 2 ? word & 0xffff : word;
  v[1] = word >> 16;
}

static uint32_t source_element(wse_fabric *f, uint32_t pe, const operation *o, const operand *from, int i, const uint32_t v[2]) {
  if (!from->size) return 0;
  if (from->is != OPERAND_IS_DSR) return from->value;
  if (from->d.kind == DSD_FABIN) return v[i];
  return from->d.kind == DSD_FIFO ? take_fifo(f, pe, from) : load_operand(f, pe, from, o->done + (uint32_t)i);
}

static int step_filter(wse_fabric *f, band *b, uint32_t pe, operation *o, uint64_t now) {
  queue *q = iq_of(f, o->src0.d.queue, pe);
  if (!q->count || !wavelet_ready(queue_head(q), now)) return STEP_WAITS;
  wavelet w = iq_take(f, b, pe, o->src0.d.queue, now);
  o->done++;
  if (w.meta & WAVELET_CONTROL && o->left != UINT32_MAX && --o->left == 0) return STEP_ENDED;
  return STEP_DID;
}

/* Element i from the next one on; word: the wavelet, if the source is the fabric. */
static uint32_t source_plainly(const uint8_t *sram, const operation *o, const operand *from, uint32_t i, uint32_t word) {
  if (from->is != OPERAND_IS_DSR) return from->value;
  if (from->d.kind == DSD_FABIN) return from->size == 2 ? word >> 16 * i & 0xffff : word;
  return sram_load(sram, (uint16_t)(from->d.base + (int32_t)(o->done + i) * from->d.stride), from->size);
}

/* When the element after that of cycle `now` may be done; o->done counts the latter already. */
static uint64_t next_slot(const wse_fabric *f, const operation *o, int n, uint64_t now) {
  bool twice = o->conflicts >> ((o->done - (uint32_t)n) / o->wide & 7) & 1;
  return now + (twice ? (uint64_t)P(f, bank_conflict_factor) : o->period);
}

/* The next element or pair of a plain operation; -1 if the long way has to look at it. */
static int step_plainly(wse_fabric *f, band *b, uint32_t pe, operation *o, uint64_t now) {
  const dsr *in = o->src0.is == OPERAND_IS_DSR && o->src0.d.kind == DSD_FABIN   ? &o->src0.d
                  : o->src1.is == OPERAND_IS_DSR && o->src1.d.kind == DSD_FABIN ? &o->src1.d
                                                                                : NULL;
  if (in) {
    const queue *q = iq_of(f, in->queue, pe);
    if (!q->count || !wavelet_ready(queue_head(q), now)) {
      o->wait = WSE_CTR_STALL_INPUT;
      return STEP_WAITS;
    }
    if (queue_head(q).meta & WAVELET_CONTROL) return -1;
  }
  bool out = o->dst.d.kind == DSD_FABOUT;
  if (out && queue_full(oq_of(f, o->dst.d.queue, pe), f->oq_room[o->dst.d.queue])) {
    o->wait = WSE_CTR_STALL_OUTPUT;
    return STEP_WAITS;
  }
  uint32_t n = o->wide == 2 && o->left >= 2 ? 2 : 1, word = in ? iq_take(f, b, pe, in->queue, now).data : 0, sent = 0;
  uint8_t *sram = sram_of(f, pe);
  for (uint32_t i = 0; i < n; i++) {
    uint32_t x = o->src1.size ? source_plainly(sram, o, &o->src1, i, word) : 0;
    uint32_t v = o->element(source_plainly(sram, o, &o->src0, i, word), x, o->extra);
    if (out) sent |= v << 16 * i;
    else sram_store(sram, (uint16_t)(o->dst.d.base + (int32_t)(o->done + i) * o->dst.d.stride), o->dst.size, v);
  }
  if (out) put_fabric(f, pe, o, sent, false, now);
  count(f, b, pe, o, n, now);
  o->done += n;
  o->next = o->conflicts ? next_slot(f, o, (int)n, now) : now + o->period;
  if (o->left == UINT32_MAX) return STEP_DID;
  return (o->left -= n) ? STEP_DID : STEP_ENDED;
}

int vector_step(wse_fabric *f, band *b, uint32_t pe, operation *o, bool asynchronous, uint64_t now) {
  if (o->left == 0) return STEP_ENDED;
  if (o->op == OP_dfilt) return step_filter(f, b, pe, o, now);
  if (o->plain) {
    int did = step_plainly(f, b, pe, o, now);
    if (did >= 0) return did;
  }
  int n = o->wide == 2 && o->left >= 2 ? 2 : 1;
  bool fifo_stops = false;
  int in0 = input_ready(f, b, pe, o, &o->src0, n, now);
  if (in0 == INPUT_ENDS) return STEP_ENDED;
  int in1 = input_ready(f, b, pe, o, &o->src1, n, now);
  if (in1 == INPUT_ENDS) return STEP_ENDED;
  bool out = output_ready(f, pe, &o->dst, n);
  if (in0 == INPUT_WAITS || in1 == INPUT_WAITS || !out) {
    o->wait = in0 == INPUT_WAITS || in1 == INPUT_WAITS ? WSE_CTR_STALL_INPUT : WSE_CTR_STALL_OUTPUT;
    fifo_stops = (in0 == INPUT_WAITS && o->src0.d.kind == DSD_FIFO) || (in1 == INPUT_WAITS && o->src1.d.kind == DSD_FIFO) ||
                 (!out && o->dst.d.kind == DSD_FIFO);
    /* a synchronous operation ends at an empty or full FIFO [SDK: FIFOs] */
    return fifo_stops && !asynchronous ? STEP_ENDED : STEP_WAITS;
  }
  uint32_t a[2] = {0}, x[2] = {0}, v[2] = {0};
  take_wavelet(f, b, pe, &o->src0, a, now);
  take_wavelet(f, b, pe, &o->src1, x, now);
  ce *c = &f->ces[pe];
  for (int i = 0; i < n; i++) {
    uint32_t first = source_element(f, pe, o, &o->src0, i, a), second = source_element(f, pe, o, &o->src1, i, x);
    v[i] = o->element(first, second, o->op == OP_addc16 ? o->carry : o->extra);
    if (o->op == OP_addc16) o->carry = v[i] >> 16, v[i] &= 0xffff;
    if (o->dst.is == OPERAND_IS_VALUE) {
      c->r[o->dst.number] = v[i];
      if (o->src0.is == OPERAND_IS_VALUE) o->src0.value = c->r[o->src0.number];
      if (o->src1.is == OPERAND_IS_VALUE) o->src1.value = c->r[o->src1.number];
    } else if (dsd_is_memory(&o->dst.d)) {
      sram_store(sram_of(f, pe), dsd_address(&o->dst.d, xdsr_of(f, pe, &o->dst.d), o->done + (uint32_t)i), o->dst.size, v[i]);
    } else if (o->dst.d.kind == DSD_FIFO) {
      put_fifo(f, pe, &o->dst, v[i]);
    }
  }
  if (o->dst.is == OPERAND_IS_DSR && o->dst.d.kind == DSD_FABOUT)
    put_fabric(f, pe, o, n == 2 ? v[0] | v[1] << 16 : v[0], o->left == (uint32_t)n, now);
  count(f, b, pe, o, (uint64_t)n, now);
  o->done += (uint32_t)n;
  if (o->left != UINT32_MAX) o->left -= (uint32_t)n;
  o->next = o->conflicts ? next_slot(f, o, n, now) : now + o->period;
  return o->left ? STEP_DID : STEP_ENDED;
}

/* What an operation leaves in its DSRs: the address, if it is to be saved, and what a FIFO operand did not do. */
void vector_end(wse_fabric *f, uint32_t pe, operation *o) {
  const operand *all[] = {&o->dst, &o->src0, &o->src1};
  for (int i = 0; i < 3; i++) {
    bool seen = false; /* a DSR may be source and destination at once */
    for (int k = 0; k < i; k++) seen |= all[k]->is == OPERAND_IS_DSR && all[k]->number == all[i]->number;
    if (all[i]->is != OPERAND_IS_DSR || seen) continue;
    dsr *d = &f->dsrs[all[i]->number][pe];
    if (dsd_is_memory(d) && d->flags & DSD_SAVE_ADDRESS) {
      dsr sized = dsd_sized(d, all[i]->size);
      d->base = dsd_end(&sized, xdsr_of(f, pe, d), o->done);
    }
    if (d->kind == DSD_FIFO) d->length = o->left == UINT32_MAX ? LENGTH_INFINITE : (uint16_t)o->left;
  }
}

static bool range_of(const wse_fabric *f, uint32_t pe, const operand *o, uint32_t n, uint16_t *low, uint16_t *high) {
  if (o->is != OPERAND_IS_DSR || !dsd_is_memory(&o->d) || !n) return false;
  uint16_t first = dsd_address(&o->d, xdsr_of(f, pe, &o->d), 0), last = dsd_address(&o->d, xdsr_of(f, pe, &o->d), n - 1);
  *low = first < last ? first : last;
  *high = (uint16_t)((first < last ? last : first) + o->size - 1);
  return true;
}

void vector_written(const wse_fabric *f, uint32_t pe, const operation *o, uint16_t *low, uint16_t *high) {
  if (!range_of(f, pe, &o->dst, o->done, low, high)) *low = 1, *high = 0;
}

bool vector_reads(const wse_fabric *f, uint32_t pe, const operation *o, uint16_t low, uint16_t high) {
  uint16_t l, h;
  if (low > high) return false;
  return (range_of(f, pe, &o->src0, o->left, &l, &h) && l <= high && h >= low) ||
         (range_of(f, pe, &o->src1, o->left, &l, &h) && l <= high && h >= low);
}
