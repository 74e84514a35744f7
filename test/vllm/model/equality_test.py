"""The same numbers as the reference, whatever the scheduler does."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from spikingbrain.model.model import Model
from support.engine import answer, compare, counter, engine, prompts
from support.models import MODELS, reference, write_model


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Model]]:
    config = MODELS[request.param]
    yield write_model(config, tmp_path_factory.mktemp("model") / config.name), reference(config)


def test_prompts_of_different_lengths_at_once(model: tuple[Path, Model]) -> None:
    """And again: what the first round left in the states is no part of the second."""
    folder, expected = model
    with engine(folder) as llm:
        assert compare(expected, answer(llm, prompts())).is_equal
        assert compare(expected, answer(llm, prompts(seed=2))).is_equal


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


@pytest.mark.parametrize("cached", [False, True])
def test_sequences_that_are_preempted(model: tuple[Path, Model], cached: bool) -> None:
    folder, expected = model
    with engine(folder, enable_prefix_caching=cached, block_size=32, num_gpu_blocks_override=BLOCKS[expected.config.name]) as llm:
        outputs = answer(llm, prompts([60] * 6, seed=5), tokens=60, of_prompts=False)
        assert compare(expected, outputs).is_equal
        assert counter(llm, "vllm:num_preemptions") > 0


# So few that not every sequence fits to its end.
BLOCKS = {"seven": 22, "seventy-six": 60}


def test_a_compiled_graph(model: tuple[Path, Model]) -> None:
    folder, expected = model
    with engine(folder, enforce_eager=False) as llm:
        assert compare(expected, answer(llm, prompts())).is_equal
