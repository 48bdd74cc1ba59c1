"""<memcpy/memcpy>: the memory that it takes; tests/sdk has those of copies, launches and streams."""

import pytest

from csl import running
from wse.csl.codegen.link import link
from wse.errors import MemoryOverflow

LAYOUT = """
const memcpy = @import_module("<memcpy/get_params>", .{ .width = 1, .height = 1 });
layout {
  @set_rectangle(1, 1);
  @set_tile_code(0, 0, "pe.csl", .{ .memcpy_params = memcpy.get_params(0) });
  @export_name("a", [*]u16, true);
  @export_name("main", fn()void);
}
"""
PE = """
param memcpy_params;
const sys = @import_module("<memcpy/memcpy>", memcpy_params);
var a: [SIZE]u16;
var p: [*]u16 = &a;
fn main() void { sys.unblock_cmd_stream(); }
comptime { @export_symbol(p, "a"); @export_symbol(main); }
"""


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_the_largest_array_beside_the_library(tmp_path, arch):
    """What cslc of SDK 1.4 links, and what it does not."""
    link(running.compiled(tmp_path / "fits", PE.replace("SIZE", "22488"), arch, LAYOUT))
    with pytest.raises(MemoryOverflow, match=r"(?s)too many.*44992 B  a .*4072 B  <memcpy/memcpy>"):
        link(running.compiled(tmp_path / "not", PE.replace("SIZE", "22496"), arch, LAYOUT))


def test_other_programs_have_all_of_the_memory(tmp_path):
    pe = "export var a: [24500]u16;\nfn main() void { a[0] = 1; }\ncomptime { @export_symbol(main); }\n"
    running.run(tmp_path, pe)
