"""Engines whose requests' states go in and out, and the store between them."""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from spikingbrain.config import Config
from spikingbrain.model.model import Model
from spikingbrain.state.key_values import Rows, to_dense
from spikingbrain.state.state import State
from spikingbrain_vllm.state.model_identity import ModelIdentity
from spikingbrain_vllm.state.settings import CONNECTOR
from spikingbrain_vllm.state.store.directory import StoreDirectory
from spikingbrain_vllm.state.store.record import Record
from spikingbrain_vllm.state.store.store import Limits, StateStore
from spikingbrain_vllm.state.tokens import Prefix, token_digest
from support.engine import engine
from vllm import LLM, RequestOutput, SamplingParams
from vllm.inputs import TokensPrompt
from vllm.v1.engine.core_client import InprocClient

TENANT = "tenant-of-tests"


@contextmanager
def state_engine(folder: Path, directory: Path, **choices: Any) -> Iterator[LLM]:  # noqa: ANN401
    """As `engine`, with a connector whose states lie in `directory`."""
    transfer = {
        "kv_connector": CONNECTOR,
        "kv_role": "kv_both",
        "kv_load_failure_policy": "recompute",
        "kv_connector_extra_config": {"directory": str(directory)},
    }
    with engine(folder, kv_transfer_config=transfer, **choices) as llm:
        yield llm


@dataclass(frozen=True)
class Store:
    """What the endpoints do, without HTTP."""

    store: StateStore
    identity: ModelIdentity

    @staticmethod
    def open(config: Config, directory: Path) -> "Store":
        identity = ModelIdentity(config)
        return Store(StateStore(StoreDirectory(directory), identity.digest, Limits()), identity)

    def handle(self) -> str:
        return self.store.create(TENANT)[0]

    def record(self, handle: str) -> Record:
        return self.store.find(TENANT, handle)

    def read(self, handle: str) -> bytes:
        record = self.record(handle)
        assert record.status == "ready", record.problem
        return self.store.path(record).read_bytes()

    def put(self, data: bytes, text: Sequence[int]) -> str:
        """Whatever the bytes are: none of the endpoints' checks."""
        handle, (name, file) = self.handle(), self.store.draft(len(data))
        os.pwrite(file, data, 0)
        os.close(file)
        prefix = Prefix(len(text), token_digest(text))
        digest = hashlib.sha256(data).hexdigest()
        self.store.publish(TENANT, handle, name, digest, len(text), (prefix,), again=False)
        return handle


@dataclass(frozen=True)
class Replica:
    """An engine, and what it must say."""

    llm: LLM
    model: Model
    store: Store
    folder: Path
    caches_prefixes: bool


def ask(
    llm: LLM,
    texts: Sequence[Sequence[int]],
    states: Sequence[Mapping[str, Any]],
    tokens: int = 12,
    salt: str | None = TENANT,
    logprobs: int | None = None,
) -> list[RequestOutput]:
    """Greedy; of each text where its state comes from (`import`) and goes to (`export`)."""
    choices = [parameters(one, tokens, logprobs) for one in states]
    prompts = [prompt_of(text, salt) for text in texts]
    return llm.generate(prompts, choices, use_tqdm=False)


def prompt_of(text: Sequence[int], salt: str | None = TENANT) -> TokensPrompt:
    prompt = TokensPrompt(prompt_token_ids=list(text))
    if salt is not None:
        prompt["cache_salt"] = salt
    return prompt


def parameters(states: Mapping[str, Any], tokens: int, logprobs: int | None = None) -> SamplingParams:
    return SamplingParams(
        temperature=0,
        max_tokens=tokens,
        ignore_eos=True,
        logprobs=logprobs,
        detokenize=False,
        extra_args={"kv_transfer_params": {"spikingbrain": {"tenant": TENANT, **states}}},
    )


def settle(llm: LLM) -> None:
    """Steps until all states are written: an engine in this process takes none by itself."""
    client = llm.llm_engine.engine_core
    assert isinstance(client, InprocClient)
    core = client.engine_core
    while core.scheduler.has_requests():
        core.step_fn()


@torch.inference_mode()
def continued(model: Model, text: Sequence[int], tokens: int = 12) -> list[int]:
    """The reference's greedy answer."""
    logits, state = model.step(model.new_state(), torch.tensor(text))
    found = [int(logits[-1].argmax())]
    while len(found) < tokens:
        logits, state = model.step(state, torch.tensor(found[-1:]))
        found.append(int(logits[-1].argmax()))
    return found


def assert_near(found: State, expected: State) -> None:
    """Equal but for the order of sums."""
    assert found.position == expected.position
    for one, other in zip(found.layers, expected.layers, strict=True):
        assert (one.linear is None, one.key_values is None, one.evicted is None) == (
            other.linear is None,
            other.key_values is None,
            other.evicted is None,
        )
        pairs: list[tuple[Rows, Rows]] = []
        if one.linear is not None and other.linear is not None:
            pairs.append((one.linear, other.linear))
        if one.key_values is not None and other.key_values is not None:
            assert torch.equal(one.key_values.positions, other.key_values.positions)
            pairs += [(one.key_values.keys, other.key_values.keys), (one.key_values.values, other.key_values.values)]
        if one.evicted is not None and other.evicted is not None:
            mine, theirs = one.evicted.salient, other.evicted.salient
            assert torch.equal(mine.positions, theirs.positions)
            pairs += [(one.evicted.sums, other.evicted.sums), (mine.keys, theirs.keys), (mine.values, theirs.values)]
        for number, due in pairs:
            torch.testing.assert_close(to_dense(number, torch.float32), to_dense(due, torch.float32), rtol=1e-3, atol=1e-3)


def answer_of(output: RequestOutput) -> list[int]:
    return list(output.outputs[0].token_ids)


def cached_of(output: RequestOutput) -> int:
    return output.num_cached_tokens or 0
