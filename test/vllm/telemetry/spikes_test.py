"""Spikes of single requests: the reference's counts, whatever stands beside them in a batch."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from spikingbrain.config import Config, Spiking, SpikingMode
from spikingbrain.model.model import Model
from spikingbrain_vllm.telemetry.settings import additional_config
from spikingbrain_vllm.telemetry.tally import FIELD, key_of
from support.engine import counter, engine, prompts
from support.models import EVICTED, SEPARATE, SEVEN, SEVENTY_SIX, SOFTMAX, reference, write_model
from support.spikes import Counted, expected_spikes

# Short, since a count on the edge of two whole numbers may go either way, which sums in another order decide.
LENGTHS = (20, 1, 33, 9)


@pytest.mark.parametrize(
    ("config", "mode", "choices"),
    [
        (SEVEN, "paper", {"max_num_batched_tokens": 16}),
        (SEVENTY_SIX, "released", {}),
        (SEPARATE, "paper", {}),
        (SOFTMAX, "paper", {}),
        (EVICTED, "released", {"max_num_batched_tokens": 40}),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_counts_are_the_references(config: Config, mode: SpikingMode, choices: dict[str, Any], tmp_path: Path) -> None:
    """Of those who ask, beside one who does not; prompts in chunks, tokens one by one."""
    spiking = replace(config, spiking=Spiking(mode=mode))
    directory, model = tmp_path / "spikes", reference(spiking)
    folder, texts = write_model(spiking, tmp_path / "model"), prompts(LENGTHS, seed=4, least=3)
    with engine(folder, max_model_len=256, additional_config=additional_config(directory), **choices) as llm:
        counted = Counted(llm, config, directory)
        for read, spikes, _ in counted.ask(texts, [True, True, False, True]):
            assert spikes is None or spikes == expected_spikes(model, read)
    assert list(directory.iterdir()) == []


def test_what_is_read_again_or_was_anothers_counts_nothing(tmp_path: Path) -> None:
    """Sequences that had to give their memory to others, and a prefix that was in the cache."""
    spiking = replace(SEVEN, spiking=Spiking(mode="released"))
    directory, model = tmp_path / "spikes", reference(spiking)
    choices = {"enable_prefix_caching": True, "block_size": 32, "num_gpu_blocks_override": 22}
    with engine(write_model(spiking, tmp_path / "model"), additional_config=additional_config(directory), **choices) as llm:
        counted = Counted(llm, SEVEN, directory)
        for read, spikes, cached in counted.ask(prompts([60] * 6, seed=5), [True] * 6, 60):
            assert spikes is not None and sum(one.channels for layer in spikes for one in layer.values()) == channels(model, read, cached)
        assert counter(llm, "vllm:num_preemptions") > 0
        (text,) = prompts((70,), seed=7)
        counted.ask([text], [False], 2)
        ((read, spikes, cached),) = counted.ask([text], [True], 2)
        assert cached == 64 and spikes == expected_spikes(model, read, skipped=cached)


def channels(model: Model, text: Sequence[int], skipped: int) -> int:
    return sum(one.channels for layer in expected_spikes(model, text, skipped) for one in layer.values())


def test_a_compiled_graph_counts_too(tmp_path: Path) -> None:
    spiking = replace(SEVEN, spiking=Spiking(mode="paper"), layers=SEVEN.layers[:2])
    directory, model = tmp_path / "spikes", reference(spiking)
    choices = {"max_model_len": 256, "additional_config": additional_config(directory), "enforce_eager": False}
    with engine(write_model(spiking, tmp_path / "model"), **choices) as llm:
        for read, spikes, _ in Counted(llm, spiking, directory).ask(prompts((20, 1), seed=4), [True, True]):
            assert spikes == expected_spikes(model, read)


@pytest.mark.parametrize("key", ["../../etc/passwd", "x" * 32, 7, ""])
def test_a_key_that_is_none_is_refused_before_it_names_a_file(key: object) -> None:
    with pytest.raises(ValueError, match="spikingbrain_spikes must be 32 hexadecimal digits"):
        key_of({FIELD: key})
