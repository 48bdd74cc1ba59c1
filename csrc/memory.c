/* memory.c - where state and SRAM live.
 *
 * Everything per PE is in anonymous mappings without reserve: a page costs memory when it is first written.  A whole wafer's
 * SRAM is 44 GB of addresses; a PE that writes one page costs 4 KiB.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "fabric.h"

void *plane_new(struct wse_fabric *f, size_t bytes) {
  if (bytes == 0) bytes = 1;
  void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) return NULL;
  f->bytes += bytes;
  return p;
}

void plane_free(void *p, size_t bytes) {
  if (p) munmap(p, bytes ? bytes : 1);
}

static bool inside(const wse_fabric *f, int x, int y, int w, int h, uint32_t address, uint32_t bytes) {
  return x >= 0 && y >= 0 && w >= 0 && h >= 0 && w <= f->width - x && h <= f->height - y && address <= WSE_SRAM &&
         bytes <= WSE_SRAM - address;
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
