"""Two replicas, each a process of its own, that hand conversations over by HTTP; one of them is lost in the middle of an answer."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from spikingbrain.model.model import Model
from spikingbrain.state.file import save_state
from spikingbrain.state.pages import Frame
from spikingbrain_vllm.endpoints.routes import PATH
from spikingbrain_vllm.state.digests import content_digest
from spikingbrain_vllm.state.settings import CONNECTOR
from spikingbrain_vllm.state.store.directory import StoreDirectory
from spikingbrain_vllm.state.tokens import token_digest
from support.engine import CACHE_BYTES, prompts
from support.models import SEVEN, reference, write_model
from support.processes import free_port, start_server
from support.states import continued

KEY = "replica-key-of-the-tests"
HEADERS = {"authorization": f"Bearer {KEY}", "x-spikingbrain-tenant": "t"}
START_SECONDS = 500


@dataclass(frozen=True)
class Replica:
    process: "subprocess.Popen[bytes]"
    client: httpx.Client
    directory: Path

    def request(self, text: list[int], tokens: int, **states: str) -> dict[str, Any]:
        return {
            "token_ids": text,
            "sampling_params": {"temperature": 0, "max_tokens": tokens, "ignore_eos": True, "detokenize": False},
            "kv_transfer_params": {"spikingbrain": {"tenant": "t", **states}},
            "cache_salt": "t",
        }

    def answer(self, text: list[int], tokens: int, **states: str) -> tuple[list[int], int]:
        """Token ids, and how many of the prompt's were cached."""
        found = self.client.post("/inference/v1/generate", json=self.request(text, tokens, **states)).raise_for_status().json()
        return found["choices"][0]["token_ids"], (found["usage"]["prompt_tokens_details"] or {}).get("cached_tokens") or 0

    def create(self) -> str:
        return str(self.client.post(PATH, headers=HEADERS).raise_for_status().json()["handle"])

    def take(self, handle: str, from_page: int = 0) -> httpx.Response:
        return self.client.get(f"{PATH}/{handle}?from_page={from_page}", headers=HEADERS).raise_for_status()

    def give(self, state: httpx.Response, query: str = "") -> str:
        """As another replica has sent it, with what it has said of it."""
        passed = {name: state.headers[name] for name in ("content-digest", "x-spikingbrain-text-sha256")}
        handle = self.create()
        self.client.put(f"{PATH}/{handle}{query}", content=state.content, headers=HEADERS | passed).raise_for_status()
        return handle


def start(folder: Path, place: Path) -> Replica:
    place.mkdir()
    (place / "key").write_text(KEY)
    port = free_port()
    extra = {"directory": str(place / "states"), "key_file": str(place / "key")}
    transfer = {
        "kv_connector": CONNECTOR,
        "kv_role": "kv_both",
        "kv_load_failure_policy": "recompute",
        "kv_connector_extra_config": extra,
    }
    options = {
        "--model": str(folder),
        "--host": "127.0.0.1",
        "--port": str(port),
        "--dtype": "float32",
        "--max-model-len": "1024",
        "--max-num-seqs": "8",
        "--num-gpu-blocks-override": "400",
        "--kv-cache-memory-bytes": str(CACHE_BYTES),
        "--kv-transfer-config": json.dumps(transfer),
        # How long its engine has to end by itself; without it vLLM kills one that is slower than a moment, as on a busy machine.
        "--shutdown-timeout": "60",
    }
    flags = ["--enforce-eager", "--enable-scale-out", "--skip-tokenizer-init", "--enable-prompt-tokens-details"]
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", *(part for one in options.items() for part in one), *flags]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "VLLM_PLUGINS": "spikingbrain,spikingbrain_states"}
    # An end by which it ends its engine, too.
    process = start_server(command, place / "log", environment, at_parents_end=signal.SIGTERM)
    return Replica(process, httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120), place / "states")


def wait_until_up(replica: Replica, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and replica.process.poll() is None:
        try:
            if replica.client.get("/health", timeout=5).status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.2)
    raise AssertionError(log.read_text()[-4_000:])


@pytest.fixture(scope="module")
def replicas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Replica, Replica]]:
    place = tmp_path_factory.mktemp("replicas")
    folder = write_model(SEVEN, place / "model")
    pair = [start(folder, place / name) for name in ("a", "b")]
    try:
        for one, name in zip(pair, ("a", "b"), strict=True):
            wait_until_up(one, place / name / "log")
        yield pair[0], pair[1]
    finally:
        for one in pair:
            one.client.close()
            if one.process.poll() is None:
                os.killpg(one.process.pid, signal.SIGKILL)
            one.process.wait()


@pytest.fixture(scope="module")
def model() -> Model:
    return reference(SEVEN)


def test_another_process_goes_on_with_the_references_tokens(replicas: tuple[Replica, Replica], model: Model) -> None:
    """Twice, so that the second time only new pages travel."""
    a, b = replicas
    text, base, page = prompts((133,), seed=70)[0], "", 0
    for turn in range(2):
        handle = a.create()
        answered, _ = a.answer(text, 20, export=handle)
        assert answered == continued(model, text, tokens=20)
        state = a.take(handle, page)
        given = b.give(state, f"?from_page={page}&base={base}" if turn else "")
        assert b.take(given).content == a.take(handle).content
        text = [*text, *answered, *prompts((9,), seed=71 + turn)[0]]
        answered, cached = b.answer(text, 20, **{"import": given})
        assert answered == continued(model, text, tokens=20)
        assert cached == len(text) - 10
        base, page = given, Frame.read(state.content).position // 32
    assert state.headers["content-length"] == str(len(state.content)) and len(state.content) < len(a.take(handle).content)


def test_a_state_of_the_reference_is_gone_on_with(replicas: tuple[Replica, Replica], model: Model) -> None:
    _, b = replicas
    text, handle = prompts((201,), seed=75)[0], b.create()
    data = save_state(model.step(model.new_state(), torch.tensor(text[:-1]))[1], SEVEN)
    described = {
        "content-digest": content_digest(hashlib.sha256(data).hexdigest()),
        "x-spikingbrain-text-sha256": token_digest(text[:-1]),
    }
    b.client.put(f"{PATH}/{handle}", content=data, headers=HEADERS | described).raise_for_status()
    assert b.answer(text, 12, **{"import": handle}) == (continued(model, text), 200)


def test_streams_say_at_their_end_what_has_become_of_states(replicas: tuple[Replica, Replica], model: Model) -> None:
    """Whoever reads a stream learns why its prompt was computed, before the last event and once."""
    _, b = replicas
    text, unknown, target = prompts((40,), seed=76)[0], "x" * 43, b.create()
    asked = b.request(text, 8, **{"import": unknown, "export": target}) | {"stream": True, "stream_options": {"include_usage": True}}
    with b.client.stream("POST", "/inference/v1/generate", json=asked) as stream:
        lines = [line.removeprefix("data: ") for line in stream.iter_lines() if line]
    events = [json.loads(line) for line in lines[:-1]]
    assert lines[-1] == "[DONE]" and [
        token for event in events for choice in event["choices"] for token in choice["token_ids"]
    ] == continued(model, text, tokens=8)
    assert [event["kv_transfer_params"] for event in events if event.get("kv_transfer_params")] == [
        {
            "spikingbrain": {
                "imported_tokens": 0,
                "import_refused": "there is no state with this handle",
                "exported_tokens": 47,
            }
        }
    ]
    assert events[-1]["choices"] == [] and "kv_transfer_params" in events[-1]
    plain = {name: value for name, value in asked.items() if name != "kv_transfer_params"}
    with b.client.stream("POST", "/inference/v1/generate", json=plain) as stream:
        assert not any("kv_transfer_params" in line for line in stream.iter_lines())


def test_routes_need_the_key(replicas: tuple[Replica, Replica]) -> None:
    for one in replicas:
        assert one.client.post(PATH, headers=HEADERS | {"authorization": "Bearer wrong"}).status_code == 401


def test_an_answer_goes_on_where_its_replica_was_lost(replicas: tuple[Replica, Replica], model: Model) -> None:
    """The last test of this file: replica A is killed in the middle of a stream, B has its state of a moment before."""
    a, b = replicas
    text, handle, known = prompts((150,), seed=80)[0], a.create(), list[int]()
    request = a.request(text, 800, export=handle) | {"stream": True}
    with a.client.stream("POST", "/inference/v1/generate", json=request) as stream:
        for line in stream.iter_lines():
            if not line.startswith("data: {"):
                continue
            for choice in json.loads(line.removeprefix("data: ")).get("choices", []):
                known += choice["token_ids"]
            if len(known) >= 5:
                break
        told = a.client.post(f"{PATH}/{handle}/snapshot", headers=HEADERS).raise_for_status().json()
        state = a.take(handle)
        os.killpg(a.process.pid, signal.SIGKILL)
        a.process.wait()
    assert told["status"] == "ready" and told["tokens"] > 150
    # What a client has of the answer is longer or shorter than what the state has read; the reference says what was between.
    whole = [*text, *continued(model, text, tokens=told["tokens"] - 150 + 1)]
    assert whole[150 : 150 + len(known)] == known[: len(whole) - 150]
    assert state.headers["x-spikingbrain-text-sha256"] == token_digest(whole[: told["tokens"]])
    answered, cached = b.answer(whole, 20, **{"import": b.give(state)})
    assert (answered, cached) == (continued(model, whole, tokens=20), told["tokens"])
    # What the killed one has left is gone when the next one opens its directory; B leaves nothing when it ends.
    assert any(name.endswith(".state") for name in os.listdir(a.directory))
    opened = StoreDirectory(a.directory)
    assert opened.names() == []
    opened.close()
    b.process.send_signal(signal.SIGTERM)
    b.process.wait(timeout=120)
    assert not b.directory.exists()
