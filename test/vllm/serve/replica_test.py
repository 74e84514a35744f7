"""Replicas as processes, with their engines: what clients see, and how each of three ends."""

import base64
import dataclasses
import json
import os
import random
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from spikingbrain.config import Spiking
from spikingbrain.model.model import Model
from spikingbrain.sampling.generate import generate
from spikingbrain.sampling.settings import Sampling
from spikingbrain.sizes import parameter_count
from spikingbrain_vllm.node.credential import NodeCredential
from spikingbrain_vllm.node.facts import ABILITIES, OF_STATES
from spikingbrain_vllm.serve.allowed import STATES
from spikingbrain_vllm.telemetry.tally import told
from support.edge import Edge, edge
from support.engine import prompts
from support.models import SEVEN, reference, write_model
from support.replica import GENERATE, HEADERS, KEY, ReplicaProcess, replica_process, request
from support.spikes import expected_spikes
from support.states import continued

END_SECONDS = 60


CREDENTIAL = NodeCredential("node-1", bytes(range(32)))


@pytest.fixture(scope="module")
def known_at() -> Iterator[Edge]:
    """The edge that the first replica makes itself known to."""
    with edge((200, {"heartbeatSeconds": 0.2, "expirySeconds": 20, "status": "taken"})) as one:
        yield one


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory, known_at: Edge) -> Iterator[list[ReplicaProcess]]:
    """Three, which start beside each other: a module's tests end one each. The second one spikes."""
    place = tmp_path_factory.mktemp("replicas")
    folder = write_model(SEVEN, place / "seven")
    (place / "node").write_text(f"{CREDENTIAL.node}:{base64.b64encode(CREDENTIAL.secret).decode()}")
    registers = ("--edge", f"http://127.0.0.1:{known_at.port}", "--node-file", str(place / "node"), "--name", "seven-1", "--weight", "0.5")
    with ExitStack() as stack:
        spikes = {"engine": ("--hf-overrides", json.dumps({"spiking_mode": "paper"}))}
        more: list[tuple[tuple[str, ...], dict[str, Any]]] = [(registers, {}), (("--count-spikes",), spikes), ((), {})]
        each = [stack.enter_context(replica_process(str(folder), place / str(at), *one, **kinds)) for at, (one, kinds) in enumerate(more)]
        yield each


@pytest.fixture(scope="module")
def replica(started: list[ReplicaProcess]) -> ReplicaProcess:
    return started[0].wait_until_ready()


@pytest.fixture(scope="module")
def model() -> Model:
    return reference(SEVEN)


def answer(replica: ReplicaProcess, text: list[int], tokens: int) -> list[int]:
    with replica.client as client:
        found = client.post(GENERATE, json=request(text, tokens)).raise_for_status().json()
    return list(found["choices"][0]["token_ids"])


def streamed(lines: Iterator[str], into: list[int]) -> list[str]:
    """Token ids into a list; returns the reasons for the end, and `[DONE]`."""
    ends = []
    for line in lines:
        if line == "data: [DONE]":
            ends.append("[DONE]")
        elif line.startswith("data: "):
            event = json.loads(line.removeprefix("data: "))
            for choice in event.get("choices", []):
                into += choice["token_ids"] or []
                ends += [choice["finish_reason"]] if choice["finish_reason"] else []
    return ends


def eventually(holds: Any, seconds: float = END_SECONDS) -> bool:  # noqa: ANN401
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.1)
    return bool(holds())


def test_token_ids_in_and_the_references_out(replica: ReplicaProcess, model: Model) -> None:
    for text in prompts((150, 3)):
        assert answer(replica, text, 12) == continued(model, text, tokens=12)


def test_it_says_what_it_is(replica: ReplicaProcess) -> None:
    with replica.client as client:
        before = client.get("/replica").raise_for_status().json()
        answer(replica, prompts((300,), seed=9)[0], 5)
        answer(replica, prompts((300,), seed=9)[0], 5)
        # vLLM counts a step when it is over.
        assert eventually(lambda: client.get("/replica").json()["load"]["generated_tokens"] >= before["load"]["generated_tokens"] + 10)
        told, metrics = client.get("/replica").json(), client.get("/metrics").raise_for_status().text
    assert (told["model"]["id"], told["model"]["vocabulary_size"], told["status"]) == ("seven", 512, "ready")
    assert len(told["model"]["digest"]) == 64 and told["model"]["tokenizer_digest"] == "0" * 64
    assert told["load"]["requests"] == 0 and told["load"]["most_requests"] == 32
    assert 0 < told["state"]["free_share"] <= 1 and told["state"]["blocks"] > 0 and told["state"]["is_moved"] is True
    assert told["cached_prefixes"]["found_tokens"] >= before["cached_prefixes"]["found_tokens"] + 128
    assert told["versions"]["vllm"].startswith("0.32")
    (described,) = told["models"]
    assert described.items() >= {"id": "seven", "digest": told["model"]["digest"], "vocabulary_size": 512}.items()
    assert described["abilities"] == [*ABILITIES, *OF_STATES] and described["context_length"] == told["model"]["context_length"]
    assert told["load"]["running"] == 0 and told["load"]["loaded"] is True and told["load"]["free_share"] == told["state"]["free_share"]
    assert "vllm:num_requests_running" in metrics
    assert f'spikingbrain_replica{{digest="{told["model"]["digest"]}",model="seven"' in metrics
    assert 'spikingbrain_replica_status{status="ready"} 1.0' in metrics


def test_an_answer_that_was_cut_off_goes_on_with_its_tokens(replica: ReplicaProcess, model: Model) -> None:
    """Drawn by the reference's rule, with a seed that JSON's numbers are too short for; wherever it was cut."""
    text, seed = prompts((60,), seed=21)[0], 2**64 - 59
    asked = {"temperature": 0.9, "top_p": 0.95, "repetition_penalty": 1.1, "min_tokens": 3, "seed": str(seed), "detokenize": False}
    sampling = Sampling(temperature=0.9, top_p=0.95, repetition_penalty=1.1, min_tokens=3, seed=seed, stop_tokens=(7,))
    whole = generate(model, text, sampling, 20)
    with replica.client as client:
        for cut in (0, 1, 11):
            params = asked | {"max_tokens": 20 - cut, "continued": cut, "stop_token_ids": [7], "ignore_eos": True}
            body = {"token_ids": [*text, *whole[:cut]], "sampling_params": params}
            found = client.post(GENERATE, json=body).raise_for_status().json()
            assert found["choices"][0]["token_ids"] == whole[cut:]


def test_an_edge_knows_it_and_calls_it_with_a_key_of_its_own(replica: ReplicaProcess, model: Model, known_at: Edge) -> None:
    assert eventually(lambda: len(known_at.requests) >= 3)
    first = known_at.bodies[0]
    assert (first["name"], first["address"]) == ("seven-1", f"http://127.0.0.1:{replica.port}")
    assert (first["status"], first["weight"], first["place"], first["kind"]) == ("ready", 0.5, None, "vllm")
    with replica.client as client:
        told = client.get("/replica").raise_for_status().json()
    (described,) = first["models"]
    for name in ("id", "digest", "tokenizer_digest", "vocabulary_size", "context_length"):
        assert described[name] == told["model"][name]
    assert described["parameters"] == parameter_count(SEVEN).total and described["kernel"] == f"vllm-{told['versions']['vllm']}"
    free = {"free_share": first["load"]["free_share"], "loaded": True}
    assert first["load"] == {"running": 0, "waiting": 0, "most_running": 8, "most_requests": 32, **free}
    assert first["versions"] == told["versions"]
    headers, body = known_at.requests[0]
    timestamp, nonce = headers["x-spikingbrain-timestamp"], headers["x-spikingbrain-nonce"]
    assert headers["x-spikingbrain-signature"] == CREDENTIAL.sign("POST", "/v1/pool/replicas", int(timestamp), nonce, body)
    edges, text = {"authorization": f"Bearer {CREDENTIAL.replica_key('seven-1')}"}, prompts((9,), seed=8)[0]
    with replica.client as client:
        found = client.post(GENERATE, json=request(text, 5), headers=edges).raise_for_status().json()
        assert client.post(STATES, headers=edges | {"x-spikingbrain-tenant": "t"}).status_code == 201
        others = {"authorization": f"Bearer {CREDENTIAL.replica_key('seven-2')}"}
        assert client.post(GENERATE, json=request(text, 5), headers=others).status_code == 401
    assert found["choices"][0]["token_ids"] == continued(model, text, tokens=5)


def test_states_are_behind_the_same_key(replica: ReplicaProcess) -> None:
    tenant = {"x-spikingbrain-tenant": "t"}
    with replica.client as client:
        assert client.post(STATES, headers=tenant).status_code == 201
        assert client.post(STATES, headers=tenant | {"authorization": "Bearer wrong"}).status_code == 401


def test_bad_input_is_refused_and_the_engine_lives(replica: ReplicaProcess, model: Model) -> None:
    draw, text = random.Random(2), prompts((9,))[0]
    whole = json.dumps(request(text, 4)).encode()
    with replica.client as client:
        for _ in range(300):
            body = bytearray(whole)
            for _ in range(draw.randrange(1, 6)):
                body[draw.randrange(len(body))] = draw.randrange(32, 127)
            found = client.post(GENERATE, content=bytes(body), headers={"content-type": "application/json"})
            assert found.status_code in (200, 400, 404, 422), found.text
            if found.status_code != 200:
                assert set(found.json()["error"]) >= {"message", "type", "code"}
        for kind in ("text/plain", "multipart/form-data", "application/json; charset=latin-1", ""):
            assert client.post(GENERATE, content=whole, headers={"content-type": kind}).status_code < 500
        for method in ("GET", "PUT", "DELETE", "PATCH"):
            assert client.request(method, GENERATE).status_code == 404
    assert answer(replica, text, 12) == continued(model, text, tokens=12)


def test_strange_clients_leave_no_request_behind(replica: ReplicaProcess, model: Model) -> None:
    address, text = ("127.0.0.1", replica.port), prompts((20,), seed=4)[0]
    head = f"POST {GENERATE} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-type: application/json\r\n"
    body = json.dumps(request(text, 400) | {"stream": True})
    for said in (
        "",
        "\x00\x01\x02\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        f"{head}content-length: 1000000\r\n\r\nshort",
        f"{head}content-length: -5\r\n\r\n",
        f"{head}transfer-encoding: chunked\r\n\r\nZZ\r\n",
        f"{head}x: {'y' * 100_000}\r\n\r\n",
        f"{head}content-length: {len(body)}\r\n\r\n{body}",
        f"{head}upgrade: websocket\r\nconnection: upgrade\r\n\r\n",
    ):
        with socket.create_connection(address, timeout=10) as client:
            client.sendall(said.encode("latin-1"))
            if said.endswith(body):
                # Whoever goes away in the middle of an answer ends the engine's work for it.
                assert b"200 OK" in client.recv(1_024)
    with replica.client as client:
        assert eventually(lambda: client.get("/replica").json()["load"]["requests"] == 0)
    assert answer(replica, text, 12) == continued(model, text, tokens=12)


def test_spikes_of_a_request_are_told_at_its_end(started: list[ReplicaProcess], replica: ReplicaProcess) -> None:
    """In a whole answer and in a stream, beside requests that do not ask; where none are counted, whoever asks is told."""
    counting, spiking = started[1].wait_until_ready(), reference(dataclasses.replace(SEVEN, spiking=Spiking(mode="paper")))
    text = prompts((20,), seed=4)[0]
    asked = request(text, 4, count_spikes=True)
    with counting.client as client:
        assert client.get("/replica").json()["models"][0]["spikes"] == "paper"
        whole = client.post(GENERATE, json=asked).raise_for_status().json()
        due = told(expected_spikes(spiking, [*text, *whole["choices"][0]["token_ids"][:-1]]))
        assert whole["kv_transfer_params"]["spikes"] == due
        with client.stream("POST", GENERATE, json=asked | {"stream": True}) as stream:
            events = [json.loads(line.removeprefix("data: ")) for line in stream.iter_lines() if line.startswith("data: {")]
        assert [event["kv_transfer_params"]["spikes"] for event in events if "kv_transfer_params" in event] == [due]
        assert client.post(GENERATE, json=request(text, 4)).json()["kv_transfer_params"] is None
        # Whoever goes away leaves no counts behind.
        with client.stream("POST", GENERATE, json=request(text, 800, count_spikes=True) | {"stream": True}) as stream:
            next(stream.iter_lines())
        own = [Path("/dev/shm") / one / "spikes" for one in os.listdir("/dev/shm") if one.startswith("spikingbrain-replica-")]
        assert eventually(lambda: not any(folder.is_dir() and any(folder.iterdir()) for folder in own))
    with replica.client as client:
        refused = client.post(GENERATE, json=asked)
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "count_spikes")


def test_it_drains_without_a_lost_token(replica: ReplicaProcess, model: Model, known_at: Edge) -> None:
    """The last test that this replica has: SIGTERM in the middle of an answer."""
    text, known, refused = prompts((40,), seed=6)[0], list[int](), list[httpx.Response]()

    def end_it() -> None:
        while len(known) < 3:
            time.sleep(0.01)
        replica.process.send_signal(signal.SIGTERM)
        with replica.client as client:
            while client.get("/ready").status_code == 200:
                time.sleep(0.01)
            refused.append(client.post(GENERATE, json=request(text, 4)))
            refused.append(client.get("/ready"))

    ender = threading.Thread(target=end_it)
    ender.start()
    with replica.client as client, client.stream("POST", GENERATE, json=request(text, 600) | {"stream": True}) as stream:
        ends = streamed(stream.iter_lines(), known)
    ender.join()
    assert known == continued(model, text, tokens=600) and ends == ["length", "[DONE]"]
    for one in refused:
        assert (one.status_code, one.json()["error"]["code"]) == (503, "replica_draining")
        assert int(one.headers["retry-after"]) > 0
    assert replica.process.wait(END_SECONDS) == 0
    assert replica.files() == []
    # The edge knew before anything was refused, and to the end.
    told = known_at.statuses
    assert told[-1] == "gone" and set(told[told.index("draining") : -1]) == {"draining"}
    assert CREDENTIAL.replica_key("seven-1") not in replica.log and base64.b64encode(CREDENTIAL.secret).decode() not in replica.log
    assert KEY not in replica.log and str(text[:3])[1:-1] not in replica.log


def test_the_end_of_the_engine_ends_the_process_with_a_clear_last_line(started: list[ReplicaProcess]) -> None:
    replica = started[1].wait_until_ready()
    (engine,) = [one for one in psutil.Process(replica.process.pid).children() if "EngineCore" in one.name() + " ".join(one.cmdline())]
    engine.kill()
    assert replica.process.wait(END_SECONDS) == 1
    assert replica.log.splitlines()[-1] == "error: the engine has ended by itself; its last words are above"
    assert eventually(lambda: replica.files() == [])


def test_a_kill_leaves_no_file_and_no_process_behind(started: list[ReplicaProcess]) -> None:
    replica = started[2].wait_until_ready()
    with replica.client as client:
        client.post(STATES, headers=HEADERS | {"x-spikingbrain-tenant": "t"}).raise_for_status()
    own = psutil.Process(replica.process.pid)
    folders = [one for one in os.listdir("/dev/shm") if one.startswith("spikingbrain-replica-")]
    states = [one for one in folders if any(str(Path("/dev/shm") / one) in " ".join(child.cmdline()) for child in own.children())]
    children = own.children(recursive=True)
    assert replica.files() != [] and len(states) == 1 and children
    replica.process.kill()
    replica.process.wait()
    assert eventually(lambda: replica.files() == [] and not (Path("/dev/shm") / states[0]).exists())
    assert eventually(lambda: not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children))
