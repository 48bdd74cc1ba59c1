"""wse.machine: the figures of machine.def, and overrides."""

import pickle
import re

import numpy as np
import pytest
from says import says

from wse import ConfigError, Machine, Program
from wse.machine.parameters import PARAMETERS


def test_every_row_is_an_attribute():
    for name, profile, column in (
        ("wse2", "simulator", "wse2"),
        ("wse3", "simulator", "wse3"),
        ("wse3", "silicon", "silicon"),
    ):
        machine = Machine(name, profile)
        for row in PARAMETERS:
            assert getattr(machine, row.name) == getattr(row, column) == machine.params[row.name]
        assert machine.values().tolist() == [getattr(row, column) for row in PARAMETERS]
        assert machine.values().dtype == np.int64


def test_rows_say_where_they_are_from():
    for row in PARAMETERS:
        assert row.confidence in ("DOC", "HW", "SIM", "INF", "ASM"), row.name
        assert row.source and row.meaning and row.unit and row.limits, row.name
        assert all(row.least <= getattr(row, column) <= row.most for column in ("wse2", "wse3", "silicon")), row.name


def test_published_figures():
    wse2, wse3 = Machine("wse2"), Machine("wse3")
    assert (wse2.hop_cycles, wse3.hop_cycles) == (1, 2)
    assert wse2.sram_bytes == wse3.sram_bytes == 49152
    assert wse3.has_switch(0) and not wse3.has_switch(10) and wse2.has_switch(10)
    assert [wse2.output_queue_depth(q) for q in range(8)] == [2, 2, 6, 6, 2, 2, 0, 0]


def test_overrides():
    machine = Machine("wse3", overrides={"hop_cycles": 1})
    assert machine.hop_cycles == 1 and machine.ramp_in_cycles == Machine("wse3").ramp_in_cycles
    assert machine != Machine("wse3") and machine == Machine("wse3", overrides={"hop_cycles": np.int32(1)})
    assert machine.replace(router_depth=6).overrides == (("hop_cycles", 1), ("router_depth", 6))
    assert hash(machine) == hash(pickle.loads(pickle.dumps(machine)))
    assert pickle.loads(pickle.dumps(machine)) == machine


def test_frozen():
    with pytest.raises(AttributeError):
        Machine("wse3").name = "wse4"
    with pytest.raises(TypeError):
        Machine("wse3").params["hop_cycles"] = 1


def test_unknown_names():
    with says(ConfigError, "there is no machine 'wse4': did you mean wse3 or wse2?"):
        Machine("wse4")
    with says(ConfigError, "there is no profile 'silicn': did you mean silicon?"):
        Machine("wse3", "silicn")
    with says(ConfigError, "there is no silicon profile of wse2: its derates were never measured; use simulator"):
        Machine("wse2", "silicon")
    with says(ConfigError, "machine wse3 has no parameter 'hop_cycel': did you mean hop_cycles?"):
        Machine("wse3", overrides={"hop_cycel": 1})
    with pytest.raises(AttributeError, match=r"^machine wse3 has no parameter 'hops'$"):
        _ = Machine("wse3").hops


@pytest.mark.parametrize("value", [1.5, True, None])
def test_values_are_integers(value):
    with says(ConfigError, f"parameter hop_cycles is an integer (or text with a unit, such as 2cycles), not {value!r}"):
        Machine("wse3", overrides={"hop_cycles": value})


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        (
            "hop_cycles",
            0,
            "1 to 7 cycles, not 0: a wavelet moves at most once a cycle, and the engine schedules up to 7",
        ),
        ("hop_cycles", 2**63, "1 to 7 cycles, not 9223372036854775808"),
        ("colors", 32, "1 to 24 colors, not 32: the engine has state for 24 colors"),
        ("router_depth", 16, "1 to 7 wavelets, not 16: the engine counts the wavelets of a buffer in 3 bits"),
        ("dsr_load_cycles", 0, "1 to 1,000 cycles, not 0: an instruction takes its issue slot at least"),
        ("branch_taken", 2**62, "1 to 1,000 cycles, not 4611686018427387904"),
        ("clock_hz", "1.1THz", "1,000,000 to 100,000,000,000 Hz, not 1.1THz"),
    ],
)
def test_a_value_outside_the_range_is_refused_with_the_range_and_the_reason(name, value, words):
    with pytest.raises(ConfigError, match=f"^parameter {name} is {re.escape(words)}"):
        Machine("wse3", overrides={name: value})


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("clock_hz", "1.1GHz", 1_100_000_000),
        ("clock_hz", "900 MHz", 900_000_000),
        ("clock_hz", "1e9", 1_000_000_000),
        ("sram_bytes", "64KiB", 65536),
        ("sram_bytes", "48kB", 48000),
        ("sram_read_milli", "8 B/cycle", 8000),
        ("sram_read_milli", "7.5B/cycle", 7500),
        ("sram_read_milli", "8000", 8000),
        ("sram_read_milli", "8000 mB/cycle", 8000),
        ("switch_colors", "0x3333ff", 0x3333FF),
        ("hop_cycles", "1 cycle", 1),
        ("usable_pes", "1.8M", 1_800_000),
        ("fabric_width", "1_000", 1000),
    ],
)
def test_values_with_units(name, text, value):
    assert Machine("wse3", overrides={name: text}).params[name] == value


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("hop_cycles", "1.5", "hop_cycles=1.5 is 1.5 cycles: it must be a whole number of them"),
        ("hop_cycles", "1ms", "hop_cycles=1ms is no number of cycles"),
        (
            "clock_hz",
            "1.1s",
            "clock_hz=1.1s is no number of Hz: write an integer, or a number with a unit, such as 1.1GHz",
        ),
        ("clock_hz", "fast", "clock_hz=fast is no number of Hz"),
        ("clock_hz", "", "clock_hz= is no number of Hz"),
        ("clock_hz", "1e9999999999", "clock_hz=1e9999999999 is no number of Hz"),
        ("sram_bytes", "48k cycles", "sram_bytes=48k cycles is no number of B"),
    ],
)
def test_text_that_is_no_value(name, text, words):
    with pytest.raises(ConfigError, match=f"^{re.escape(words)}"):
        Machine("wse3", overrides={name: text})


def test_a_memory_that_the_engine_does_not_hold_is_for_models():
    machine = Machine("wse3", overrides={"sram_bytes": "64KiB"})
    assert machine.wafer_memory == 44e9 * 65536 / 49152
    for use in (machine.values, lambda: Program(1, 1, machine)):
        with pytest.raises(
            ConfigError, match=r"^sram_bytes=65536: the engine executes programs on machines with up to 49,152"
        ):
            use()


def test_figures_of_whole_wafers():
    assert Machine("wse2").peak_flops == 850_000 * 4 * 2 * 1.1e9
    assert abs(Machine("wse3").peak_flops / 15.6e15 - 1) < 1e-4
    assert [Machine(name).wafer_memory for name in ("wse2", "wse3")] == [40e9, 44e9]
    double = Machine("wse3", overrides={"usable_pes": 1_800_000})
    assert double.wafer_memory == 88e9 and double.peak_flops == 2 * Machine("wse3").peak_flops
    assert double.replace(wafer_bytes="60GB").wafer_memory == 60e9


def test_a_change_without_effect_is_refused():
    machine = Machine("wse3", overrides={"hop_cycles": 1})
    machine.check_overrides(["hop_cycles", "clock_hz"], "the model")
    with says(ConfigError, "hop_cycles has no effect on the model, which uses clock_hz"):
        machine.check_overrides(["clock_hz"], "the model")


def test_toml(tmp_path):
    path = tmp_path / "m.toml"
    path.write_text('machine = "wse2"\n[params]\nhop_cycles = 3\n')
    assert Machine.load(path) == Machine("wse2", overrides={"hop_cycles": 3})
    path.write_text("")
    assert Machine.load(path) == Machine("wse3")
    path.write_text('profil = "silicon"')
    with says(ConfigError, f"machine file {path} has an unknown key 'profil': did you mean profile?"):
        Machine.load(path)
    path.write_text("params = 3")
    with says(ConfigError, f"machine file {path}: params must be a table of overrides, not 3"):
        Machine.load(path)
    path.write_text("=")
    with pytest.raises(ConfigError, match="is not TOML: "):
        Machine.load(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="is no UTF-8 text: byte 0 is 0xff"):
        Machine.load(path)
    with says(ConfigError, f"machine file {tmp_path / 'none'}: No such file or directory"):
        Machine.load(tmp_path / "none")
