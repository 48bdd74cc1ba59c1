/* check_operation.c - a checked run: checks the elements of vector operations; observe/check.h has the rules. */
#include "pe/check_operation.h"

#include "observe/check.h"
#include "observe/senders.h"
#include "pe/operand.h"
#include "state/queue.h"

/* Element i of an operand in memory. */
static void check_element(wse_fabric *fabric, uint32_t pe, const vector_operand *operand, uint32_t i, bool writes,
                          check_by by) {
  if (operand->is != OPERAND_IS_DSR || !dsd_is_memory(&operand->d)) return;
  const xdsr *x = operand_xdsr(fabric, pe, &operand->d);
  uint16_t at = dsd_address(&operand->d, x, i);
  check_bounds(fabric, pe, dsd_address(&operand->d, x, 0), at, operand->size, by);
  if (writes) check_stack(fabric, pe, dsd_address(&operand->d, x, 0), at, by);
  if (writes) check_store(fabric, pe, at, operand->size, by);
  else check_load(fabric, pe, at, operand->size, by);
}

/* Whether a source has the same elements as the destination, so that the operation accumulates. */
static bool in_place(const vector_operand *dst, const vector_operand *src) {
  return dst->is == OPERAND_IS_DSR && src->is == OPERAND_IS_DSR && dsd_is_memory(&src->d) &&
         dst->d.kind == src->d.kind && dst->d.base == src->d.base && dst->d.stride == src->d.stride &&
         dst->d.x == src->d.x && dst->size == src->size;
}

/* Marks the next n elements as written: memory holds zeros after loading. */
static void check_begins_zero(wse_fabric *fabric, uint32_t pe, const vector_operand *operand, uint32_t done,
                              uint32_t n) {
  const xdsr *x = operand_xdsr(fabric, pe, &operand->d);
  int64_t first = (int64_t)operand->d.base + (int64_t)done * operand->size, end = first + (int64_t)n * operand->size;
  if (operand->d.kind == DSD_MEM1D && operand->d.stride == operand->size && first >= 0 && end <= WSE_SRAM) {
    check_written(fabric, pe, (uint16_t)first, (int)(end - first));
    return;
  }
  for (uint32_t i = done; i < done + n; i++)
    check_written(fabric, pe, dsd_address(&operand->d, x, i), operand->size);
}

/* Marks the buffer of a FIFO as written. */
static void check_fifo(wse_fabric *fabric, uint32_t pe, const vector_operand *operand) {
  if (operand->is != OPERAND_IS_DSR || operand->d.kind != DSD_FIFO) return;
  const xdsr *x = operand_xdsr(fabric, pe, &operand->d);
  check_written(fabric, pe, x->fifo.start, x->fifo.capacity * (operand->d.stride == 2 ? 2 : operand->size));
}

/* Whether an operand has elements in memory. */
static bool in_memory(const vector_operand *operand) {
  return operand->is == OPERAND_IS_DSR && dsd_is_memory(&operand->d);
}

/* The next n elements of an operand in memory, of one dimension. */
static check_range range_of(const vector_operand *operand, uint32_t done, uint32_t n) {
  return (check_range){.first = (int32_t)operand->d.base + (int32_t)done * operand->d.stride,
                       .stride = operand->d.stride,
                       .size = operand->size,
                       .n = n};
}

static bool is_plain(const wse_fabric *fabric, uint32_t pe, const vector_operand *operand, uint32_t done, uint32_t n,
                     bool writes) {
  if (!in_memory(operand)) return true;
  return operand->d.kind == DSD_MEM1D && n &&
         check_is_plain(fabric, pe, operand->d.base, range_of(operand, done, n), writes);
}

/* Checks all elements at once where none can have a finding of its own. */
static bool check_together(wse_fabric *fabric, uint32_t pe, const vector_operation *operation, uint32_t n,
                           check_by by) {
  const vector_operand *operands[] = {&operation->src0, &operation->src1, &operation->dst};
  uint32_t done = operation->done;
  for (int i = 0; i < 3; i++)
    if (!is_plain(fabric, pe, operands[i], done, n, i == 2)) return false;
  for (int i = 0; i < 3; i++)
    if (in_memory(operands[i]))
      check_plain(fabric, pe, operands[i]->d.base, range_of(operands[i], done, n), i == 2, by);
  return true;
}

void check_operation(wse_fabric *fabric, uint32_t pe, const vector_operation *operation, int thread, uint32_t n,
                     uint64_t cycle) {
  check_by by = {operation->pc, thread, cycle};
  /* sums that begin with the zeros of a program just loaded are usual [csl-examples: gemv-06-routes-1] */
  if (in_place(&operation->dst, &operation->src0)) check_begins_zero(fabric, pe, &operation->dst, operation->done, n);
  uint32_t done = operation->done;
  if (in_memory(&operation->dst))
    senders_stored(fabric, pe, dsd_address(&operation->dst.d, operand_xdsr(fabric, pe, &operation->dst.d), done), by);
  bool together = check_together(fabric, pe, operation, n, by);
  for (uint32_t i = done; !together && i < done + n; i++) {
    check_element(fabric, pe, &operation->src0, i, false, by);
    check_element(fabric, pe, &operation->src1, i, false, by);
    check_element(fabric, pe, &operation->dst, i, true, by);
  }
  check_fifo(fabric, pe, &operation->dst);
}

int check_thread(const wse_fabric *fabric, uint32_t pe, const vector_operation *operation) {
  for (int thread = 0; thread < MAIN; thread++)
    if (operation == &fabric->operations[thread][pe]) return thread;
  return MAIN;
}

void check_received(wse_fabric *fabric, uint32_t pe, const vector_operation *operation, int queue, uint64_t cycle) {
  senders_received(fabric, pe, check_thread(fabric, pe, operation), operation->pc, queue,
                   iq_of(fabric, queue, pe)->head, color_of_iq(fabric, pe, class_of(fabric, pe), queue), cycle);
}
