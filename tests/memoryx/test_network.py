"""The network's figures."""

import pytest

import wse
from wse.memoryx import Network


def test_twelve_links_are_the_vendors_figure():
    assert Network().raw == 150e9
    assert Network(framing=0).bandwidth == 150e9
    assert 0.97 < Network().bandwidth / 150e9 < 0.99
    assert Network(mtu=1024).bandwidth < Network().bandwidth
    assert Network(links=24, gbps=200).raw == 600e9
    assert Network().latency == pytest.approx(5e-6)


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(links=0), "links of a network is at least 1, not 0"),
        (dict(gbps=float("nan")), "gbps of a network is at least 1e-06, not nan"),
        (dict(latency_us=-1), "latency_us of a network is at least 0, not -1"),
        (dict(mtu=0), "mtu of a network is at least 64, not 0"),
    ],
)
def test_what_is_no_network(options, message):
    with pytest.raises(wse.ConfigError, match=f"^{message}$"):
        Network(**options)
