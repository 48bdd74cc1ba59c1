"""A MemoryX as a whole: published sizes and times, and files."""

import pytest

import wse
from wse.memoryx import SGD, AdamW, Ddr5, MemoryX, Network
from wse.memoryx.ddr5 import Controller
from wse.memoryx.system import from_table, read

TRILLION = 1e12
LARGE = Ddr5(4800, density=24)  # 96 GB


def test_fifty_five_terabytes():
    """576 DIMMs of 96 GB: what the trillion-parameter run is said to have used; its state with Adam fits several times."""
    memory = MemoryX(part=LARGE, channels=24, nodes=24)
    assert memory.capacity / 2**40 == pytest.approx(54, abs=0.1)
    assert memory.capacity == 576 * 96 * 2**30
    need = memory.bytes_of(TRILLION, AdamW(1e-4))
    assert 14e12 <= need <= 18e12 and need < memory.capacity / 3


@pytest.mark.parametrize("channels, nodes, seconds", [(12, 48, (1.5, 2.1)), (24, 12, (3.1, 4.2)), (12, 12, (6.3, 8.4))])
def test_an_adam_step_takes_what_its_bytes_take(channels, nodes, seconds):
    """30 bytes a parameter over DDR5-4800: the table of published estimates is 1.7 to 1.9, 3.9 and 7.8 s."""
    least, most = seconds
    assert least < MemoryX(channels=channels, nodes=nodes).update_seconds(TRILLION, AdamW(1e-4)) < most


def test_the_update_of_sgd_moves_less():
    memory = MemoryX()
    ratio = memory.update_seconds(1e9, SGD(0.1)) / memory.update_seconds(1e9, AdamW(0.1))
    assert ratio == pytest.approx(22 / 30, rel=0.06)


def test_streaming_needs_less_than_half_a_socket():
    socket = MemoryX(nodes=1)
    assert socket.peak == pytest.approx(460.8e9)
    assert socket.network.raw < socket.bandwidth() / 2


def test_bandwidth_follows_speed_channels_and_order():
    assert MemoryX(channels=24).bandwidth() == 2 * MemoryX(channels=12).bandwidth()
    assert MemoryX(part=Ddr5(6400)).bandwidth() > MemoryX(part=Ddr5(4800)).bandwidth()
    assert MemoryX().bandwidth(1, 0) > MemoryX().bandwidth(1, 1)
    assert MemoryX().bandwidth(1, 0) < MemoryX().peak


def test_a_file(tmp_path):
    path = tmp_path / "memoryx.toml"
    path.write_text(
        "nodes = 2\nchannels = 8\n[ddr5]\nspeed = 5600\nranks = 1\n[ddr5.controller]\nwindow = 16\n[network]\nlinks = 4\n"
    )
    expected = MemoryX(
        part=Ddr5(5600, ranks=1, controller=Controller(window=16)), channels=8, nodes=2, network=Network(links=4)
    )
    assert read(path) == expected
    path.write_text("")
    assert read(path) == MemoryX()


@pytest.mark.parametrize(
    "text, message",
    [
        ("nodes = [", "is not TOML"),
        ("nods = 3", "nods is no figure of MemoryX; there are channels, nodes, buffer"),
        ("nodes = 0", "nodes is 0, but must be an integer from 1 to 1,000,000"),
        ("nodes = 1.5", "nodes is 1.5, but must be an integer"),
        ("nodes = true", "nodes is true, but must be an integer"),
        ("channels = 1000000000000", "channels is 1000000000000, but must be an integer from 1 to 1,024"),
        ("[network]\nlink = 3", "link is no figure of the network"),
        ("[network]\nlinks = 'a'", "links is 'a', but must be an integer"),
        ("[network]\ngbps = nan", "gbps is nan, but must be a finite number"),
        ("[network]\nlatency_us = inf", "latency_us is inf, but must be a finite number"),
        ("network = 3", r"the figures of the network must be a table \(links, .*\), not 3"),
        ("[ddr5]\nspeed = 1", "speed of DDR5 is one of 3200"),
        ("[ddr5]\nsped = 1", "sped is no figure of DDR5; there are speed, ranks, density, width"),
        ("[ddr5.controller]\nw = 1", "w is no figure of a memory controller; there are window, batch, hashed"),
        ("ddr5 = 5600", r"ddr5 is 5600, but must be a table: write \[ddr5\] and below it speed = 5600; it may also"),
        ('ddr5 = "fast"', r"the figures of DDR5 must be a table \(speed, ranks, .*\), not 'fast'"),
        ('[ddr5]\nrefresh = "never"', "refresh is 'never', but must be"),
        (
            "[ddr5]\ncontroller = []",
            r"the figures of a memory controller must be a table \(window, batch, hashed\), not \[\]",
        ),
        ("[ddr5.controller]\nhashed = 1", "hashed is 1, but must be true or false"),
    ],
)
def test_what_is_no_memoryx(tmp_path, text, message):
    path = tmp_path / "memoryx.toml"
    path.write_text(text)
    with pytest.raises(wse.ConfigError, match=f"^MemoryX file {path}.*{message}"):
        read(path)


def test_no_file(tmp_path):
    with pytest.raises(wse.ConfigError, match="No such file"):
        read(tmp_path / "none.toml")
    with pytest.raises(wse.ConfigError, match=r"^MemoryX: nodes is -1"):
        from_table({"nodes": -1})
