"""Requests that are sampled by our rule: the reference's tokens, whatever stands beside them and whatever the scheduler does."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from spikingbrain.export.gguf_writer import write_gguf
from spikingbrain.model.model import Model
from support.engine import TOLERANCE, compare, counter, engine, prompts
from support.models import SEVEN, TinyWeights, reference, write_model
from support.sampling import SETTINGS, TOKENS, ask, expected, parameters, tokens_of
from support.wasm import run_wasm
from vllm import LLM, SamplingParams
from vllm.config import VllmConfig
from vllm.exceptions import VLLMValidationError
from vllm.platforms.cpu import CpuPlatform
from vllm.v1.engine.core_client import InprocClient

# As `workers/contracts/engine.ts` names them.
IN_CONTRACT = {
    "top_p": "topP",
    "top_k": "topK",
    "min_p": "minP",
    "repetition_penalty": "repetitionPenalty",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
}
GREEDY = dict(temperature=0, topK=0, topP=1, minP=0, repetitionPenalty=1, presencePenalty=0, frequencyPenalty=0, logitBias=[], seed=0)


@dataclass(frozen=True)
class Served:
    llm: LLM
    model: Model
    folder: Path


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Prompts in chunks, prefixes in a cache, and so few blocks that sequences must give theirs to others."""
    folder = write_model(SEVEN, tmp_path_factory.mktemp("model") / "seven")
    choices = {"max_num_batched_tokens": 64, "enable_prefix_caching": True, "block_size": 32, "num_gpu_blocks_override": 26}
    with engine(folder, **choices) as llm:
        yield Served(llm, reference(SEVEN), folder)


def test_rows_of_a_batch_are_chosen_each_by_its_own_rule(served: Served) -> None:
    """Beside greedy ones, and ones that vLLM draws."""
    texts = prompts([150, 37, 5, 90, 20, 60, 33, 70, 41, 12], seed=7)
    own = [parameters(settings, logprobs=1) for settings in SETTINGS]
    greedy = SamplingParams(temperature=0, max_tokens=TOKENS, ignore_eos=True, detokenize=False, logprobs=1)
    drawn = SamplingParams(temperature=1.0, max_tokens=TOKENS, ignore_eos=True, detokenize=False, presence_penalty=0.5, min_p=0.1)
    outputs = ask(served.llm, texts, [*own, greedy, drawn, greedy])
    for text, settings, output in zip(texts, SETTINGS, outputs, strict=False):
        assert tokens_of(output) == expected(served.model, text, settings), settings
    assert compare(served.model, [outputs[7], outputs[9]]).is_equal
    # What is told of the chosen tokens is the model's own, not what they were drawn from.
    assert compare(served.model, outputs[: len(SETTINGS)]).furthest < TOLERANCE


def test_sequences_that_had_to_give_their_memory_to_others_go_on_with_their_tokens(served: Served) -> None:
    texts, before = prompts([60] * 6, seed=5), counter(served.llm, "vllm:num_preemptions")
    outputs = ask(served.llm, texts, [parameters(settings, 60) for settings in SETTINGS[:6]])
    assert counter(served.llm, "vllm:num_preemptions") > before
    for text, settings, output in zip(texts, SETTINGS, outputs, strict=False):
        assert tokens_of(output) == expected(served.model, text, settings, 60), settings


def test_an_answer_that_was_cut_off_goes_on_with_its_tokens(served: Served) -> None:
    """Wherever it was cut, all of them at once; the prefix of some is in the cache."""
    text, draw = prompts((50,), seed=8)[0], random.Random(3)
    for settings in SETTINGS:
        whole = expected(served.model, text, settings)
        cuts = sorted(draw.sample(range(1, TOKENS), 4))
        again = [parameters(settings | {"continued": cut}, TOKENS - cut) for cut in cuts]
        outputs = ask(served.llm, [[*text, *whole[:cut]] for cut in cuts], again)
        assert [tokens_of(output) for output in outputs] == [whole[cut:] for cut in cuts], settings


def test_vllm_and_the_wasm_engine_go_on_from_one_another(served: Served, tmp_path: Path) -> None:
    """Each with what the other has sampled, and both with the tokens of an answer that nobody has cut off."""
    path, text = tmp_path / "model.gguf", prompts((40,), seed=12)[0]
    write_gguf(TinyWeights(SEVEN), path, "f32")
    for settings in (SETTINGS[4], SETTINGS[1]):
        whole = expected(served.model, text, settings)
        sampling = {IN_CONTRACT.get(name, name): str(value) if name == "seed" else value for name, value in settings.items()}
        parameters_there = {"sampling": {**GREEDY, **sampling}, "continued": 8}
        (first,) = ask(served.llm, [text], [parameters(settings, 8)])
        assert tokens_of(first) == whole[:8]
        second = run_wasm(path, [*text, *whole[:8]], 8, parameters=parameters_there)
        assert second.ids == whole[8:16]
        (third,) = ask(served.llm, [[*text, *whole[:16]]], [parameters(settings | {"continued": 16}, 8)])
        assert tokens_of(third) == whole[16:]


def test_stop_tokens_end_an_answer_and_not_before_its_time(served: Served) -> None:
    text = prompts((50,), seed=9)[0]
    settings = {"temperature": 1.0, "seed": 3}
    free = expected(served.model, text, settings)
    stop = free[5]
    (output,) = ask(served.llm, [text], [parameters(settings, stop_token_ids=[stop])])
    assert tokens_of(output) == free[: free.index(stop) + 1] and output.outputs[0].finish_reason == "stop"
    later = settings | {"min_tokens": 12}
    (output,) = ask(served.llm, [text], [parameters(later, stop_token_ids=[stop])])
    assert tokens_of(output) == expected(served.model, text, later, stops=(stop,))
    assert stop not in tokens_of(output)[:12]
    # Of an answer that was cut off, what it had counts.
    whole = tokens_of(output)
    (output,) = ask(served.llm, [[*text, *whole[:8]]], [parameters(later | {"continued": 8}, TOKENS - 8, stop_token_ids=[stop])])
    assert tokens_of(output) == whole[8:]


def test_a_vocabulary_has_no_more_tokens_than_it_has(served: Served) -> None:
    """The engine does not end, and what is said of such a token changes nothing."""
    text, settings = prompts((20,), seed=10)[0], {"temperature": 1.0, "seed": 8}
    (output,) = ask(served.llm, [text], [parameters(settings | {"logit_bias": [[512, 100.0], [2**31 - 1, 1.0]]})])
    assert tokens_of(output) == expected(served.model, text, settings)


@pytest.mark.parametrize(
    ("settings", "more", "message"),
    [
        ({"temperature": 3}, {}, "temperature must be a number from 0 and at most 2; it is 3"),
        ({"seed": -1}, {}, "seed must be an integer"),
        ({"seed": "1e3"}, {}, "seed must be decimal digits"),
        ({"seed": str(2**64)}, {}, "seed must be an integer"),
        ({"continued": -1}, {}, "continued must be an integer"),
        ({"logit_bias": [[1]]}, {}, "logit_bias must be a list of pairs"),
        ({"logit_bias": "x"}, {}, "logit_bias must be a list of pairs"),
        ({"top_q": 1}, {}, "spikingbrain_sampling must be an object with no field but"),
        ("text", {}, "spikingbrain_sampling must be an object; it is 'text'"),
        ({}, {"presence_penalty": 0.5}, "presence_penalty must be 0.0 beside spikingbrain_sampling; it is 0.5"),
        ({}, {"min_tokens": 2}, "min_tokens must be 0 beside spikingbrain_sampling; it is 2"),
        ({}, {"logit_bias": {1: 2.0}}, "logit_bias must be None beside spikingbrain_sampling"),
    ],
)
def test_what_it_cannot_be_is_refused_by_field(served: Served, settings: Any, more: dict[str, Any], message: str) -> None:  # noqa: ANN401
    with pytest.raises(VLLMValidationError) as found:
        ask(served.llm, [[1, 2]], [parameters(settings, **more)])
    assert message in str(found.value)


def test_asynchronous_steps_choose_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """vLLM turns them off on CPUs, where nothing would be gained by them; here they are left on."""
    checked = CpuPlatform.check_and_update_config.__func__  # type: ignore[attr-defined]

    def asynchronous(cls: type[CpuPlatform], vllm_config: VllmConfig) -> None:
        checked(cls, vllm_config)
        vllm_config.scheduler_config.async_scheduling = True

    monkeypatch.setattr(CpuPlatform, "check_and_update_config", classmethod(asynchronous))
    texts, model = prompts([150, 37, 5, 20, 9, 64, 33], seed=11), reference(SEVEN)
    with engine(write_model(SEVEN, tmp_path / "seven")) as llm:
        client = llm.llm_engine.engine_core
        assert isinstance(client, InprocClient) and client.engine_core.async_scheduling
        outputs = ask(llm, texts, [parameters(settings) for settings in SETTINGS])
        for text, settings, output in zip(texts, SETTINGS, outputs, strict=True):
            assert tokens_of(output) == expected(model, text, settings), settings
