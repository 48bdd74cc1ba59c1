"""wse/debug/breakpoint.py: how messages name breakpoints."""

import pytest

from wse.debug.breakpoint import Breakpoint
from wse.debug.lines import Location


@pytest.mark.parametrize(
    ("made", "named"),
    [
        (Breakpoint(1, "line", "69", location=Location("pe.csl:69", {}, {})), "Breakpoint 1 at pe.csl:69"),
        (Breakpoint(2, "line", "gone"), "Breakpoint 2 at gone"),
        (Breakpoint(3, "task", "exchange", pe=(2, 0)), "Breakpoint 3 at the start of task exchange of PE (2, 0)"),
        (Breakpoint(4, "wavelet", "east"), "Breakpoint 4 at wavelets of color east"),
        (Breakpoint(5, "cycle", "2000", temporary=True), "Temporary breakpoint 5 at cycle 2000"),
        (
            Breakpoint(6, "watch", "u[1]", pe=(2, 0), condition="here == 1"),
            "Watchpoint 6 on u[1] of PE (2, 0) if here == 1",
        ),
    ],
    ids=lambda value: value.kind if isinstance(value, Breakpoint) else None,
)
def test_title(made, named):
    assert made.title == named
