/* senders.c - the sender of each wavelet; see senders.h. */
#include "observe/senders.h"

#include "state/memory.h"

enum {
  PE_SHIFT = 43,
  THREAD_SHIFT = 39,
  STREAM = 15,
  RECENT = 3,
  STORED = 4, /* runs of a data task that store at regular distances: fewer may do so by chance */
  KEPT = 8,   /* addresses; if there are more, any may be one */
  WRITERS = 8 /* store instructions of a data task that are watched */
};

/* The tags of the wavelets in a router's buffer. */
typedef struct {
  uint64_t ring[MAX_RING];
  uint8_t head, count;
} tag_queue;

/* The last different tags, the latest first. */
typedef struct {
  uint64_t tags[RECENT];
} history;

/* The tags that passed a router.  a, b: senders that alternated first, in cycle `at`. */
typedef struct {
  history last;
  uint64_t a, b, at;
  uint8_t port; /* of the latest tag */
} passage;

/* The tags that an operation, which began in cycle `begun`, has received. */
typedef struct {
  uint64_t begun;
  history last;
} reception;

/* A store instruction of a data task: its first address in run `run`, and how many runs it has kept its distance. */
typedef struct {
  uint32_t pc, run, steady;
  uint16_t at, distance;
} writer;

/* The wavelets of a queue that a data task has got.  runs: their number.  run_of: the last run of each tag of `last`.
 * mixed: the run of the first wavelet of the latest A, B, A, and its senders. */
typedef struct {
  history last;
  uint32_t runs, run_of[RECENT], mixed;
  uint64_t a, b;
  int32_t color;
  writer writers[WRITERS];
} task_reception;

/* What depends on the wavelet of the data task that runs: registers, descriptors, the last addresses stored to. */
typedef struct {
  uint32_t registers, kept_count;
  uint16_t kept[KEPT];
  uint8_t running; /* 1 + its queue; 0: another task runs */
  bool descriptor;
} derivation;

struct senders_state {
  uint64_t *out[WSE_QUEUES], *in[WSE_INPUTS]; /* [queue][pe][place] */
  tag_queue *buffers[WSE_COLORS][WSE_PORTS];  /* [color][input][pe] */
  passage *passages[WSE_COLORS];              /* [color][pe] */
  reception *receptions;                      /* [pe][THREADS] */
  task_reception *tasks[WSE_INPUTS];          /* [queue][pe] */
  derivation *derived;                        /* [pe] */
};

static uint64_t *place_of(uint64_t *tags, uint32_t pe, uint32_t mask, uint32_t place) {
  return &tags[(size_t)pe * (mask + 1) + place];
}
static uint32_t sender_of(uint64_t tag) { return (uint32_t)(tag >> PE_SHIFT) - 1; }

/* Adds a tag.  Returns the latest tag since its previous occurrence; 0: there is none. */
static uint64_t note(history *last, uint64_t tag) {
  uint64_t latest = last->tags[0], between = 0;
  if (tag == latest) return 0;
  for (int i = 1; i < RECENT; i++)
    if (last->tags[i] == tag) between = latest;
  for (int i = RECENT - 1; i > 0; i--)
    last->tags[i] = last->tags[i - 1];
  last->tags[0] = tag;
  return between;
}

void senders_sent(wse_fabric *fabric, uint32_t pe, int thread, int queue, uint32_t place) {
  uint64_t begun = fabric->check->begun[(size_t)pe * THREADS + (size_t)thread];
  *place_of(fabric->check->senders->out[queue], pe, fabric->oq_mask[queue], place) =
      (uint64_t)(pe + 1) << PE_SHIFT | (uint64_t)thread << THREAD_SHIFT | (begun & (((uint64_t)1 << THREAD_SHIFT) - 1));
}

uint64_t senders_of_output(const wse_fabric *fabric, uint32_t pe, int queue, uint32_t place) {
  return *place_of(fabric->check->senders->out[queue], pe, fabric->oq_mask[queue], place);
}

uint64_t senders_of_stream(uint32_t pe, int port) {
  return (uint64_t)(pe + 1) << PE_SHIFT | (uint64_t)STREAM << THREAD_SHIFT | (uint64_t)port;
}

static tag_queue *buffer_tags(const wse_fabric *fabric, uint32_t pe, int color, int port) {
  return &fabric->check->senders->buffers[color][fabric->inputs[color] == 1 ? 0 : port][pe];
}

void senders_push(wse_fabric *fabric, uint32_t pe, int color, int port, uint64_t tag) {
  tag_queue *tags = buffer_tags(fabric, pe, color, port);
  tags->ring[(tags->head + tags->count++) % MAX_RING] = tag;
}

uint64_t senders_head(const wse_fabric *fabric, uint32_t pe, int color, int port) {
  const tag_queue *tags = buffer_tags(fabric, pe, color, port);
  return tags->ring[tags->head];
}

void senders_pop(wse_fabric *fabric, uint32_t pe, int color, int port, uint64_t cycle) {
  tag_queue *tags = buffer_tags(fabric, pe, color, port);
  passage *passed = &fabric->check->senders->passages[color][pe];
  uint64_t tag = tags->ring[tags->head];
  tags->head = (tags->head + 1) % MAX_RING;
  tags->count--;
  if (tag == passed->last.tags[0]) return;
  uint64_t between = note(&passed->last, tag);
  if (between && passed->port != port && !passed->at) {
    passed->a = tag;
    passed->b = between;
    passed->at = cycle;
  }
  passed->port = (uint8_t)port;
}

void senders_landed(wse_fabric *fabric, uint32_t pe, int queue, uint32_t place, uint64_t tag) {
  *place_of(fabric->check->senders->in[queue], pe, fabric->iq_mask[queue], place) = tag;
}

void senders_received(wse_fabric *fabric, uint32_t pe, int thread, uint32_t pc, int queue, uint32_t place, int color,
                      uint64_t cycle) {
  struct senders_state *senders = fabric->check->senders;
  reception *received = &senders->receptions[(size_t)pe * THREADS + (size_t)thread];
  uint64_t tag = *place_of(senders->in[queue], pe, fabric->iq_mask[queue], place),
           begun = fabric->check->begun[(size_t)pe * THREADS + (size_t)thread];
  if (received->begun != begun) *received = (reception){.begun = begun};
  uint64_t between = note(&received->last, tag);
  if (!between || color < 0) return;
  wse_finding finding = check_finding(pe, WSE_FINDING_INTERLEAVED, (check_by){pc, thread, cycle}, color);
  finding.sender[0] = sender_of(tag);
  finding.sender[1] = sender_of(between);
  finding.router = UINT32_MAX;
  check_report(fabric, finding);
}

/* The run in which a tag was last seen; 0: none that is remembered. */
static uint32_t last_run(const task_reception *task, uint64_t tag) {
  for (int i = 0; i < RECENT; i++)
    if (task->last.tags[i] == tag) return task->run_of[i];
  return 0;
}

void senders_task(wse_fabric *fabric, uint32_t pe, int queue, uint32_t place, int color) {
  struct senders_state *senders = fabric->check->senders;
  if (queue < 0 && !senders->derived[pe].running) return;
  senders->derived[pe] = (derivation){.registers = 1, .running = (uint8_t)(queue + 1)};
  if (queue < 0) return;
  task_reception *task = &senders->tasks[queue][pe];
  uint64_t tag = *place_of(senders->in[queue], pe, fabric->iq_mask[queue], place), latest = task->last.tags[0];
  uint32_t before = last_run(task, tag);
  task->runs++;
  task->color = color;
  uint64_t between = note(&task->last, tag);
  if (tag != latest)
    for (int i = RECENT - 1; i > 0; i--)
      task->run_of[i] = task->run_of[i - 1];
  task->run_of[0] = task->runs;
  if (!between) return;
  task->mixed = before;
  task->a = tag;
  task->b = between;
}

uint32_t *senders_derived(const wse_fabric *fabric, uint32_t pe) {
  derivation *derived = &fabric->check->senders->derived[pe];
  return derived->running ? &derived->registers : NULL;
}

bool senders_kept(const wse_fabric *fabric, uint32_t pe, uint16_t at) {
  const derivation *derived = &fabric->check->senders->derived[pe];
  for (uint32_t i = 0; i < derived->kept_count && i < KEPT; i++)
    if ((derived->kept[i] ^ at) < 4) return true;
  return derived->kept_count > KEPT;
}

void senders_describes(wse_fabric *fabric, uint32_t pe, uint32_t first) {
  derivation *derived = &fabric->check->senders->derived[pe];
  if (derived->running && (uint64_t)derived->registers >> first & 15) derived->descriptor = true;
}

/* An instruction of the data task that runs has stored at an address that does not depend on the wavelet. */
static void note_store(wse_fabric *fabric, uint32_t pe, uint16_t at, check_by by) {
  struct senders_state *senders = fabric->check->senders;
  task_reception *task = &senders->tasks[senders->derived[pe].running - 1][pe];
  writer *w = &task->writers[by.pc % WRITERS];
  if (w->pc == by.pc && w->run == task->runs) return;
  uint16_t distance = (uint16_t)(at - w->at);
  bool follows = w->pc == by.pc && w->run + 1 == task->runs && distance && (w->steady == 1 || distance == w->distance);
  *w = (writer){by.pc, task->runs, follows ? w->steady + 1 : 1, at, distance};
  if (w->steady < STORED || !task->mixed || task->mixed + w->steady <= task->runs || task->color < 0) return;
  wse_finding finding = check_finding(pe, WSE_FINDING_INTERLEAVED, by, task->color);
  finding.sender[0] = sender_of(task->a);
  finding.sender[1] = sender_of(task->b);
  finding.router = UINT32_MAX;
  finding.writes = 1;
  finding.address = at;
  task->mixed = 0;
  check_report(fabric, finding);
}

void senders_stored(wse_fabric *fabric, uint32_t pe, uint16_t at, check_by by) {
  const derivation *derived = &fabric->check->senders->derived[pe];
  if (by.thread == MAIN && derived->running && !derived->descriptor) note_store(fabric, pe, at, by);
}

void senders_scalar(wse_fabric *fabric, uint32_t pe, uint16_t at, bool value, bool address, check_by by) {
  derivation *derived = &fabric->check->senders->derived[pe];
  if (value && derived->kept_count++ < KEPT) derived->kept[derived->kept_count - 1] = at;
  if (!address) note_store(fabric, pe, at, by);
}

void senders_locate(const wse_fabric *fabric, wse_finding *finding) {
  uint32_t one = finding->sender[0], other = finding->sender[1];
  for (uint32_t pe = 0; pe < fabric->pes; pe++) {
    const passage *passed = &fabric->check->senders->passages[fabric->color_index[finding->what]][pe];
    uint32_t a = sender_of(passed->a), b = sender_of(passed->b);
    bool same = (a == one && b == other) || (a == other && b == one);
    if (!passed->at || !same || (finding->router != UINT32_MAX && finding->before_cycle <= passed->at)) continue;
    finding->router = pe;
    finding->before_cycle = passed->at;
  }
}

bool senders_new(wse_fabric *fabric) {
  struct senders_state *made = sparse_new(fabric, sizeof *made);
  bool failed = !made;
  size_t pes = fabric->pes;
  fabric->check->senders = made;
  for (int q = 0; q < WSE_QUEUES && !failed; q++)
    failed |= !(made->out[q] = sparse_new(fabric, pes * (fabric->oq_mask[q] + 1u) * sizeof **made->out));
  for (int q = 0; q < WSE_INPUTS && !failed; q++)
    failed |= !(made->in[q] = sparse_new(fabric, pes * (fabric->iq_mask[q] + 1u) * sizeof **made->in));
  for (int q = 0; q < WSE_INPUTS && !failed; q++)
    failed |= !(made->tasks[q] = sparse_new(fabric, pes * sizeof **made->tasks));
  failed = failed || !(made->derived = sparse_new(fabric, pes * sizeof *made->derived));
  for (int color = 0; color < fabric->colors && !failed; color++) {
    failed |= !(made->passages[color] = sparse_new(fabric, pes * sizeof **made->passages));
    for (int port = 0; port < fabric->inputs[color] && !failed; port++)
      failed |= !(made->buffers[color][port] = sparse_new(fabric, pes * sizeof(tag_queue)));
  }
  return !failed && (made->receptions = sparse_new(fabric, pes * THREADS * sizeof *made->receptions));
}
