"""Programs with one mistake each: the check finds it, names its line, and finds nothing else of that kind.

Covers: wse/check/finding.py, wse/check/sentences.py, wse/check/remains.py, wse/fabric/checked.py, csrc/observe/check.c,
    csrc/observe/senders.c, csrc/fabric/findings.c, csrc/pe/check_operation.c, csrc/router/router_checked.c
"""

import json
from collections import Counter

import numpy as np
import pytest
from csl.running import LIMIT
from faults import ALONE, FAULTS

import wse
from wse.check import KINDS, Checker, findings
from wse.csl.codegen.link import link
from wse.csl.compile import compile_program
from wse.errors import ConfigError
from wse.sdk.device import Device


def checked(tmp_path, text: str, layout: str | None, arch: str = "wse3", check: bool = True, again: bool = False):
    (tmp_path / "pe.csl").write_text(text)
    (tmp_path / "layout.csl").write_text(layout or 'layout { @set_rectangle(1, 1); @set_tile_code(0, 0, "pe.csl"); }\n')
    checker = Checker()
    device = Device(link(compile_program(tmp_path / "layout.csl", arch)), check=checker if check else None)
    device.launch("main", [])
    device.run(cycles=LIMIT)
    if again:
        device.launch("main", [])
    return device, checker


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.kind}-{fault.name}")
def test_a_mistake_is_found_and_nothing_else(tmp_path, fault, arch):
    device, checker = checked(tmp_path, fault.text, fault.layout, arch, again=fault.kind in ("position", "filter"))
    found = checker.findings()
    assert {one.kind for one in found} == {fault.kind}, "\n".join(map(str, found))
    if fault.line is not None:
        assert f"pe.csl:{fault.line}:" in found[0].where
        assert found[0].line == fault.text.splitlines()[fault.line - 1].strip()
    assert json.loads(json.dumps(found[0].json()))["kind"] == fault.kind
    plain, _ = checked(tmp_path, fault.text, fault.layout, arch, check=False)
    assert plain.measure().same(device.measure()), "a check changes nothing"


ORDERED = {
    "an answer": """
fn main() void {
  @fmovs(send, z_dsd, .{ .async = true });
  @fmovs(y_dsd, receive);
  @fmovs(z_dsd, 0.0);
}
""",
    "its end": """
var done = @zeros([1]f32);
task then() void { done[0] = y[3]; z[0] = 0.0; }
const then_id = @get_local_task_id(12);
fn main() void {
  @fmovs(send, z_dsd, .{ .async = true });
  @fmovs(y_dsd, receive, .{ .async = true, .activate = then_id });
}
comptime { @bind_local_task(then, then_id); }
""",
    "nothing written": """
fn main() void {
  @fmovs(send, z_dsd, .{ .async = true });
  for (@range(u16, 60)) |_| @fadds(late_dsd, late_dsd, z_dsd);
  @fmovs(y_dsd, receive);
}
""",
}


@pytest.mark.parametrize("name", ORDERED)
def test_ordered_accesses_are_no_race(tmp_path, name):
    _, checker = checked(tmp_path, ALONE + ORDERED[name], None)
    assert checker.findings() == []


STACK = """
var y = @zeros([4]f32);
var k: i16 = 4;
var long: u16 = 64;
var total: i32 = 0;
const y_dsd = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> y[i] });
fn f(n: i16) i32 {
  if (n < 2) { return 1; }
  const a: i32 = f(n - 1);
  const b: i32 = f(n - 2);
  return a + b;
}
fn main() void {
  total = f(k);
  @fmovs(%, 1.0);
  total += f(k);
}
comptime { @export_symbol(main); }
"""


def test_a_stack_that_is_overwritten(tmp_path):
    _, checker = checked(tmp_path, STACK.replace("%", "@set_dsd_length(y_dsd, long)"), None)
    found = {one.kind: one for one in checker.findings()}
    assert found.keys() == {"bounds", "code"} and "pe.csl:15:" in found["code"].where
    assert "where the stack of f is" in found["code"].message
    _, checker = checked(tmp_path, STACK.replace("%", "y_dsd"), None)
    assert checker.findings() == []


INDEXED = STACK.replace("@fmovs(%, 1.0);", "%")


def test_an_index_that_leads_into_a_stack(tmp_path):
    _, checker = checked(tmp_path, INDEXED.replace("%", "y[long] = 1.0;"), None)
    (found,) = checker.findings()
    assert found.kind == "code" and "pe.csl:15:" in found.where and "where the stack of f is" in found.message
    _, checker = checked(tmp_path, INDEXED.replace("%", "y[long - 61] = 1.0;"), None)
    assert checker.findings() == []


FRAMES = """
var k: i16 = 5;
var total: i32 = 0;
var other = @zeros([300]i32);
fn put(p: *i32, v: i32) void { p.* = v; }
fn f(n: i16) i32 {
  if (n < 2) { return 1; }
  var local = @zeros([120]i32);
  for (@range(i16, 120)) |i| { local[i] = @as(i32, i) + @as(i32, n); }
  local[n * 20] = 7;
  put(&local[n], 3);
  const a: i32 = f(n - 1);
  return a + local[n * 20] + local[n] + local[119];
}
fn main() void { total = f(k); other[k] = total; }
comptime { @export_symbol(main); }
"""


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_functions_that_call_themselves_store_in_their_frames(tmp_path, arch):
    _, checker = checked(tmp_path, FRAMES, None, arch)
    assert checker.findings() == []


def test_there_are_thirty_mistakes_of_all_kinds():
    kinds = Counter(fault.kind for fault in FAULTS)
    assert set(kinds) == set(KINDS) and len(FAULTS) >= 30


def pair(first: str, second: str, rows: int = 1):
    """Two senders of a color, at both sides of a receiver, with these codes."""
    p = wse.Program(3, rows, "wse2")  # a router of WSE-3 takes a color from one side at a time
    red = p.color("red")
    middle = p.pe_class("middle")
    middle.dsd("all", wse.mem1d(middle.array("y", 8, "f32")))
    middle.queue_in(2, red)
    middle.dsd("in", wse.fabin(2, 8, red))
    middle.code("main:\n dsr d0, all\n dsr a0, in\n fmovs d0, a0\n done")
    middle.local_task("main", 9, active=True)
    p.place(middle, x=1)
    # both sources lie in one bank: a wavelet every other cycle, so that two senders can take turns
    for x, name, code in ((0, "west", first), (2, "east", second)):
        pe = p.pe_class(name)
        pe.dsd("all", wse.mem1d(pe.array("x", 4, "f32", init=float(x))))
        pe.queue_out(2, red)
        pe.dsd("out", wse.fabout(2, red))
        pe.code(f"main:\n dsr d0, out\n dsr a0, all\n dsr b0, all\n {code}\n fadds d0, a0, b0\n done")
        pe.local_task("main", 9, active=True)
        p.place(pe, x=x)
    p.route(red, "R", "E", x=0)
    p.route(red, "R", "W", x=2)
    p.route(red, "EW", "R", x=1)
    return p


@pytest.mark.parametrize("threads", [1, 2])
def test_messages_that_mix(threads):
    p = pair("nop", "nop\n nop\n nop\n nop")
    fabric = wse.Fabric(p, check=True, threads=threads)
    fabric.run()
    (one,) = findings(fabric)
    assert one.kind == "interleaved" and (one.x, one.y) == (1, 0)
    assert "PE (0, 0)" in one.message and "PE (2, 0)" in one.message and "router of PE (1, 0)" in one.message


def test_findings_do_not_depend_on_threads():
    said = set()
    for threads in (1, 3):
        fabric = wse.Fabric(pair("nop", "nop\n nop\n nop\n nop", rows=30), check=True, threads=threads)
        fabric.run()
        said.add("\n".join(map(str, findings(fabric))))
    (text,) = said
    assert "[180 times]" in text and "router of PE (1, 0)" in text


def tasks(first: str, second: str, body: str, arrays: str = "y 8 f32", accumulates: bool = False):
    """As `pair`, but a data task of the receiver takes the wavelets.  body: its code; y: where it stores."""
    p = wse.Program(3, 1, "wse2")
    red = p.color("red")
    middle = p.pe_class("middle")
    middle.array("y", 8, "u32")
    middle.array("n", 1, "u32", init=0)
    middle.dsd("next", wse.mem1d(middle.array("z", 8, "u32"), length=1))
    middle.queue_in(2, red)
    middle.code(f"setup:\n dsr d0, next\n done\ntake:\n{body}\n done")
    middle.local_task("setup", 9, active=True)
    middle.data_task("take", red)
    p.place(middle, x=1)
    for x, name, code in ((0, "west", first), (2, "east", second)):
        pe = p.pe_class(name)
        values = np.arange(x // 2, 8, 2, np.uint16)  # of the west 0 2 4 6, of the east 1 3 5 7
        pe.dsd("all", wse.mem1d(pe.array("x", 4, "u16", init=values)))
        pe.queue_out(2, red)
        pe.dsd("out", wse.fabout(2, red))
        pe.code(f"main:\n dsr d0, out\n dsr a0, all\n dsr b0, all\n {code}\n or16 d0, a0, b0\n done")
        pe.local_task("main", 9, active=True)
        p.place(pe, x=x)
    p.route(red, "R", "E", x=0)
    p.route(red, "R", "W", x=2)
    p.route(red, "EW", "R", x=1)
    return p


IN_ORDER = """
 ld32 r1, [n]
 ishl32 r2, r1, 2
 st32 r0, [r2 + y]
 iadd32 r1, r1, 1
 st32 r1, [n]
"""
SUM = " ld32 r1, [n]\n iadd32 r1, r1, r0\n st32 r1, [n]"
BY_INDEX = " ld32 r1, [n]\n iadd32 r1, r1, 1\n st32 r1, [n]\n iand r2, r0, 7\n ishl32 r2, r2, 2\n st32 r0, [r2 + y]"


def of_tasks(body: str, first: str, second: str):
    fabric = wse.Fabric(tasks(first, second, body), check=True)
    fabric.run()
    return fabric, findings(fabric)


def test_messages_that_mix_in_a_data_task():
    fabric, (one,) = of_tasks(IN_ORDER, "nop", "nop\n nop\n nop\n nop")
    assert one.kind == "interleaved" and (one.x, one.y) == (1, 0) and "st32" in one.where and "take" in one.where
    assert "PE (0, 0)" in one.message and "PE (2, 0)" in one.message and "router of PE (1, 0)" in one.message
    assert "order of arrival" in one.message
    mixed = fabric.read("y", 1, 0, 1, 1)[0, 0]
    assert sorted(mixed) == list(range(8)) and any(np.diff(mixed.astype(int)) % 2)


@pytest.mark.parametrize(
    ("body", "second"),
    [(IN_ORDER, "nop\n" * 60), (SUM, "nop\n nop\n nop\n nop"), (BY_INDEX, "nop\n nop\n nop\n nop")],
    ids=["one after the other", "sum", "by index"],
)
def test_data_tasks_that_may_take_wavelets_in_any_order(body, second):
    assert of_tasks(body, "nop", second)[1] == []


def test_messages_one_after_the_other_do_not_mix():
    fabric = wse.Fabric(pair("nop", "nop\n" * 40), check=True)
    fabric.run()
    assert findings(fabric) == []
    assert fabric.read("y", 1, 0, 1, 1)[0, 0].tolist() == [0] * 4 + [4] * 4


def test_two_tasks_may_activate_a_third_that_runs_once_for_both(tmp_path):
    text = """
    const a = @get_local_task_id(10);
    const b = @get_local_task_id(11);
    const next = @get_local_task_id(9);
    var runs: u16 = 0;
    task first() void { @activate(next); }
    task second() void { @activate(next); }
    task both() void { runs += 1; }
    fn main() void { @activate(a); @activate(b); }
    comptime {
      @bind_local_task(first, a);
      @bind_local_task(second, b);
      @bind_local_task(both, next);
      @export_symbol(main);
    }
    """
    device, checker = checked(tmp_path, text, None)
    assert checker.findings() == []
    assert device.measure().total("tasks") == 4  # one of them the launch


def test_an_activation_names_the_one_before_it(tmp_path):
    text = """
    const next = @get_local_task_id(9);
    var runs: u16 = 0;
    task both() void { runs += 1; }
    fn main() void {
      @activate(next);
      runs += 2;
      @activate(next);
    }
    comptime { @bind_local_task(both, next); @export_symbol(main); }
    """
    _, checker = checked(tmp_path, text, None)
    (found,) = checker.findings()
    assert found.kind == "activated" and "pe.csl:8:" in found.where and "pe.csl:6:" in str(found), str(found)


def test_what_the_host_writes_is_written(tmp_path):
    text = """
    var x: [4]f32;
    var y = @zeros([4]f32);
    var x_ptr: [*]f32 = &x;
    fn main() void { for (@range(u16, 4)) |i| y[i] = x[i]; }
    comptime { @export_symbol(x_ptr, "x"); @export_symbol(main); }
    """
    layout = 'layout { @set_rectangle(2, 1); for (@range(u16, 2)) |x| @set_tile_code(x, 0, "pe.csl"); }\n'
    (tmp_path / "pe.csl").write_text(text)
    (tmp_path / "layout.csl").write_text(layout)
    checker = Checker()
    device = Device(link(compile_program(tmp_path / "layout.csl", "wse3")), check=checker)
    device.write("x", device.rectangle(0, 0, 1, 1), np.zeros((1, 1, 16), np.uint8))  # the second PE gets none
    device.launch("main", [])
    device.run(cycles=LIMIT)
    found = checker.findings()
    assert {(one.kind, one.x) for one in found} == {("unwritten", 1)} and "x[0]" in found[0].message


def test_a_run_that_is_not_checked_has_no_findings():
    fabric = wse.Fabric(pair("nop", "nop"))
    with pytest.raises(ConfigError, match="check=True"):
        findings(fabric)
