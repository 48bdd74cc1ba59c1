/* senders.c - the sender of each wavelet; see senders.h. */
#include "observe/senders.h"

#include "state/memory.h"

enum { PE_SHIFT = 43, THREAD_SHIFT = 39, STREAM = 15, RECENT = 3 };

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

struct senders_state {
  uint64_t *out[WSE_QUEUES], *in[WSE_INPUTS]; /* [queue][pe][place] */
  tag_queue *buffers[WSE_COLORS][WSE_PORTS];  /* [color][input][pe] */
  passage *passages[WSE_COLORS];              /* [color][pe] */
  reception *receptions;                      /* [pe][THREADS] */
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
  for (int color = 0; color < fabric->colors && !failed; color++) {
    failed |= !(made->passages[color] = sparse_new(fabric, pes * sizeof **made->passages));
    for (int port = 0; port < fabric->inputs[color] && !failed; port++)
      failed |= !(made->buffers[color][port] = sparse_new(fabric, pes * sizeof(tag_queue)));
  }
  return !failed && (made->receptions = sparse_new(fabric, pes * THREADS * sizeof *made->receptions));
}
