"""@get_dsd of fabin_dsd and fabout_dsd: colors, queues, extents, options, on two PEs."""

from __future__ import annotations

import pytest

from csl.running import compiled, device, launch, pair, read, run
from wse.csl.codegen.link import link
from wse.csl.syntax.errors import CslError
from wse.program.assembler import disassemble_word

ARCHES = ("wse2", "wse3")
LAYOUT = pair(1, 3)
HEAD = """
param sends: bool;
const c = @get_color(1);
const c2 = @get_color(2);
const oq = @get_output_queue(2);
const iq = @get_input_queue(3);
export var a = [8]u16{1, 2, 3, 4, 5, 6, 7, 8};
export var b = @zeros([8]u16);
export var wide = @zeros([8]u32);
const from = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{8} -> a[i] });
const to = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{8} -> b[i] });
const words = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{8} -> wide[i] });
comptime { @export_symbol(main); }
"""
QUEUES = "comptime { @initialize_queue(oq, .{ .color = c }); @initialize_queue(iq, .{ .color = c }); }\n"


def pe(sender: str, receiver: str, decls: str, queues: str = QUEUES) -> str:
    return f"{HEAD}{queues}{decls}\nfn main() void {{ if (sends) {{ {sender} }} else {{ {receiver} }} }}\n"


OUT = "const out = @get_dsd(fabout_dsd, .{ .fabric_color = c, .extent = 8, .output_queue = oq%s });"
IN = "const in = @get_dsd(fabin_dsd, .{ .fabric_color = c, .extent = %s, .input_queue = iq%s });"


@pytest.mark.parametrize("mode", ["simd_32", "simd_64", "simd_32_or_64"])
@pytest.mark.parametrize("arch", ARCHES)
def test_simd_modes_put_two_elements_into_a_wavelet(arch, mode, tmp_path):
    simd = f", .simd_mode = .{{ .{mode} = true }}"
    decls = OUT % simd + IN % (4, "")
    done = run(tmp_path, pe("@mov16(out, from);", "@mov32(words, in);", decls), arch=arch, layout=LAYOUT)
    assert read(done, "wide", 1).tolist() == [1 | 2 << 16, 3 | 4 << 16, 5 | 6 << 16, 7 | 8 << 16, 0, 0, 0, 0]


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("arch", ARCHES)
def test_simd_modes_take_half_of_the_cycles(arch, asynchronous, tmp_path):
    cycles = {}
    for name, simd in (("scalar", ""), ("simd", ", .simd_mode = .{ .simd_32 = true }")):
        option = ", .{ .async = true }" if asynchronous else ""
        send = f"@mov16(out, from{option});" * 1
        # 1,024 elements: the memory operands have stride 0
        decls = (
            (OUT % simd).replace("extent = 8", "extent = 1024")
            + IN % (1024, simd)
            + "const many = @get_dsd(mem1d_dsd, .{ .base_address = &a, .extent = 1024, .stride = 0 });\n"
            "const sink = @get_dsd(mem1d_dsd, .{ .base_address = &b, .extent = 1024, .stride = 0 });"
        )
        text = pe(send.replace("from", "many"), f"@mov16(sink, in{option});", decls)
        loaded = device(tmp_path / name, text, arch, LAYOUT)
        launch(loaded)
        cycles[name] = loaded.cycle
        assert read(loaded, "b", 1)[0] == 1
    assert 500 < cycles["scalar"] - cycles["simd"] < 530


@pytest.mark.parametrize("arch", ARCHES)
def test_simd_on_both_sides(arch, tmp_path):
    simd = ", .simd_mode = .{ .simd_32 = true }"
    done = run(
        tmp_path, pe("@mov16(out, from);", "@mov16(to, in);", OUT % simd + IN % (8, simd)), arch=arch, layout=LAYOUT
    )
    assert read(done, "b", 1).tolist() == [1, 2, 3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize("arch", ARCHES)
def test_extents_at_run_time(arch, tmp_path):
    decls = "var n: u16 = 3;\n" + IN % ("8", "")
    send = (
        "@mov16(@get_dsd(fabout_dsd, .{ .fabric_color = c, .extent = n, .output_queue = oq }),"
        " @set_dsd_length(from, n));"
    )
    done = run(tmp_path, pe(send, "@mov16(to, @set_dsd_length(in, n));", decls), arch=arch, layout=LAYOUT)
    assert read(done, "b", 1).tolist() == [1, 2, 3, 0, 0, 0, 0, 0]


def test_on_wse3_the_queue_says_the_color(tmp_path):
    decls = (
        "const out = @get_dsd(fabout_dsd, .{ .extent = 8, .output_queue = oq });\n"
        "const in = @get_dsd(fabin_dsd, .{ .extent = 8, .input_queue = iq });"
    )
    done = run(tmp_path, pe("@mov16(out, from);", "@mov16(to, in);", decls), layout=LAYOUT)
    assert read(done, "b", 1).tolist() == [1, 2, 3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize("level, number", [("low", 0), ("medium", 1), ("high", 2)])
@pytest.mark.parametrize("arch", ARCHES)
def test_the_priority_of_a_descriptor_is_that_of_its_microthread(arch, level, number, tmp_path):
    decls = OUT % f", .priority = .{{ .{level} = true }}"
    text = pe("@mov16(out, from, .{ .async = true });", "", decls)
    code = link(compiled(tmp_path, text, arch, LAYOUT)).classes[0].code
    lines = [disassemble_word(int(word)) for word in code]
    assert f"utprio 2, {number}" in lines


REFUSED = {
    "no queue": ("fabin_dsd, .{ .extent = 8 }", "a fabin_dsd needs .input_queue or .fabric_color"),
    "unroutable": ("fabin_dsd, .{ .fabric_color = @get_color(25), .extent = 8, .input_queue = iq }", "color 25 cannot"),
    "other queue": ("fabin_dsd, .{ .extent = 8, .output_queue = oq }", "a fabin_dsd has no property output_queue"),
    "input queue of an output": ("fabout_dsd, .{ .extent = 8, .input_queue = iq }", "has no property input_queue"),
    "control of an input": (
        "fabin_dsd, .{ .extent = 8, .input_queue = iq, .control = true }",
        ".control is a property of a fabout_dsd",
    ),
    "simd and index": (
        "fabout_dsd, .{ .extent = 8, .output_queue = oq, .wavelet_index_offset = true,"
        " .simd_mode = .{ .simd_32 = true } }",
        "a wavelet holds two elements (.simd_mode) or an element and its index (.wavelet_index_offset), not both",
    ),
    "simd of another name": (
        "fabin_dsd, .{ .extent = 8, .input_queue = iq, .simd_mode = .{ .simd_128 = true } }",
        ".simd_mode is .{ .simd_32 = true } or",
    ),
    "priority": ("fabin_dsd, .{ .extent = 8, .input_queue = iq, .priority = .{ .top = true } }", "a priority is"),
    "extent": ("fabin_dsd, .{ .extent = 65536, .input_queue = iq }", "an extent is 0 to 65535, not 65536"),
    "zero": ("fabout_dsd, .{ .extent = 8, .output_queue = oq, .zero = true }", ".zero is .{ .first_source = true } or"),
    "zero of an input": (
        "fabin_dsd, .{ .extent = 8, .input_queue = iq, .zero = .{ .first_source = true } }",
        "a fabin_dsd has no property zero",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("arch", ARCHES)
def test_what_is_refused(name, arch, tmp_path):
    arguments, message = REFUSED[name]
    with pytest.raises(CslError) as caught:
        compiled(tmp_path, pe("_ = d;", "", f"const d = @get_dsd({arguments});"), arch, LAYOUT)
    assert message in caught.value.diagnostics[0].message


def test_operands_with_different_modes(tmp_path):
    simd = ", .simd_mode = .{ .simd_32 = true }"
    with pytest.raises(CslError, match=r"the fabric operands of an operation have the same \.simd_mode"):
        compiled(tmp_path, pe("@mov16(out, in);", "", OUT % "" + IN % (8, simd)), "wse3", LAYOUT)


ZERO = {
    "the only source": ("second_source", "@mov16(out, from)", [1, 2, 3, 4, 5, 6, 7, 8], (0, 1)),
    "the first source": ("first_source", "@add16(out, from, from2)", [11, 12, 13, 14, 15, 16, 17, 18], (0, 1)),
    "the second source": ("second_source", "@add16(out, from, from2)", [11, 12, 13, 14, 15, 16, 17, 18], (1, 0)),
}


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("name", ZERO)
@pytest.mark.parametrize("arch", ARCHES)
def test_a_source_is_cleared_when_it_is_sent(arch, name, asynchronous, tmp_path):
    which, operation, want, kept = ZERO[name]
    decls = OUT % f", .zero = .{{ .{which} = true }}" + IN % (8, "") + "export var e = @constants([8]u16, 10);"
    decls += "const from2 = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{8} -> e[i] });"
    then = operation[:-1] + (", .{ .async = true });" if asynchronous else ");")
    done = run(tmp_path, pe(then, "@mov16(to, in);", decls), arch=arch, layout=LAYOUT)
    assert read(done, "b", 1).tolist() == want
    assert read(done, "a", 0).tolist() == [kept[0] * (i + 1) for i in range(8)]
    assert read(done, "e", 0).tolist() == [kept[1] * 10] * 8


@pytest.mark.parametrize(
    "which, operation, message",
    [
        (
            "first_source",
            "@mov16(out, from)",
            "the only source of an operation is cleared by .zero = .{ .second_source",
        ),
        ("second_source", "@add16(out, from, 3)", ".zero clears the second source, which is no descriptor over memory"),
        ("second_source", "@map(same, from, out)", "@map takes no descriptor with .zero"),
    ],
)
def test_sources_that_cannot_be_cleared(which, operation, message, tmp_path):
    decls = OUT % f", .zero = .{{ .{which} = true }}" + "fn same(v: u16) u16 { return v; }"
    with pytest.raises(CslError) as caught:
        compiled(tmp_path, pe(f"{operation};", "", decls), "wse3", LAYOUT)
    assert message in caught.value.diagnostics[0].message


def test_on_wse3_a_color_alone_needs_a_queue_that_is_bound_to_it(tmp_path):
    decls = "const in = @get_dsd(fabin_dsd, .{ .fabric_color = c2, .extent = 8 });"
    with pytest.raises(CslError, match=r"on wse3 a fabin_dsd needs .input_queue: no input queue is bound to color 2"):
        compiled(tmp_path, pe("", "@mov16(to, in);", decls), "wse3", LAYOUT)


RELAY_LAYOUT = """
const c = @get_color(1);
const c2 = @get_color(2);
layout {
  @set_rectangle(3, 1);
  @set_tile_code(0, 0, "pe.csl", .{ .place = 0 });
  @set_tile_code(1, 0, "pe.csl", .{ .place = 1 });
  @set_tile_code(2, 0, "pe.csl", .{ .place = 2 });
  @set_color_config(0, 0, c, .{ .routes = .{ .rx = .{RAMP}, .tx = .{EAST} } });
  @set_color_config(1, 0, c, .{ .routes = .{ .rx = .{WEST}, .tx = .{RAMP} } });
  @set_color_config(1, 0, c2, .{ .routes = .{ .rx = .{RAMP}, .tx = .{EAST} } });
  @set_color_config(2, 0, c2, .{ .routes = .{ .rx = .{WEST}, .tx = .{RAMP} } });
}
"""
RELAY = """
param place: i16;
const c = @get_color(1);
const c2 = @get_color(2);
const oq = @get_output_queue(2);
const iq = @get_input_queue(3);
const into = if (place == 2) c2 else c;
const onto = if (place == 1) c2 else c;
export var words = [3]u32{5, 0x1234_0006, 7};
export var payload = [1]u32{0x0009_0008};
export var got = @zeros([5]u32);
export var ended = @zeros([1]u16);
var buffer = @zeros([2]u32);
const fifo = @allocate_fifo(buffer);
const from = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{3} -> words[i] });
const one = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{1} -> payload[i] });
const to = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{5} -> got[i] });
const data = @get_dsd(fabout_dsd, .{ .fabric_color = onto, .extent = 3, .output_queue = oq });
const control = @get_dsd(fabout_dsd, .{ .fabric_color = onto, .extent = 1, .output_queue = oq, .control = true });
const keeps = @get_dsd(fabin_dsd, .{ .fabric_color = into, .extent = 4, .input_queue = iq, .control_transform = true });
const relays = @get_dsd(fabout_dsd, .{ .fabric_color = onto, .extent = 4, .output_queue = oq, .control_transform = true });
const in = @get_dsd(fabin_dsd, .{ .fabric_color = into, .extent = 5, .input_queue = iq });
task finish() void { ended[0] = 1; }
const done = @get_local_task_id(9);
fn main() void {
  if (place == 0) { @mov32(data, from); @mov32(control, one); }
  if (place == 1) { @mov32(fifo, keeps, .{ .async = true }); @mov32(relays, fifo, .{ .async = true }); }
  if (place == 2) { %s }
}
comptime {
  @export_symbol(main);
  @bind_local_task(finish, done);
  @initialize_queue(iq, .{ .color = into });
  @initialize_queue(oq, if (@is_arch("wse3")) .{ .color = onto } else .{});
}
"""


@pytest.mark.parametrize("arch", ARCHES)
def test_control_wavelets_pass_a_fifo_by_control_transform(arch, tmp_path):
    ends = "@mov32(to, in, .{ .async = true, .on_control = .{ .activate = done } });"
    loaded = run(tmp_path, RELAY % ends, arch=arch, layout=RELAY_LAYOUT)
    assert read(loaded, "got", 2).tolist() == [5, 0x1234_0006, 7, 0, 0]
    assert read(loaded, "ended", 2)[0] == 1


@pytest.mark.parametrize("arch", ARCHES)
def test_the_payload_of_a_control_wavelet_is_kept_but_for_two_bits(arch, tmp_path):
    ends = "@mov32(to, @set_dsd_length(keeps, 4));"
    loaded = run(tmp_path, RELAY % ends, arch=arch, layout=RELAY_LAYOUT)
    assert read(loaded, "got", 2).tolist() == [5, 0x1234_0006, 7, 0xC009_0008, 0]


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize(
    "fields",
    [
        ".fabric_color = @get_color(n), .output_queue = oq",
        ".fabric_color = if (n == 0) c else c, .output_queue = oq",
        ".fabric_color = c, .output_queue = @get_output_queue(n)",
    ],
)
def test_colors_and_queues_are_known_at_compile_time(fields, arch, tmp_path):
    send = f"@mov16(@get_dsd(fabout_dsd, .{{ .extent = 1, {fields} }}), from);"
    with pytest.raises(CslError, match="not known at compile time") as caught:
        compiled(tmp_path, pe(send, "", "var n: u16 = 3;\n"), arch=arch, layout=LAYOUT)
    assert "a descriptor for each can be chosen at run time, as in `if (n == 0) first else second`" in str(caught.value)


@pytest.mark.parametrize("arch", ARCHES)
def test_descriptors_are_chosen_at_run_time(arch, tmp_path):
    decls = "var n: u16 = 0;\n" + OUT % "" + IN % (2, "")
    send = "for (@range(u16, 2)) |i| { const o = if (i == n) @set_dsd_length(out, 3) else out; @mov16(o, @set_dsd_length(from, 2)); }"
    done = run(
        tmp_path, pe(send, "@mov16(@set_dsd_length(to, 4), @set_dsd_length(in, 4));", decls), arch=arch, layout=LAYOUT
    )
    assert read(done, "b", 1).tolist() == [1, 2, 1, 2, 0, 0, 0, 0]
