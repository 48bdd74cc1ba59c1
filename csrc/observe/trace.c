/* trace.c - events: each band keeps its own; they are merged here, in order of cycles, then of PEs. */
#include "observe/trace.h"

#include <stdlib.h>

static bool comes_after(const wse_event *a, const wse_event *b) { return a->cycle != b->cycle ? a->cycle > b->cycle : a->pe > b->pe; }

/* The buffer is full: the first events stay.  Within a cycle they are recorded in any order of PEs, but kept in that of numbers,
 * so that what stays does not depend on bands. */
void trace_full(band *b, wse_event event) {
  b->events_dropped++;
  wse_event *end = b->events + b->event_count, *last = end;
  for (wse_event *e = end; e-- > b->events && e->cycle >= event.cycle;)
    if (last == end || comes_after(e, last)) last = e;
  if (last == end || !comes_after(last, &event)) return;
  memmove(last, last + 1, (size_t)(end - last - 1) * sizeof *last);
  end[-1] = event;
}

typedef struct {
  wse_event event;
  uint64_t order;
} recorded;

static int by_cycle(const void *a, const void *b) {
  const recorded *x = a, *y = b;
  if (x->event.cycle != y->event.cycle) return x->event.cycle < y->event.cycle ? -1 : 1;
  if (x->event.pe != y->event.pe) return x->event.pe < y->event.pe ? -1 : 1;
  return x->order < y->order ? -1 : x->order > y->order; /* one PE's events stay in the order they happened */
}

/* What all bands recorded of one kind, in order; NULL without memory. */
static wse_event *put_together(const wse_fabric *f, bool said, uint64_t *count) {
  uint64_t n = 0, m = 0;
  for (int i = 0; i < f->band_total; i++) n += said ? f->bands[i].said_count : f->bands[i].event_count;
  recorded *all = malloc((n ? n : 1) * sizeof *all);
  wse_event *sorted = malloc((n ? n : 1) * sizeof *sorted);
  if (!all || !sorted) {
    free(all);
    free(sorted);
    return NULL;
  }
  for (int i = 0; i < f->band_total; i++) {
    const band *b = &f->bands[i];
    for (uint64_t k = 0; k < (said ? b->said_count : b->event_count); k++, m++)
      all[m] = (recorded){said ? b->said[k] : b->events[k], m};
  }
  qsort(all, n, sizeof *all, by_cycle);
  for (uint64_t k = 0; k < n; k++) sorted[k] = all[k].event;
  free(all);
  *count = n;
  return sorted;
}

/* Bands record in order of cycles, so each one's first events hold its part of the whole run's first events. */
uint64_t wse_trace(wse_fabric *f, const wse_event **events) {
  uint64_t n = 0, dropped = 0;
  wse_event *sorted = put_together(f, false, &n);
  *events = sorted;
  if (!sorted) return 0;
  for (int i = 0; i < f->band_total; i++) dropped += f->bands[i].events_dropped;
  free(f->merged);
  f->merged = sorted;
  f->merged_count = n < f->trace_capacity ? n : f->trace_capacity;
  f->merged_dropped = dropped + n - f->merged_count;
  return f->merged_count;
}

uint64_t wse_said(wse_fabric *f, const wse_event **events) {
  uint64_t n = 0;
  wse_event *sorted = put_together(f, true, &n);
  *events = sorted;
  if (!sorted) return 0;
  for (int i = 0; i < f->band_total; i++) f->bands[i].said_count = 0;
  free(f->heard);
  f->heard = sorted;
  return n;
}

uint64_t wse_trace_dropped(const wse_fabric *f) { return f->merged_dropped; }
