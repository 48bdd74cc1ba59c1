"""Pauses of the garbage collector."""

import gc

import pytest

from wse.csl.ir.collect import uncollected


def test_the_collector_is_as_before():
    assert gc.isenabled()
    with uncollected():
        assert not gc.isenabled()
        with uncollected():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(KeyError), uncollected():
        raise KeyError
    assert gc.isenabled()
