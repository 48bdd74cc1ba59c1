/* leaks.c - makes, runs and frees fabrics by wse.h, without an interpreter, so that LeakSanitizer sees the engine alone.
 *
 * .ci/sanitize compiles it together with csrc under -fsanitize=address,undefined (leaks) and under -fsanitize=thread (races
 * between the engine's host threads).  Each scene checks its outcome.  With an argument, one block is leaked on purpose, which
 * shows that leaks are detected.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tables/isa.h"
#include "wse.h"

#define CHECK(condition)                                                          \
  do {                                                                            \
    if (!(condition)) {                                                           \
      fprintf(stderr, "leaks.c:%d: %s does not hold\n", __LINE__, #condition);    \
      exit(3);                                                                    \
    }                                                                             \
  } while (0)

enum { WIDTH = 70, HEIGHT = 12, WAVELETS = 200, COLOR = 3, MAIN = 9 }; /* more than a block of 64 columns, several bands */

static uint64_t word(int op, uint8_t a, uint8_t b, int32_t imm) {
  return (uint64_t)(uint32_t)imm << 32 | (uint64_t)b << 24 | (uint64_t)a << 16 | (uint64_t)op | INS_IMMEDIATE;
}

/* Two threads take turns with one; more step all cycles. */
static wse_desc description(int arch, int threads, uint64_t trace) {
  wse_desc desc = {.width = WIDTH, .height = HEIGHT, .fp16 = WSE_FP16_IEEE, .threads = threads, .trace_capacity = trace};
  const wse_param_info *rows = wse_param_table();
  for (int i = 0; i < WSE_PARAM_COUNT; i++) desc.params[i] = rows[i].value[arch];
  desc.bins = 32;
  desc.bin_planes = 1;
  desc.team = threads == 2 ? WSE_TEAM_IN_TURN : WSE_TEAM_ALL;
  return desc;
}

/* All PEs run `code` as the task MAIN. */
static void load(wse_fabric *fabric, const uint64_t *code, uint32_t length) {
  wse_class class = {.code = code, .code_length = length, .active = UINT64_C(1) << MAIN};
  memset(class.iq_color, -1, sizeof class.iq_color);
  memset(class.oq_color, -1, sizeof class.oq_color);
  class.task_kind[MAIN] = WSE_TASK_LOCAL;
  CHECK(wse_add_class(fabric, &class) == 0);
  static uint16_t classes[WIDTH * HEIGHT];
  CHECK(wse_set_classes(fabric, classes) == WSE_OK);
}

/* Scalar code in every PE, a stream through every row, segments, profile, trace, planes. */
static void streams(int arch, int threads, uint64_t trace) {
  wse_desc desc = description(arch, threads, trace);
  wse_fabric *fabric = wse_new(&desc);
  CHECK(fabric);
  const uint64_t code[] = {
      word(OP_iadd32, 1, 1, 1),
      word(OP_st32, 1, OPERAND_NONE, 1024),
      word(OP_done, 0, 0, 0),
  };
  load(fabric, code, 3);
  static uint64_t routes[WIDTH * HEIGHT];
  for (int i = 0; i < WIDTH * HEIGHT; i++)
    routes[i] = UINT64_C(1) << (WSE_ROUTE_RX + WSE_W) | UINT64_C(1) << (WSE_ROUTE_TX + WSE_E);
  CHECK(wse_set_routes(fabric, COLOR, routes) == WSE_OK);
  uint32_t data[WAVELETS];
  for (int i = 0; i < WAVELETS; i++) data[i] = (uint32_t)i;
  int in[HEIGHT], out[HEIGHT];
  for (int y = 0; y < HEIGHT; y++) {
    in[y] = wse_stream_in(fabric, 0, y, WSE_W, COLOR, data, NULL, WAVELETS, 1, 1);
    out[y] = wse_stream_out(fabric, WIDTH - 1, y, WSE_E, COLOR, WAVELETS, 1, 1 + y % 3);
    CHECK(in[y] >= 0 && out[y] >= 0);
  }
  CHECK(wse_profile(fabric) == WSE_OK);
  volatile int stop = 0;
  CHECK(wse_run(fabric, 40, 40, &stop) == WSE_LIMIT);
  wse_wait waits[8];
  CHECK(wse_waits(fabric, waits, 8) >= 0);
  CHECK(wse_run(fabric, 1000000, 1000000, &stop) == WSE_QUIET);
  for (int y = 0; y < HEIGHT; y++) {
    CHECK(wse_stream_count(fabric, out[y]) == WAVELETS);
    CHECK(memcmp(wse_stream_data(fabric, out[y]), data, sizeof data) == 0);
    wse_stream_take(fabric, out[y], 0);
  }
  uint32_t stored[WIDTH * HEIGHT];
  CHECK(wse_read(fabric, 0, 0, WIDTH, HEIGHT, 1024, 4, stored) == WSE_OK);
  for (int i = 0; i < WIDTH * HEIGHT; i++) CHECK(stored[i] == 1);
  uint64_t spent[4][WSE_PROFILE_COLUMNS];
  CHECK(wse_profile_of(fabric, 0, spent[0]) == WSE_OK && spent[0][0] == WIDTH * HEIGHT);
  CHECK(wse_profile(fabric) == WSE_BADARG);
  const wse_event *events;
  CHECK(trace == 0 || wse_trace(fabric, &events) + wse_trace_dropped(fabric) > 0);
  for (int which = WSE_PLANE_COUNTERS; which <= WSE_PLANE_HOSTSIG; which++) {
    wse_plane plane;
    CHECK(wse_get_plane(fabric, which, &plane) == WSE_OK && plane.data);
  }
  CHECK(wse_bytes(fabric) > 0);
  wse_free(fabric);
}

/* Code that leaves its class's memory: a fault in the middle of traffic. */
static void faults(int threads) {
  wse_desc desc = description(1, threads, 100);
  wse_fabric *fabric = wse_new(&desc);
  CHECK(fabric);
  const uint64_t code[] = {word(OP_iadd32, 1, 1, 1)}; /* no done: the next instruction lies beyond the code */
  load(fabric, code, 1);
  volatile int stop = 0;
  CHECK(wse_run(fabric, 1000, 1000, &stop) == WSE_FAULTED);
  wse_fault fault;
  wse_fault_of(fabric, &fault);
  CHECK(fault.kind != WSE_FAULT_NONE && fault.x == 0 && fault.y == 0);
  wse_free(fabric);
}

/* A stream that nothing takes: the fabric is quiet with work left, and is freed with its buffers full. */
static void deadlock(void) {
  wse_desc desc = description(1, 2, 0);
  wse_fabric *fabric = wse_new(&desc);
  CHECK(fabric);
  static uint64_t routes[WIDTH * HEIGHT];
  routes[0] = UINT64_C(1) << (WSE_ROUTE_RX + WSE_W) | UINT64_C(1) << (WSE_ROUTE_TX + WSE_RAMP);
  CHECK(wse_set_routes(fabric, COLOR, routes) == WSE_OK);
  uint32_t data[WAVELETS] = {0};
  CHECK(wse_stream_in(fabric, 0, 0, WSE_W, COLOR, data, NULL, WAVELETS, 1, 1) == 0);
  volatile int stop = 0;
  CHECK(wse_run(fabric, 100000, 100000, &stop) == WSE_QUIET);
  CHECK(wse_pending(fabric) != 0);
  wse_wait waits[8];
  CHECK(wse_waits(fabric, waits, 8) > 0);
  wse_free(fabric);
}

/* Refused arguments leave nothing behind. */
static void refused(void) {
  wse_desc desc = description(1, 1, 0);
  desc.width = 0;
  CHECK(!wse_new(&desc));
  desc = description(1, 1, 0);
  wse_fabric *fabric = wse_new(&desc);
  CHECK(fabric);
  uint32_t data[1] = {0};
  CHECK(wse_stream_in(fabric, WIDTH, 0, WSE_W, COLOR, data, NULL, 1, 1, 1) == -1);
  CHECK(wse_write(fabric, 0, 0, 1, 1, WSE_SRAM, 4, data) == WSE_BADARG);
  wse_free(fabric);
}

int main(int count, char **arguments) {
  (void)arguments;
  for (int arch = 0; arch < 2; arch++)
    for (int threads = 1; threads <= 3; threads++) {
      streams(arch, threads, 0);
      streams(arch, threads, 500);
    }
  faults(1);
  faults(2);
  deadlock();
  refused();
  if (count > 1) {
    char *volatile lost = malloc(64);
    lost = NULL;
    (void)lost;
  }
  puts("done");
}
