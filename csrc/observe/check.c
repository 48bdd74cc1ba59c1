/* check.c - findings of a checked run; see check.h. */
#include "observe/check.h"

#include <stdlib.h>

#include "state/memory.h"

enum {
  MOST = 1024,  /* findings of a band */
  PC_BITS = 24, /* an access is packed as cycle, thread, pc, from the highest bit to the lowest */
  THREAD_BITS = 4,
};

static bool earlier(const wse_finding *a, const wse_finding *b) {
  return a->cycle != b->cycle ? a->cycle < b->cycle : a->pe < b->pe;
}

/* The finding with which this one is merged; NULL: none. */
static wse_finding *known(const wse_fabric *fabric, const check_findings *among, const wse_finding *finding) {
  for (wse_finding *old = among->found; old < among->found + among->count; old++)
    if (old->kind == finding->kind && old->pc == finding->pc && old->what == finding->what &&
        fabric->class_of[old->pe] == fabric->class_of[finding->pe])
      return old;
  return NULL;
}

void check_add(const wse_fabric *fabric, check_findings *to, uint32_t most, wse_finding finding) {
  wse_finding *old = known(fabric, to, &finding);
  if (!old) {
    if (to->count < most) to->found[to->count++] = finding;
    return;
  }
  uint64_t count = old->count + finding.count;
  if (earlier(&finding, old)) *old = finding;
  old->count = count;
}

static check_findings *band_of(const wse_fabric *fabric, uint32_t pe) {
  return &fabric->check->bands[strip_of(fabric, pe)->band];
}

wse_finding check_finding(uint32_t pe, int kind, check_by by, int what) {
  return (wse_finding){.kind = kind,
                       .pe = pe,
                       .cycle = by.cycle,
                       .pc = (int32_t)by.pc,
                       .thread = by.thread,
                       .what = what,
                       .count = 1,
                       .task = -1,
                       .before_pc = -1,
                       .before_thread = -1};
}

void check_report(wse_fabric *fabric, wse_finding finding) {
  finding.task = finding.thread == MAIN ? fabric->ces[finding.pe].task : -1;
  check_findings *to = band_of(fabric, finding.pe);
  if (!to->found) to->found = malloc(MOST * sizeof *to->found);
  if (to->found) check_add(fabric, to, MOST, finding);
}

static const check_memory *memory_of(const wse_fabric *fabric, uint32_t pe) {
  uint16_t class = fabric->class_of[pe];
  return class == 0xffff ? NULL : fabric->check->memory[class];
}

static bool is_written(const wse_fabric *fabric, uint32_t pe, uint32_t at) {
  return fabric->written[(size_t)pe * (WSE_SRAM / 64) + at / 64] >> at % 64 & 1;
}

/* --- two threads -------------------------------------------------------------------------------------------- */

static uint64_t access_of(check_by by) {
  return by.cycle << (PC_BITS + THREAD_BITS) | (uint64_t)by.thread << PC_BITS | (by.pc & ((1u << PC_BITS) - 1));
}
static check_by access_by(uint64_t access) {
  return (check_by){.pc = access & ((1u << PC_BITS) - 1),
                    .thread = (int)(access >> PC_BITS & ((1u << THREAD_BITS) - 1)),
                    .cycle = access >> (PC_BITS + THREAD_BITS)};
}

/* The microthreads whose operations this run of a task has begun, and which it does not know to have ended: its end is
 * known to the task that it activates, to a later operation on the same microthread, and, as what is sent may be
 * answered, after an operation of the main thread on the fabric. */
static uint8_t issued_by_task(const wse_fabric *fabric, uint32_t pe) {
  const check_issued *issued = &fabric->check->issued[pe];
  return issued->picked_at == fabric->ces[pe].picked_at + 1 ? issued->threads : 0;
}

bool check_is_alone(const wse_fabric *fabric, uint32_t pe, int thread) {
  return thread == MAIN && !fabric->ces[pe].threads && !issued_by_task(fabric, pe);
}

/* Whether only timing orders an earlier access and this one: the operation of one was in progress during the other, or
 * has ended since the task began it, without the task's knowledge. */
static bool unordered(const wse_fabric *fabric, uint32_t pe, uint64_t access, check_by by) {
  check_by before = access_by(access);
  const uint64_t *begun = &fabric->check->begun[(size_t)pe * THREADS];
  if (!access || before.thread == by.thread) return false;
  if (by.thread != MAIN && before.cycle > begun[by.thread]) return true;
  uint8_t issued = issued_by_task(fabric, pe), open = fabric->ces[pe].threads;
  if (by.thread == MAIN || issued >> by.thread & 1) open |= issued;
  return before.thread != MAIN && open >> before.thread & 1 && before.cycle >= begun[before.thread];
}

/* An access to a word, after earlier ones by threads that nothing but timing may order. */
static void share_word(wse_fabric *fabric, uint32_t pe, uint32_t word, bool writes, check_by by) {
  uint64_t *read = &fabric->check->reads[(size_t)pe * CHECK_WORDS + word],
           *write = &fabric->check->writes[(size_t)pe * CHECK_WORDS + word],
           other = unordered(fabric, pe, *write, by)            ? *write
                   : writes && unordered(fabric, pe, *read, by) ? *read
                                                                : 0;
  if (other) {
    const check_memory *memory = memory_of(fabric, pe);
    wse_finding finding = check_finding(pe, WSE_FINDING_RACE, by, memory ? memory->region[2 * word] : 0);
    check_by before = access_by(other);
    finding.address = 2 * word;
    finding.writes = writes;
    finding.before_pc = (int32_t)before.pc;
    finding.before_thread = before.thread;
    finding.before_cycle = before.cycle;
    finding.before_writes = other == *write;
    check_report(fabric, finding);
  }
  *(writes ? write : read) = access_of(by);
}

static void share(wse_fabric *fabric, uint32_t pe, uint16_t at, int bytes, bool writes, check_by by) {
  if (check_is_alone(fabric, pe, by.thread)) return;
  for (uint32_t word = at / 2u; word <= (at + (uint32_t)bytes - 1) / 2 && word < CHECK_WORDS; word++)
    share_word(fabric, pe, word, writes, by);
}

static void share_range(wse_fabric *fabric, uint32_t pe, check_range range, bool writes, check_by by) {
  const uint64_t mine = (uint64_t)by.thread << PC_BITS, threads = (((uint64_t)1 << THREAD_BITS) - 1) << PC_BITS,
                 access = access_of(by);
  uint64_t *reads = &fabric->check->reads[(size_t)pe * CHECK_WORDS],
           *stores = &fabric->check->writes[(size_t)pe * CHECK_WORDS];
  int32_t at = range.first;
  for (uint32_t i = 0; i < range.n; i++, at += range.stride)
    for (uint32_t word = (uint32_t)at / 2; word <= ((uint32_t)at + range.size - 1) / 2; word++) {
      uint64_t read = writes ? reads[word] : 0, write = stores[word];
      /* accesses of this thread itself, and words without any, need no more */
      bool others = (write && (write & threads) != mine) || (read && (read & threads) != mine);
      if (others) share_word(fabric, pe, word, writes, by);
      else (writes ? stores : reads)[word] = access;
    }
}

void check_begin(wse_fabric *fabric, uint32_t pe, int thread, uint64_t cycle) {
  uint64_t now = fabric->ces[pe].picked_at + 1;
  check_issued *issued = &fabric->check->issued[pe];
  fabric->check->begun[(size_t)pe * THREADS + (size_t)thread] = cycle;
  if (thread == MAIN || issued->picked_at != now) *issued = (check_issued){now, 0};
  if (thread != MAIN) issued->threads |= (uint8_t)(1u << thread);
}

/* --- memory ------------------------------------------------------------------------------------------------- */

/* Whether a byte of an element has no initial value or belongs to the code. */
static bool may_matter(const check_memory *memory, uint32_t at, int bytes) {
  uint32_t end = at + (uint32_t)bytes - 1;
  return memory && (end >= WSE_SRAM || memory->flags[at] | memory->flags[end]);
}

void check_load(wse_fabric *fabric, uint32_t pe, uint16_t at, int bytes, check_by by) {
  const check_memory *memory = memory_of(fabric, pe);
  if (!may_matter(memory, at, bytes)) memory = NULL;
  for (uint32_t i = at; memory && i < at + (uint32_t)bytes && i < WSE_SRAM; i++) {
    if (!(memory->flags[i] & WSE_CHECK_UNDEFINED) || is_written(fabric, pe, i)) continue;
    wse_finding finding = check_finding(pe, WSE_FINDING_UNWRITTEN, by, memory->region[i]);
    finding.address = i;
    check_report(fabric, finding);
    break;
  }
  share(fabric, pe, at, bytes, false, by);
}

static bool all_written(const wse_fabric *fabric, uint32_t pe, uint32_t low, uint32_t high) {
  for (uint32_t at = low; at <= high; at++) {
    if (at % 64 == 0 && at + 63 <= high && fabric->written[(size_t)pe * (WSE_SRAM / 64) + at / 64] == UINT64_MAX) {
      at += 63;
      continue;
    }
    if (!is_written(fabric, pe, at)) return false;
  }
  return true;
}

bool check_is_plain(const wse_fabric *fabric, uint32_t pe, uint16_t base, check_range range, bool writes) {
  const check_memory *memory = memory_of(fabric, pe);
  int64_t last = (int64_t)range.first + (int64_t)(range.n - 1) * range.stride;
  if (range.first < 0 || range.first >= WSE_SRAM || last < 0 || last >= WSE_SRAM) return false;
  uint32_t low = (uint32_t)(range.stride < 0 ? last : range.first),
           high = (uint32_t)(range.stride < 0 ? range.first : last) + range.size - 1;
  if (high >= WSE_SRAM || base >= WSE_SRAM) return false;
  if (!memory) return true;
  uint16_t region = memory->region[base];
  if (!region || memory->region[low] != region || memory->region[high] != region) return false;
  if (memory->flags[base] & (WSE_CHECK_CODE | WSE_CHECK_STACK)) return false;
  return writes || !(memory->flags[base] & WSE_CHECK_UNDEFINED) || all_written(fabric, pe, low, high);
}

void check_plain(wse_fabric *fabric, uint32_t pe, uint16_t base, check_range range, bool writes, check_by by) {
  const check_memory *memory = memory_of(fabric, pe);
  if (writes && memory && memory->flags[base] & WSE_CHECK_UNDEFINED) {
    if (range.stride == (int32_t)range.size) {
      check_written(fabric, pe, (uint16_t)range.first, (int)(range.n * range.size));
    } else {
      for (uint32_t i = 0; i < range.n; i++)
        check_written(fabric, pe, (uint16_t)(range.first + (int32_t)i * range.stride), (int)range.size);
    }
  }
  if (!check_is_alone(fabric, pe, by.thread)) share_range(fabric, pe, range, writes, by);
}

void check_written(wse_fabric *fabric, uint32_t pe, uint16_t at, int bytes) {
  memory_note_written(fabric, pe, at, (uint32_t)bytes);
}

static void overwrites(wse_fabric *fabric, uint32_t pe, uint16_t at, check_by by) {
  wse_finding finding = check_finding(pe, WSE_FINDING_CODE, by, memory_of(fabric, pe)->region[at]);
  finding.address = at;
  finding.writes = 1;
  check_report(fabric, finding);
}

void check_stack(wse_fabric *fabric, uint32_t pe, uint16_t first, uint16_t at, check_by by) {
  const check_memory *memory = memory_of(fabric, pe);
  if (memory && at < WSE_SRAM && memory->flags[at] & WSE_CHECK_STACK &&
      (first >= WSE_SRAM || memory->region[first] != memory->region[at]))
    overwrites(fabric, pe, at, by);
}

void check_store(wse_fabric *fabric, uint32_t pe, uint16_t at, int bytes, check_by by) {
  const check_memory *memory = memory_of(fabric, pe);
  if (memory && at < WSE_SRAM && memory->flags[at] & WSE_CHECK_CODE) overwrites(fabric, pe, at, by);
  if (may_matter(memory, at, bytes)) check_written(fabric, pe, at, bytes);
  share(fabric, pe, at, bytes, true, by);
}

/* Whether an index that was added to the address of a variable has led into a stack.  A pointer into the stack with a
 * constant offset does, too: then the register, `at` less `base`, holds an address of the stack. */
static bool leads_into_stack(const check_memory *memory, uint16_t at, uint16_t base) {
  uint16_t index = (uint16_t)(at - base);
  if (at >= WSE_SRAM || base >= WSE_SRAM || !(memory->flags[at] & WSE_CHECK_STACK)) return false;
  if (!memory->region[base] || memory->flags[base] & (WSE_CHECK_CODE | WSE_CHECK_STACK)) return false;
  return index >= WSE_SRAM || memory->region[index] != memory->region[at];
}

void check_scalar(wse_fabric *fabric, uint32_t pe, uint16_t at, uint16_t base, int bytes, bool writes, check_by by) {
  const check_memory *memory = memory_of(fabric, pe);
  if (memory && (at >= WSE_SRAM || !memory->region[at])) {
    wse_finding finding = check_finding(pe, WSE_FINDING_OUTSIDE, by, 0);
    finding.address = at;
    finding.writes = writes;
    check_report(fabric, finding);
  }
  if (memory && writes && leads_into_stack(memory, at, base)) overwrites(fabric, pe, at, by);
  if (writes) check_store(fabric, pe, at, bytes, by);
  else check_load(fabric, pe, at, bytes, by);
}

void check_bounds(wse_fabric *fabric, uint32_t pe, uint16_t first, uint16_t at, int bytes, check_by by) {
  const check_memory *memory = memory_of(fabric, pe);
  if (!memory || first >= WSE_SRAM || !memory->region[first]) return;
  uint32_t end = at + (uint32_t)bytes - 1;
  if (at < WSE_SRAM && end < WSE_SRAM && memory->region[at] == memory->region[first] &&
      memory->region[end] == memory->region[first])
    return;
  wse_finding finding = check_finding(pe, WSE_FINDING_BOUNDS, by, memory->region[first]);
  finding.address = at;
  check_report(fabric, finding);
}

/* --- tasks -------------------------------------------------------------------------------------------------- */

/* Whether an activation is by an instruction `activate`, and not by the end of an operation or by the host. */
static bool by_instruction(const wse_fabric *fabric, uint32_t pe, uint32_t pc) {
  const pe_class *class = class_of(fabric, pe);
  return class && pc < class->code_length && (class->code[pc].op & ~INS_IMMEDIATE) == OP_activate;
}

/* Two tasks may activate a third one that runs once for both [csl-examples: spmv-hypersparse].  Activations by
 * instructions are therefore findings only within one run of a task. */
void check_activate(wse_fabric *fabric, uint32_t pe, int task, uint32_t pc, uint64_t cycle) {
  check_activation *last = &fabric->check->activations[(size_t)pe * WSE_TASKS + (size_t)task];
  bool two_tasks = by_instruction(fabric, pe, pc) && by_instruction(fabric, pe, last->pc - 1) &&
                   last->cycle < fabric->ces[pe].picked_at;
  if (fabric->ces[pe].active >> task & 1 && !two_tasks) {
    wse_finding finding = check_finding(pe, WSE_FINDING_ACTIVATED, (check_by){pc, MAIN, cycle}, task);
    finding.before_pc = (int32_t)last->pc - 1;
    finding.before_cycle = last->cycle;
    check_report(fabric, finding);
  }
  *last = (check_activation){cycle, pc + 1};
}

void check_free(wse_fabric *fabric) {
  struct check_state *check = fabric->check;
  if (!check) return;
  for (int i = 0; check->memory && i < fabric->class_total; i++)
    free(check->memory[i]);
  for (int i = 0; i < MAX_BANDS; i++)
    free(check->bands[i].found);
  free(check->memory);
  free(check);
}
