"""The routes without an engine: who may do what, what is refused, and that nothing ends but the request."""

import asyncio
import hashlib
import os
import random
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
import uvicorn
from fastapi import FastAPI
from spikingbrain.config import Config, EvictedTokens, Layer
from spikingbrain.model.model import Model
from spikingbrain.state.file import Digests, save_state
from spikingbrain.state.pages import Frame
from spikingbrain_vllm.endpoints.keys import Keys
from spikingbrain_vllm.endpoints.routes import PATH, router
from spikingbrain_vllm.endpoints.service import UPLOADS, StateService
from spikingbrain_vllm.state.digests import content_digest
from spikingbrain_vllm.state.model_identity import ModelIdentity
from spikingbrain_vllm.state.store.directory import StoreDirectory
from spikingbrain_vllm.state.store.store import Limits, StateStore
from spikingbrain_vllm.state.tokens import token_digest
from support.models import SEVEN, reference

KEY = "k" * 40
A = {"authorization": f"Bearer {KEY}", "x-spikingbrain-tenant": "a"}
B = A | {"x-spikingbrain-tenant": "b"}
KNOWN = Digests(bytes([1] * 32), bytes([2] * 32))
EVICTED = replace(
    SEVEN,
    layers=(Layer(mixer=("evicted",)), Layer(mixer=("linear",))),
    window=9,
    kept_tokens=2,
    evicted=EvictedTokens(sink_cap=11, salient=3, salience_half_life=20),
)
TEXT = list(range(100, 240))


@dataclass(frozen=True)
class Replica:
    client: httpx.Client
    service: StateService
    address: tuple[str, int]

    def create(self, headers: dict[str, str] = A) -> str:
        return str(self.client.post(PATH, headers=headers).raise_for_status().json()["handle"])

    def put(self, handle: str, data: bytes, text: list[int], query: str = "", **headers: str) -> httpx.Response:
        return self.client.put(f"{PATH}/{handle}{query}", content=data, headers=A | described(data, text) | headers)

    def names(self) -> list[str]:
        return self.service.store.directory.names()


def described(data: bytes, text: list[int]) -> dict[str, str]:
    return {"content-digest": content_digest(hashlib.sha256(data).hexdigest()), "x-spikingbrain-text-sha256": token_digest(text)}


@pytest.fixture(scope="module", params=[SEVEN, EVICTED], ids=["windows", "evicted tokens"])
def model(request: pytest.FixtureRequest) -> Model:
    config: Config = request.param
    return reference(config)


@pytest.fixture
def replica(model: Model, tmp_path: Path) -> Iterator[Replica]:
    limits = Limits(state_bytes=2**21, total_bytes=2**23, states=60, lifetime_seconds=60.0)
    identity = ModelIdentity(model.config, KNOWN)
    service = StateService(StateStore(StoreDirectory(tmp_path / "s"), identity.digest, limits), identity, Keys([KEY]))
    app = FastAPI()
    app.include_router(router())
    app.state.spikingbrain_states = service
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    address = server.servers[0].sockets[0].getsockname()
    with httpx.Client(base_url=f"http://127.0.0.1:{address[1]}", timeout=60) as client:
        yield Replica(client, service, address)
    server.should_exit = True
    thread.join()
    service.store.directory.close()


def states(model: Model, *lengths: int) -> list[bytes]:
    found, state, read = [], model.new_state(), 0
    for length in lengths:
        state, read = model.step(state, torch.tensor(TEXT[read:length]))[1], length
        found.append(save_state(state, model.config, KNOWN))
    return found


def code(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, str(response.json()["error"]["code"])


def test_a_state_comes_back_as_it_went(replica: Replica, model: Model) -> None:
    (data,), handle = states(model, 70), replica.create()
    told = replica.put(handle, data, TEXT[:70]).raise_for_status().json()
    assert (told["status"], told["tokens"], told["bytes"], told["text_sha256"]) == ("ready", 70, len(data), token_digest(TEXT[:70]))
    found = replica.client.get(f"{PATH}/{handle}", headers=A)
    assert found.content == data
    assert found.headers["content-digest"] == content_digest(hashlib.sha256(data).hexdigest())
    assert (found.headers["x-spikingbrain-position"], found.headers["x-spikingbrain-text-sha256"]) == ("70", token_digest(TEXT[:70]))
    assert replica.client.delete(f"{PATH}/{handle}", headers=A).status_code == 204
    assert code(replica.client.get(f"{PATH}/{handle}", headers=A)) == (404, "state_unknown")
    assert replica.names() == []


def test_a_digest_may_follow_its_state(replica: Replica, model: Model) -> None:
    """In chunks that end anywhere, as whoever sends a state on while it comes has them."""
    (data,) = states(model, 70)
    text = {"x-spikingbrain-text-sha256": token_digest(TEXT[:70])}
    digest = hashlib.sha256(data).digest()

    def put(handle: str, body: bytes, size: int, query: str = "?digest=follows", **headers: str) -> httpx.Response:
        chunks = (body[at : at + size] for at in range(0, len(body), size))
        return replica.client.put(f"{PATH}/{handle}{query}", content=chunks, headers=A | text | headers)

    for size in (31, 32, 33, 1_000, len(data), len(data) + 16):
        handle = replica.create()
        assert put(handle, data + digest, size).raise_for_status().json()["bytes"] == len(data)
        assert replica.client.get(f"{PATH}/{handle}", headers=A).content == data
        assert replica.client.delete(f"{PATH}/{handle}", headers=A).status_code == 204
    handle = replica.create()
    for body in (data, data + digest[:-1], data + digest[:-1] + b"!", data + digest + b"!", digest, b"x"):
        assert code(put(handle, body, 1_000)) == (422, "state_invalid")
    assert code(put(handle, data + digest, 1_000, "?digest=first")) == (400, "invalid_request")
    assert code(put(handle, data + digest, 1_000, **{"content-digest": content_digest(digest.hex())})) == (400, "invalid_request")
    assert replica.client.delete(f"{PATH}/{handle}", headers=A).status_code == 204
    assert replica.names() == []


def test_only_new_pages_travel(replica: Replica, model: Model) -> None:
    earlier, later = states(model, 70, 133)
    base, handle = replica.create(), replica.create()
    replica.put(base, earlier, TEXT[:70]).raise_for_status()
    frame = Frame.read(later)
    part = b"".join(later[one.start : one.stop] for one in frame.extents(2))
    replica.put(handle, part, TEXT[:133], f"?from_page=2&base={base}").raise_for_status()
    assert replica.client.get(f"{PATH}/{handle}", headers=A).content == later
    found = replica.client.get(f"{PATH}/{handle}?from_page=2", headers=A)
    assert found.content == part
    assert found.headers["content-digest"] == content_digest(hashlib.sha256(part).hexdigest())
    # The text of the base is checked too when a request starts from it.
    record = replica.service.find("a", handle)
    assert [prefix.tokens for prefix in record.prefixes] == [70, 133]


def test_pages_that_are_missing_are_named(replica: Replica, model: Model) -> None:
    earlier, later = states(model, 40, 133)
    base = replica.create()
    replica.put(base, earlier, TEXT[:40]).raise_for_status()
    part = b"".join(later[one.start : one.stop] for one in Frame.read(later).extents(3))
    refused = replica.put(replica.create(), part, TEXT[:133], f"?from_page=3&base={base}")
    assert code(refused) == (422, "state_invalid") and "from_page must be at most 1; it is 3" in refused.text
    for query in ("?from_page=3", f"?base={base}"):
        assert code(replica.put(replica.create(), part, TEXT[:133], query)) == (400, "invalid_request")
    gone = replica.put(replica.create(), part, TEXT[:133], f"?from_page=3&base={replica.create()}")
    assert code(gone) == (409, "state_not_ready")
    unknown = replica.put(replica.create(), part, TEXT[:133], f"?from_page=3&base={'x' * 43}")
    assert code(unknown) == (404, "state_unknown")
    assert code(replica.client.get(f"{PATH}/{base}?from_page=3", headers=A)) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, (401, "unauthorized")),
        ({"authorization": f"Bearer {KEY}x"}, (401, "unauthorized")),
        ({"authorization": f"Basic {KEY}"}, (401, "unauthorized")),
        ({"authorization": KEY}, (401, "unauthorized")),
        ({"authorization": "Bearer \xff"}, (401, "unauthorized")),
        ({"authorization": f"bearer {KEY}"}, (400, "invalid_request")),
        ({"authorization": f"Bearer {KEY}", "x-spikingbrain-tenant": "../a"}, (400, "invalid_request")),
        ({"authorization": f"Bearer {KEY}", "x-spikingbrain-tenant": "a" * 129}, (400, "invalid_request")),
    ],
)
def test_without_key_and_tenant_nothing_is_done(replica: Replica, headers: dict[str, str], expected: tuple[int, str]) -> None:
    handle = replica.create()
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    for method, path in (
        ("POST", PATH),
        ("GET", f"{PATH}/{handle}"),
        ("PUT", f"{PATH}/{handle}"),
        ("DELETE", f"{PATH}/{handle}"),
        ("GET", f"{PATH}/{handle}/status"),
        ("POST", f"{PATH}/{handle}/snapshot"),
    ):
        found = replica.client.request(method, path, headers=encoded)
        assert code(found) == expected
        assert KEY not in found.text
    assert len(replica.names()) == 1


def test_another_tenants_handle_is_as_unknown_as_any(replica: Replica, model: Model) -> None:
    (data,), handle = states(model, 9), replica.create()
    replica.put(handle, data, TEXT[:9]).raise_for_status()
    unknown = replica.client.get(f"{PATH}/{'x' * 43}", headers=A)
    for found in (
        replica.client.get(f"{PATH}/{handle}", headers=B),
        replica.client.get(f"{PATH}/{handle}/status", headers=B),
        replica.client.delete(f"{PATH}/{handle}", headers=B),
        replica.client.post(f"{PATH}/{handle}/snapshot", headers=B),
        replica.client.get(f"{PATH}/..%5c..%5cetc", headers=A),
        replica.client.get(f"{PATH}/{'x' * 42}%00", headers=A),
    ):
        assert (found.status_code, found.json()) == (404, unknown.json())
    assert replica.client.get(f"{PATH}/..%2f..%2fetc%2fpasswd", headers=A).status_code == 404
    assert replica.client.get(f"{PATH}/{handle}", headers=A).content == data


def test_a_state_of_another_model_is_refused_by_name(replica: Replica, model: Model) -> None:
    (data,) = states(model, 9)
    for at, what in ((8, "state must belong to a model of this config"), (40, "weights must be those"), (72, "tokenizer must be those")):
        other = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        refused = replica.put(replica.create(), other, TEXT[:9])
        assert code(refused) == (422, "state_invalid") and what in refused.text


def test_what_is_too_large_is_refused_before_it_has_come(replica: Replica, model: Model) -> None:
    (data,), handle = states(model, 9), replica.create()
    refused = replica.client.put(f"{PATH}/{handle}", content=bytes(2**21 + 1), headers=A | described(b"", []))
    assert code(refused) == (413, "state_too_large")
    # A position far away in a short file, or bytes behind the end, in chunks whose sum nobody has said.
    far = data[:104] + struct.pack("<Q", 2**29) + data[112:]
    for wrong in (far, data + bytes(2**22)):
        chunks = (wrong[at : at + 1_000] for at in range(0, len(wrong), 1_000))
        refused = replica.client.put(f"{PATH}/{handle}", content=chunks, headers=A | described(wrong, TEXT[:9]))
        assert refused.status_code in (413, 422), refused.text
    assert len(replica.names()) == 1


@pytest.mark.parametrize("mutations", [600])
def test_broken_states_by_the_thousand(replica: Replica, model: Model, mutations: int) -> None:
    """Each is refused with a typed error, or is a state. `Content-Digest` is that of the broken bytes: it is the sender who is wrong."""
    draw = random.Random(1)
    sources = states(model, 1, 40, 100)
    refused: dict[str, int] = {}
    for _ in range(mutations):
        data = mutated(draw.choice(sources), draw)
        handle = replica.create()
        found = replica.put(handle, data, TEXT[:40])
        assert found.status_code in (200, 413, 422), found.text
        if found.status_code == 200:
            # Other numbers are another state; its bytes are the ones that came.
            assert replica.client.get(f"{PATH}/{handle}", headers=A).content == data
        else:
            error = found.json()["error"]
            assert error["code"] in ("state_invalid", "state_too_large") and error["message"]
            refused[error["code"]] = refused.get(error["code"], 0) + 1
        assert replica.client.delete(f"{PATH}/{handle}", headers=A).status_code == 204
    assert refused["state_invalid"] > mutations // 3
    assert replica.names() == []


def mutated(data: bytes, draw: random.Random) -> bytes:
    out, kind = bytearray(data), draw.randrange(7)
    if kind == 0:
        return bytes(out[: draw.randrange(len(out))])
    if kind == 1:
        return bytes(out) + draw.randbytes(draw.randrange(1, 64))
    if kind == 2:
        out[draw.randrange(144)] ^= 1 << draw.randrange(8)
    elif kind == 3:
        struct.pack_into("<Q", out, 104, draw.choice([0, 1, 39, 41, 99, 101, 2**30, 2**30 + 1, 2**63, 2**64 - 1]))
    elif kind == 4:
        out[draw.randrange(len(out))] ^= 1 << draw.randrange(8)
    elif kind == 5:
        at = draw.randrange(136, len(out) - 4) // 4 * 4
        struct.pack_into("<f", out, at, draw.choice([float("nan"), float("inf"), -float("inf")]))
    else:
        begin = draw.randrange(len(out))
        del out[begin : begin + draw.randrange(1, 200)]
    return bytes(out)


def test_altered_or_cut_bytes_have_another_digest(replica: Replica, model: Model) -> None:
    (data,), handle = states(model, 40), replica.create()
    altered = data[:-3] + bytes([data[-3] ^ 1]) + data[-2:]
    for wrong in (altered, data[:-1]):
        refused = replica.client.put(f"{PATH}/{handle}", content=wrong, headers=A | described(data, TEXT[:40]))
        assert code(refused) == (422, "state_invalid")
    for header in ("", "md5=:AAAA:", "sha-256=:AAAA:", "sha-256=abc", "sha-256=:" + "!" * 43 + "=:"):
        found = replica.put(handle, data, TEXT[:40], **{"content-digest": header})
        assert code(found) == (400, "invalid_request")
    assert code(replica.put(handle, data, TEXT[:40], **{"x-spikingbrain-text-sha256": "0" * 63})) == (400, "invalid_request")
    replica.put(handle, data, TEXT[:40]).raise_for_status()
    assert code(replica.put(handle, data, TEXT[:40])) == (409, "state_taken")


@pytest.mark.parametrize("query", ["?from_page=-1", "?from_page=1e9", "?from_page=٣", "?from_page=9999999999", "?wait_seconds=nan"])
def test_strange_numbers_are_refused_by_name(replica: Replica, query: str) -> None:
    assert code(replica.client.get(f"{PATH}/{'x' * 43}{query}", headers=A)) == (400, "invalid_request")


def test_clients_that_stall_or_leave_leave_nothing(replica: Replica, model: Model) -> None:
    (data,), handle = states(model, 40), replica.create()
    replica.service.stalled_seconds = 0.3
    lines = "".join(f"{name}: {value}\r\n" for name, value in (A | described(data, TEXT[:40])).items())
    front = f"PUT {PATH}/{handle} HTTP/1.1\r\nhost: x\r\n{lines}content-length: {len(data)}\r\n\r\n".encode()
    stalled = [socket.create_connection(replica.address) for _ in range(UPLOADS)]
    for one in stalled:
        one.sendall(front + data[:200])
    wait_for(lambda: len(replica.names()) == 1 + UPLOADS)
    busy = replica.put(handle, data, TEXT[:40])
    assert code(busy) == (503, "too_many_uploads") and busy.headers["retry-after"]
    # Half of them leave, the others are told.
    for one in stalled[: UPLOADS // 2]:
        one.close()
    for one in stalled[UPLOADS // 2 :]:
        assert b"408" in one.recv(4096)
        one.close()
    wait_for(lambda: len(replica.names()) == 1)
    replica.put(handle, data, TEXT[:40]).raise_for_status()


def wait_for(holds: Any) -> None:  # noqa: ANN401
    for _ in range(2_000):
        if holds():
            return
        time.sleep(0.01)
    raise AssertionError("it should have come to be so")


def test_a_state_that_is_not_there_yet(replica: Replica) -> None:
    handle = replica.create()
    found = replica.client.get(f"{PATH}/{handle}?wait_seconds=0", headers=A)
    assert code(found) == (409, "state_not_ready") and found.headers["retry-after"]
    assert code(replica.client.post(f"{PATH}/{handle}/snapshot?wait_seconds=0.05", headers=A)) == (409, "not_running")
    assert replica.names() == [name for name in replica.names() if name.endswith(".json")]
    replica.service.store.fail("a", handle, "the request ended before it had read anything")
    assert code(replica.client.get(f"{PATH}/{handle}", headers=A)) == (409, "export_failed")


def test_a_store_that_cannot_be_used_is_told_without_its_path(replica: Replica) -> None:
    path = replica.service.store.directory.path
    path.rename(path.with_name("away"))
    found = replica.client.post(PATH, headers=A)
    path.with_name("away").rename(path)
    assert code(found) == (503, "store_unavailable") and str(path) not in found.text
    replica.create()


def test_an_expired_state_is_swept_by_itself(replica: Replica, model: Model) -> None:
    (data,), handle = states(model, 9), replica.create()
    replica.put(handle, data, TEXT[:9]).raise_for_status()
    service = replica.service
    service.store.limits = replace(service.store.limits, lifetime_seconds=0.1)
    service.store.renew("a", handle)

    async def sweep() -> None:
        sweeping = asyncio.create_task(service.sweep_for_ever())
        while replica.names():
            await asyncio.sleep(0.01)
        sweeping.cancel()

    asyncio.run(asyncio.wait_for(sweep(), 60))


@pytest.mark.parametrize("content", ["", "short\n", f"{KEY}\nshort"])
def test_a_key_file_without_a_secret_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "key").write_text(content)
    with pytest.raises(ValueError, match="key_file must hold a key on each line, of at least 16 characters"):
        Keys.read(tmp_path / "key")
    with pytest.raises(ValueError, match="key_file must be a file that can be read"):
        Keys.read(tmp_path / "none")


def test_two_keys_serve_while_one_takes_the_others_place(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{KEY}\n{'n' * 40}\n")
    os.chmod(tmp_path / "key", 0o600)
    keys = Keys.read(tmp_path / "key")
    assert keys.allow(f"Bearer {KEY}") and keys.allow(f"Bearer {'n' * 40}") and not keys.allow("Bearer " + "m" * 40)
