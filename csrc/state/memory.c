/* memory.c - allocation of the state, and access of the host to SRAM.
 *
 * All per-PE state is in anonymous mappings without reserve: a page costs memory when it is first written.  The SRAM
 * of a whole wafer is 44 GB of addresses; a PE that writes one page costs 4 KiB.
 */
#include "state/memory.h"

#include <sys/mman.h>

static void *map(size_t bytes) {
  void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return p == MAP_FAILED ? NULL : p;
}

/* Large pages save most of the TLB misses.  Where PEs touch little of the array they would waste memory. */
static void use_large_pages(void *p, size_t bytes) {
#ifdef MADV_HUGEPAGE
  madvise(p, bytes, MADV_HUGEPAGE);
#else
  (void)p, (void)bytes;
#endif
}

/* Arrays are placed in arenas, not at multiples of a page: else the entries of one PE would share a cache set. */
void *plane_new(wse_fabric *fabric, size_t bytes) {
  enum { ARENA = 1 << 28, GAP = 5 * LINE, LARGE = 1 << 24, STATE_OF_PE = 1 << 13 };
  size_t taken = (bytes + LINE - 1) / LINE * LINE + GAP;
  if (!fabric->arenas || fabric->arenas->bytes - fabric->arenas->used < taken) {
    size_t size = taken + LINE > ARENA ? taken + LINE : ARENA;
    arena *fresh = map(size);
    if (!fresh) return NULL;
    *fresh = (arena){.next = fabric->arenas, .bytes = size, .used = LINE};
    if ((size_t)fabric->pes * STATE_OF_PE >= LARGE) use_large_pages(fresh, size);
    fabric->arenas = fresh;
  }
  void *p = (char *)fabric->arenas + fabric->arenas->used;
  fabric->arenas->used += taken;
  fabric->bytes += bytes;
  return p;
}

/* SRAM has a mapping of its own: with a large page, a PE that touches a few bytes would cost 2 MiB. */
void *sram_new(wse_fabric *fabric) {
  enum { SMALL = 1 << 26 };
  size_t bytes = (size_t)fabric->pes * SRAM_PITCH;
  void *p = map(bytes);
  if (p && bytes <= SMALL) use_large_pages(p, bytes);
  return p;
}

/* A mapping of its own among the arenas, without large pages. */
void *sparse_new(wse_fabric *fabric, size_t bytes) {
  arena *fresh = map(LINE + bytes);
  if (!fresh) return NULL;
  *fresh = (arena){.next = fabric->arenas->next, .bytes = LINE + bytes, .used = LINE + bytes};
  fabric->arenas->next = fresh; /* behind the one in which plane_new goes on */
  fabric->bytes += bytes;
  return (char *)fresh + LINE;
}

void planes_free(wse_fabric *fabric) {
  for (arena *a = fabric->arenas, *next; a; a = next) {
    next = a->next;
    munmap(a, a->bytes);
  }
  if (fabric->sram) munmap(fabric->sram, (size_t)fabric->pes * SRAM_PITCH);
}

static bool inside(const wse_fabric *fabric, int x, int y, int w, int h, uint32_t address, uint32_t bytes) {
  return in_grid(fabric, x, y, w, h) && address <= WSE_SRAM && bytes <= WSE_SRAM - address;
}

static void store(wse_fabric *fabric, uint32_t pe, uint32_t address, uint32_t bytes, const void *from) {
  memcpy(sram_of(fabric, pe) + address, from, bytes);
  if (fabric->check) memory_note_written(fabric, pe, address, bytes);
}

wse_status wse_write(wse_fabric *fabric, int x, int y, int w, int h, uint32_t address, uint32_t bytes,
                     const void *from) {
  if (!inside(fabric, x, y, w, h, address, bytes)) return WSE_BADARG;
  const uint8_t *p = from;
  for (int j = 0; j < h; j++)
    for (int i = 0; i < w; i++, p += bytes)
      store(fabric, (uint32_t)((y + j) * fabric->width + x + i), address, bytes, p);
  return WSE_OK;
}

wse_status wse_fill(wse_fabric *fabric, int x, int y, int w, int h, uint32_t address, uint32_t bytes,
                    const void *same) {
  if (!inside(fabric, x, y, w, h, address, bytes)) return WSE_BADARG;
  for (int j = 0; j < h; j++)
    for (int i = 0; i < w; i++)
      store(fabric, (uint32_t)((y + j) * fabric->width + x + i), address, bytes, same);
  return WSE_OK;
}

wse_status wse_fill_class(wse_fabric *fabric, int class_index, uint32_t address, uint32_t bytes, const void *same) {
  if (!inside(fabric, 0, 0, 0, 0, address, bytes) || class_index < 0 || class_index >= fabric->class_total)
    return WSE_BADARG;
  for (uint32_t pe = 0; pe < fabric->pes; pe++)
    if (fabric->class_of[pe] == class_index) store(fabric, pe, address, bytes, same);
  return WSE_OK;
}

wse_status wse_read(wse_fabric *fabric, int x, int y, int w, int h, uint32_t address, uint32_t bytes, void *to) {
  if (!inside(fabric, x, y, w, h, address, bytes)) return WSE_BADARG;
  uint8_t *p = to;
  for (int j = 0; j < h; j++)
    for (int i = 0; i < w; i++, p += bytes)
      memcpy(p, sram_of(fabric, (uint32_t)((y + j) * fabric->width + x + i)) + address, bytes);
  return WSE_OK;
}

wse_status wse_set_register(wse_fabric *fabric, int x, int y, int w, int h, int reg, const uint32_t *values) {
  if (!inside(fabric, x, y, w, h, 0, 0) || reg < 0 || reg >= WSE_REGISTERS) return WSE_BADARG;
  for (int j = 0; j < h; j++)
    for (int i = 0; i < w; i++)
      *register_of(fabric, (uint32_t)((y + j) * fabric->width + x + i), (uint32_t)reg) = *values++;
  return WSE_OK;
}
