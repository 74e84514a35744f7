"""The state of a request that still runs, as another replica needs it where this one is lost."""

import threading
import time
from pathlib import Path

import pytest
import torch
from spikingbrain.state.file import load_state
from spikingbrain.state.state import State
from spikingbrain_vllm.state.model_identity import ModelIdentity
from support.engine import prompts
from support.states import TENANT, Replica, answer_of, ask, assert_near, cached_of, continued, parameters, prompt_of, settle
from vllm import RequestOutput

pytestmark = pytest.mark.parametrize("replica", ["seven-none", "seventy-six-align", "evicted-align"], indirect=True)


def run(replica: Replica, name: str, text: list[int], handle: str, tokens: int) -> None:
    engine = replica.llm.llm_engine
    engine.add_request(name, prompt_of(text), parameters({"export": handle}, tokens))


def step(replica: Replica, known: dict[str, list[int]]) -> None:
    """One step; tokens that are told by it are added to those of their requests."""
    for output in replica.llm.llm_engine.step():
        assert isinstance(output, RequestOutput)
        known[output.request_id] = list(output.outputs[0].token_ids)


@pytest.mark.parametrize("steps", [1, 2, 9])
def test_a_running_requests_state_is_as_far_as_its_text(replica: Replica, steps: int) -> None:
    """The rank counts a step's tokens later than it reads them: the file's text is nevertheless the one that its numbers are of."""
    text, handle, known = prompts((70,), seed=50 + steps)[0], replica.store.handle(), {"r": list[int]()}
    assert replica.llm.reset_prefix_cache()
    run(replica, "r", text, handle, tokens=300)
    for _ in range(steps):
        step(replica, known)
    replica.store.store.order(TENANT, handle)
    while replica.store.record(handle).status == "empty" and replica.llm.llm_engine.has_unfinished_requests():
        step(replica, known)
        time.sleep(0.002)
    record = replica.store.record(handle)
    data = replica.store.read(handle)
    assert record.text is not None and 70 <= record.text.tokens < 70 + 299
    replica.llm.llm_engine.abort_request(["r"])
    settle(replica.llm)
    whole = [*text, *known["r"]]
    assert len(whole) > record.text.tokens and record.text.begins(whole)
    _, expected = replica.model.step(replica.model.new_state(), torch.tensor(whole[: record.text.tokens]))
    assert_near(load_state(data, replica.model.config, torch.float32, torch.device("cpu")), expected)
    # Another engine goes on from there with the tokens that this one would have had.
    assert replica.llm.reset_prefix_cache()
    begun = whole[: record.text.tokens + 1]
    (output,) = ask(replica.llm, [begun], [{"import": replica.store.put(data, whole[: record.text.tokens])}], tokens=8)
    assert cached_of(output) == record.text.tokens
    assert answer_of(output) == continued(replica.model, begun, tokens=8)


def test_the_last_state_takes_the_place_of_earlier_ones(replica: Replica) -> None:
    text, handle, known = prompts((40,), seed=60)[0], replica.store.handle(), {"r": list[int]()}
    run(replica, "r", text, handle, tokens=120)
    step(replica, known)
    found = []
    for _ in range(2):
        replica.store.store.order(TENANT, handle)
        while replica.store.store.is_ordered(TENANT, handle) and replica.llm.llm_engine.has_unfinished_requests():
            step(replica, known)
            time.sleep(0.002)
        found.append(replica.store.record(handle))
    while replica.llm.llm_engine.has_unfinished_requests():
        step(replica, known)
    settle(replica.llm)
    found.append(replica.store.record(handle))
    counts = [record.text.tokens for record in found if record.text is not None]
    assert counts == sorted(set(counts)) and counts[-1] == 40 + 120 - 1
    assert not any(replica.store.store.path(record).exists() for record in found[:-1])


def test_a_request_that_is_aborted_leaves_the_state_of_what_it_has_read(replica: Replica) -> None:
    text, handle, known = prompts((70,), seed=61)[0], replica.store.handle(), {"r": list[int]()}
    run(replica, "r", text, handle, tokens=40)
    while len(known["r"]) < 5:
        step(replica, known)
    replica.llm.llm_engine.abort_request(["r"])
    settle(replica.llm)
    record, whole = replica.store.record(handle), [*text, *known["r"]]
    assert record.text is not None and record.text.tokens == len(whole) - 1 and record.text.begins(whole)


def test_a_request_that_is_aborted_before_it_ran_says_so(replica: Replica) -> None:
    handle = replica.store.handle()
    run(replica, "r", prompts((70,), seed=62)[0], handle, tokens=4)
    replica.llm.llm_engine.abort_request(["r"])
    settle(replica.llm)
    assert (replica.store.record(handle).status, replica.store.record(handle).problem) == (
        "failed",
        "the request ended before it had read anything",
    )


def test_a_request_that_is_aborted_while_its_state_comes_in(replica: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
    text = prompts((90,), seed=63)[0]
    source, target = replica.store.handle(), replica.store.handle()
    ask(replica.llm, [text], [{"export": source}], tokens=1)
    settle(replica.llm)
    assert replica.llm.reset_prefix_cache()
    load, may_load = ModelIdentity.load, threading.Event()

    def waits(identity: ModelIdentity, path: Path, digest: str, heads: range) -> State:
        may_load.wait()
        return load(identity, path, digest, heads)

    monkeypatch.setattr(ModelIdentity, "load", waits)
    engine = replica.llm.llm_engine
    engine.add_request("r", prompt_of([*text, 1, 2, 3]), parameters({"import": source, "export": target}, 4))
    # Its blocks are there and hold nothing yet.
    engine.step()
    engine.abort_request(["r"])
    may_load.set()
    settle(replica.llm)
    assert replica.store.record(target).status == "failed"
    (output,) = ask(replica.llm, [[*text, 1, 2, 3]], [{"import": source}])
    assert answer_of(output) == continued(replica.model, [*text, 1, 2, 3])


def test_a_handle_that_is_deleted_meanwhile_gets_nothing(replica: Replica) -> None:
    text, handle, known = prompts((40,), seed=64)[0], replica.store.handle(), {"r": list[int]()}
    run(replica, "r", text, handle, tokens=10)
    step(replica, known)
    replica.store.store.delete(TENANT, handle)
    while replica.llm.llm_engine.has_unfinished_requests():
        step(replica, known)
    settle(replica.llm)
    records = {name for name in replica.store.store.directory.names() if name.endswith(".json")}
    files = {name for name in replica.store.store.directory.names() if name.endswith(".state")}
    assert len(files) <= len(records)
