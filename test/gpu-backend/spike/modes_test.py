"""Which inputs fire in which mode, spelled out (`gpu-backend/docs/model.md#83-modes`)."""

import pytest
from spikingbrain.config import SpikingMode
from spikingbrain.spike.modes import FIRING, INT8_KEY_VALUES

RELEASED = {"attention_in", "gate_in", "query", "attention_out", "feed_forward_in"}


@pytest.mark.parametrize(
    ("mode", "sites", "int8"),
    [("off", set[str](), False), ("released", RELEASED, True), ("paper", RELEASED | {"feed_forward_down"}, True)],
)
def test_what_fires(mode: SpikingMode, sites: set[str], int8: bool) -> None:
    assert set[str](FIRING[mode]) == sites
    assert INT8_KEY_VALUES[mode] == int8
