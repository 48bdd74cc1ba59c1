"""What may stand at the cursor.

Covers: wse/lsp/completion.py, wse/lsp/context.py, wse/lsp/signatures.py
"""

from pathlib import Path

import pytest
from editing import MARK, PE, Program

from wse.csl.builtins.table import public
from wse.lsp.completion import complete
from wse.lsp.context import context
from wse.lsp.signatures import signature_help


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    made = Program(tmp_path_factory.mktemp("completion"))
    made.open("layout")
    return made


def names(program, line, name="pe", end="\n}\n"):
    """The names that are proposed at the mark of a line, which is typed at the end of `main`, or of the layout block."""
    whole = program.path(name).read_text()
    before = "  sys.unblock_cmd_stream();\n" if name == "pe" else '  @export_name("main", fn()void);\n'
    assert whole.count(before) == 1
    view, offset = program.typed(whole.replace(before, before + line), name)
    found, start = complete(view, offset)
    program.session.put(program.path(name), whole)
    assert start <= offset
    return [one.name for one in found]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("  sys.§", {"unblock_cmd_stream"}),
        ("  sys.unb§;", {"unblock_cmd_stream"}),
        ("  math.§", {"sqrt", "PI"}),
        ("  helper.§\n  data[0] = 1.0;", {"scaled", "scale"}),
        ("  pair.§", {"low", "high"}),
        ("  kind = Kind.§;", {"first", "second"}),
        ("  kind = .§;", {"first", "second"}),
        ("  if (kind == .§) {}", {"first", "second"}),
        ("  const k: Kind = .§;", {"first", "second"}),
        ("  (&pair).§", {"*"}),
        ("  dat§", {"data", "pair", "twice", "main", "u16", "WEST", "while", "n"}),
        ("  @set_dsd§", {"@set_dsd_length", "@set_dsd_stride", "@fmacs"}),
        ("  @§", {"@range", "@as"}),
        ("  @fadds(dsd, dsd, dsd, .{ .§", {"async", "activate", "priority"}),
        ("  @fadds(dsd, dsd, dsd, .{ .async = true, .§ });", {"activate", "ut_id"}),
        ("  @fadds(dsd, dsd, dsd, .{ .priority = .{ .§", {"low", "medium", "high"}),
        ("  const d = @get_dsd(fabin_dsd, .{ .§ });", {"extent", "input_queue", "fabric_color"}),
        ("  const d = @get_dsd(mem1d_dsd, .{ .§ });", {"tensor_access", "base_address"}),
        ("  const p = Pair{ .§ };", {"low", "high"}),
        ("  const p = Pair{ .low = 1, .§ };", {"high"}),
    ],
)
def test_completion(program, line, expected):
    found = names(program, line)
    assert expected <= set(found), found
    assert len(found) == len(set(found))


@pytest.mark.parametrize(
    ("line", "unexpected"),
    [
        ("  @fadds(dsd, dsd, dsd, .{ .async = true, .§ });", {"async"}),
        ("  const p = Pair{ .low = 1, .§ };", {"low"}),
        ("  const d = @get_dsd(mem1d_dsd, .{ .§ });", {"input_queue"}),
        ("  sys.§", {"data", "u16", "while"}),
    ],
)
def test_what_is_not_proposed(program, line, unexpected):
    found = names(program, line)
    assert found and not unexpected & set(found)


@pytest.mark.parametrize(
    "line", ["  // a comment sys.§", "  const na§", "  1.§", '  const s = "sys.§";', "  unknown.§"]
)
def test_where_nothing_is_proposed(program, line):
    assert names(program, line) == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('  @set_tile_code(0, 0, "§', {"pe.csl", "helper.csl"}),
        ('  @set_tile_code(0, 0, "pe.csl", .{ .§ });', {"n", "memcpy_params"}),
        ('  @set_tile_code(0, 0, "pe.csl", .{ .n = 1, .§ });', {"memcpy_params"}),
        ("  @set_color_config(0, 0, 1, .{ .§", {"routes", "switches", "filter"}),
        ("  @set_color_config(0, 0, 1, .{ .routes = .{ .§ } });", {"rx", "tx"}),
        ("  @set_color_config(0, 0, 1, .{ .switches = .{ .pos1 = .{ .§", {"rx", "tx", "invalid"}),
        ("  @set_color_config(0, 0, 1, .{ .filter = .{ .kind = .{ .§ } } });", {"range", "counter"}),
        ('  if (@is_arch("§', {"wse2", "wse3"}),
    ],
)
def test_completion_in_a_layout(program, line, expected):
    found = names(program, line, "layout")
    assert expected <= set(found), found


def test_files_and_libraries(program):
    view, offset = program.typed(PE.replace('("<math>")', '("§")'))
    found = {one.name: one.detail for one in complete(view, offset)[0]}
    assert {"<math>", "<memcpy/memcpy>", "helper.csl"} <= set(found) and "pe.csl" not in found
    assert found["<time>"] and "<message_passing>" not in found
    view, offset = program.typed(PE.replace('"helper.csl", .{ .scale = 3 }', '"helper.csl", .{ .§ }'))
    assert [one.name for one in complete(view, offset)[0]] == ["scale"]
    program.open("pe", PE)


def test_every_builtin_is_proposed(program):
    assert set(names(program, "  @§")) == set(public())


def test_locals_are_those_that_are_seen(program):
    text = PE.replace("  return factor * value;", "  { const inner: f32 = 1.0; }\n  return §factor * value;")
    view, offset = program.typed(text)
    found = {one.name for one in complete(view, offset)[0]}
    assert {"factor", "value"} <= found and not {"inner", "pair", "index"} & found
    program.open("pe", PE)


# ---- contexts ----


@pytest.mark.parametrize(
    ("text", "base", "path", "word"),
    [
        ("f(a.b[1].§", "a.b[1]", [], ""),
        ("x = m.f(1, .{ .a = 2 }).na§", "m.f(1, .{ .a = 2 })", None, "na"),
        ("p.*.§", "p.*", None, ""),
        ("(a + b).§", "(a + b)", None, ""),
        ("return x.§", "x", None, ""),
        ("f(1, .{ .a = .{ .b = 3, .c = .{ .§", None, ["a", "c"], ""),
        ("x = @§", None, None, "@"),
        ("x = @fad§", None, None, "@fad"),
    ],
)
def test_contexts(text, base, path, word):
    found = context(Path("a.csl"), text.replace(MARK, ""), text.index(MARK))
    assert (found.base, found.word) == (base, word)
    assert found.start == text.index(MARK) - len(word)  # what a completion replaces begins there
    if path is not None:
        assert found.path == path


# ---- signatures ----


@pytest.mark.parametrize(
    ("line", "label", "active"),
    [
        ("  data[0] = twice(§", "fn twice(value: f32) f32", 0),
        ("  data[0] = helper.scaled(1 + §", "fn scaled(value: u16) u16", 0),
        ("  @fmacs(dsd, dsd, §", "@fmacs(dst, src0, src1, extra, options?)", 2),
        ("  @fmacs(dsd, f(1, 2), .{ 1, 2 }, §", "@fmacs(dst, src0, src1, extra, options?)", 3),
        ("  @fadds(dsd, dsd, dsd, .{ .async = §", "@fadds(dst, src0, src1, options?)", 3),
        ("  for (@range(u16, §", "@range(T, start?, stop, step?)", 1),
    ],
)
def test_signatures(program, line, label, active):
    text = PE.replace("  pair.low += n;\n", f"  pair.low += n;\n{line}")
    found = signature_help(*program.typed(text))
    program.session.put(program.path("pe"), PE)
    assert (found.label, found.active) == (label, active)
    assert all(parameter in found.label for parameter in found.parameters)


@pytest.mark.parametrize("line", ["  // twice(§", "  unknown(§", "  data[§", "  (§"])
def test_where_there_is_no_signature(program, line):
    text = PE.replace("  pair.low += n;\n", f"  pair.low += n;\n{line}")
    assert signature_help(*program.typed(text)) is None
    program.session.put(program.path("pe"), PE)
