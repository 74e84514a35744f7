"""Engines of this folder, each made once for all tests of a file that want it, one after the other: a process has one at a time, also where
the next file wants another kind."""

from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import pytest
from spikingbrain.config import Spiking, SpikingMode
from support.models import MODELS, reference, write_model
from support.states import Replica, Store, state_engine


@pytest.fixture(scope="module", params=[f"{name}-{mode}" for name in MODELS for mode in ("none", "align")])
def replica(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    """Of each model, without a prefix cache and with one; tests may ask for one that spikes, as in `seven:paper-none`."""
    described, mode = request.param.rsplit("-", 1)
    name, _, spikes = described.partition(":")
    config, place = replace(MODELS[name], spiking=Spiking(mode=cast(SpikingMode, spikes or "off"))), tmp_path_factory.mktemp("replica")
    folder, store = write_model(config, place / "model"), Store.open(config, place / "states")
    cached = mode == "align"
    choices = {"enable_prefix_caching": cached, "num_gpu_blocks_override": 400} | ({"block_size": 32} if cached else {})
    with state_engine(folder, place / "states", **choices) as llm:
        yield Replica(llm, reference(config), store, folder, cached)
    store.store.directory.close()
    assert not (place / "states").exists()
