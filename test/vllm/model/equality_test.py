"""The same numbers as the reference, whatever the scheduler does."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from spikingbrain.model.model import Model
from spikingbrain_vllm.layers.state_layer import StateLayer
from support.engine import answer, compare, engine, prompts
from support.models import MODELS, reference, write_model


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Model]]:
    config = MODELS[request.param]
    yield write_model(config, tmp_path_factory.mktemp("model") / config.name), reference(config)


def test_prompts_of_different_lengths_at_once(model: tuple[Path, Model]) -> None:
    """And again, each sequence where another was: what a page holds is no part of a new text, whatever it is."""
    folder, expected = model
    with engine(folder) as llm:
        assert compare(expected, answer(llm, prompts(), tokens=40)).is_equal
        layers = llm.llm_engine.vllm_config.compilation_config.static_forward_context.values()
        for layer in layers:
            if isinstance(layer, StateLayer):
                layer.states.fill_(torch.nan)
        assert compare(expected, answer(llm, prompts((1, 40, 2, 90), seed=2))).is_equal


def test_prompts_read_in_chunks(model: tuple[Path, Model]) -> None:
    """Of which the last may be one token, and which other prompts' tokens stand beside."""
    folder, expected = model
    with engine(folder, max_num_batched_tokens=64) as llm:
        assert compare(expected, answer(llm, prompts((129, 150, 37, 1)))).is_equal


def test_prompts_found_in_the_prefix_cache(model: tuple[Path, Model]) -> None:
    folder, expected = model
    with engine(folder, enable_prefix_caching=True, block_size=32) as llm:
        texts = prompts((300, 150, 37, 5))
        assert compare(expected, answer(llm, texts, of_prompts=False)).is_equal
        again = answer(llm, texts, of_prompts=False)
        assert compare(expected, again).is_equal
        cached = [output.num_cached_tokens or 0 for output in again]
        assert cached[0] > 200 and cached[3] == 0
        # What follows a cached prefix may differ from what followed it before.
        other = [*texts[0][:290], *prompts((40,), seed=3)[0]]
        continued = answer(llm, [other], of_prompts=False)
        assert (continued[0].num_cached_tokens or 0) > 200
        assert compare(expected, continued).is_equal
