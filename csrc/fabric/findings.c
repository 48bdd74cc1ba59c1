/* findings.c - sets up a checked run; returns its findings, and those about FIFOs, switches and filters, to the host.
 */
#include <stdlib.h>

#include "observe/check.h"
#include "observe/senders.h"
#include "router/route_register.h"
#include "router/router.h"
#include "state/memory.h"

static void fifos_left(const wse_fabric *fabric, uint32_t pe, check_findings *to, uint32_t most) {
  uint32_t seen = 0;
  for (int i = 0; i < 48; i++) {
    const dsr *d = &fabric->dsrs[i][pe];
    uint32_t x = d->x & 15;
    if (d->kind != DSD_FIFO || seen >> x & 1) continue;
    seen |= 1u << x;
    if (!fabric->xdsrs[x][pe].fifo.count) continue;
    wse_finding finding = check_finding(pe, WSE_FINDING_FIFO, (check_by){UINT32_MAX, -1, fabric->now}, (int)x);
    finding.address = fabric->xdsrs[x][pe].fifo.start;
    finding.left = fabric->xdsrs[x][pe].fifo.count;
    finding.writes = d->stride == 2;
    check_add(fabric, to, most, finding);
  }
}

static void routers_moved(const wse_fabric *fabric, uint32_t pe, check_findings *to, uint32_t most) {
  const struct check_state *check = fabric->check;
  for (int color = 0; color < fabric->colors; color++) {
    wse_finding finding =
        check_finding(pe, WSE_FINDING_POSITION, (check_by){UINT32_MAX, -1, fabric->now}, fabric->color_of[color]);
    uint64_t route = fabric->route[color][pe];
    int now = route_position(route), start = route_position(check->routes[color][pe]);
    if (now != start) {
      finding.left = (uint32_t)now;
      finding.address = (uint32_t)start;
      check_add(fabric, to, most, finding);
    }
    if (!check->filters[color] || !(route >> WSE_ROUTE_FILTER)) continue;
    if (fabric->filter_count[color][pe] == check->filters[color][pe]) continue;
    finding.kind = WSE_FINDING_FILTER;
    finding.left = fabric->filter_count[color][pe];
    finding.address = check->filters[color][pe];
    check_add(fabric, to, most, finding);
  }
}

int64_t wse_findings(wse_fabric *fabric, int ended, wse_finding *out, int64_t capacity) {
  if (!fabric->check || capacity < 0 || capacity > UINT32_MAX) return -1;
  check_findings all = {.found = out};
  for (int i = 0; i < fabric->band_total; i++)
    for (uint32_t k = 0; k < fabric->check->bands[i].count; k++)
      check_add(fabric, &all, (uint32_t)capacity, fabric->check->bands[i].found[k]);
  for (uint32_t i = 0; i < all.count; i++)
    if (out[i].kind == WSE_FINDING_INTERLEAVED) senders_locate(fabric, &out[i]);
  for (uint32_t pe = 0; ended && pe < fabric->pes; pe++) {
    fifos_left(fabric, pe, &all, (uint32_t)capacity);
    routers_moved(fabric, pe, &all, (uint32_t)capacity);
  }
  return all.count;
}

wse_status wse_check(wse_fabric *fabric) {
  if (fabric->now || fabric->check) return WSE_BADARG;
  wse_status status = wse_profile(fabric);
  if (status != WSE_OK) return status;
  struct check_state *check = calloc(1, sizeof *check);
  if (!check) return WSE_NOMEM;
  size_t pes = fabric->pes;
  fabric->check = check;
  fabric->by_element = true;
  fabric->written = sparse_new(fabric, pes * WSE_SRAM / 8);
  check->memory = calloc((size_t)fabric->class_total + 1, sizeof *check->memory);
  check->reads = sparse_new(fabric, pes * CHECK_WORDS * sizeof *check->reads);
  check->writes = sparse_new(fabric, pes * CHECK_WORDS * sizeof *check->writes);
  check->begun = sparse_new(fabric, pes * THREADS * sizeof *check->begun);
  check->issued = sparse_new(fabric, pes * sizeof *check->issued);
  check->activations = sparse_new(fabric, pes * WSE_TASKS * sizeof *check->activations);
  bool failed = !fabric->written || !check->memory || !check->reads || !check->writes || !check->begun ||
                !check->issued || !check->activations;
  failed = failed || !senders_new(fabric);
  fabric->routers_step = routers_step_checked;
  for (int color = 0; color < fabric->colors && !failed; color++) {
    size_t bytes = pes * sizeof *check->routes[color];
    failed |= !(check->routes[color] = sparse_new(fabric, bytes));
    if (!failed) memcpy(check->routes[color], fabric->route[color], bytes);
    if (failed || !fabric->filter_count[color]) continue;
    bytes = pes * sizeof *check->filters[color];
    failed |= !(check->filters[color] = sparse_new(fabric, bytes));
    if (!failed) memcpy(check->filters[color], fabric->filter_count[color], bytes);
  }
  return failed ? WSE_NOMEM : WSE_OK;
}

wse_status wse_check_class(wse_fabric *fabric, int class_index, const uint16_t *region, const uint8_t *flags) {
  if (!fabric->check || class_index < 0 || class_index >= fabric->class_total) return WSE_BADARG;
  check_memory **memory = &fabric->check->memory[class_index];
  if (!*memory) *memory = malloc(sizeof **memory);
  if (!*memory) return WSE_NOMEM;
  memcpy((*memory)->region, region, sizeof(*memory)->region);
  memcpy((*memory)->flags, flags, sizeof(*memory)->flags);
  return WSE_OK;
}
