"""Which operators which types have; and the types of functions, pointers into variables, integers without a run time."""

import pytest
from csl import running

from wse.csl.syntax.errors import CslError

END = "\ncomptime { @export_symbol(main); }\n"

EQUALITY = """
const E = enum(u16) { A, B };
var b: bool = true;
var e: E = E.B;
var d: direction = NORTH;
var c: color = @get_color(3);
export var out: [8]u16;
comptime {
  @comptime_assert("abc" == "abc" and "abc" != "abd" and NORTH != SOUTH and @get_color(2) == @get_color(2));
  @comptime_assert(@get_local_task_id(9) == @get_local_task_id(9) and @get_local_task_id(9) != @get_local_task_id(10));
  @comptime_assert(@get_input_queue(2) != @get_input_queue(3) and @get_output_queue(2) == @get_output_queue(2));
}
fn main() void {
  out[0] = @as(u16, b == true) + 2 * @as(u16, b != true);
  out[1] = @as(u16, e == E.B) + 2 * @as(u16, e != E.B);
  out[2] = @as(u16, d == NORTH) + 2 * @as(u16, d != NORTH);
  out[3] = @as(u16, c == @get_color(3)) + 2 * @as(u16, c != @get_color(3));
}
"""


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_equality(arch, tmp_path):
    loaded = running.run(tmp_path, EQUALITY + END, arch=arch)
    assert running.read(loaded, "out").tolist() == [1, 1, 1, 1, 0, 0, 0, 0]


def test_the_right_side_is_evaluated_if_needed(tmp_path):
    pe = """
    export var calls: u16;
    var yes: bool = true;
    fn count(x: bool) bool { calls += 1; return x; }
    fn main() void {
      _ = !yes and count(true);
      _ = yes or count(true);
      _ = yes and count(false);
      _ = !yes or count(false);
    }
    """
    assert running.read(running.run(tmp_path, pe + END), "calls").tolist() == [2]


ERRORS = {
    "signed count": ("n = n << n;", "pe.csl:7:22: error: the count of << must be of an unsigned type, not i16"),
    "signed known count": (
        "n = n >> @as(i16, 2);",
        "pe.csl:7:22: error: the count of >> must be of an unsigned type, not i16",
    ),
    "negative count": ("n = n << -1;", "-1 does not fit u16"),
    "negative known count": ("n = 4 << -1;", "pe.csl:7:22: error: a shift by -1: the count must not be negative"),
    "shift of a float": ("f = f << 1;", "pe.csl:7:22: error: << needs integers, not f32 and comptime_int"),
    "not of a number of the compiler": (
        "n = ~5;",
        "pe.csl:7:22: error: ~ needs an integer of a fixed width: write @as(u16, 5)",
    ),
    "not of a float": ("f = ~f;", "pe.csl:7:22: error: ~ needs a number, not a value of type f32"),
    "remainder of floats": ("f = f % 2.0;", "pe.csl:7:22: error: % is no operator for values of type f32"),
    "bits of floats": ("f = f & 2.0;", "pe.csl:7:22: error: & is no operator for values of type f32"),
    "order of bools": ("b = b < b;", "pe.csl:7:22: error: < is no operator for bool: use and, or"),
    "sum of bools": ("b = b + b;", "pe.csl:7:22: error: + is no operator for bool: use and, or"),
    "order of enums": ("b = e < e;", "pe.csl:7:22: error: < is no operator for values of type E"),
    "order of directions": ("b = d < NORTH;", "pe.csl:7:22: error: < is no operator for values of type direction"),
    "enum and number": (
        "b = e == 1;",
        "pe.csl:7:22: error: both sides of == must have one type, not E and comptime_int",
    ),
    "and of numbers": ("b = n and b;", "pe.csl:7:22: error: a condition must be a bool, not a value of type i16"),
    "minus of a bool": ("b = -b;", "pe.csl:7:22: error: - needs a number, not a value of type bool"),
    "not of a number": ("b = !n;", "pe.csl:7:22: error: ! needs a bool, not a value of type i16"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_error(case, tmp_path):
    statement, message = ERRORS[case]
    pe = "var n: i16 = 1;\nvar f: f32 = 1.0;\nvar b: bool = true;\nconst E = enum(u16) { A };\nvar e: E = E.A;\n"
    pe += f"var d: direction = SOUTH;\nfn main() void {{ {statement} }}"
    with pytest.raises(CslError) as caught:
        running.compiled(tmp_path, pe + END)
    assert message in str(caught.value)


def refused(tmp_path, pe: str) -> str:
    with pytest.raises(CslError) as caught:
        running.compiled(tmp_path, pe + END)
    return str(caught.value)


def test_a_function_of_another_type(tmp_path):
    pe = "fn foo(a: i16, b: f16) void {}\nconst same: fn(i16, f16) void = foo;\nconst other: fn(i16, i16) void = foo;\n"
    text = refused(tmp_path, pe + "fn main() void { same(1, 2.0); other(1, 2); }")
    assert (
        "pe.csl:3:34: error: a function of type fn(i16, i16)void was expected, not foo of type fn(i16, f16)void" in text
    )


@pytest.mark.parametrize("at, fits", [("0", True), ("9", True), ("10", False), ("1000", False), ("-1", False)])
def test_a_known_index_of_a_pointer_stays_within_the_variable(at, fits, tmp_path):
    pe = f"var a = @zeros([10]i32);\nconst p: [*]i32 = &a;\nfn main() void {{ p[{at}] = 1; }}"
    if fits:
        running.compiled(tmp_path, pe + END)
        return
    assert f"pe.csl:3:20: error: index {at} is outside of a of type [10]i32" in refused(tmp_path, pe)


@pytest.mark.parametrize("kind", ["u65", "i128", "u0", "[3]u100"])
def test_integers_that_exist_at_compile_time_only(kind, tmp_path):
    text = refused(tmp_path, f"var x: {kind};\nfn main() void {{ x = x; }}")
    assert f"pe.csl:1:5: error: x of type {kind} does not exist at run time: integers at run time have 1 to 64" in text


def test_wide_integers_at_compile_time(tmp_path):
    pe = """
    const big: u128 = 1 << 100;
    const none: u0 = 0;
    export var out: i32;
    comptime {
      @comptime_assert(big / (1 << 98) == 4 and @type_of(big) == u128 and @as(u8, big >> 93) == 128);
      @comptime_assert(none == 0 and @as(i200, -5) == -5 and @as(u128, 0) - 1 == (1 << 128) - 1);
    }
    fn main() void { out = @as(i32, big >> 100); }
    """
    assert running.read(running.run(tmp_path, pe + END), "out").tolist() == [1]


@pytest.mark.parametrize(
    "bounds, numbers",
    [("u5, 0, 31, 2", range(0, 31, 2)), ("i4, 7, -8, -5", range(7, -8, -5)), ("u3, 7", range(7)), ("u1, 1", range(1))],
)
def test_loops_count_in_integers_of_any_width(bounds, numbers, tmp_path):
    """Also where the number behind the last does not fit the type."""
    pe = f"""
    export var sum: i32;
    export var rounds: u16;
    fn main() void {{ for (@range({bounds})) |i| {{ sum += @as(i32, i); rounds += 1; }} }}
    """
    loaded = running.run(tmp_path, pe + END)
    assert running.read(loaded, "sum").tolist() == [sum(numbers)]
    assert running.read(loaded, "rounds").tolist() == [len(numbers)]


@pytest.mark.parametrize(
    "kind, releases", [("u5", ()), ("u64", ()), ("u8", (None, "1.4")), ("u16", (None, "1.4", "2.10"))]
)
def test_integers_as_parameters_of_tasks(kind, releases, tmp_path):
    pe = f"""const queue = @get_input_queue(2);
    export var out: u16;
    task receive(x: {kind}) void {{ out = @as(u16, x); }}
    comptime {{
      @bind_data_task(receive, @get_data_task_id(queue));
      @initialize_queue(queue, .{{ .color = @get_color(3) }});
    }}
    fn main() void {{}}"""
    for release in (None, "1.4", "2.10"):
        options = {"sdk_version": release}
        if release in releases:
            running.compiled(tmp_path, pe + END, options=options)
            continue
        with pytest.raises(
            CslError, match=rf"pe\.csl:3:18: error: an integer parameter of a task has .* not {kind[1:]}"
        ):
            running.compiled(tmp_path, pe + END, options=options)
