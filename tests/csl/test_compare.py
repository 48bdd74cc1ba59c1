"""Two profiles side by side.

Covers: wse/csl/compare.py, wse/cli/compare.py
"""

import json
import subprocess
import sys
from dataclasses import asdict

import pytest

from csl.running import launch, read, write
from wse.csl import compare, profile
from wse.csl.artifact import Artifact
from wse.csl.codegen.link import link
from wse.csl.compile import compile_program
from wse.csl.profile import ClassProfile, Line
from wse.errors import ConfigError
from wse.sdk.device import Device

LOOPS = """
param sign: f32;
var x: [32]f32;
var total: f32 = 0.0;
var total_ptr: [*]f32 = &total;
fn scaled(v: f32, i: i16) f32 {
  return sign * v + @as(f32, i);
}
fn main() void {
  for (@range(i16, 32)) |i| {
    x[i] = scaled(x[i], i);
    total += x[i];
  }
}
comptime { @export_symbol(main); @export_symbol(total_ptr, "total"); }
"""
LAYOUT = """
layout {
  @set_rectangle(2, 1);
  @set_tile_code(0, 0, "pe.csl", .{ .sign = 1.0 });
  @set_tile_code(1, 0, "pe.csl", .{ .sign = -1.0 });
  @export_name("main", fn()void);
  @export_name("total", [*]f32, true);
}
"""


def profiled(folder, text: str, level: int = 2):
    """Compiles and runs a program; the directory that has its profile."""
    made = link(compile_program(write(folder, text, LAYOUT), "wse3"), level)
    made.save(folder / "out")
    device = Device(made)
    device.fabric.keep_profile()
    launch(device)
    assert read(device, "total")[0] == 31 * 16
    profile.save(device.fabric, folder / "out")
    return folder / "out"


def by_name(pairs):
    return {pair.name: pair for pair in pairs}


def test_levels(tmp_path):
    slow, fast = (profiled(tmp_path / f"o{level}", LOOPS, level) for level in (0, 2))
    found = compare.compare(compare.read(slow), compare.read(fast), ("slow", "fast"))
    assert len(found.classes) == 2 and found.only == ([], [])
    for one in found.classes:
        assert one.cycles[0] > one.cycles[1]
        for table in (one.causes, one.functions, one.lines):
            # the parts are the whole, on both sides
            for side in (0, 1):
                assert sum(pair.cycles[side] or 0 for pair in table) == pytest.approx(one.cycles[side])
            differences = [abs(pair.difference) for pair in table]
            assert differences == sorted(differences, reverse=True)
        for pair in (*one.functions, *one.lines):
            for side in (0, 1):
                assert sum(both[side] for both in pair.causes.values()) == pytest.approx(pair.cycles[side] or 0)
        # inlined at level 2, and still known as functions of their own
        functions = by_name(one.functions)
        assert {"main", "scaled"} <= functions.keys()
        assert functions["scaled"].cycles[1] < functions["scaled"].cycles[0]
    assert found.classes[0].params != found.classes[1].params
    text = compare.text(found, 3)
    assert "whole run: " in text and "times as fast)" in text and "more with a difference" in text
    same = compare.compare(compare.read(fast), compare.read(fast), ("fast", "fast"))
    assert "no difference" in compare.text(same) and "+" not in compare.text(same)
    document = json.loads(json.dumps(compare.document(found)))
    assert document["classes"][0]["cycles"] == list(found.classes[0].cycles)


def test_lines_that_moved(tmp_path):
    before = profiled(tmp_path / "before", LOOPS)
    after = profiled(tmp_path / "after", LOOPS.replace("\nfn main", "\n// a comment\nvar unused: u16 = 1;\nfn main"))
    found = compare.compare(compare.read(before), compare.read(after), ("before", "after"))
    lines = by_name(found.classes[0].lines)
    assert "pe.csl:12 -> 14" in lines and lines["pe.csl:12 -> 14"].text == "total += x[i];"
    assert all(None not in pair.cycles and not pair.difference for pair in lines.values())


def line(number: int, text: str, function: str = "f", **causes: float) -> Line:
    return Line("pe.csl", number, function, sum(causes.values()), 1.0, 1.0, 0.1, causes, text)


def one_class(*lines: Line, name: str = "pe", file: str = "pe.csl", params: str = "") -> ClassProfile:
    causes: dict[str, float] = {"idle": 7.0}
    for row in lines:
        for cause, cycles in row.causes.items():
            causes[cause] = causes.get(cause, 0) + cycles
    return ClassProfile(name, file, params, 1, sum(causes.values()), 1.0, causes, {"idle": 7.0}, list(lines))


def test_equal_lines_new_and_gone():
    a = one_class(line(3, "y += 1;", issue=5), line(7, "y += 1;", issue=50), line(9, "old();", branch=4))
    b = one_class(line(4, "y += 1;", issue=6), line(8, "y += 1;", issue=51), line(9, "new();", input=9))
    rows = compare.compare([a], [b], ("a", "b")).classes[0].lines
    lines = by_name(rows)
    assert lines["pe.csl:3 -> 4"].cycles == (5, 6) and lines["pe.csl:7 -> 8"].cycles == (50, 51)
    gone, new = (pair for pair in rows if None in pair.cycles)
    assert {(gone.text, gone.cycles), (new.text, new.cycles)} == {("new();", (None, 9)), ("old();", (4, None))}
    text = compare.text(compare.compare([a], [b], ("a", "b")))
    assert "gone  pe.csl:9" in text and "new  pe.csl:9" in text


def test_only_a_function():
    rows = line(3, "a;", "f", issue=5), line(4, "b;", "g", issue=6)
    found = compare.compare([one_class(*rows)], [one_class(*rows)], ("a", "b"), "g")
    assert [pair.name for pair in found.classes[0].lines] == ["pe.csl:4"]
    assert [pair.name for pair in found.classes[0].functions] == ["g"]


def test_classes_are_paired_by_file_and_parameters():
    a = [one_class(line(1, "", issue=n), params=f"n={n}") for n in (1, 2, 3)] + [
        one_class(file="edge.csl", name="edge")
    ]
    b = [one_class(line(1, "", issue=n), params=f"n={n}") for n in (3, 2, 4)]
    found = compare.compare(a, b, ("a", "b"))
    assert sorted(c.params for c in found.classes) == [("n=1", "n=4"), ("n=2", "n=2"), ("n=3", "n=3")]
    assert found.only == (["edge"], [])
    assert "only in A: edge" in compare.text(found)
    # a lone class is compared whatever it is called
    assert len(compare.compare([one_class(file="old.csl")], [one_class(file="new.csl")], ("a", "b")).classes) == 1


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"classes": 3}', '{"classes": [{}]}', '{"classes": [{"lines": [{}]}]}', "[" * 100_000,
     json.dumps({"classes": [asdict(one_class(line(1, "x"))) | {"pes": "four"}]}),
     json.dumps({"classes": [asdict(one_class(line(1, "x"))) | {"causes": {"issue": "x"}}]})],
)  # fmt: skip
def test_what_is_no_profile(text, tmp_path):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ConfigError, match=r"a\.json holds no profile .*expected the directory"):
        compare.read(tmp_path / "a.json")


def test_the_command(tmp_path):
    slow, fast = (profiled(tmp_path / f"o{level}", LOOPS, level) for level in (0, 2))

    def wse(*words, status: int = 0) -> str:
        done = subprocess.run([sys.executable, "-P", "-m", "wse.cli", *words], capture_output=True, text=True)
        assert done.returncode == status, done.stderr
        return done.stdout if not status else done.stderr

    kept = tmp_path / "slow.json"
    kept.write_text(wse("profile", "--json", str(slow)))
    direct = json.loads(wse("compare", "--json", str(slow), str(fast)))
    from_file = json.loads(wse("compare", "--json", str(kept), str(fast)))
    assert direct["classes"] == from_file["classes"] and direct["names"] == [str(slow), str(fast)]
    assert (
        json.loads(wse("compare", str(slow), "--json", str(fast))) == direct
    )  # options stand anywhere before a script
    assert json.loads(wse("compare", str(slow), str(fast), "--json")) == direct
    assert json.loads(wse("profile", str(slow), "--json")) == json.loads(kept.read_text())
    assert wse("profile", str(slow), "--lines=1") == wse("profile", "--lines", "1", str(slow))
    assert "  function\n" in wse("compare", "--lines", "2", str(slow), str(fast))
    assert "pe.csl:7" in wse("compare", "--function", "scaled", str(slow), str(fast))
    for words, message in (
        (("--function", "scale", str(slow), str(fast)), "did you mean scaled?"),
        ((str(slow), str(fast), "--jsn"), "--jsn is no option of this command"),
        ((str(slow), str(fast), "run.py", "--name", "out"), "write {} there"),
        ((str(kept), str(fast), "run.py", "--name", "{}"), "is no directory of a compiled program: leave out run.py"),
        ((str(slow), str(tmp_path / "none")), "No such file or directory"),
        ((str(slow), str(tmp_path)), "holds no compiled program"),
    ):
        assert message in wse("compare", *words, status=2)
    Artifact.load(fast).save(tmp_path / "other")
    assert "there is no profile of" in wse("compare", str(slow), str(tmp_path / "other"), status=2)
