"""Tasks, their ids and parameters, queues that become empty.

Covers: wse/csl/builtins/tasks.py
"""

from __future__ import annotations

import pytest

from csl.running import compiled, pair, read, run
from wse.csl.codegen.link import link
from wse.csl.syntax.errors import CslError

ARCHES = ("wse2", "wse3")
LAYOUT = pair(1, 3)
HEAD = """
param sends: bool;
const c = @get_color(1);
const oq = @get_output_queue(2);
const iq = @get_input_queue(3);
const id = @get_data_task_id(if (@is_arch("wse3")) iq else c);
const out = @get_dsd(fabout_dsd, .{ .fabric_color = c, .extent = 1, .output_queue = oq });
export var got = @zeros([4]u32);
comptime {
  @export_symbol(main);
  @initialize_queue(iq, .{ .color = c });
  @initialize_queue(oq, if (@is_arch("wse3")) .{ .color = c } else .{});
}
fn main() void { if (sends) @mov32(out, 0x89abcdef); }
"""
PARAMETERS = {
    "x: u32": [0x89ABCDEF],
    "x: i32": [0x89ABCDEF],
    "x: u16": [0xCDEF],
    "x: u8": [0xEF],
    "x: u16, y: u16": [0xCDEF, 0x89AB],
    "x: u16, y: u8, z: u8": [0xCDEF, 0xAB, 0x89],
    "x: u8, y: u8, z: u8, w: u8": [0xEF, 0xCD, 0xAB, 0x89],
    "x: u8, y: u16": [0xEF, 0x89AB],
}


@pytest.mark.parametrize("parameters", PARAMETERS)
@pytest.mark.parametrize("arch", ARCHES)
def test_the_parameters_of_a_data_task_are_parts_of_its_wavelet(arch, parameters, tmp_path):
    names = [part.split(":")[0].strip() for part in parameters.split(",")]
    body = " ".join(
        f"got[{i}] = @bitcast(u32, {name});" if "i32" in parameters else f"got[{i}] = @as(u32, {name});"
        for i, name in enumerate(names)
    )
    text = f"{HEAD}task t({parameters}) void {{ {body} }}\ncomptime {{ @bind_data_task(t, id); }}\n"
    want = PARAMETERS[parameters]
    assert read(run(tmp_path, text, arch=arch, layout=LAYOUT), "got", 1)[: len(want)].tolist() == want


REFUSED = {
    "data task without parameters": (
        "task t() void {}\ncomptime { @bind_data_task(t, id); }",
        "data task t needs a parameter for the data of its wavelet: task t(data: u32)",
    ),
    "more than a wavelet": (
        "task t(x: u32, y: u16) void { _ = x; _ = y; }\ncomptime { @bind_data_task(t, id); }",
        "task t: no bits of the wavelet are left for y: a wavelet has 32 bits",
    ),
    "five parameters": (
        "task t(a: u8, b: u8, d: u8, e: u8, f: u8) void {}\ncomptime { @bind_data_task(t, id); }",
        "no bits of the wavelet are left for f",
    ),
    "local task with a parameter": (
        "task t(x: u32) void { _ = x; }\ncomptime { @bind_local_task(t, @get_local_task_id(9)); }",
        "local task t takes no parameters",
    ),
    "a function": (
        "fn t() void {}\ncomptime { @bind_local_task(t, @get_local_task_id(9)); }",
        "t is a function: what is bound to an id is a `task`",
    ),
    "bound twice": (
        "task t() void {}\nconst l = @get_local_task_id(9);\ncomptime { @bind_local_task(t, l); @bind_local_task(t, l); }",
        "local task 9 is bound twice",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bindings_that_are_refused(name, tmp_path):
    text, message = REFUSED[name]
    with pytest.raises(CslError) as caught:
        compiled(tmp_path, HEAD + text, "wse3", LAYOUT)
    assert message in caught.value.diagnostics[0].message


RESERVED = {
    "local task": (
        "task t() void {}\ncomptime { @bind_local_task(t, @get_local_task_id(28)); }",
        "local task 28 belongs",
    ),
    "control task": (
        "task t() void {}\ncomptime { @bind_control_task(t, @get_control_task_id(34)); }",
        "control task 34 belongs to the memcpy library: 33, 34, 35, 36 and 37 do",
    ),
    "input queue": (
        "comptime { @initialize_queue(@get_input_queue(1), .{ .color = @get_color(2) }); }",
        "input queue 1 belongs to the memcpy library: 2 to 7 are left to the program",
    ),
    "output queue": (
        "comptime { @initialize_queue(@get_output_queue(0), .{ .color = @get_color(2) }); }",
        "output queue 0 belongs to the memcpy library: 1 to 7 are left to the program",
    ),
    "color": (
        "comptime { @set_local_color_config(@get_color(22), .{ .routes = .{ .rx = .{WEST}, .tx = .{RAMP} } }); }",
        "color 22 is reserved: colors 21 to 23 belong to the memcpy library",
    ),
    "color of a descriptor": (
        "const d = @get_dsd(fabout_dsd, .{ .fabric_color = @get_color(21), .extent = 1, .output_queue = "
        '@get_output_queue(4) });\nfn second() void { @mov32(d, 1); }\ncomptime { @export_symbol(second, "second"); }\n'
        'comptime { @initialize_queue(@get_output_queue(4), if (@is_arch("wse3")) .{ .color = @get_color(21) } else '
        ".{}); }",
        "color 21 is reserved",
    ),
    "color of a bound one": (
        "comptime { @initialize_queue(@get_input_queue(5), .{ .color = @get_color(23) }); }",
        "color 23 is reserved",
    ),
    "data task": (
        'task t(x: u32) void {}\ncomptime { @bind_data_task(t, @get_data_task_id(if (@is_arch("wse3")) '
        "@get_input_queue(5) else @get_color(22)));\n"
        'if (@is_arch("wse3")) @initialize_queue(@get_input_queue(5), .{ .color = @get_color(22) }); }',
        "color 22 is reserved",
    ),
}


LIBRARY = 'const sys = @import_module("<memcpy/memcpy>", .{});\n'
BEFORE = "comptime { _ = sys; }\n"
BEHIND = "if (!sends) sys.unblock_cmd_stream();"  # in a function, which is looked at behind all comptime blocks


@pytest.mark.parametrize("before", [True, False], ids=["before", "behind"])
@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize("name", RESERVED)
def test_what_memcpy_has_reserved(name, arch, before, tmp_path):
    """Whether a program uses the library before them or behind them.  Queues are reserved on WSE-3 only."""
    text, message = RESERVED[name]
    head = HEAD if before else HEAD.replace("fn main() void { ", f"fn main() void {{ {BEHIND} ")
    program = LIBRARY + head + (BEFORE if before else "")
    if arch == "wse2" and "queue" in name:
        text = text.replace(".{ .color = @get_color(2) }", ".{}") if name == "output queue" else text
        compiled(tmp_path, program + text, arch, LAYOUT)
        return
    with pytest.raises(CslError) as caught:
        compiled(tmp_path, program + text, arch, LAYOUT)
    assert [message in diagnostic.message for diagnostic in caught.value.diagnostics] == [True]
    compiled(tmp_path / "without", HEAD + text.replace("28", "26"), arch, LAYOUT)


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize("before", [True, False], ids=["before", "behind"])
def test_a_layout_may_name_the_library_behind_its_colors(before, arch, tmp_path):
    lines = [
        '@set_tile_code(0, 0, "pe.csl", .{ .memcpy_params = m.get_params(0) });',
        "@set_color_config(0, 0, @get_color(23), .{ .routes = .{ .rx = .{WEST}, .tx = .{RAMP} } });",
    ]
    layout = 'const m = @import_module("<memcpy/get_params>", .{ .width = 1, .height = 1 });\nlayout {\n@set_rectangle(1, 1);\n'
    pe = 'param memcpy_params;\nconst sys = @import_module("<memcpy/memcpy>", memcpy_params);\nfn f() void { sys.unblock_cmd_stream(); }\n'
    pe += "comptime { @export_symbol(f); }\n"
    text = layout + "\n".join(lines if before else lines[::-1]) + '\n@export_name("f", fn()void);\n}\n'
    with pytest.raises(CslError) as caught:
        compiled(tmp_path, pe, arch, text)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.message.startswith("color 23 is reserved") and diagnostic.span.source.path.endswith("layout.csl")
    compiled(tmp_path / "20", pe, arch, text.replace("23", "20"))


def test_microthread_ids_at_run_time(tmp_path):
    """@block and @unblock take an id that is computed; an operation's own is known."""
    text = f"""{HEAD}
var number: u16 = 5;
const words = [2]u32{{7, 8}};
const from = @get_dsd(mem1d_dsd, .{{ .tensor_access = |i|{{2}} -> words[i] }});
const two = @get_dsd(fabout_dsd, .{{ .extent = 2, .output_queue = oq }});
const in = @get_dsd(fabin_dsd, .{{ .extent = 3, .input_queue = iq }});
const to = @get_dsd(mem1d_dsd, .{{ .tensor_access = |i|{{3}} -> got[i] }});
const go = @get_local_task_id(9);
task later() void {{ got[3] = got[0]; @unblock(@get_ut_id(number)); }}
comptime {{ @bind_local_task(later, go); @export_symbol(second); }}
fn second() void {{
  if (sends) {{ @mov32(two, from); }} else {{
    @block(@get_ut_id(number));
    @mov32(to, in, .{{ .async = true, .ut_id = @get_ut_id(5) }});
    @activate(go);
  }}
}}
""".replace("export_symbol(main)", 'export_symbol(main, "first")').replace(
        "export_symbol(second)", 'export_symbol(second, "main")'
    )
    text = text.replace(".extent = 3, .input_queue", ".extent = 2, .input_queue").replace("|i|{3}", "|i|{2}")
    done = run(tmp_path, text, layout=LAYOUT)
    assert read(done, "got", 1).tolist() == [7, 8, 0, 0]


FLUSH = """
param sends: bool;
const oq = @get_output_queue(2);
const ia = @get_input_queue(3);
const ib = @get_input_queue(4);
const config = @import_module("<tile_config>");
const words = [8]u32{1, 2, 3, 4, 5, 6, 7, 8};
export var got = @zeros([16]u32);
export var calls: u16 = 0;
const from = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{8} -> words[i] });
const out = @get_dsd(fabout_dsd, .{ .extent = 8, .output_queue = oq });
const a = @get_dsd(fabin_dsd, .{ .extent = 8, .input_queue = ia });
const b = @get_dsd(fabin_dsd, .{ .extent = 8, .input_queue = ib });
const to = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{8} -> got[i] });
const sent = @get_local_task_id(9);
const again = @get_local_task_id(10);
task all_in_queue() void { @queue_flush(oq); }
task second() void { @mov32(out, from); }
fn empty() void {
  calls += 1;
  @assert(config.queue_flush.is_flushed(config.queue_flush.oq_status(), oq));
  @wse_bind
  config.queue_flush.exit(oq);
  @activate(again);
}
comptime {
  @export_symbol(main);
  @initialize_queue(oq, .{ .color = @get_color(1) });
  @initialize_queue(ia, .{ .color = @get_color(1) });
  @initialize_queue(ib, .{ .color = @get_color(2) });
  @bind_local_task(all_in_queue, sent);
  @bind_local_task(second, again);
  @set_empty_queue_handler(empty, oq);
}
fn main() void {
  if (sends) {
    @mov32(out, from, .{ .async = true, .activate = sent });
  } else {
    var pause: u16 = 0;
    while (pause < 200) : (pause += 1) { calls = 0; }
    @mov32(to, a);
    @mov32(@increment_dsd_offset(to, 8, u32), b);
  }
}
"""


def test_a_handler_is_called_when_the_queue_is_empty(tmp_path):
    """The receiver takes nothing at first, so that the queue holds wavelets when its operation has ended."""
    text = FLUSH.replace("  @wse_bind\n", "").replace(
        "@mov32(@increment_dsd_offset(to, 8, u32), b);", "@mov32(@increment_dsd_offset(to, 8, u32), a);"
    )
    done = run(tmp_path, text, layout=LAYOUT)
    assert read(done, "calls", 0).tolist() == [1]
    assert read(done, "got", 1).tolist() == [1, 2, 3, 4, 5, 6, 7, 8] * 2


def test_an_empty_queue_is_flushed_at_once(tmp_path):
    text = (
        FLUSH.replace("  @wse_bind\n", "")
        .replace("@activate(again);", "")
        .replace("@mov32(out, from, .{ .async = true, .activate = sent });", "@queue_flush(ia);")
        .replace("@assert(config.queue_flush.is_flushed(config.queue_flush.oq_status(), oq));", "")
        .replace("(empty, oq)", "(empty, ia)")
        .replace("exit(oq)", "exit(ia)")
        .replace("@mov32(to, a);", "")
        .replace("@mov32(@increment_dsd_offset(to, 8, u32), b);", "")
    )
    assert read(run(tmp_path, text, layout=LAYOUT), "calls", 0).tolist() == [1]


@pytest.mark.parametrize(
    "call, message",
    [
        ("@set_empty_queue_handler(f, 3);", "an input_queue or an output_queue was expected, not"),
        ("@set_empty_queue_handler(g, iq);", "a handler is of type fn()void: g is not"),
        ("@set_empty_queue_handler(f, iq); @set_empty_queue_handler(f, iq);", "has two handlers"),
        ("@queue_flush(iq);", "@queue_flush is not possible at compile time"),
        ("@set_teardown_handler(f, c); @set_teardown_handler(f, c);", "color 1 has two teardown handlers"),
    ],
)
def test_handlers_that_are_refused(call, message, tmp_path):
    text = f"{HEAD}fn f() void {{}}\nfn g(x: u16) void {{ _ = x; }}\ncomptime {{ {call} }}\n"
    with pytest.raises(CslError) as caught:
        compiled(tmp_path, text, "wse3", LAYOUT)
    assert message in caught.value.diagnostics[0].message


def test_a_task_of_number_29_excludes_handlers(tmp_path):
    text = f"{HEAD}fn f() void {{}}\ntask t() void {{}}\ncomptime {{ @set_empty_queue_handler(f, iq); @bind_local_task(t, @get_local_task_id(29)); }}\n"
    with pytest.raises(CslError, match="task 29 is bound, and has a handler"):
        compiled(tmp_path, text, "wse3", LAYOUT)


def test_wse2_has_no_microthread_ids(tmp_path):
    f = "fn f() void { @block(@get_ut_id(3)); }\ncomptime { @export_symbol(f); }\n"
    with pytest.raises(CslError, match="wse2 has no @get_ut_id: it is a builtin of wse3"):
        compiled(tmp_path, HEAD + f, "wse2", LAYOUT)
    f = "fn f() void { @mov32(out, 1, .{ .async = true, .ut_id = oq }); }\ncomptime { @export_symbol(f); }\n"
    with pytest.raises(CslError, match=r"wse2 has no \.ut_id: there the queue says the microthread"):
        compiled(tmp_path / "option", HEAD + f, "wse2", LAYOUT)


def test_wse2_has_no_flush(tmp_path):
    with pytest.raises(CslError, match="wse2 has no @queue_flush"):
        compiled(
            tmp_path, f"{HEAD}fn f() void {{ @queue_flush(oq); }}\ncomptime {{ @export_symbol(f); }}\n", "wse2", LAYOUT
        )


TABLE = """
const ctrl = @get_control_task_id(9);
const local = @get_local_task_id(9);
task told(data: u32) void { got[0] = data & 0xffff; @activate(local); }
task here() void { got[1] += 1; }
task data(v: u32) void { got[2] = v; }
const control = @import_module("<control>");
const command = @get_dsd(fabout_dsd, .{ .fabric_color = c, .extent = 1, .output_queue = oq, .control = true });
"""


@pytest.mark.parametrize("first", [True, False])
def test_a_table_of_control_tasks_has_numbers_of_its_own(first, tmp_path):
    """The call stands before the bindings or after them."""
    binds = "@bind_control_task(told, ctrl); @bind_local_task(here, local); @bind_data_task(data, id);"
    table = "@set_control_task_table(.{ .instructions = 4, .stride = 2 });"
    text = (
        HEAD.replace("@mov32(out, 0x89abcdef)", "@mov32(command, control.encode_control_task_payload(ctrl))")
        + TABLE
        + f"comptime {{ {table if first else ''} {binds} {'' if first else table} }}\n"
    )
    done = run(tmp_path, text, layout=LAYOUT)
    assert read(done, "got", 1).tolist() == [0, 1, 0, 0]
    with pytest.raises(CslError, match="local task 9 is bound twice: as a control task, too; @set_control_task_table"):
        compiled(tmp_path / "one", HEAD + TABLE + f"comptime {{ {binds} }}\n", "wse3", LAYOUT)


def test_control_tasks_of_a_table_are_blocked_by_their_id(tmp_path):
    text = (
        HEAD.replace("@mov32(out, 0x89abcdef)", "@mov32(command, control.encode_control_task_payload(ctrl))")
        + TABLE
        + "comptime { @set_control_task_table(); @bind_control_task(told, ctrl); @bind_local_task(here, local);"
        " @block(ctrl); }\n"
    )
    assert read(run(tmp_path, text, layout=LAYOUT), "got", 1).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    "calls, message",
    [
        ("@set_control_task_table(.{ .instructions = 3 });", ".instructions is one of 2, 4, 8, not 3"),
        ("@set_control_task_table(.{ .size = 3 });", "a table of control tasks has no field size"),
        ("@set_control_task_table(); @set_control_task_table();", "@set_control_task_table is called twice"),
        (
            "@bind_control_task(told, ctrl); @block(ctrl); @set_control_task_table();",
            "@set_control_task_table comes before control tasks are blocked",
        ),
    ],
)
def test_tables_that_are_refused(calls, message, tmp_path):
    with pytest.raises(CslError) as caught:
        compiled(tmp_path, HEAD + TABLE + f"comptime {{ {calls} }}\n", "wse3", LAYOUT)
    assert message in caught.value.diagnostics[0].message


def test_a_microthread_that_is_blocked_at_the_start(tmp_path):
    """The receiver's operation begins when a later task unblocks its microthread."""
    text = HEAD.replace(
        "if (sends) @mov32(out, 0x89abcdef);",
        "if (sends) { @mov32(out, 7); } else { @mov32(to, in, .{ .async = true, .activate = end }); wait(); @activate(open); }",
    )
    text += """
const ut = @get_ut_id(3);
const end = @get_local_task_id(9);
const open = @get_local_task_id(10);
var pause: u16 = 0;
const in = @get_dsd(fabin_dsd, .{ .extent = 1, .input_queue = iq });
const to = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{1} -> got[i] });
fn wait() void { while (pause < 100) : (pause += 1) {} }
task last() void { got[2] = 1; }
task unblocks() void { got[1] = got[0] + 20 + got[2]; @unblock(ut); }
comptime { @block(ut); @bind_local_task(last, end); @bind_local_task(unblocks, open); }
"""
    assert read(run(tmp_path, text, arch="wse3", layout=LAYOUT), "got", 1).tolist() == [7, 20, 1, 0]


CHANNELS = {
    "block of a color": ("wse3", "@block(c);", "on wse3 @block takes a task id or an input queue, not a color"),
    "unblock of a color": ("wse3", "@unblock(c);", "on wse3 @unblock takes a task id or an input queue, not a color"),
    "block of a queue": ("wse2", "@block(iq);", "on wse2 @block takes a task id or a color, not an input queue"),
    "after an operation": (
        "wse3",
        "@mov32(out, 1, .{ .async = true, .unblock = c });",
        "on wse3 .unblock takes a task id or an input queue, not a color",
    ),
    "after an operation, WSE-2": (
        "wse2",
        "@mov32(out, 1, .{ .async = true, .unblock = iq });",
        "on wse2 .unblock takes a task id or a color, not an input queue",
    ),
    "a control task": (
        "wse3",
        "@mov32(out, 1, .{ .async = true, .unblock = k }); } task k() void {} comptime {"
        " @bind_control_task(k, @get_control_task_id(12)); } fn unused() void {",
        "data and local tasks are unblocked: 12 is a control task",
    ),
}


@pytest.mark.parametrize("name", CHANNELS)
def test_what_is_not_blocked(name, tmp_path):
    arch, body, message = CHANNELS[name]
    text = HEAD.replace("if (sends) @mov32(out, 0x89abcdef);", body)
    with pytest.raises(CslError) as caught:
        compiled(tmp_path, text, arch, LAYOUT)
    assert message in caught.value.diagnostics[0].message


BESIDE = """
const time = @import_module("<time>");
const many = @get_dsd(mem1d_dsd, .{ .base_address = &got, .extent = 2000, .stride = 0 });
const send = @get_dsd(fabout_dsd, .{ .fabric_color = c, .extent = 2000, .output_queue = oq });
const in = @get_dsd(fabin_dsd, .{ .fabric_color = c, .extent = 2000, .input_queue = iq });
var start = @zeros([3]u16);
var stop = @zeros([3]u16);
export var cycles: u16 = 0;
fn receive() void {
  time.enable_tsc();
  time.get_timestamp(&start);
  @mov32(many, in, .{ .async = true OPTION });
  var i: u16 = 0;
  while (i < 100) : (i += 1) { cycles += i; }
  time.get_timestamp(&stop);
  cycles = stop[0] - start[0];
}
"""


def cycles_beside(folder, arch: str, queue: str = "", operation: str = "", descriptor: str = "") -> int:
    """Cycles of a loop of the main thread beside an operation that could take every slot for 2000 cycles."""
    text = HEAD.replace("if (sends) @mov32(out, 0x89abcdef);", "if (sends) { @mov32(send, many); } else { receive(); }")
    text = text.replace("@initialize_queue(iq, .{ .color = c", f"@initialize_queue(iq, .{{ .color = c{queue}")
    text += BESIDE.replace(" OPTION", operation).replace(".input_queue = iq }", f".input_queue = iq{descriptor} }}")
    return int(read(run(folder, text, arch=arch, layout=LAYOUT), "cycles", 1)[0])


@pytest.mark.parametrize("level", ["low", "medium", "high"])
def test_the_priority_of_a_queue_is_that_of_its_microthread(level, tmp_path):
    """The main thread has the slots that it wants before a microthread of low priority, and after any other."""
    given = f", .priority = .{{ .{level} = true }}"
    cycles = [
        cycles_beside(tmp_path / "queue", "wse2", queue=given),
        cycles_beside(tmp_path / "operation", "wse2", operation=given),
    ]
    assert abs(cycles[0] - cycles[1]) < 10
    assert (cycles[0] < 1500) == (level == "low"), cycles


def test_priorities_that_nothing_says(tmp_path):
    """Low, but for the microthreads of input queues of WSE-2 that are initialized."""
    assert cycles_beside(tmp_path / "wse3", "wse3") < 1500
    assert cycles_beside(tmp_path / "high", "wse3", descriptor=", .priority = .{ .high = true }") > 1500
    assert cycles_beside(tmp_path / "wse2", "wse2") > 1500
    bare = HEAD.replace("@initialize_queue(iq, .{ .color = c });", "")
    for text, arch, want in ((HEAD, "wse2", 0x55D5), (bare, "wse2", 0x5555), (HEAD, "wse3", 0x5555)):
        assert link(compiled(tmp_path / "image", text, arch, LAYOUT)).classes[0].thread_priority == want


ACTIVATED = {
    "none in a comptime block": ("comptime { @activate(free); }", "", "no task is bound to local task id 9"),
    "none by a FIFO": (
        "var f = @zeros([4]u16);\nconst fifo = @allocate_fifo(f, .{ .activate_push = free });",
        "_ = @mov16(fifo, 1);",
        "no task is bound to local task id 9",
    ),
    "a data task": ("task d(v: u32) void {} comptime { @bind_data_task(d, id); }", "@activate(d);", "only local tasks"),
    "a data task's id": (
        "task d(v: u32) void {} comptime { @bind_data_task(d, id); }",
        "@activate(id);",
        "only local tasks are activated: 3 is a data task",
    ),
    "a control task": (
        "task k(v: u32) void {} comptime { @bind_control_task(k, @get_control_task_id(12)); }",
        "@activate(k);",
        "only local tasks are activated: 12 is a control task",
    ),
    "a data task after an operation": (
        "task d(v: u32) void {} comptime { @bind_data_task(d, id); }",
        "@mov32(out, 1, .{ .async = true, .activate = d });",
        "only local tasks are activated: 3 is a data task",
    ),
    "a data task by a control wavelet": (
        "task d(v: u32) void {} comptime { @bind_data_task(d, id); }",
        "@mov32(&got[0], @get_dsd(fabin_dsd, .{ .extent = 1, .input_queue = @get_input_queue(4) }),"
        " .{ .async = true, .on_control = .{ .activate = d } });",
        "only local tasks are activated: 3 is a data task",
    ),
}


@pytest.mark.parametrize("name", ACTIVATED)
def test_only_local_tasks_that_are_bound_are_activated(name, tmp_path):
    decls, body, message = ACTIVATED[name]
    text = HEAD.replace("if (sends) @mov32(out, 0x89abcdef);", body) + f"const free = @get_local_task_id(9);\n{decls}\n"
    text += "comptime { @initialize_queue(@get_input_queue(4), .{ .color = @get_color(2) }); }\n"
    with pytest.raises(CslError) as caught:
        compiled(tmp_path, text, "wse3", pair(1, 3))
    assert message in caught.value.diagnostics[0].message


REFUSED_QUEUES = {
    "no priority": ("iq, .{ .color = c, .priority = 3 }", "wse2", "a priority is .{ .high = true }"),
    "an output": ("oq, .{ .priority = .{ .high = true } }", "wse2", "an output queue has no .priority"),
    "priority on WSE-3": (
        "iq, .{ .color = c, .priority = .{ .high = true } }",
        "wse3",
        "wse3 has no .priority of queues: descriptors have",
    ),
    "no color of an input": ("iq", "wse2", "input queue 2 needs the color that it serves: .{ .color = ... }"),
    "no color of an input, WSE-3": ("iq, .{}", "wse3", "input queue 2 needs the color that it serves"),
    "no color of an output": ("oq, .{}", "wse3", "output queue 3 needs the color that it serves"),
    "table on WSE-2": ("iq, .{ .color = c, .ctrl_table_id = 0 }", "wse2", "wse2 has no .ctrl_table_id of queues"),
    "table of an output": ("oq, .{ .color = c, .ctrl_table_id = 0 }", "wse3", "an output queue has no .ctrl_table_id"),
    "another table": (
        "iq, .{ .color = c, .ctrl_table_id = 4 }",
        "wse3",
        "a .ctrl_table_id other than 0 needs @set_control_task_table()",
    ),
    "a table beyond all entry points": (
        "iq, .{ .color = c, .ctrl_table_id = 13 }); @set_control_task_table(.{ .stride = 5 }",
        "wse3",
        "table 13 of control tasks would begin at entry point 65 (stride 5): there are 64 entry points",
    ),
    "no number": ("iq, .{ .color = c, .ctrl_table_id = c }", "wse3", ".ctrl_table_id is an integer, not"),
    "option": (
        "iq, .{ .color = c, .depth = 4 }",
        "wse3",
        "a queue has no option depth: known: color, ctrl_table_id, priority",
    ),
    "twice": (
        "iq, .{ .color = c }); @initialize_queue(iq, .{ .color = c }",
        "wse3",
        "input queue 2 is initialized twice",
    ),
}


@pytest.mark.parametrize("name", REFUSED_QUEUES)
def test_queues_that_are_refused(name, tmp_path):
    options, arch, message = REFUSED_QUEUES[name]
    text = (
        "const c = @get_color(1);\nconst iq = @get_input_queue(2);\nconst oq = @get_output_queue(3);\n"
        f"fn main() void {{}}\ncomptime {{ @export_symbol(main); @initialize_queue({options}); }}\n"
    )
    with pytest.raises(CslError) as caught:
        compiled(tmp_path, text, arch)
    assert message in caught.value.diagnostics[0].message


def test_all_input_queues_have_the_first_table_of_control_tasks(tmp_path):
    text = "comptime { @initialize_queue(@get_input_queue(2), .{ .color = @get_color(1), .ctrl_table_id = 0 }); }"
    unit = compiled(tmp_path, text, "wse3").units[0]
    assert (unit.queues_in, unit.control_first) == ({2: 1}, {})


TABLES = """
param sends: bool;
const c = @get_color(1); const c2 = @get_color(2); const c3 = @get_color(3);
const oq = @get_output_queue(2); const oq2 = @get_output_queue(3); const oq3 = @get_output_queue(4);
const control = @import_module("<control>");
export var got = @zeros([6]u16);
var n: u16 = 0;
fn note(x: u16) void { got[n] = x; n += 1; }
task zero() void { note(100); }
task one() void { note(101); }
task far() void { note(200); }
task far_one(v: u16) void { note(200 + v); }
fn send(q: output_queue, id: u16, v: u16) void {
  const d = @get_dsd(fabout_dsd, .{ .extent = 1, .output_queue = q, .control = true });
  @mov32(d, control.encode_control_task_payload(@get_control_task_id(id)) | v);
}
fn main() void {
  if (!sends) return;
  for (@range(u16, 2)) |id| { send(oq, id, 0); wait(); send(oq2, id, 5); wait(); send(oq3, id, 0); wait(); }
}
fn wait() void { for (@range(u16, 100)) |_| { @random16(); } }
comptime {
  @export_symbol(main);
  if (sends) {
    @initialize_queue(oq, .{ .color = c }); @initialize_queue(oq2, .{ .color = c2 }); @initialize_queue(oq3, .{ .color = c3 });
  } else {
    @initialize_queue(@get_input_queue(2), .{ .color = c });
    @initialize_queue(@get_input_queue(3), .{ .color = c2, .ctrl_table_id = 2 });
    @initialize_queue(@get_input_queue(4), .{ .color = c3, .ctrl_table_id = 0 });
    @unblock(@get_input_queue(2)); @unblock(@get_input_queue(3)); @unblock(@get_input_queue(4));
    @bind_control_task(zero, @get_control_task_id(0));
    @bind_control_task(one, @get_control_task_id(1));
    @bind_control_task(far, @get_control_task_id(6));
    @bind_control_task(far_one, @get_control_task_id(7));
    @set_control_task_table(.{ .stride = 3 });
  }
}
"""


def test_tables_of_control_tasks_by_queue(tmp_path):
    """Table t begins at entry point t * stride."""
    loaded = run(tmp_path, TABLES, layout=pair(1, 4))
    assert read(loaded, "got", 1).tolist() == [100, 200, 100, 101, 205, 101]


@pytest.mark.parametrize("loaded", [False, True])
def test_an_operation_whose_microthread_is_known_at_run_time(loaded, tmp_path):
    """The microthread is suspended, so that the operation waits until a task unblocks it."""
    use = (
        "@load_to_dsr(r, in, .{ .async = true, .ut_id = @get_ut_id(number) }); @mov32(to, r, .{ .async = true });"
        if loaded
        else "@mov32(to, in, .{ .async = true, .ut_id = @get_ut_id(number) });"
    )
    text = HEAD.replace("if (sends) @mov32(out, 0x89abcdef);", f"if (sends) {{ @mov32(out, 7); }} else {{ {CALL} }}")
    text = (
        text.replace("USE", use)
        + """
var number: u16 = 6;
var rounds: u16 = 0;
const r = @get_dsr(dsr_src1, 2);
const in = @get_dsd(fabin_dsd, .{ .extent = 1, .input_queue = iq });
const to = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{1} -> got[i] });
const go = @get_local_task_id(9);
task later() void {
  rounds += 1;
  if (rounds < 300) { @activate(go); } else { got[1] = got[0]; @unblock(@get_ut_id(number)); }
}
comptime { @bind_local_task(later, go); }
"""
    )
    assert read(run(tmp_path, text, layout=LAYOUT), "got", 1)[:2].tolist() == [7, 0]


CALL = "@block(@get_ut_id(number)); USE @activate(go);"


IDS_AT_RUN_TIME = """
var n: u16 = 9;
var which: u16 = 0;
export var seen = @zeros([3]u16);
task a() void { seen[0] += 1; @unblock(@get_local_task_id(n + 1)); }
task b() void { seen[1] += 1; }
fn id_of(k: u16) local_task_id { return @get_local_task_id(k); }
fn main() void {
  @activate(id_of(n + 1));
  @activate(@get_local_task_id(n));
  seen[2] = @get_int(@get_local_task_id(n)) + @get_int(@get_control_task_id(n)) * 100;
}
comptime {
  @bind_local_task(a, @get_local_task_id(9));
  @bind_local_task(b, @get_local_task_id(10));
  @block(@get_local_task_id(10));
  @export_symbol(main);
}
"""


@pytest.mark.parametrize("arch", ARCHES)
def test_ids_of_numbers_that_are_known_at_run_time(arch, tmp_path):
    assert read(run(tmp_path, IDS_AT_RUN_TIME, arch=arch), "seen").tolist() == [1, 1, 909]


@pytest.mark.parametrize("arch", ARCHES)
def test_data_task_ids_at_run_time(arch, tmp_path):
    """The id of a queue or color that is a parameter of a function which is called at run time."""
    made = "@get_data_task_id(given)"
    kind = "color" if arch == "wse2" else "input_queue"
    text = f"""{HEAD}
var k: u16 = 1;
fn chosen() {kind} {{ {"return @get_color(k);" if arch == "wse2" else "return if (k == 1) iq else @get_input_queue(4);"} }}
task t(x: u32) void {{ got[0] = x; }}
task later() void {{ const given = chosen(); @unblock({made}); }}
comptime {{
  @bind_data_task(t, id);
  @block(id);
  @bind_local_task(later, @get_local_task_id(20));
  if (!sends) @activate(@get_local_task_id(20));
}}
"""
    assert read(run(tmp_path, text, arch=arch, layout=LAYOUT), "got", 1)[0] == 0x89ABCDEF


@pytest.mark.parametrize(
    "expression, message",
    [
        ("@get_local_task_id(wide)", "a value of type u16 was expected, not one of type u32"),
        ("@get_control_task_id(signed)", "a value of type u16 was expected, not one of type i16"),
        ("@get_input_queue(n)", "the number of a queue must be known at compile time"),
        ("@get_output_queue(n)", "the number of a queue must be known at compile time"),
        ("@get_color(wide)", "a value of type u16 was expected, not one of type u32"),
    ],
)
def test_numbers_at_run_time_that_are_refused(expression, message, tmp_path):
    text = f"""
var n: u16 = 3;
var wide: u32 = 3;
var signed: i16 = 3;
export var seen: u16;
fn main() void {{ seen = @get_int({expression}); }}
comptime {{ @export_symbol(main); }}
"""
    with pytest.raises(CslError, match=message):
        compiled(tmp_path, text)


@pytest.mark.parametrize(
    "more, remark",
    [
        ("", True),
        ("comptime { @unblock(iq); }", False),
        ("comptime { @block(iq); }", True),
        ("task later() void { @unblock(iq); }\ncomptime { @bind_local_task(later, @get_local_task_id(9)); }", False),
        ("task data(v: u32) void {}\ncomptime { @bind_data_task(data, @get_data_task_id(iq)); }", False),
    ],
)
def test_control_tasks_wait_for_an_unblock(more, remark, tmp_path):
    """On the machine: here they start without one, with a remark."""
    text = HEAD + "task control() void {}\ncomptime { @bind_control_task(control, @get_control_task_id(40)); }\n" + more
    warnings: list = []
    compiled(tmp_path, text, "wse3", LAYOUT, options={"warnings": warnings})
    message = (
        "on the machine control tasks wait for @unblock of the input queue that brings their wavelets: there is none"
    )
    assert [warning.message for warning in warnings] == [message] * remark
