/* memory.c - where state and SRAM live.
 *
 * Everything per PE is in anonymous mappings without reserve: a page costs memory when it is first written.  A whole wafer's
 * SRAM is 44 GB of addresses; a PE that writes one page costs 4 KiB.
 */
#include "state/memory.h"

#include <sys/mman.h>

static void *map(size_t bytes) {
  void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return p == MAP_FAILED ? NULL : p;
}

/* Large pages save most of the misses of address translation.  Where PEs touch little of it they would cost memory. */
static void use_large_pages(void *p, size_t bytes) {
#ifdef MADV_HUGEPAGE
  madvise(p, bytes, MADV_HUGEPAGE);
#else
  (void)p, (void)bytes;
#endif
}

/* Planes lie one after the other in arenas, and not at multiples of a page: entries of one PE would share a set of the cache. */
void *plane_new(wse_fabric *f, size_t bytes) {
  enum { ARENA = 1 << 28, GAP = 5 * LINE, LARGE = 1 << 24, STATE_OF_PE = 1 << 13 };
  size_t taken = (bytes + LINE - 1) / LINE * LINE + GAP;
  if (!f->arenas || f->arenas->bytes - f->arenas->used < taken) {
    size_t size = taken + LINE > ARENA ? taken + LINE : ARENA;
    arena *fresh = map(size);
    if (!fresh) return NULL;
    *fresh = (arena){.next = f->arenas, .bytes = size, .used = LINE};
    if ((size_t)f->pes * STATE_OF_PE >= LARGE) use_large_pages(fresh, size);
    f->arenas = fresh;
  }
  void *p = (char *)f->arenas + f->arenas->used;
  f->arenas->used += taken;
  f->bytes += bytes;
  return p;
}

/* SRAM lies alone: a large page would make a PE that touches a few bytes cost 2 MiB. */
void *sram_new(wse_fabric *f) {
  enum { SMALL = 1 << 26 };
  size_t bytes = (size_t)f->pes * WSE_SRAM;
  void *p = map(bytes);
  if (p && bytes <= SMALL) use_large_pages(p, bytes);
  return p;
}

void planes_free(wse_fabric *f) {
  for (arena *a = f->arenas, *next; a; a = next) {
    next = a->next;
    munmap(a, a->bytes);
  }
  if (f->sram) munmap(f->sram, (size_t)f->pes * WSE_SRAM);
}

static bool inside(const wse_fabric *f, int x, int y, int w, int h, uint32_t address, uint32_t bytes) {
  return in_grid(f, x, y, w, h) && address <= WSE_SRAM && bytes <= WSE_SRAM - address;
}

wse_status wse_write(wse_fabric *f, int x, int y, int w, int h, uint32_t address, uint32_t bytes, const void *from) {
  if (!inside(f, x, y, w, h, address, bytes)) return WSE_BADARG;
  const uint8_t *p = from;
  for (int j = 0; j < h; j++)
    for (int i = 0; i < w; i++, p += bytes) memcpy(sram_of(f, (uint32_t)((y + j) * f->width + x + i)) + address, p, bytes);
  return WSE_OK;
}

wse_status wse_fill(wse_fabric *f, int x, int y, int w, int h, uint32_t address, uint32_t bytes, const void *same) {
  if (!inside(f, x, y, w, h, address, bytes)) return WSE_BADARG;
  for (int j = 0; j < h; j++)
    for (int i = 0; i < w; i++) memcpy(sram_of(f, (uint32_t)((y + j) * f->width + x + i)) + address, same, bytes);
  return WSE_OK;
}

wse_status wse_fill_class(wse_fabric *f, int class_index, uint32_t address, uint32_t bytes, const void *same) {
  if (!inside(f, 0, 0, 0, 0, address, bytes) || class_index < 0 || class_index >= f->class_total) return WSE_BADARG;
  for (uint32_t pe = 0; pe < f->pes; pe++)
    if (f->class_of[pe] == class_index) memcpy(sram_of(f, pe) + address, same, bytes);
  return WSE_OK;
}

wse_status wse_read(wse_fabric *f, int x, int y, int w, int h, uint32_t address, uint32_t bytes, void *to) {
  if (!inside(f, x, y, w, h, address, bytes)) return WSE_BADARG;
  uint8_t *p = to;
  for (int j = 0; j < h; j++)
    for (int i = 0; i < w; i++, p += bytes) memcpy(p, sram_of(f, (uint32_t)((y + j) * f->width + x + i)) + address, bytes);
  return WSE_OK;
}

wse_status wse_set_register(wse_fabric *f, int x, int y, int w, int h, int reg, const uint32_t *values) {
  if (!inside(f, x, y, w, h, 0, 0) || reg < 0 || reg >= WSE_REGISTERS) return WSE_BADARG;
  for (int j = 0; j < h; j++)
    for (int i = 0; i < w; i++) f->ces[(size_t)(y + j) * f->width + x + i].r[reg] = *values++;
  return WSE_OK;
}
