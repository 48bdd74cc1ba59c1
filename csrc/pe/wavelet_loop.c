/* wavelet_loop.c - begin, rounds and end of a loop that is executed later. */
#include "pe/wavelet_loop.h"

#include <assert.h>

#include "fast/memory_op.h"
#include "fast/wavelet_log.h"
#include "pe/issue.h"
#include "pe/map.h"
#include "pe/ramp.h"
#include "pe/vector.h"
#include "state/queue.h"

enum { LEAST_ROUNDS = 2 }; /* fewer are not worth it */

/* Bytes by which an operand moves from round to round. */
static int32_t moves(const memory_operand *operand, uint32_t n) {
  return operand->dsr && operand->dsr->flags & DSD_SAVE_ADDRESS ? (int32_t)n * operand->stride : 0;
}

/* The bytes that an operand covers in `rounds` rounds. */
static void covers(const memory_operand *operand, int32_t by, uint32_t rounds, int64_t *low, int64_t *high) {
  int64_t way = (int64_t)by * (rounds - 1);
  *low = operand->low + (way < 0 ? way : 0);
  *high = operand->high + (way > 0 ? way : 0);
}

/* How many of `rounds` rounds an operand stays in SRAM. */
static uint32_t rounds_inside(const memory_operand *operand, int32_t by, uint32_t rounds) {
  if (!operand->dsr || !by) return rounds;
  uint32_t most = (uint32_t)(by > 0 ? (WSE_SRAM - 1 - operand->high) / by : operand->low / -by) + 1;
  return most < rounds ? most : rounds;
}

/* Whether a source reads what the round before has written: *reads.  False: that differs between rounds. */
static bool source_reads(const memory_op *op, const memory_operand *source, uint32_t rounds, bool *reads) {
  if (!source->dsr) return true;
  int32_t by = moves(source, op->n), dst_by = moves(&op->dst, op->n);
  int64_t low, high, dst_low, dst_high;
  covers(source, by, rounds, &low, &high);
  covers(&op->dst, dst_by, rounds, &dst_low, &dst_high);
  if (low > dst_high || dst_low > high) return true;
  *reads |= source->low + by <= op->dst.high && op->dst.low <= source->high + by;
  return by == dst_by;
}

/* The slots of each round, which depend on the banks in which the sources begin.  False: some are not known yet. */
static bool time_rounds(const wse_fabric *fabric, band_state *band, const isa_ins *ins, memory_op op, uint32_t rounds,
                        bool reads, wavelet_loop *loop) {
  int32_t by0 = moves(&op.src0, op.n), by1 = moves(&op.src1, op.n);
  for (uint32_t i = 0; i < LOOP_BANKS && i < rounds; i++) {
    slot_entry *slots;
    if (!memory_op_slots(band, ins, &op, &slots)) {
      slots->stride = 0; /* the entry stays empty */
      return false;
    }
    if (slots->all > UINT16_MAX / 2) return false;
    loop->slots[i] = (uint16_t)slots->all;
    loop->readable[i] = reads ? (uint16_t)vector_readable(fabric, 0, slots->all, slots->all - slots->second, op.n) : 0;
    op.src0.base += by0;
    op.src1.base += by1;
  }
  return true;
}

/* Whether the main thread waits at such a loop, and nothing that is observed or under way needs each cycle. */
static bool may_begin(const wse_fabric *fabric, uint32_t pe) {
  const ce_state *ce = &fabric->ces[pe];
  return ce->state == MAIN_RUN && !ce->besides && !ce->flushing && log_may_begin(fabric) && at_wavelet_loop(fabric, pe);
}

/* Whether mapstep takes the wavelets of queue d->queue, all of them data and of one color. */
static bool may_take(wse_fabric *fabric, uint32_t pe, const dsr *d) {
  const pe_class *class = class_of(fabric, pe);
  if (d->kind != DSD_FABIN || d->queue >= WSE_QUEUES || fabric->ces[pe].control_queues >> d->queue & 1) return false;
  if (d->flags & DSD_BINDS && !class_binds(class, d->queue, d->color)) return false;
  int color = color_of_iq(fabric, pe, class, d->queue);
  if (color < 0 || queue_of_color(fabric, pe, color) != d->queue) return false;
  return !atomic_load_explicit(&fabric->any_rebound, memory_order_relaxed) || !fabric->rebound[pe].admits[d->queue];
}

/* Whether mapstep could have been tried in cycle `now`, but a microthread has had the slots since it could: whether it
 * has to wait is not known before the next cycle. */
static bool lost_slot(const wse_fabric *fabric, uint32_t pe, const ramp_queue *queue, uint64_t now) {
  const ce_state *ce = &fabric->ces[pe];
  uint64_t dispatch;
  bool ready = queue->count && wavelet_ready(queue_head(queue), now);
  return issue_cycle(fabric, ce, false, true, &dispatch) <= now && (ready || !has_waited(ce));
}

/* Finds how many rounds there are at most, and how long each takes.  0: that cannot be said. */
static uint32_t plan_rounds(wse_fabric *fabric, band_state *band, uint32_t pe, const isa_ins *ins, const dsr *d,
                            memory_op *op) {
  const ce_state *ce = &fabric->ces[pe];
  wavelet_loop *loop = &fabric->logs[pe].loop;
  if (!memory_op_begin(fabric, pe, &ins[1], op)) return 0;
  const dsr *dst = op->dst.dsr, *src0 = op->src0.dsr, *src1 = op->src1.dsr;
  if (dst == src0 || dst == src1 || (src0 && src0 == src1)) return 0;
  uint32_t rounds = d->length;
  rounds = rounds_inside(&op->dst, moves(&op->dst, op->n), rounds);
  rounds = rounds_inside(&op->src0, moves(&op->src0, op->n), rounds);
  rounds = rounds_inside(&op->src1, moves(&op->src1, op->n), rounds);
  bool reads = false;
  if (rounds < LEAST_ROUNDS || !source_reads(op, &op->src0, rounds, &reads) ||
      !source_reads(op, &op->src1, rounds, &reads) || !time_rounds(fabric, band, &ins[1], *op, rounds, reads, loop))
    return 0;
  loop->first = !ce->follows_vector;
  loop->main_at = ce->main_at;
  loop->loaded_at = ce->loaded_at;
  if (ce->result_register != OPERAND_NONE && ce->result_at > loop->loaded_at) loop->loaded_at = ce->result_at;
  loop->end = ce->main_at - (uint64_t)P(fabric, op_drain_cycles);
  loop->readable_at = memory_op_reads(op, ce->written_low, ce->written_high) ? ce->readable_at : 0;
  bool plain = ce->vector_at == restart_cycle(fabric, loop->end) && !loop->loaded_at;
  return loop->first || plain ? rounds : 0;
}

/* Moves the wavelets of the queue to the log, `rounds` of them at most.  False: the limit of the run is near. */
static bool log_queue(wse_fabric *fabric, uint32_t pe, ce_log *log, ramp_queue *queue, uint32_t rounds, uint64_t now) {
  int q = log->loop.queue;
  while (queue->count && log->count < rounds) {
    wavelet w = queue_head(queue);
    if (!loop_log(fabric, log, w.data, wavelet_when(w, now))) {
      queue->head = (queue->head - log->count) & fabric->iq_mask[q];
      queue->count += log->count;
      log->count = 0;
      return false;
    }
    queue_pop(queue, fabric->iq_mask[q]);
  }
  if (!queue->count) fabric->ces[pe].input_queues &= ~(1u << q);
  return true;
}

bool wavelet_loop_begin(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t now) {
  if (!may_begin(fabric, pe)) return false;
  ce_state *ce = &fabric->ces[pe];
  ce_log *log = &fabric->logs[pe];
  wavelet_loop *loop = &log->loop;
  const isa_ins *ins = &class_of(fabric, pe)->code[ce->pc];
  const dsr *d = &fabric->dsrs[ins->b][pe];
  if (now < log->retry || !may_take(fabric, pe, d)) return false;
  ramp_queue *queue = iq_of(fabric, d->queue, pe);
  if (lost_slot(fabric, pe, queue, now)) return false;
  memory_op op;
  uint32_t rounds = plan_rounds(fabric, band, pe, ins, d, &op);
  if (!rounds) {
    log->retry = now + NEAR;
    return false;
  }
  int color = fabric->color_index[color_of_iq(fabric, pe, class_of(fabric, pe), d->queue)];
  loop->color = (uint8_t)color;
  loop->queue = d->queue;
  loop->round = loop->taken = 0;
  log->count = 0;
  if (!log_queue(fabric, pe, log, queue, rounds, now)) {
    log->retry = fabric->limit;
    return false;
  }
  uint64_t lane = lane_of(fabric, pe);
  fabric->store_targets[color][pe] = (store_target){.left = rounds - log->count, .thread = MAIN, .wide = 1};
  route_of(fabric, pe, color)->logs |= lane;
  fabric->store_times[fabric->router_lane[pe] / LANES].behind |= lane;
  ce->behind = 1;
  loop->under_way = true;
  loop->closing = loop->full = false;
  wheel_remove(fabric, band, pe);
  if (log->count == rounds) loop_close(fabric, band, pe, log, now);
  loop_fills(fabric, band, pe, log, now);
  return true;
}

/* Executes a round, the wavelet of which is taken in cycle `at`. */
static void execute_round(wse_fabric *fabric, band_state *band, uint32_t pe, const isa_ins *ins, memory_op *op,
                          uint32_t data, uint64_t at) {
  ce_state *ce = &fabric->ces[pe];
  uint64_t dispatch, need = issue_cycle(fabric, ce, false, true, &dispatch);
  assert(at >= need);
  if (at > need) gap_from(fabric, band, pe, need, WSE_CTR_STALL_INPUT); /* it found no wavelet in cycle `need` */
  dsr *d = &fabric->dsrs[ins->b][pe];
  if (d->length != LENGTH_INFINITE) d->length--;
  counters_of(fabric, pe)[WSE_CTR_WAVELETS_IN]++;
  activity_last(band, at + 1);
  map_issued(fabric, band, pe, at);
  *register_of(fabric, pe, ins->a & (WSE_REGISTERS - 1)) = d->flags & DSD_WIDE ? data : data & 0xffff;
  ce->pc++;
  memory_op_again(fabric, pe, &ins[1], op);
  need = issue_cycle(fabric, ce, true, false, &dispatch);
  if (need > at) at = need;
  if (!ce->follows_vector) dispatch = at;
  int did = issue_memory_op(fabric, band, pe, &ins[1], op, dispatch, at, true);
  assert(did == ISSUED);
  (void)did;
  ce->pc = (uint32_t)ins[2].imm;
}

/* Executes the rounds whose wavelets are taken before cycle `until`. */
static void execute_rounds(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t until) {
  ce_log *log = &fabric->logs[pe];
  const isa_ins *ins = &class_of(fabric, pe)->code[fabric->ces[pe].pc];
  memory_op op;
  int i = 0;
  while (i < log->count && loop_taken_at(log, i) < until)
    i++;
  if (!i) return;
  memory_op_begin(fabric, pe, &ins[1], &op);
  for (int k = 0; k < i; k++)
    execute_round(fabric, band, pe, ins, &op, log->data[k], loop_taken_at(log, k));
  log->count = (uint8_t)(log->count - i);
  log->loop.taken = (uint8_t)(log->loop.taken > i ? log->loop.taken - i : 0);
  memmove(log->lands, log->lands + i, log->count * sizeof *log->lands);
  memmove(log->data, log->data + i, log->count * sizeof *log->data);
}

bool wavelet_loop_step(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t now) {
  ce_log *log = &fabric->logs[pe];
  wavelet_loop *loop = &log->loop;
  if (loop->closing && !loop_waiting(log, now)) {
    execute_rounds(fabric, band, pe, now + 1);
    wavelet_loop_end(fabric, band, pe, now);
    return true;
  }
  if (log->count >= LOG_ALMOST_FULL) execute_rounds(fabric, band, pe, now + 1);
  if (loop->full && !loop_is_full(fabric, pe, log, now)) {
    loop->full = false;
    ramp_refresh(fabric, pe, loop->color);
    wake_router(fabric, pe, now);
  }
  if (loop->full) wake_ce(fabric, band, pe, now, loop_taken_at(log, loop->taken));
  else if (loop->closing) wake_ce(fabric, band, pe, now, loop_taken_at(log, log->count - 1));
  return false;
}

bool wavelet_loop_end(wse_fabric *fabric, band_state *band, uint32_t pe, uint64_t now) {
  ce_state *ce = &fabric->ces[pe];
  ce_log *log = &fabric->logs[pe];
  wavelet_loop *loop = &log->loop;
  execute_rounds(fabric, band, pe, now);
  uint64_t dispatch, need = issue_cycle(fabric, ce, false, true, &dispatch);
  if (need < now) gap_from(fabric, band, pe, need, WSE_CTR_STALL_INPUT);
  ramp_queue *queue = iq_of(fabric, loop->queue, pe);
  for (int i = log->count; i-- > 0;) /* before those that took the ordinary path */
    queue_return(queue, fabric->iq_mask[loop->queue], (wavelet){log->data[i], wavelet_meta(loop_taken_at(log, i), 0)});
  log->count = 0;
  uint64_t next = queue->count ? wavelet_when(queue_head(queue), now) : need;
  if (queue->count) ce->input_queues |= 1u << loop->queue;
  if (next > now) wake_ce(fabric, band, pe, now, next);
  if (loop->full) wake_router(fabric, pe, now);
  ramp_refresh(fabric, pe, loop->color);
  uint64_t lane = lane_of(fabric, pe);
  route_of(fabric, pe, loop->color)->logs &= ~lane;
  fabric->store_times[fabric->router_lane[pe] / LANES].behind &= ~lane;
  ce->behind = 0;
  loop->under_way = false;
  return queue->count || need >= now;
}
