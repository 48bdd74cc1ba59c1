/* vector_step.c - vector operations with a fabric or FIFO operand, element by element. */
#include "pe/vector_step.h"

#include "observe/account.h"
#include "pe/operand.h"
#include "pe/ramp.h"
#include "pe/task.h"
#include "state/queue.h"

static void count(wse_fabric *f, band *b, uint32_t pe, const operation *o, uint64_t n, uint64_t now) {
  vector_count(f, b, pe, o->reads, o->writes, o->flops, n, now);
}

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
    xdsr *fifo = operand_fifo(f, pe, from);
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
  xdsr *fifo = operand_fifo(f, pe, to);
  if (fifo->fifo.count + n <= fifo->fifo.capacity) return true;
  fifo->fifo.was_full = 1;
  return false;
}

static uint32_t take_fifo(wse_fabric *f, uint32_t pe, const operand *from) {
  xdsr *x = operand_fifo(f, pe, from);
  uint32_t v = sram_load(sram_of(f, pe), (uint16_t)(x->fifo.start + x->fifo.head * from->size), from->size);
  x->fifo.head = (uint16_t)((x->fifo.head + 1) % (x->fifo.capacity ? x->fifo.capacity : 1));
  x->fifo.count--;
  if (x->fifo.was_full && x->fifo.on_pop != 0xff) task_then(f, pe, OPT_THEN_ACTIVATE, x->fifo.on_pop);
  x->fifo.was_full = 0;
  return v;
}

static void put_fifo(wse_fabric *f, uint32_t pe, const operand *to, uint32_t v) {
  xdsr *x = operand_fifo(f, pe, to);
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
  return from->d.kind == DSD_FIFO ? take_fifo(f, pe, from) : operand_load(f, pe, from, o->done + (uint32_t)i);
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
  if (o->rule == ISA_FILTER) return step_filter(f, b, pe, o, now);
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
    v[i] = o->element(first, second, o->rule == ISA_CARRY ? o->carry : o->extra);
    if (o->rule == ISA_CARRY) o->carry = v[i] >> 16, v[i] &= 0xffff;
    if (o->dst.is == OPERAND_IS_VALUE) {
      c->r[o->dst.number] = v[i];
      if (o->src0.is == OPERAND_IS_VALUE) o->src0.value = c->r[o->src0.number];
      if (o->src1.is == OPERAND_IS_VALUE) o->src1.value = c->r[o->src1.number];
    } else if (dsd_is_memory(&o->dst.d)) {
      sram_store(sram_of(f, pe), dsd_address(&o->dst.d, operand_xdsr(f, pe, &o->dst.d), o->done + (uint32_t)i), o->dst.size, v[i]);
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
