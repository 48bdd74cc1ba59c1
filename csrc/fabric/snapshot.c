/* snapshot.c - the state of a fabric is written to a file and read back, equal to the bit.
 *
 * One function visits all that changes while a fabric runs; it writes or reads what it visits.  What is fixed when the
 * fabric is sealed (code, routes' colors, filters, parameters) is not in the file: it is read into a fabric that was
 * made of the same program with the same options, which is checked before anything is changed.
 *
 * The arrays of the state are mostly zeros that were never touched: only their pages with other bytes are written.
 */
#define _GNU_SOURCE /* madvise */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fabric/build.h"
#include "observe/profile.h"
#include "router/stream.h"

enum { PAGE = 4096, VERSION = 1 };
static const uint64_t LAST_PAGE = UINT64_MAX;

typedef struct {
  FILE *file;
  bool reads;
  int error;    /* errno of the first failure */
  bool differs; /* the file is of another fabric */
} visit;

static bool fails(visit *v, int error) {
  if (!v->error) v->error = error;
  return false;
}

static bool bytes(visit *v, void *p, size_t n) {
  if (v->error) return false;
  if (!n || (v->reads ? fread(p, n, 1, v->file) : fwrite(p, n, 1, v->file)) == 1) return true;
  return fails(v, v->reads && feof(v->file) ? EINVAL : errno ? errno : EIO);
}
#define FIELD(v, field) bytes(v, &(field), sizeof(field))

/* A value that both fabrics must have. */
static void same(visit *v, uint64_t value) {
  uint64_t there = value;
  if (FIELD(v, there) && there != value) v->differs = true;
}

/* Makes room for n items. */
static bool reserve(visit *v, void **items, uint64_t *room, uint64_t n, size_t size) {
  if (n <= *room) return true;
  void *grown = n <= SIZE_MAX / size ? realloc(*items, n * size) : NULL;
  if (!grown) return fails(v, ENOMEM);
  *items = grown;
  *room = n;
  return true;
}

/* An array of *count items in memory of its own, of which there may be room for more. */
static void array(visit *v, void **items, uint64_t *count, uint64_t *room, size_t size) {
  uint64_t n = *count;
  if (!FIELD(v, n) || (v->reads && !reserve(v, items, room, n, size))) return;
  *count = n;
  bytes(v, *items, n * size);
}

/* An array that is allocated when it is first needed. */
static void late_array(visit *v, _Atomic(uint32_t *) *items, size_t n) {
  uint32_t *there = atomic_load(items);
  uint8_t exists = there != NULL;
  if (!FIELD(v, exists)) return;
  if (v->reads && !exists) {
    free(there);
    there = NULL;
  } else if (v->reads && !there && !(there = malloc(n * sizeof *there))) {
    fails(v, ENOMEM);
    return;
  }
  atomic_store(items, there);
  if (exists) bytes(v, there, n * sizeof *there);
}

/* --- pages ------------------------------------------------------------------------------------------------ */

enum { ASKED = 512 }; /* pages at a time */

/* Which pages were ever written, as Linux says; elsewhere, and where it does not say, all are looked at. */
typedef struct {
  int file;          /* /proc/self/pagemap; -1: none */
  uint64_t first, n; /* pages that `entries` is about, as addresses / PAGE */
  uint64_t entries[ASKED];
} pagemap;

static bool touched(pagemap *map, const char *at) {
  uint64_t page = (uintptr_t)at / PAGE;
  if (map->file < 0) return true;
  if (page - map->first >= map->n) {
    ssize_t got = pread(map->file, map->entries, sizeof map->entries, (off_t)(page * sizeof *map->entries));
    if (got < (ssize_t)sizeof *map->entries) return true;
    map->first = page;
    map->n = (uint64_t)got / sizeof *map->entries;
  }
  return map->entries[page - map->first] >> 62; /* in memory, or swapped out */
}

static bool zero(const char *page) {
  uint64_t word;
  for (size_t at = 0; at < PAGE; at += sizeof word) {
    memcpy(&word, page + at, sizeof word);
    if (word) return false;
  }
  return true;
}

/* Bytes of a page of an array; the last one may be cut. */
static size_t page_bytes(size_t size, uint64_t page) { return size - page * PAGE < PAGE ? size - page * PAGE : PAGE; }

static void write_pages(visit *v, char *base, size_t size) {
  pagemap map = {.file = sysconf(_SC_PAGESIZE) == PAGE ? open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC) : -1};
  char last[PAGE] = {0};
  for (uint64_t page = 0; page * PAGE < size && !v->error; page++) {
    char *at = base + page * PAGE;
    if (!touched(&map, at)) continue;
    if (page_bytes(size, page) < PAGE) at = memcpy(last, at, page_bytes(size, page));
    if (zero(at)) continue;
    FIELD(v, page);
    bytes(v, at, PAGE);
  }
  uint64_t end = LAST_PAGE;
  FIELD(v, end);
  if (map.file >= 0) close(map.file);
}

static void read_pages(visit *v, char *base, size_t size) {
  if (madvise(base, size, MADV_DONTNEED)) memset(base, 0, size); /* MADV_DONTNEED makes them zero */
  uint64_t page, pages = (size + PAGE - 1) / PAGE;
  while (FIELD(v, page) && page != LAST_PAGE) {
    char whole[PAGE];
    if (page >= pages) fails(v, EINVAL);
    else if (bytes(v, whole, PAGE)) memcpy(base + page * PAGE, whole, page_bytes(size, page));
  }
}

static void pages(visit *v, char *base, size_t size) {
  if (v->error) return;
  if (v->reads) read_pages(v, base, size);
  else write_pages(v, base, size);
}

/* --- what there is ---------------------------------------------------------------------------------------- */

static void visit_identity(visit *v, wse_fabric *fabric) {
  uint64_t code = 0, arenas = 0;
  for (int i = 0; i < fabric->class_total; i++)
    code += fabric->classes[i].code_length;
  same(v, VERSION);
  same(v, sizeof(wse_fabric));
  for (int i = 0; i < WSE_PARAM_COUNT; i++)
    same(v, (uint64_t)fabric->params[i]);
  same(v, (uint64_t)fabric->width);
  same(v, (uint64_t)fabric->height);
  same(v, (uint64_t)fabric->fp16);
  same(v, (uint64_t)fabric->strip_rows);
  same(v, (uint64_t)fabric->band_total);
  same(v, (uint64_t)fabric->colors);
  same(v, (uint64_t)fabric->class_total);
  same(v, (uint64_t)fabric->bins);
  same(v, fabric->trace_capacity);
  same(v, fabric->reference);
  same(v, fabric->profiles != NULL);
  same(v, code);
  for (arena *a = fabric->arenas; a; a = a->next, arenas++)
    same(v, a->used);
  same(v, arenas);
}

static void visit_band(visit *v, wse_fabric *fabric, band_state *band) {
  bytes(v, band->wheel_head, WHEEL * sizeof *band->wheel_head);
  FIELD(v, band->last);
  FIELD(v, band->renewed);
  FIELD(v, band->fault);
  FIELD(v, band->series_shift);
  bytes(v, band->series, (size_t)fabric->bins * SERIES_WIDTH * sizeof *band->series);
  FIELD(v, band->opcodes);
  FIELD(v, band->colors);
  FIELD(v, band->dropped);
  FIELD(v, band->events_dropped);
  array(v, (void **)&band->events, &band->event_count, &band->event_room, sizeof *band->events);
  array(v, (void **)&band->messages, &band->message_count, &band->message_capacity, sizeof *band->messages);
  if (!band->profile) return;
  size_t rows = 1;
  for (int i = 0; i < fabric->class_total; i++)
    rows += fabric->classes[i].code_length + 1;
  bytes(v, band->profile, rows * sizeof *band->profile);
}

static void visit_stream(visit *v, edge_stream *stream) {
  edge_stream mine = *stream, held = *stream;
  held.data = NULL; /* addresses are not state */
  held.control = NULL;
  held.cycles = NULL;
  held.segments = NULL;
  held.capacity = held.segment_capacity = 0;
  if (!FIELD(v, held)) return;
  uint64_t rooms[] = {mine.capacity, mine.capacity, mine.cycles ? mine.capacity : 0},
           there = held.out ? held.passed : held.n - held.dropped;
  if (v->reads) {
    if (!reserve(v, (void **)&mine.data, &rooms[0], held.n, sizeof *mine.data) ||
        !reserve(v, (void **)&mine.control, &rooms[1], held.n, sizeof *mine.control) ||
        !(!held.out || reserve(v, (void **)&mine.cycles, &rooms[2], held.n, sizeof *mine.cycles)) ||
        !reserve(v, (void **)&mine.segments, &mine.segment_capacity, held.segment_total, sizeof *mine.segments))
      there = 0;
    mine.capacity = rooms[0] < rooms[1] ? rooms[0] : rooms[1];
    if (held.out && rooms[2] < mine.capacity) mine.capacity = rooms[2];
    held.data = mine.data;
    held.control = mine.control;
    held.cycles = mine.cycles;
    held.segments = mine.segments;
    held.capacity = mine.capacity;
    held.segment_capacity = mine.segment_capacity;
    *stream = held;
  }
  bytes(v, stream->data, there * sizeof *stream->data);
  bytes(v, stream->control, there * sizeof *stream->control);
  if (stream->out) bytes(v, stream->cycles, there * sizeof *stream->cycles);
  bytes(v, stream->segments, stream->segment_total * sizeof *stream->segments);
}

static void visit_streams(visit *v, wse_fabric *fabric) {
  uint64_t total = (uint64_t)fabric->stream_total;
  if (!FIELD(v, total)) return;
  if (v->reads && total > INT32_MAX / sizeof *fabric->streams) {
    fails(v, EINVAL);
    return;
  }
  for (int i = (int)total; v->reads && i < fabric->stream_total; i++)
    stream_free(&fabric->streams[i]);
  if (v->reads && total > (uint64_t)fabric->stream_capacity) {
    edge_stream *grown = realloc(fabric->streams, total * sizeof *grown);
    if (!grown) {
      fails(v, ENOMEM);
      return;
    }
    fabric->streams = grown;
    fabric->stream_capacity = (int)total;
  }
  if (v->reads && total > (uint64_t)fabric->stream_total)
    memset(fabric->streams + fabric->stream_total, 0,
           (total - (uint64_t)fabric->stream_total) * sizeof *fabric->streams);
  fabric->stream_total = (int)total;
  for (int i = 0; i < fabric->stream_total; i++)
    visit_stream(v, &fabric->streams[i]);
  if (v->reads && streams_index(fabric)) fails(v, ENOMEM);
}

static void visit_state(visit *v, wse_fabric *fabric) {
  bool rebound = atomic_load(&fabric->any_rebound);
  FIELD(v, fabric->now);
  FIELD(v, fabric->told);
  FIELD(v, fabric->quiet);
  FIELD(v, rebound);
  atomic_store(&fabric->any_rebound, rebound);
  for (arena *a = fabric->arenas; a; a = a->next) {
    arena header = *a;
    pages(v, (char *)a, a->used);
    *a = header;
  }
  pages(v, (char *)fabric->sram, (size_t)fabric->pes * SRAM_PITCH);
  if (fabric->profiles) bytes(v, fabric->profiles, fabric->pes * sizeof *fabric->profiles);
  for (int i = 0; i < fabric->band_total; i++)
    visit_band(v, fabric, &fabric->bands[i]);
  visit_streams(v, fabric);
  size_t lanes = (size_t)fabric->blocks * LANES;
  for (int color = 0; color < fabric->colors; color++)
    for (int port = 0; port < WSE_PORTS; port++)
      late_array(v, &fabric->waits_more[color][port], lanes);
  late_array(v, &fabric->links_more, WSE_PORTS * lanes);
  late_array(v, &fabric->blocked_more, WSE_PORTS * lanes);
  for (int color = 0; color < fabric->colors && fabric->color_links[0]; color++)
    late_array(v, &fabric->color_links_more[color], WSE_PORTS * lanes);
  same(v, VERSION); /* the end: nothing is missing */
}

static wse_status go(wse_fabric *fabric, int descriptor, bool reads, int *error) {
  wse_status status = fabric_seal(fabric);
  *error = 0;
  if (status != WSE_OK) return status;
  int own = dup(descriptor);
  visit v = {.file = own < 0 ? NULL : fdopen(own, reads ? "rb" : "wb"), .reads = reads};
  if (!v.file) {
    *error = errno;
    if (own >= 0) close(own);
    return WSE_BADARG;
  }
  visit_identity(&v, fabric);
  bool other = v.differs || v.error;
  if (!v.differs) visit_state(&v, fabric);
  if (fclose(v.file)) fails(&v, errno);
  *error = v.error;
  if (other && reads) return WSE_BADARG;
  return v.error ? WSE_FAULTED : WSE_OK;
}

wse_status wse_save(wse_fabric *fabric, int descriptor, int *error) { return go(fabric, descriptor, false, error); }
wse_status wse_restore(wse_fabric *fabric, int descriptor, int *error) { return go(fabric, descriptor, true, error); }
