/* wse_debug.h - the part of the engine's interface that debuggers use: runs to a stop, and the state of a PE.  The
 * rules of wse.h apply.  Runs that do not use it are not slower. */
#ifndef WSE_DEBUG_H
#define WSE_DEBUG_H

#include "wse.h"

/* Where a run stops.  A member that is NULL or 0 adds no stop. */
enum { WSE_MARK_FIRST = 0x8000 };
typedef struct {
  uint32_t pe, address, bytes;
} wse_place;
typedef struct {
  const uint32_t *pes; /* PEs whose main threads can stop; NULL: all */
  uint32_t pe_count;
  uint32_t step_pe;      /* 1 + a PE of `pes`: the run stops at each of its instructions */
  const uint64_t *tasks; /* [classes]: masks of tasks; the run stops when one starts */
  /* Of each instruction, class after class: 0, or a number below WSE_MARK_FIRST.  The run stops where a thread comes
   * from another number, and at each instruction with WSE_MARK_FIRST added to its number. */
  const uint16_t *marks;
  uint32_t colors;            /* mask: the run stops when a wavelet of these lands ... */
  const uint8_t *wavelet_pes; /* ... at a PE where this is not 0, [pes]; NULL: at any PE */
  const wse_place *places;    /* the run stops when this memory changes */
  uint32_t place_count;
} wse_stops;
enum { WSE_STOP_STEP, WSE_STOP_TASK, WSE_STOP_MARK, WSE_STOP_WAVELET, WSE_STOP_MEMORY };
/* id: a task, a mark's number, a color (32 more: a control wavelet), an index of places.  data: the next
 * instruction, or the data of a wavelet. */
typedef struct {
  uint32_t pe;
  uint16_t why, id;
  uint32_t data;
} wse_stop;
/* Runs to the end of the first cycle in which there is a stop, at most to `until`; at most `capacity` stops are filled
 * in, *n: their number.  Status as of wse_run; LIMIT also at a stop.  limit: as of wse_run, for the host.  WSE_BADARG:
 * a place or PE does not exist, or colors together with a trace. */
wse_status wse_run_to_stop(wse_fabric *fabric, uint64_t until, uint64_t limit, const wse_stops *stops, wse_stop *to,
                           uint32_t capacity, uint32_t *n, const volatile int *stop);

/* Runs as wse_run(fabric, until, until, stop), at full speed, and looks for the stops on the way.  *first: UINT64_MAX if
 * there was none; else no stop is in a cycle before *first, there may be one in *first, and the fabric is somewhere
 * behind: restore it (wse_restore), and use wse_run_to_stop.  limit: as in wse_run_to_stop.  WSE_BADARG: stops by
 * step_pe or places, a PE that does not exist, or a checked run. */
wse_status wse_run_watching(wse_fabric *fabric, uint64_t until, uint64_t limit, const wse_stops *stops, uint64_t *first,
                            const volatile int *stop);

/* The state of a PE.  Returns the number of values, of which at most `capacity` are filled in; -1: `what` or `index`
 * is out of range.  A wavelet: data, 1 << 32 if control, 1 << 33 if it advances switches. */
enum {
  WSE_LOOK_THREAD, /* what the main thread does (MAIN_ of state.h), task, pc, active, blocked, microthreads, suspended
                    * ones, cycle in which it may go on, priority */
  WSE_LOOK_REGISTERS,
  WSE_LOOK_DSR,       /* by number: kind, flags, queue, color, base, length, stride, options, x, on_control, index */
  WSE_LOOK_XDSR,      /* by number: four words */
  WSE_LOOK_OPERATION, /* by microthread, 8: main thread: opcode, pc, elements done, left, counter of its wait, options;
                       * none if there is no operation */
  WSE_LOOK_INPUT,     /* by queue: color (-1: none), capacity, wavelets; none if there is no queue */
  WSE_LOOK_OUTPUT,    /* the same */
  WSE_LOOK_BUFFER,    /* by WSE_PORTS * color + port: wavelets that came in by this port and wait in the router */
  WSE_LOOK_ROUTE,     /* by color: WSE_ROUTE_ word; none if the color is not in use */
};
int64_t wse_look(wse_fabric *fabric, int x, int y, int what, int index, uint64_t *to, int64_t capacity);

#endif
