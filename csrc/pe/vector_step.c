/* vector_step.c - vector operations with a fabric or FIFO operand, element by element. */
#include "pe/vector_step.h"

#include "observe/account.h"
#include "observe/fault.h"
#include "observe/senders.h"
#include "pe/check_operation.h"
#include "pe/operand.h"
#include "pe/ramp.h"
#include "pe/task.h"
#include "state/queue.h"

static void count(wse_fabric *fabric, band_state *band, uint32_t pe, const vector_operation *operation, uint64_t n,
                  uint64_t now) {
  vector_count(fabric, band, pe, operation->reads, operation->writes, operation->flops, n, now);
}

static bool on_control(wse_fabric *fabric, band_state *band, uint32_t pe, vector_operation *operation,
                       const vector_operand *from, uint64_t now) {
  if (!(operation->on_control & 3)) return false;
  iq_take(fabric, band, pe, from->d.queue, now);
  int what = OPT_THEN_NONE;
  if ((operation->on_control & 3) == ON_CONTROL_ACTIVATE) what = OPT_THEN_ACTIVATE;
  if ((operation->on_control & 3) == ON_CONTROL_UNBLOCK) what = OPT_THEN_UNBLOCK;
  task_after(fabric, band, pe, what, operation->on_control >> 2, operation->pc, now);
  return true;
}

enum { INPUT_READY, INPUT_WAITS, INPUT_ENDS };
enum { MOST_ELEMENTS = 4 }; /* of a step */

/* The elements of a step: n of them, at least `least`. */
typedef struct {
  int n, least;
} step_size;

/* Places that an element takes in a FIFO: if these are words, one or two. */
static int fifo_places(const vector_operand *fifo) { return fifo->d.stride == 2 && fifo->size == 4 ? 2 : 1; }

static bool is_data(const vector_operation *operation, const vector_operand *from, wavelet w) {
  return !(w.meta & WAVELET_CONTROL) || (dsd_transforms(&from->d) && !(operation->on_control & 3));
}

/* How many of n elements a source has in wavelets that are ready, the first of which is data.  A control wavelet behind
 * the first one closes the step: it has its effect in the next one. */
static int elements_ready(wse_fabric *fabric, uint32_t pe, const vector_operation *operation,
                          const vector_operand *from, step_size *step, uint64_t now) {
  int per_wavelet = operation->per_wavelet;
  if (step->n <= per_wavelet) return step->n;
  ramp_queue *queue = iq_of(fabric, from->d.queue, pe);
  if (queue->count > 1) {
    wavelet second = queue->ring[(queue->head + 1) & fabric->iq_mask[from->d.queue]];
    bool ready = wavelet_ready(second, now);
    if (ready && is_data(operation, from, second)) return step->n;
    if (ready) step->least = per_wavelet;
  }
  if (fabric->iq_capacity[from->d.queue] < 2) step->least = per_wavelet; /* no two can be ready */
  return per_wavelet;
}

/* Whether a source has what the next step needs; makes the step smaller if it may be. */
static int input_ready(wse_fabric *fabric, band_state *band, uint32_t pe, vector_operation *operation,
                       const vector_operand *from, step_size *step, uint64_t now) {
  if (from->is != OPERAND_IS_DSR || dsd_is_memory(&from->d)) return INPUT_READY;
  if (from->d.kind == DSD_FIFO) {
    xdsr *fifo = operand_fifo(fabric, pe, from);
    int held = fifo->fifo.count / fifo_places(from);
    if (held >= step->n) return INPUT_READY;
    if (held >= step->least) {
      step->n = step->least;
      return INPUT_READY;
    }
    fifo->fifo.was_empty = (uint8_t)(step->least * fifo_places(from));
    return INPUT_WAITS;
  }
  ramp_queue *queue = iq_of(fabric, from->d.queue, pe);
  while (queue->count && wavelet_ready(queue_head(queue), now)) {
    if (is_data(operation, from, queue_head(queue))) {
      int n = elements_ready(fabric, pe, operation, from, step, now);
      if (n < step->least) return INPUT_WAITS;
      if (n < step->n) step->n = n;
      return INPUT_READY;
    }
    if (on_control(fabric, band, pe, operation, from, now)) return INPUT_ENDS;
    if (!control_for_routers(class_of(fabric, pe), queue_head(queue))) return INPUT_WAITS; /* its task must take it */
    iq_take(fabric, band, pe, from->d.queue, now);
  }
  return INPUT_WAITS;
}

/* Whether the destination has room for the next step; makes the step smaller if it may be. */
static bool output_ready(wse_fabric *fabric, uint32_t pe, const vector_operation *operation, const vector_operand *to,
                         step_size *step) {
  if (to->is != OPERAND_IS_DSR || dsd_is_memory(&to->d)) return true;
  int room;
  xdsr *fifo = NULL;
  if (to->d.kind == DSD_FABOUT) {
    int capacity = (int)fabric->oq_capacity[to->d.queue];
    room = (capacity - oq_of(fabric, to->d.queue, pe)->count) * operation->per_wavelet;
    if (capacity < 2 && step->least > operation->per_wavelet) step->least = operation->per_wavelet;
  } else {
    fifo = operand_fifo(fabric, pe, to);
    room = (fifo->fifo.capacity - fifo->fifo.count) / fifo_places(to);
  }
  if (room >= step->n) return true;
  if (room >= step->least) {
    step->n = step->least;
    return true;
  }
  if (fifo) fifo->fifo.was_full = (uint8_t)(step->least * fifo_places(to));
  return false;
}

static uint32_t take_fifo(wse_fabric *fabric, uint32_t pe, const vector_operand *from) {
  xdsr *x = operand_fifo(fabric, pe, from);
  int places = fifo_places(from), bytes = from->size / places;
  uint32_t v = 0;
  for (int i = 0; i < places; i++) {
    v |= sram_load(sram_of(fabric, pe), (uint16_t)(x->fifo.start + x->fifo.head * bytes), bytes) << 16 * i;
    x->fifo.head = (uint16_t)((x->fifo.head + 1) % (x->fifo.capacity ? x->fifo.capacity : 1));
  }
  x->fifo.count = (uint16_t)(x->fifo.count - places);
  if (x->fifo.was_full && x->fifo.count + x->fifo.was_full <= x->fifo.capacity) {
    if (x->fifo.on_pop != 0xff) task_then(fabric, pe, OPT_THEN_ACTIVATE, x->fifo.on_pop);
    x->fifo.was_full = 0;
  }
  return v;
}

static void put_fifo(wse_fabric *fabric, uint32_t pe, const vector_operand *to, uint32_t v) {
  xdsr *x = operand_fifo(fabric, pe, to);
  int places = fifo_places(to), bytes = to->size / places;
  for (int i = 0; i < places; i++, x->fifo.count++) {
    uint32_t at = (uint32_t)(x->fifo.head + x->fifo.count) % (x->fifo.capacity ? x->fifo.capacity : 1);
    sram_store(sram_of(fabric, pe), (uint16_t)(x->fifo.start + at * (uint32_t)bytes), bytes, v >> 16 * i);
  }
  if (x->fifo.was_empty && x->fifo.count >= x->fifo.was_empty) {
    if (x->fifo.on_push != 0xff) task_then(fabric, pe, OPT_THEN_ACTIVATE, x->fifo.on_push);
    x->fifo.was_empty = 0;
  }
}

static void put_fabric(wse_fabric *fabric, uint32_t pe, vector_operation *operation, uint32_t word, bool last,
                       uint64_t now) {
  const dsr *d = &operation->dst.d;
  uint32_t flags =
      (d->flags & DSD_CONTROL ? WAVELET_CONTROL : 0) | (last && d->flags & DSD_ADVANCE_SWITCH ? WAVELET_ADVANCE : 0);
  if (d->flags & DSD_INDEX) word = (word & 0xffff) | (uint32_t)d->index << 16;
  if (dsd_transforms(d) && word >> TRANSFORM_SHIFT == TRANSFORM_MARK) {
    word &= (1u << TRANSFORM_SHIFT) - 1;
    flags |= WAVELET_CONTROL;
  }
  ramp_queue *queue = oq_of(fabric, d->queue, pe);
  uint64_t leaves = now + (uint64_t)P(fabric, ramp_out_cycles) - 1; /* the last cycle is that of the ramp */
  /* on WSE-2 an output queue serves several colors: each entry of its ring has its own */
  queue->ring[(queue->head + queue->count) & fabric->oq_mask[d->queue]] = (wavelet){word, wavelet_meta(leaves, flags)};
  ((uint8_t *)(queue->ring + fabric->oq_mask[d->queue] + 1))[(queue->head + queue->count) & fabric->oq_mask[d->queue]] =
      (uint8_t)fabric->color_index[d->color];
  if (fabric->check)
    senders_sent(fabric, pe, check_thread(fabric, pe, operation), d->queue,
                 (queue->head + queue->count) & fabric->oq_mask[d->queue]);
  queue->count++;
  fabric->ces[pe].output_queues |= (uint8_t)(1u << d->queue);
  counters_of(fabric, pe)[WSE_CTR_WAVELETS_OUT]++;
}

/* Takes the wavelets of a fabric source: n elements. */
static void take_wavelets(wse_fabric *fabric, band_state *band, uint32_t pe, const vector_operation *operation,
                          const vector_operand *from, int n, uint32_t v[MOST_ELEMENTS], uint64_t now) {
  if (from->is != OPERAND_IS_DSR || from->d.kind != DSD_FABIN) return;
  for (int i = 0; i < n; i += operation->per_wavelet) {
    if (fabric->check) check_received(fabric, pe, operation, from->d.queue, now);
    wavelet w = iq_take(fabric, band, pe, from->d.queue, now);
    uint32_t word = w.data;
    if (w.meta & WAVELET_CONTROL) /* only a descriptor that transforms takes one */
      word = (word & ((1u << TRANSFORM_SHIFT) - 1)) | (uint32_t)TRANSFORM_MARK << TRANSFORM_SHIFT;
    v[i] = from->size == 2 ? word & 0xffff : word;
    if (operation->per_wavelet == 2) v[i + 1] = word >> 16;
  }
}

static uint32_t source_element(wse_fabric *fabric, uint32_t pe, const vector_operation *operation,
                               const vector_operand *from, int i, const uint32_t v[MOST_ELEMENTS]) {
  if (!from->size) return 0;
  if (from->is != OPERAND_IS_DSR) return from->value;
  if (from->d.kind == DSD_FABIN) return v[i];
  return from->d.kind == DSD_FIFO ? take_fifo(fabric, pe, from)
                                  : operand_load(fabric, pe, from, operation->done + (uint32_t)i);
}

static int step_filter(wse_fabric *fabric, band_state *band, uint32_t pe, vector_operation *operation, uint64_t now) {
  ramp_queue *queue = iq_of(fabric, operation->src0.d.queue, pe);
  if (!queue->count || !wavelet_ready(queue_head(queue), now)) return STEP_WAITS;
  wavelet w = iq_take(fabric, band, pe, operation->src0.d.queue, now);
  operation->done++;
  if (w.meta & WAVELET_CONTROL && operation->left != UINT32_MAX && --operation->left == 0) return STEP_ENDED;
  return STEP_DID;
}

/* Element i of a source, counted from the next one; word: the wavelet of a fabric source. */
static uint32_t source_simple(const uint8_t *sram, const vector_operation *operation, const vector_operand *from,
                              uint32_t i, uint32_t word) {
  if (from->is != OPERAND_IS_DSR) return from->value;
  if (from->d.kind == DSD_FABIN) return from->size == 2 ? word >> 16 * i & 0xffff : word;
  return sram_load(sram, (uint16_t)(from->d.base + (int32_t)(operation->done + i) * from->d.stride), from->size);
}

/* The cycle of the next element; operation->done counts the element of cycle `now` already. */
static uint64_t next_slot(const wse_fabric *fabric, const vector_operation *operation, int n, uint64_t now) {
  bool twice = operation->conflicts >> ((operation->done - (uint32_t)n) / operation->wide & 7) & 1;
  return now + (twice ? (uint64_t)P(fabric, bank_conflict_factor) : operation->period);
}

/* Fast path: the next element, or pair, of a simple operation.  -1: the general path has to handle it. */
static int step_simple(wse_fabric *fabric, band_state *band, uint32_t pe, vector_operation *operation, uint64_t now) {
  const dsr *in = operation->src0.is == OPERAND_IS_DSR && operation->src0.d.kind == DSD_FABIN   ? &operation->src0.d
                  : operation->src1.is == OPERAND_IS_DSR && operation->src1.d.kind == DSD_FABIN ? &operation->src1.d
                                                                                                : NULL;
  if (in) {
    const ramp_queue *queue = iq_of(fabric, in->queue, pe);
    if (!queue->count || !wavelet_ready(queue_head(queue), now)) {
      operation->wait = WSE_CTR_STALL_INPUT;
      return STEP_WAITS;
    }
    if (queue_head(queue).meta & WAVELET_CONTROL) return -1;
  }
  bool out = operation->dst.d.kind == DSD_FABOUT;
  if (out && queue_full(oq_of(fabric, operation->dst.d.queue, pe), fabric->oq_capacity[operation->dst.d.queue])) {
    operation->wait = WSE_CTR_STALL_OUTPUT;
    return STEP_WAITS;
  }
  uint32_t n = operation->wide == 2 && operation->left >= 2 ? 2 : 1;
  uint32_t word = in ? iq_take(fabric, band, pe, in->queue, now).data : 0;
  uint32_t sent = 0;
  uint8_t *sram = sram_of(fabric, pe);
  element_function element = vector_element(operation->op, fabric->fp16);
  for (uint32_t i = 0; i < n; i++) {
    uint32_t x = operation->src1.size ? source_simple(sram, operation, &operation->src1, i, word) : 0;
    uint32_t v = element(source_simple(sram, operation, &operation->src0, i, word), x, operation->extra);
    if (out) sent |= v << 16 * i;
    else
      sram_store(sram, (uint16_t)(operation->dst.d.base + (int32_t)(operation->done + i) * operation->dst.d.stride),
                 operation->dst.size, v);
  }
  if (out) put_fabric(fabric, pe, operation, sent, false, now);
  count(fabric, band, pe, operation, n, now);
  operation->done += n;
  operation->next = operation->conflicts ? next_slot(fabric, operation, (int)n, now) : now + operation->period;
  if (operation->left == UINT32_MAX) return STEP_DID;
  return (operation->left -= n) ? STEP_DID : STEP_ENDED;
}

static step_size next_step_size(const vector_operation *operation) {
  step_size step = {.n = operation->wide, .least = operation->least};
  if (operation->left < (uint32_t)step.n) step.n = (int)operation->left;
  if (step.least > step.n) step.least = step.n;
  return step;
}

int vector_step(wse_fabric *fabric, band_state *band, uint32_t pe, vector_operation *operation, bool asynchronous,
                uint64_t now) {
  if (operation->left == 0) return STEP_ENDED;
  if (operation->rule == ISA_FILTER) return step_filter(fabric, band, pe, operation, now);
  if (operation->simple) {
    int did = step_simple(fabric, band, pe, operation, now);
    if (did >= 0) return did;
  }
  step_size step = next_step_size(operation);
  int in0 = input_ready(fabric, band, pe, operation, &operation->src0, &step, now);
  if (in0 == INPUT_ENDS) return STEP_ENDED;
  int in1 = input_ready(fabric, band, pe, operation, &operation->src1, &step, now);
  if (in1 == INPUT_ENDS) return STEP_ENDED;
  bool out = output_ready(fabric, pe, operation, &operation->dst, &step);
  if (in0 == INPUT_WAITS || in1 == INPUT_WAITS || !out) {
    operation->wait = in0 == INPUT_WAITS || in1 == INPUT_WAITS ? WSE_CTR_STALL_INPUT : WSE_CTR_STALL_OUTPUT;
    const vector_operand *stopped = in0 == INPUT_WAITS && operation->src0.d.kind == DSD_FIFO   ? &operation->src0
                                    : in1 == INPUT_WAITS && operation->src1.d.kind == DSD_FIFO ? &operation->src1
                                    : !out && operation->dst.d.kind == DSD_FIFO                ? &operation->dst
                                                                                               : NULL;
    if (!stopped) return STEP_WAITS;
    const xdsr *fifo = operand_fifo(fabric, pe, stopped);
    int action = stopped == &operation->dst ? fifo->fifo.full_action : fifo->fifo.empty_action;
    if (action == FIFO_FAULT) {
      wse_fault fault = fault_at(fabric, pe, now, WSE_FAULT_FIFO);
      fault.pc = (int32_t)operation->pc;
      fault_raise(band, fault);
      return STEP_WAITS;
    }
    if (action == FIFO_SUSPEND || (action == FIFO_TEST_OR_SUSPEND && asynchronous))
      return STEP_WAITS; /* [SDK: FIFOs] */
    operation->stopped = (uint8_t)(stopped == &operation->dst ? 1 : stopped == &operation->src0 ? 2 : 3);
    return STEP_ENDED;
  }
  int n = step.n;
  if (fabric->check) check_operation(fabric, pe, operation, check_thread(fabric, pe, operation), (uint32_t)n, now);
  uint32_t a[MOST_ELEMENTS] = {0}, x[MOST_ELEMENTS] = {0}, v[MOST_ELEMENTS] = {0};
  take_wavelets(fabric, band, pe, operation, &operation->src0, n, a, now);
  take_wavelets(fabric, band, pe, operation, &operation->src1, n, x, now);
  element_function element = vector_element(operation->op, fabric->fp16);
  for (int i = 0; i < n; i++) {
    uint32_t first = source_element(fabric, pe, operation, &operation->src0, i, a),
             second = source_element(fabric, pe, operation, &operation->src1, i, x);
    v[i] = element(first, second, operation->rule == ISA_CARRY ? operation->carry : operation->extra);
    if (operation->rule == ISA_CARRY) {
      operation->carry = v[i] >> 16;
      v[i] &= 0xffff;
    }
    if (operation->dst.is == OPERAND_IS_VALUE) {
      *register_of(fabric, pe, operation->dst.number) = v[i];
      if (operation->src0.is == OPERAND_IS_VALUE)
        operation->src0.value = *register_of(fabric, pe, operation->src0.number);
      if (operation->src1.is == OPERAND_IS_VALUE)
        operation->src1.value = *register_of(fabric, pe, operation->src1.number);
    } else if (dsd_is_memory(&operation->dst.d)) {
      sram_store(
          sram_of(fabric, pe),
          dsd_address(&operation->dst.d, operand_xdsr(fabric, pe, &operation->dst.d), operation->done + (uint32_t)i),
          operation->dst.size, v[i]);
    } else if (operation->dst.d.kind == DSD_FIFO) {
      put_fifo(fabric, pe, &operation->dst, v[i]);
    }
  }
  if (operation->dst.is == OPERAND_IS_DSR && operation->dst.d.kind == DSD_FABOUT)
    for (int i = 0, per_wavelet = operation->per_wavelet; i < n; i += per_wavelet)
      put_fabric(fabric, pe, operation, per_wavelet == 2 ? v[i] | v[i + 1] << 16 : v[i],
                 operation->left == (uint32_t)n && i + per_wavelet >= n, now);
  count(fabric, band, pe, operation, (uint64_t)n, now);
  operation->done += (uint32_t)n;
  if (operation->left != UINT32_MAX) operation->left -= (uint32_t)n;
  operation->next = operation->conflicts ? next_slot(fabric, operation, n, now) : now + operation->period;
  return operation->left ? STEP_DID : STEP_ENDED;
}
