/* measure.c - what a run leaves to be read: planes and profiles.  Bands keep their own; they are put together here. */
#include <stdlib.h>

#include "fabric/build.h"
#include "observe/account.h"
#include "pe/store_only.h"

/* All bands get the widest band's bins, and those hold the whole run. */
static void align_series(wse_fabric *f) {
  uint64_t shift = 0, last = wse_last_activity(f);
  while (last && (last - 1) >> shift >= (uint64_t)f->bins) shift++;
  for (int i = 0; i < f->band_total; i++)
    if (f->bands[i].series_shift > shift) shift = f->bands[i].series_shift;
  for (int i = 0; i < f->band_total; i++)
    while (f->bands[i].series_shift < shift) series_halve(f, &f->bands[i]);
  f->bin_shift = shift;
}

uint64_t wse_bin_cycles(const wse_fabric *f) {
  uint64_t shift = 0;
  for (int i = 0; i < f->band_total; i++)
    if (f->bands[i].series_shift > shift) shift = f->bands[i].series_shift;
  return (uint64_t)1 << shift;
}

static void account_all(wse_fabric *f) {
  for (band *b = f->bands; b < f->bands + f->band_total; b++) /* operations that a limit interrupts were active until now */
    for (uint32_t pe = b->pe0; pe < b->pe1; pe++) settle_memory(f, b, pe, f->now);
  uint64_t until = wse_last_activity(f);
  for (band *b = f->bands; b < f->bands + f->band_total; b++)
    for (uint32_t pe = b->pe0; pe < b->pe1; pe++) {
      if (f->class_of[pe] == 0xffff) continue;
      const ce *c = &f->ces[pe];
      if (c->sinks) sink_settle(f, b, pe, until);
      account(f, b, pe, until, c->gap);
    }
}

wse_status wse_profile(wse_fabric *f) {
  wse_status status = fabric_seal(f);
  if (status != WSE_OK) return status;
  uint32_t total = 0;
  for (int i = 0; i < f->class_total; i++) {
    f->classes[i].profile_at = total;
    total += f->classes[i].code_length;
  }
  for (int i = 0; i < f->band_total; i++) {
    band *b = &f->bands[i];
    free(b->profile);
    b->profile = calloc(total + 1, sizeof *b->profile);
    if (!b->profile) return WSE_NOMEM;
  }
  return WSE_OK;
}

wse_status wse_profile_of(const wse_fabric *f, int class_index, uint64_t (*to)[2]) {
  if (class_index < 0 || class_index >= f->class_total || !f->bands[0].profile) return WSE_BADARG;
  const pe_class *k = &f->classes[class_index];
  memset(to, 0, k->code_length * sizeof *to);
  for (int i = 0; i < f->band_total; i++)
    for (uint32_t pc = 0; pc < k->code_length; pc++)
      for (int which = 0; which < 2; which++) to[pc][which] += f->bands[i].profile[k->profile_at + pc][which];
  return WSE_OK;
}

wse_status wse_get_plane(wse_fabric *f, int which, wse_plane *out) {
  int64_t w = f->width, h = f->height;
  switch (which) {
    case WSE_PLANE_COUNTERS:
      account_all(f);
      *out = (wse_plane){f->counters, 3, 8, {h, w, WSE_CTR_COUNT}};
      return WSE_OK;
    case WSE_PLANE_LINKS: *out = (wse_plane){f->links[0], 3, 4, {WSE_PORTS, h, f->row_words * LANES}}; return WSE_OK;
    case WSE_PLANE_BLOCKED: *out = (wse_plane){f->blocked[0], 3, 4, {WSE_PORTS, h, f->row_words * LANES}}; return WSE_OK;
    case WSE_PLANE_LINKS_MORE:
    case WSE_PLANE_BLOCKED_MORE: {
      const uint32_t *more = atomic_load(which == WSE_PLANE_LINKS_MORE ? &f->links_more : &f->blocked_more);
      *out = (wse_plane){more, 3, 4, {more ? WSE_PORTS : 0, h, f->row_words * LANES}};
      return WSE_OK;
    }
    case WSE_PLANE_COLORS:
      memset(f->total_colors, 0, sizeof f->total_colors);
      for (int i = 0; i < f->band_total; i++)
        for (int c = 0; c < f->colors; c++)
          for (int port = 0; port < WSE_PORTS; port++)
            for (int k = 0; k < 2; k++) f->total_colors[f->color_of[c]][port][k] += f->bands[i].colors[c][port][k];
      *out = (wse_plane){f->total_colors, 3, 8, {WSE_COLORS, WSE_PORTS, 2}};
      return WSE_OK;
    case WSE_PLANE_OPCODES:
      memset(f->total_opcodes, 0, sizeof f->total_opcodes);
      for (int i = 0; i < f->band_total; i++)
        for (int op = 0; op < OP_COUNT; op++) f->total_opcodes[op] += f->bands[i].opcodes[op];
      *out = (wse_plane){f->total_opcodes, 1, 8, {OP_COUNT}};
      return WSE_OK;
    case WSE_PLANE_SERIES: {
      if (!f->bins) return WSE_BADARG;
      account_all(f);
      align_series(f);
      size_t n = (size_t)f->bins * SERIES_WIDTH;
      memset(f->total_series, 0, n * sizeof *f->total_series);
      for (int i = 0; i < f->band_total; i++)
        for (size_t k = 0; k < n; k++) f->total_series[k] += f->bands[i].series[k];
      *out = (wse_plane){f->total_series, 2, 8, {f->bins, SERIES_WIDTH}};
      return WSE_OK;
    }
    case WSE_PLANE_ACTIVITY:
      if (!f->activity) return WSE_BADARG;
      align_series(f);
      *out = (wse_plane){f->activity, 3, 8, {f->bins, h, w}};
      return WSE_OK;
    case WSE_PLANE_HOSTSIG: *out = (wse_plane){f->host_signal, 2, 4, {h, w}}; return WSE_OK;
    default: return WSE_BADARG;
  }
}
