/* switch.c - control wavelets, switch positions, teardown and filters [SDK: switches, control wavelets].
 *
 * A control wavelet leaves by the position that it found; then its first command moves the switch.  The eight commands
 * of a wavelet's data word are three bits each (a 2-bit opcode and "not for the CE"), from bit 22 on, wrapping from
 * bit 29 to bit 0.
 */
#include "router/switch.h"

#include "router/buffer.h"
#include "router/route_register.h"
#include "state/wake.h"

enum { COMMAND_NOP, COMMAND_ADVANCE, COMMAND_RESET, COMMAND_TEARDOWN };
enum { POP_NEVER, POP_ALWAYS, POP_ON_ADVANCE, POP_ON_ADVANCE_NOP };
uint32_t switch_commands(uint32_t word) { return (word >> 22 & 0xff) | (word & 0xffff) << 8; }

static uint32_t with_commands(uint32_t word, uint32_t commands) {
  return (word & 0xc03f0000) | (commands & 0xff) << 22 | (commands >> 8 & 0xffff);
}

/* Whether an advance moves the switch: at its last position only if the positions form a ring. */
static bool switch_moves(uint64_t route) {
  return route_position(route) < (int)(route >> WSE_ROUTE_LAST & 3) || (route >> WSE_ROUTE_RING & 1);
}

/* The data word as it leaves this router.  A lone command does not change the data bits, which carry data then.  A
 * switch at its last position that is no ring does not advance: the command is for the next router. */
uint32_t switch_pop(uint64_t route, uint32_t word) {
  uint32_t commands = switch_commands(word);
  bool advances = switch_moves(route) && (commands & 3) == COMMAND_ADVANCE;
  switch (route >> WSE_ROUTE_POP & 3) {
    case POP_ALWAYS: return with_commands(word, commands >> 3);
    case POP_ON_ADVANCE: return advances ? with_commands(word, commands >> 3) : word;
    case POP_ON_ADVANCE_NOP: return advances ? with_commands(word, commands & ~3u) : word;
    default: return word;
  }
}

void switch_apply(wse_fabric *fabric, band_state *band, uint32_t pe, int color, wavelet w, uint64_t now) {
  uint64_t route = fabric->route[color][pe];
  uint32_t command = w.meta & WAVELET_CONTROL ? switch_commands(w.data) & 3 : COMMAND_ADVANCE;
  int position = route_position(route), last = route >> WSE_ROUTE_LAST & 3;
  if (command == COMMAND_ADVANCE && switch_moves(route)) position = position < last ? position + 1 : 0;
  if (command == COMMAND_RESET) position = 0;
  if (command == COMMAND_TEARDOWN) {
    route |= (uint64_t)1 << WSE_ROUTE_TEARDOWN;
    fabric->ces[pe].active |= (uint64_t)1 << TASK_TEARDOWN;
    wake_ce(fabric, band, pe, now, now + 1);
  }
  route = (route & ~((uint64_t)3 << WSE_ROUTE_POS)) | (uint64_t)position << WSE_ROUTE_POS;
  fabric->route[color][pe] = route;
  route_refresh(fabric, pe, color);
}

static const wse_filter *filter_of(const wse_fabric *fabric, uint64_t route) {
  uint32_t i = (uint32_t)(route >> WSE_ROUTE_FILTER);
  return i ? &fabric->filters[i - 1] : NULL;
}

/* Whether the CE receives the wavelet [SDK: filter configuration].  A counter passes wavelets that find it at max_counter
 * or below; a control wavelet, if it is filtered at all, only at max_counter. */
bool filter_passes(wse_fabric *fabric, uint32_t pe, int color, uint64_t route, wavelet w) {
  const wse_filter *filter = filter_of(fabric, route);
  if (!filter) return true;
  bool control = w.meta & WAVELET_CONTROL;
  if (filter->kind == WSE_FILTER_RANGE)
    return control || (w.data >> 16 >= filter->min_index && w.data >> 16 <= filter->max_index);
  if (control && !filter->filter_control) return true;
  uint32_t count = fabric->filter_count[color][pe], most = fabric->filter_most[color][pe];
  return control ? count == most : count <= most;
}

/* A sparse counter that has reached limit1: limit2, if there is one, is its limit from now on; at the second time it
 * passes everything. */
static void sparse_reaches(wse_fabric *fabric, uint32_t pe, int color, const wse_filter *filter) {
  uint32_t *limit = &fabric->filter_limit[color][pe];
  if (filter->limit2 && !(*limit & FILTER_SECOND))
    *limit = filter->limit2 | FILTER_SECOND;
  else
    fabric->filter_most[color][pe] = FILTER_OPEN;
}

void filter_count(wse_fabric *fabric, uint32_t pe, int color, uint64_t route, wavelet w) {
  const wse_filter *filter = filter_of(fabric, route);
  if (!filter || filter->kind == WSE_FILTER_RANGE) return;
  if (!(w.meta & WAVELET_CONTROL ? filter->count_control : filter->count_data)) return;
  uint32_t *count = &fabric->filter_count[color][pe];
  if (*count < (fabric->filter_limit[color][pe] & 0xffff)) {
    ++*count;
    return;
  }
  *count = 0;
  if (filter->kind == WSE_FILTER_SPARSE) sparse_reaches(fabric, pe, color, filter);
}
