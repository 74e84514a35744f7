"""Two tensor-parallel ranks, each with its KV heads of one state, or both with the same one; and both choose one token."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from spikingbrain.config import Config
from spikingbrain.state.file import load_state, save_state
from support.engine import prompts
from support.models import SEVEN, reference, write_model
from support.sampling import SETTINGS, expected, parameters, tokens_of
from support.sampling import ask as sampled
from support.states import Store, answer_of, ask, assert_near, cached_of, continued, settle, state_engine

pytestmark = pytest.mark.ranks
SHARED = replace(SEVEN, name="one KV head on both ranks", kv_heads=1)


@pytest.mark.parametrize("config", [SEVEN, SHARED], ids=["one KV head a rank", "one KV head on both"])
def test_ranks_write_and_read_one_file(config: Config, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if config is SHARED:  # The other's ranks start as they do outside of tests.
        request.getfixturevalue("forked_ranks")
    directory, model = tmp_path / "states", reference(config)
    folder, store = write_model(config, tmp_path / "model"), Store.open(config, directory)
    choices = {"tensor_parallel_size": 2, "num_gpu_blocks_override": 200, "enable_prefix_caching": True, "block_size": 32}
    text = prompts((150,), seed=100)[0]
    _, state = model.step(model.new_state(), torch.tensor(text[:-1]))
    with state_engine(folder, directory, **choices) as llm:
        given, taken = store.put(save_state(state, config), text[:-1]), store.handle()
        (output,) = ask(llm, [text], [{"import": given, "export": taken}])
        settle(llm)
        answered = answer_of(output)
        assert (answered, cached_of(output)) == (continued(model, text), 149)
        # A file that only one rank can read is nobody's: both compute.
        broken = store.put(save_state(state, config)[:-1], text[:-1])
        assert llm.reset_prefix_cache()
        (output,) = ask(llm, [text], [{"import": broken}])
        assert (answer_of(output), cached_of(output)) == (continued(model, text), 0)
        # Both choose the same tokens, the reference's.
        texts = prompts([150, 37, 5, 20, 9, 64, 33], seed=11)
        drawn = sampled(llm, texts, [parameters(settings) for settings in SETTINGS])
        assert [tokens_of(one) for one in drawn] == [expected(model, of, by) for of, by in zip(texts, SETTINGS, strict=True)]
    whole = [*text, *answered]
    _, due = model.step(model.new_state(), torch.tensor(whole[:-1]))
    found = load_state(store.read(taken), config, torch.float32, torch.device("cpu"))
    assert_near(found, due)
    store.store.directory.close()
    assert not directory.exists()
