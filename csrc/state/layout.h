/* layout.h - allocation of all arrays of the state, in their shapes.  False: there is no memory. */
#ifndef STATE_LAYOUT_H
#define STATE_LAYOUT_H

#include "state/state.h"

bool layout_fabric(wse_fabric *fabric,
                   const wse_desc *desc);                 /* what every fabric has; width, height and params are set */
bool layout_direct_input(wse_fabric *fabric, int q);      /* an input behind the queues, see WSE_INPUTS */
bool layout_color(wse_fabric *fabric, int color);         /* of a color (index): routes and store targets */
bool layout_buffers(wse_fabric *fabric, int color);       /* ... its router buffers; inputs[color] is set */
bool layout_filter_counts(wse_fabric *fabric, int color); /* ... the counts of its filters */

#endif
