/* measure.c - planes and profiles for the host.  Each band records its own; they are merged here. */
#include <stdlib.h>

#include "fabric/build.h"
#include "observe/account.h"
#include "observe/trace.h"
#include "pe/store_only.h"

/* Gives all bands the bin width of the widest, wide enough for the whole run. */
static void align_series(wse_fabric *fabric) {
  uint64_t shift = 0, last = wse_last_activity(fabric);
  while (last && (last - 1) >> shift >= (uint64_t)fabric->bins)
    shift++;
  for (int i = 0; i < fabric->band_total; i++)
    if (fabric->bands[i].series_shift > shift) shift = fabric->bands[i].series_shift;
  for (int i = 0; i < fabric->band_total; i++)
    while (fabric->bands[i].series_shift < shift)
      series_halve(fabric, &fabric->bands[i]);
  fabric->bin_shift = shift;
}

uint64_t wse_bin_cycles(const wse_fabric *fabric) {
  uint64_t shift = 0;
  for (int i = 0; i < fabric->band_total; i++)
    if (fabric->bands[i].series_shift > shift) shift = fabric->bands[i].series_shift;
  return (uint64_t)1 << shift;
}

static void account_all(wse_fabric *fabric) {
  for (band_state *band = fabric->bands; band < fabric->bands + fabric->band_total;
       band++) /* operations that a limit interrupts were active until now */
    for (uint32_t pe = band->pe0; pe < band->pe1; pe++)
      settle_memory(fabric, band, pe, fabric->now);
  uint64_t until = wse_last_activity(fabric);
  for (band_state *band = fabric->bands; band < fabric->bands + fabric->band_total; band++)
    for (uint32_t pe = band->pe0; pe < band->pe1; pe++) {
      if (fabric->class_of[pe] == 0xffff) continue;
      const ce_state *ce = &fabric->ces[pe];
      if (ce->store_targets) store_only_settle(fabric, band, pe, until, until);
      account(fabric, band, pe, until, ce->gap);
    }
}

/* Ends of memory operations are recorded before: later ones follow all that is taken. */
uint64_t wse_trace_take(wse_fabric *fabric, const wse_event **events) {
  account_all(fabric);
  uint64_t n = wse_trace(fabric, events);
  if (*events) trace_forget(fabric);
  return n;
}

wse_status wse_profile(wse_fabric *fabric) {
  wse_status status = fabric_seal(fabric);
  if (status != WSE_OK) return status;
  if (fabric->now) return WSE_BADARG;
  uint32_t total = 0;
  for (int i = 0; i < fabric->class_total; i++) {
    fabric->classes[i].profile_at = total;
    total += fabric->classes[i].code_length + 1;
  }
  free(fabric->profiles);
  fabric->profiles = calloc(fabric->pes, sizeof *fabric->profiles);
  if (!fabric->profiles) return WSE_NOMEM;
  fabric->lanes = false;
  for (uint32_t pe = 0; pe < fabric->pes; pe++)
    fabric->profiles[pe].late = WSE_CAUSE_RESULT;
  for (int i = 0; i < fabric->band_total; i++) {
    band_state *band = &fabric->bands[i];
    free(band->profile);
    band->profile = calloc(total + 1, sizeof *band->profile);
    if (!band->profile) return WSE_NOMEM;
  }
  return WSE_OK;
}

wse_status wse_profile_of(wse_fabric *fabric, int class_index, uint64_t *to) {
  if (class_index < 0 || class_index >= fabric->class_total || !fabric->bands[0].profile) return WSE_BADARG;
  const pe_class *class = &fabric->classes[class_index];
  account_all(fabric);
  memset(to, 0, (class->code_length + 1) * WSE_PROFILE_COLUMNS * sizeof *to);
  for (int i = 0; i < fabric->band_total; i++)
    for (uint32_t pc = 0; pc <= class->code_length; pc++)
      for (int which = 0; which < WSE_PROFILE_COLUMNS; which++)
        to[pc * WSE_PROFILE_COLUMNS + (uint32_t)which] += fabric->bands[i].profile[class->profile_at + pc][which];
  return WSE_OK;
}

/* Counts by port and PE, with their carries. */
static void sum_ports(const wse_fabric *fabric, const uint32_t *counts, _Atomic(uint32_t *) *carries, uint64_t *to) {
  const uint32_t *more = atomic_load(carries);
  for (size_t port = 0; port < WSE_PORTS; port++)
    for (uint32_t pe = 0; pe < fabric->pes; pe++) {
      size_t at = port * fabric->blocks * LANES + fabric->router_lane[pe];
      *to++ = counts[at] + (more ? (uint64_t)more[at] * CLOCK_UNIT : 0);
    }
}

/* The counts of links.  *total: where they are put; allocated at the first call. */
static wse_status sum_counts(const wse_fabric *fabric, const uint32_t *counts, _Atomic(uint32_t *) *carries,
                             uint64_t **total, wse_plane *out) {
  if (!*total) *total = malloc((size_t)WSE_PORTS * fabric->pes * sizeof **total);
  if (!*total) return WSE_NOMEM;
  sum_ports(fabric, counts, carries, *total);
  *out = (wse_plane){*total, 3, 8, {WSE_PORTS, fabric->height, fabric->width}};
  return WSE_OK;
}

wse_status wse_get_plane(wse_fabric *fabric, int which, wse_plane *out) {
  int64_t w = fabric->width, h = fabric->height;
  switch (which) {
    case WSE_PLANE_COUNTERS:
      account_all(fabric);
      *out = (wse_plane){fabric->counters, 3, 8, {h, w, WSE_CTR_COUNT}};
      return WSE_OK;
    case WSE_PLANE_LINKS: return sum_counts(fabric, fabric->links[0], &fabric->links_more, &fabric->total_links, out);
    case WSE_PLANE_BLOCKED:
      return sum_counts(fabric, fabric->blocked[0], &fabric->blocked_more, &fabric->total_blocked, out);
    case WSE_PLANE_COLORS:
      memset(fabric->total_colors, 0, sizeof fabric->total_colors);
      for (int i = 0; i < fabric->band_total; i++)
        for (int c = 0; c < fabric->colors; c++)
          for (int port = 0; port < WSE_PORTS; port++)
            for (int k = 0; k < 2; k++)
              fabric->total_colors[fabric->color_of[c]][port][k] += fabric->bands[i].colors[c][port][k];
      *out = (wse_plane){fabric->total_colors, 3, 8, {WSE_COLORS, WSE_PORTS, 2}};
      return WSE_OK;
    case WSE_PLANE_OPCODES:
      memset(fabric->total_opcodes, 0, sizeof fabric->total_opcodes);
      for (int i = 0; i < fabric->band_total; i++)
        for (int op = 0; op < OP_COUNT; op++)
          fabric->total_opcodes[op] += fabric->bands[i].opcodes[op];
      *out = (wse_plane){fabric->total_opcodes, 1, 8, {OP_COUNT}};
      return WSE_OK;
    case WSE_PLANE_SERIES: {
      if (!fabric->bins) return WSE_BADARG;
      account_all(fabric);
      align_series(fabric);
      size_t n = (size_t)fabric->bins * SERIES_WIDTH;
      memset(fabric->total_series, 0, n * sizeof *fabric->total_series);
      for (int i = 0; i < fabric->band_total; i++)
        for (size_t k = 0; k < n; k++)
          fabric->total_series[k] += fabric->bands[i].series[k];
      *out = (wse_plane){fabric->total_series, 2, 8, {fabric->bins, SERIES_WIDTH}};
      return WSE_OK;
    }
    case WSE_PLANE_ACTIVITY:
      if (!fabric->activity) return WSE_BADARG;
      align_series(fabric);
      *out = (wse_plane){fabric->activity, 3, 8, {fabric->bins, h, (int64_t)fabric->activity_places / h}};
      return WSE_OK;
    case WSE_PLANE_HOSTSIG: *out = (wse_plane){fabric->host_signal, 2, 4, {h, w}}; return WSE_OK;
    default: return WSE_BADARG;
  }
}

wse_status wse_color_links(wse_fabric *fabric, int color, uint64_t *to) {
  int c = color < 0 || color >= WSE_COLORS ? -1 : fabric->color_index[color];
  if (c < 0 || !fabric->color_links[c]) return WSE_BADARG;
  sum_ports(fabric, fabric->color_links[c], &fabric->color_links_more[c], to);
  return WSE_OK;
}
