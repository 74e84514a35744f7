"""States of models that spike: in `released` their keys and values are codes of int8, in `paper` f32."""

import numpy as np
import pytest
import torch
from spikingbrain.spike.modes import INT8_KEY_VALUES
from spikingbrain.state.file import load_state, save_state
from spikingbrain.state.heads import read_shape
from support.engine import prompts
from support.states import Replica, answer_of, ask, assert_near, cached_of, continued, settle

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("replica", "seed"), [("seven:released-none", 4), ("seven:paper-none", 4), ("evicted:released-none", 5)], indirect=["replica"]
)
def test_a_spiking_models_state_goes_out_and_in(replica: Replica, seed: int) -> None:
    """As the reference writes it, with the reference's tokens behind it. The text is short: a count on the edge of two whole numbers may go
    either way, which sums in another order decide."""
    llm, model, store = replica.llm, replica.model, replica.store
    config = model.config
    text, more = prompts((33, 5), seed=seed, least=3)
    handle = store.handle()
    (output,) = ask(llm, [text], [{"export": handle}], tokens=6)
    settle(llm)
    whole = [*text, *answer_of(output)]
    assert whole == [*text, *continued(model, text, tokens=6)]
    _, state = model.step(model.new_state(), torch.tensor(whole[:-1]))
    int8_rows = INT8_KEY_VALUES[config.spiking.mode]
    written = save_state(state, config, int8_rows=int8_rows)
    found = store.read(handle)
    shape = read_shape(np.frombuffer(found, dtype=np.uint8), config, store.identity.digests)
    assert shape.encoding.int8_rows == int8_rows and len(found) == len(written)
    assert_near(load_state(found, config, torch.float32, CPU), load_state(written, config, torch.float32, CPU))
    for data in (found, written):
        (output,) = ask(llm, [[*whole, *more]], [{"import": store.put(data, whole[:-1])}], tokens=6)
        assert (answer_of(output), cached_of(output)) == (continued(model, [*whole, *more], tokens=6), len(whole) - 1)
