"""Queues and the colors they serve, on two PEs: WSE-2's descriptors bind them, WSE-3's @initialize_queue does."""

from __future__ import annotations

import pytest
from csl.running import compiled, device, launch, pair, read, run

from wse.csl.codegen.link import link
from wse.csl.syntax.errors import CslError
from wse.fabric.fabric import Fabric

HEAD = """
param sends: bool;
export var got = @zeros([40]u16);
var n: u16 = 0;
comptime { @export_symbol(main); }
"""


def layout(colors: int) -> str:
    return pair(0, colors)


def two_colors(queue: str, order: tuple[int, int], option: str = "") -> str:
    """Twelve wavelets of color 0, then of color 1; the receiver reads them in this order."""
    reads = "".join(
        f"@mov16(@increment_dsd_offset(to, {12 * i}, u16), in{color}{option});" for i, color in enumerate(order)
    )
    return f"""{HEAD}
const to = @get_dsd(mem1d_dsd, .{{ .tensor_access = |i|{{12}} -> got[i] }});
const out0 = @get_dsd(fabout_dsd, .{{ .fabric_color = @get_color(0), .extent = 12, .output_queue = @get_output_queue(2) }});
const out1 = @get_dsd(fabout_dsd, .{{ .fabric_color = @get_color(1), .extent = 12, .output_queue = @get_output_queue(3) }});
const in0 = @get_dsd(fabin_dsd, .{{ .fabric_color = @get_color(0), .extent = 12{queue} }});
const in1 = @get_dsd(fabin_dsd, .{{ .fabric_color = @get_color(1), .extent = 12{queue} }});
fn main() void {{
  if (sends) {{
    @mov16(out0, 10, .{{ .async = true }});
    @mov16(out1, 11);
  }} else {{
    {reads}
  }}
}}
"""


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("queue", ["", ", .input_queue = @get_input_queue(3)"])
def test_on_wse2_the_descriptor_says_which_color_a_queue_serves(queue, order, tmp_path):
    done = run(tmp_path, two_colors(queue, order), arch="wse2", layout=layout(2))
    assert read(done, "got", 1)[:24].tolist() == [10 + order[0]] * 12 + [10 + order[1]] * 12


def test_on_wse2_colors_without_a_queue_get_one_each_while_there_are_some(tmp_path):
    unit = compiled(tmp_path, two_colors("", (0, 1)), "wse2", layout(2)).units[1]
    assert sorted(unit.queues_in.values()) == [0, 1] and len(unit.queues_in) == 2


def test_on_wse2_a_queue_takes_no_more_than_its_operation_needs(tmp_path):
    """Six messages of color 0 and 1 by turns on one queue: the sender is ahead by more than the queue holds."""
    queue = "@get_input_queue(3)"
    text = f"""{HEAD}
const to = @get_dsd(mem1d_dsd, .{{ .tensor_access = |i|{{4}} -> got[i] }});
const out0 = @get_dsd(fabout_dsd, .{{ .fabric_color = @get_color(0), .extent = 4, .output_queue = @get_output_queue(2) }});
const out1 = @get_dsd(fabout_dsd, .{{ .fabric_color = @get_color(1), .extent = 4, .output_queue = @get_output_queue(3) }});
const in0 = @get_dsd(fabin_dsd, .{{ .fabric_color = @get_color(0), .extent = 4, .input_queue = {queue} }});
const in1 = @get_dsd(fabin_dsd, .{{ .fabric_color = @get_color(1), .extent = 4, .input_queue = {queue} }});
fn main() void {{
  for (@range(i16, 3)) |i| {{
    const value = @as(u16, i) * 10;
    if (sends) {{
      @mov16(out0, value + 1);
      @mov16(out1, value + 2);
    }} else {{
      var pause: u16 = 0;
      while (pause < 60) : (pause += 1) {{ n += pause; }}
      @mov16(@increment_dsd_offset(to, 8 * i, u16), in0);
      @mov16(@increment_dsd_offset(to, 8 * i + 4, u16), in1);
    }}
  }}
}}
"""
    done = run(tmp_path, text, arch="wse2", layout=layout(2))
    want = [10 * i + k for i in range(3) for k in (1, 1, 1, 1, 2, 2, 2, 2)]
    assert read(done, "got", 1)[:24].tolist() == want


def data_tasks(count: int, blocked: str = "", after: str = "") -> str:
    tasks = "".join(
        f"task t{i}(v: u16) void {{ got[{i}] = v; n += 1; {after if i == count - 1 else ''} }}\n"
        f"const out{i} = @get_dsd(fabout_dsd, .{{ .fabric_color = @get_color({i}), .extent = 1, "
        f".output_queue = @get_output_queue({i % 6}) }});\n"
        for i in range(count)
    )
    binds = "".join(f"@bind_data_task(t{i}, @get_data_task_id(@get_color({i})));\n" for i in range(count))
    sends = "".join(f"@mov16(out{i}, {100 + i});\n" for i in range(count))
    return f"{HEAD}{tasks}comptime {{ if (!sends) {{ {binds} {blocked} }} }}\nfn main() void {{ if (sends) {{ {sends} }} }}\n"


@pytest.mark.parametrize("count", [8, 10, 24])
def test_on_wse2_every_color_may_have_a_data_task(count, tmp_path):
    done = run(tmp_path, data_tasks(count), arch="wse2", layout=layout(count))
    assert read(done, "got", 1)[:count].tolist() == [100 + i for i in range(count)]


def test_on_wse2_a_blocked_data_task_holds_no_other_color_up(tmp_path):
    """All but the last color wait for its task, which unblocks them."""
    ids = [f"@get_data_task_id(@get_color({i}))" for i in range(11)]
    blocked = "".join(f"@block({task});" for task in ids)
    after = "".join(f"@unblock({task});" for task in ids)
    done = run(tmp_path, data_tasks(12, blocked, after), arch="wse2", layout=layout(12))
    assert read(done, "got", 1)[:12].tolist() == [100 + i for i in range(12)]


ONE = """
const q = @get_input_queue(2);
var to = @zeros([4]u16);
const m = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> to[i] });
"""
REFUSED = {
    "not initialized": (
        "wse3",
        ONE
        + "const in =\n  @get_dsd(fabin_dsd, .{ .extent = 4, .input_queue = q });\nfn main() void { @mov16(m, in); }",
        "input queue 2 is bound to no color: @initialize_queue(queue, .{ .color = ... }) in a comptime block binds it",
    ),
    "two colors": (
        "wse3",
        ONE + "comptime { @initialize_queue(q, .{ .color = @get_color(1) }); }\n"
        "const in = @get_dsd(fabin_dsd, .{ .extent = 4, .input_queue = q, .fabric_color = @get_color(0) });\n"
        "fn main() void { @mov16(m, in); }",
        "this descriptor is of color 0, but input queue 2 is bound to color 1: on wse3 a queue serves one color",
    ),
    "no color on wse2": (
        "wse2",
        ONE + "const out = @get_dsd(fabout_dsd, .{ .extent = 4, .output_queue = @get_output_queue(1) });\n"
        "fn main() void { @mov16(out, m); }",
        "output queue 1 is bound to no color: give the descriptor a .fabric_color",
    ),
    "bound twice": (
        "wse3",
        "comptime { @initialize_queue(@get_input_queue(2), .{ .color = @get_color(1) });\n"
        "@initialize_queue(@get_input_queue(2), .{ .color = @get_color(0) }); }\nfn main() void {}",
        "input queue 2 is initialized twice",
    ),
}


SEVERAL = """
const q = @get_input_queue(3);
const c = @get_color(0);
comptime { @initialize_queue(@get_input_queue(2), .{ .color = c }); @initialize_queue(q, .{ .color = c });
  @initialize_queue(@get_input_queue(5), .{ .color = c }); }
const out = @get_dsd(fabout_dsd, .{ .fabric_color = c, .extent = 4, .output_queue = @get_output_queue(2) });
const in = @get_dsd(fabin_dsd, .{ .fabric_color = c, .extent = 4, .input_queue = q });
const to = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> got[i] });
"""


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_of_several_queues_of_a_color_the_one_that_is_used_gets_it(arch, tmp_path):
    text = HEAD + SEVERAL + "fn main() void { if (sends) { @mov16(out, 7); } else { @mov16(to, in); } }\n"
    text = text.replace("@mov16(out, 7)", "got[0] = 7; got[3] = 8; @mov16(out, to)")
    done = run(tmp_path, text, arch=arch, layout=layout(2))
    assert read(done, "got", 1)[:4].tolist() == [7, 0, 0, 8]


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_two_used_queues_of_one_color(arch, tmp_path):
    more = (
        "const other = @get_dsd(fabin_dsd, .{ .fabric_color = c, .extent = 4, .input_queue = @get_input_queue(5) });\n"
    )
    text = HEAD + SEVERAL + more + "fn main() void { if (!sends) { @mov16(to, in); @mov16(to, other); } }\n"
    with pytest.raises(CslError, match=r"color 0 comes by input queue 3: another queue gets nothing of it"):
        compiled(tmp_path, text, arch, layout(2))


def test_a_number_for_colors_that_a_pe_does_not_have(tmp_path):
    """Queues that no @initialize_queue names may have one color: the code that would use them does not run."""
    text = """param sends: bool;
const none = @get_color(15);
const a = @get_dsd(fabin_dsd, .{ .fabric_color = none, .extent = 1, .input_queue = @get_input_queue(3) });
const b = @get_dsd(fabin_dsd, .{ .fabric_color = none, .extent = 1, .input_queue = @get_input_queue(5) });
export var got = @zeros([1]u16);
var n: u16 = 0;
fn main() void { if (n > 0) { @mov16(&got[0], a); @mov16(&got[0], b); } else { got[0] = 7; } }
comptime { @export_symbol(main); }
"""
    assert read(run(tmp_path, text, arch="wse3", layout=layout(2)), "got")[0] == 7


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name, tmp_path):
    arch, text, message = REFUSED[name]
    with pytest.raises(CslError) as caught:
        compiled(tmp_path, HEAD + text, arch, layout(2))
    found = caught.value.diagnostics[0]
    assert message in found.message and found.span is not None


def test_on_wse2_an_output_queue_may_be_initialized_without_a_color(tmp_path):
    text = two_colors("", (0, 1)) + "comptime { @initialize_queue(@get_output_queue(2), .{}); }\n"
    done = run(tmp_path, text, arch="wse2", layout=layout(2))
    assert read(done, "got", 1)[:12].tolist() == [10] * 12


def test_a_run_with_queues_bound_by_operations_is_the_same_without_fast_paths(tmp_path):
    loaded = device(tmp_path, two_colors(", .input_queue = @get_input_queue(3)", (1, 0)), "wse2", layout(2))
    launch(loaded)
    other = device(tmp_path / "other", two_colors(", .input_queue = @get_input_queue(3)", (1, 0)), "wse2", layout(2))
    image = link(
        compiled(tmp_path / "third", two_colors(", .input_queue = @get_input_queue(3)", (1, 0)), "wse2", layout(2))
    )
    other.fabric = Fabric(image.image(), reference=True, drops_off_edge=True)
    launch(other)
    assert read(loaded, "got", 1).tolist() == read(other, "got", 1).tolist()
    assert loaded.cycle == other.cycle


def test_a_queue_that_other_pes_bind_may_stand_in_code_that_is_not_run(tmp_path):
    text = f"""{HEAD}
const q = @get_input_queue(2);
var to = @zeros([4]u16);
var receives = false;
const m = @get_dsd(mem1d_dsd, .{{ .tensor_access = |i|{{4}} -> to[i] }});
const in = @get_dsd(fabin_dsd, .{{ .extent = 4, .input_queue = q }});
comptime {{ if (!sends) @initialize_queue(q, .{{ .color = @get_color(1) }}); }}
fn main() void {{ if (receives) @mov16(m, in); }}
"""
    run(tmp_path, text, layout=layout(2))
