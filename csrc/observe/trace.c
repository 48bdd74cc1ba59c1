/* trace.c - events: each band records its own; they are merged here, by cycle, then by PE. */
#include "observe/trace.h"

#include <stdlib.h>
#include <string.h>

/* In order of cycles, then of PEs; one PE's events stay in the order in which they happened. */
static bool comes_after(const wse_event *a, const wse_event *b) {
  if (a->cycle != b->cycle) return a->cycle > b->cycle;
  if (a->pe != b->pe) return a->pe > b->pe;
  return (int32_t)(a->order - b->order) > 0;
}

/* Restores the heap below entry i of n, none of which comes after the one above it. */
static void sift_down(wse_event *heap, uint64_t n, uint64_t i) {
  for (uint64_t child; (child = 2 * i + 1) < n; i = child) {
    if (child + 1 < n && comes_after(&heap[child + 1], &heap[child])) child++;
    if (!comes_after(&heap[child], &heap[i])) return;
    wse_event kept = heap[i];
    heap[i] = heap[child];
    heap[child] = kept;
  }
}

/* The first events stay, and which they are does not depend on bands: within a cycle PEs come in any order.  So from
 * the first event that finds the buffer full on, the buffer is a heap with the last event on top, which makes room for
 * earlier ones. */
static void keep_first(band_state *band, wse_event event) {
  if (!band->events_dropped++)
    for (uint64_t i = band->event_count / 2; i-- > 0;)
      sift_down(band->events, band->event_count, i);
  if (!comes_after(&band->events[0], &event)) return;
  band->events[0] = event;
  sift_down(band->events, band->event_count, 0);
}

static bool grow(band_state *band, uint64_t capacity) {
  uint64_t room = band->event_room > capacity / 2 ? capacity : band->event_room * 2;
  if (band->events_dropped || room <= band->event_room) return false;
  wse_event *grown = realloc(band->events, room * sizeof *grown);
  if (!grown) return false;
  band->events = grown;
  band->event_room = room;
  return true;
}

void trace_full(wse_fabric *fabric, band_state *band, wse_event event) {
  if (grow(band, fabric->trace_capacity)) band->events[band->event_count++] = event;
  else keep_first(band, event);
}

static int by_cycle(const void *a, const void *b) { return comes_after(a, b) ? 1 : comes_after(b, a) ? -1 : 0; }

/* Merges what all bands recorded, events or messages, in order; NULL without memory. */
static wse_event *put_together(const wse_fabric *fabric, bool messages, uint64_t *count) {
  uint64_t n = 0, m = 0;
  for (int i = 0; i < fabric->band_total; i++)
    n += messages ? fabric->bands[i].message_count : fabric->bands[i].event_count;
  wse_event *sorted = malloc((n ? n : 1) * sizeof *sorted);
  if (!sorted) return NULL;
  for (int i = 0; i < fabric->band_total; i++) {
    const band_state *band = &fabric->bands[i];
    uint64_t more = messages ? band->message_count : band->event_count;
    if (more) memcpy(sorted + m, messages ? band->messages : band->events, more * sizeof *sorted);
    m += more;
  }
  qsort(sorted, n, sizeof *sorted, by_cycle);
  *count = n;
  return sorted;
}

/* Bands record in order of cycles, so that the first events of each contain its part of the first events of the run.
 */
uint64_t wse_trace(wse_fabric *fabric, const wse_event **events) {
  uint64_t n = 0, dropped = 0;
  wse_event *sorted = put_together(fabric, false, &n);
  *events = sorted;
  if (!sorted) return 0;
  for (int i = 0; i < fabric->band_total; i++)
    dropped += fabric->bands[i].events_dropped;
  free(fabric->merged);
  fabric->merged = sorted;
  fabric->merged_count = n < fabric->trace_capacity ? n : fabric->trace_capacity;
  fabric->merged_dropped = dropped + n - fabric->merged_count;
  return fabric->merged_count;
}

void trace_forget(wse_fabric *fabric) {
  for (int i = 0; i < fabric->band_total; i++)
    fabric->bands[i].event_count = fabric->bands[i].events_dropped = 0;
}

wse_status wse_trace_only(wse_fabric *fabric, uint64_t from, uint64_t until, const uint8_t *pes, int hops) {
  if (fabric->now || from > until) return WSE_BADARG;
  uint8_t *kept = NULL;
  if (pes && !(kept = malloc(fabric->pes))) return WSE_NOMEM;
  if (kept) memcpy(kept, pes, fabric->pes);
  free(fabric->trace_pes);
  fabric->trace_pes = kept;
  fabric->trace_from = from;
  fabric->trace_until = until;
  fabric->trace_hops = hops && fabric->trace_capacity;
  return WSE_OK;
}

uint64_t wse_said(wse_fabric *fabric, const wse_event **events) {
  uint64_t n = 0;
  wse_event *sorted = put_together(fabric, true, &n);
  *events = sorted;
  if (!sorted) return 0;
  for (int i = 0; i < fabric->band_total; i++)
    fabric->bands[i].message_count = 0;
  free(fabric->delivered);
  fabric->delivered = sorted;
  return n;
}

uint64_t wse_trace_dropped(const wse_fabric *fabric) { return fabric->merged_dropped; }
