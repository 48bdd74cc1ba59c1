"""wse.machine: the figures of machine.def, and overrides."""

import pickle

import numpy as np
import pytest
from says import says

from wse import ConfigError, Machine
from wse.machine.parameters import PARAMETERS


def test_every_row_is_an_attribute():
    for name, profile, column in (("wse2", "simulator", 5), ("wse3", "simulator", 6), ("wse3", "silicon", 7)):
        machine = Machine(name, profile)
        for row in PARAMETERS:
            assert getattr(machine, row.name) == row[column] == machine.params[row.name]
        assert machine.values().tolist() == [row[column] for row in PARAMETERS]
        assert machine.values().dtype == np.int64


def test_rows_say_where_they_are_from():
    for row in PARAMETERS:
        assert row.confidence in ("DOC", "HW", "SIM", "INF", "ASM"), row.name
        assert row.source and row.meaning and row.unit, row.name


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
    assert machine.replace(router_depth=9).overrides == (("hop_cycles", 1), ("router_depth", 9))
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


@pytest.mark.parametrize("value", [-1, 1.5, "2", True, None, 2**63])
def test_values_are_integers(value):
    with says(ConfigError, f"parameter hop_cycles must be an integer of 0 or more, not {value!r}"):
        Machine("wse3", overrides={"hop_cycles": value})


def test_the_engine_has_limits():
    with says(ConfigError, "parameter colors must be an integer of 1 to 24, not 25"):
        Machine("wse3", overrides={"colors": 25})


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
    with pytest.raises(ConfigError, match="is not TOML: "):
        Machine.load(path)
    with says(ConfigError, f"machine file {tmp_path / 'none'}: No such file or directory"):
        Machine.load(tmp_path / "none")
