"""States of models that spike: in `released` their keys and values are codes of int8, in `paper` f32."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from spikingbrain.config import Config, Spiking, SpikingMode
from spikingbrain.spike.modes import INT8_KEY_VALUES
from spikingbrain.state.file import load_state, save_state
from spikingbrain.state.heads import read_shape
from support.engine import prompts
from support.models import EVICTED, SEVEN, reference, write_model
from support.states import Store, answer_of, ask, assert_near, cached_of, continued, settle, state_engine

CPU = torch.device("cpu")


@pytest.mark.parametrize(("config", "mode", "seed"), [(SEVEN, "released", 4), (SEVEN, "paper", 4), (EVICTED, "released", 5)])
def test_a_spiking_models_state_goes_out_and_in(config: Config, mode: SpikingMode, seed: int, tmp_path: Path) -> None:
    """As the reference writes it, with the reference's tokens behind it. The text is short: a count on the edge of two whole numbers may go
    either way, which sums in another order decide."""
    spiking = replace(config, spiking=Spiking(mode=mode))
    model, directory = reference(spiking), tmp_path / "states"
    folder, store = write_model(spiking, tmp_path / "model"), Store.open(spiking, directory)
    text, more = prompts((33, 5), seed=seed, least=3)
    with state_engine(folder, directory, num_gpu_blocks_override=200) as llm:
        handle = store.handle()
        (output,) = ask(llm, [text], [{"export": handle}], tokens=6)
        settle(llm)
        whole = [*text, *answer_of(output)]
        assert whole == [*text, *continued(model, text, tokens=6)]
        _, state = model.step(model.new_state(), torch.tensor(whole[:-1]))
        written = save_state(state, spiking, int8_rows=INT8_KEY_VALUES[mode])
        found = store.read(handle)
        shape = read_shape(np.frombuffer(found, dtype=np.uint8), spiking, store.identity.digests)
        assert shape.encoding.int8_rows == INT8_KEY_VALUES[mode] and len(found) == len(written)
        assert_near(load_state(found, spiking, torch.float32, CPU), load_state(written, spiking, torch.float32, CPU))
        for data in (found, written):
            (output,) = ask(llm, [[*whole, *more]], [{"import": store.put(data, whole[:-1])}], tokens=6)
            assert (answer_of(output), cached_of(output)) == (continued(model, [*whole, *more], tokens=6), len(whole) - 1)
    store.store.directory.close()
