"""What a replica tells an edge, when, and what it does when the edge is away: against an edge that answers as told."""

import asyncio
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any

import pytest
from spikingbrain_vllm.node.credential import NodeCredential
from spikingbrain_vllm.node.options import NodeOptions
from spikingbrain_vllm.node.registration import PATH, Registration
from support.edge import edge

CREDENTIAL = NodeCredential("node-1", b"the-secret-of-this-node-32-bytes")
FACTS: dict[str, Any] = {"models": [{"id": "m"}], "load": {"running": 1}, "versions": {"vllm": "0.32.0"}}
OFTEN = (200, {"heartbeatSeconds": 0.05, "expirySeconds": 20, "status": "taken"})
SELDOM = (200, {"heartbeatSeconds": 60, "expirySeconds": 600, "status": "taken"})
MOMENT = 10.0
"""Far longer than anything here takes."""


def options(port: int) -> NodeOptions:
    return NodeOptions(f"http://127.0.0.1:{port}", CREDENTIAL, "seven-1", "https://seven-1.pool.example.com", "AMS", 0.5)


def story(port: int, of: Callable[[Registration], Coroutine[Any, Any, None]]) -> None:
    async def told() -> None:
        registration = Registration(options(port), lambda: FACTS, first_retry_seconds=0.01)
        running = asyncio.create_task(registration.run())
        try:
            await of(registration)
        finally:
            running.cancel()
            await registration.close()

    asyncio.run(told())


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(MOMENT):
        while not holds():
            await asyncio.sleep(0.005)


def test_it_says_who_it_is_signed_and_again_and_again() -> None:
    with edge(OFTEN) as one:

        async def of(registration: Registration) -> None:
            await asyncio.sleep(0.05)
            # Nothing before it is ready.
            assert one.requests == []
            registration.tell("ready")
            await until(lambda: len(one.requests) >= 4)

        story(one.port, of)
    nonces = set()
    for headers, body in one.requests:
        timestamp, nonce = headers["x-spikingbrain-timestamp"], headers["x-spikingbrain-nonce"]
        assert (headers["path"], headers["x-spikingbrain-node"]) == (PATH, "node-1")
        assert headers["x-spikingbrain-signature"] == CREDENTIAL.sign("POST", PATH, int(timestamp), nonce, body)
        nonces.add(nonce)
    assert len(nonces) == len(one.requests)
    who = {"name": "seven-1", "address": "https://seven-1.pool.example.com", "kind": "vllm", "place": "AMS", "weight": 0.5}
    assert one.bodies[0] == who | FACTS | {"status": "ready", "sequence": 1, "started": one.bodies[0]["started"]}
    assert [body["sequence"] for body in one.bodies] == list(range(1, len(one.bodies) + 1))
    assert len({body["started"] for body in one.bodies}) == 1


def test_a_change_is_told_at_once_and_waited_for() -> None:
    with edge(SELDOM) as one:

        async def of(registration: Registration) -> None:
            registration.tell("ready")
            assert await registration.told(MOMENT)
            registration.tell("draining")
            assert await registration.told(MOMENT)
            registration.tell("gone")
            assert await registration.told(MOMENT)

        story(one.port, of)
    assert one.statuses == ["ready", "draining", "gone"]


def test_a_replica_that_was_never_known_says_no_farewell() -> None:
    with edge(SELDOM) as one:

        async def of(registration: Registration) -> None:
            registration.tell("gone")
            assert await registration.told(MOMENT)

        story(one.port, of)
    assert one.requests == []


def test_an_edge_that_is_away_is_tried_again_until_it_is_back(capsys: pytest.CaptureFixture[str]) -> None:
    with edge(SELDOM) as gone:
        port = gone.port

    async def of(registration: Registration) -> None:
        registration.tell("ready")
        assert not await registration.told(0.1)
        with edge(SELDOM, port=port) as back:
            assert await registration.told(MOMENT)
            assert back.statuses == ["ready"]
            assert back.bodies[0]["sequence"] > 1

    story(port, of)
    said = capsys.readouterr().err.splitlines()
    assert said == [
        f"the edge http://127.0.0.1:{port} has not taken this replica, which goes on serving: ConnectError: All connection attempts failed",
        f"the edge http://127.0.0.1:{port} knows this replica as seven-1: ready",
    ]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (
            (401, {"error": {"message": "'x-spikingbrain-timestamp': must be\nwithin"}}),
            "status 401: 'x-spikingbrain-timestamp': must be within",
        ),
        ((409, {"error": {"message": "'name': must not be another node's"}}), "status 409: 'name': must not be another node's"),
        ((503, b"<html>"), "status 503: it says no more"),
        ((302, {}), "status 302: it says no more"),
        ((200, b"[]"), "its answer has no heartbeatSeconds"),
        ((200, {"heartbeatSeconds": True}), "its answer has no heartbeatSeconds"),
        ((200, {"heartbeatSeconds": "5"}), "its answer has no heartbeatSeconds"),
    ],
)
def test_a_refusal_is_said_once_and_the_replica_goes_on(answer: tuple[int, Any], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with edge(answer, answer, answer, SELDOM) as one:

        async def of(registration: Registration) -> None:
            registration.tell("ready")
            assert await registration.told(MOMENT)

        story(one.port, of)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2 and said[0].endswith(f"which goes on serving: {told}")
    assert len(one.requests) == 4
    assert all(headers["path"] == PATH for headers, _ in one.requests)
    for secret in (CREDENTIAL.secret.decode(), CREDENTIAL.secret.hex(), CREDENTIAL.replica_key("seven-1")):
        assert not any(secret in line for line in said)


def test_facts_that_cannot_be_told_now_are_told_later(capsys: pytest.CaptureFixture[str]) -> None:
    known: list[dict[str, Any]] = [{"load": {"free_share": float("nan")}}, {"load": {"free_share": 0.5}}]

    def facts() -> dict[str, Any]:
        return known.pop(0)

    with edge(SELDOM) as one:

        async def told() -> None:
            registration = Registration(options(one.port), facts, first_retry_seconds=0.01)
            running = asyncio.create_task(registration.run())
            registration.tell("ready")
            assert await registration.told(MOMENT)
            running.cancel()
            await registration.close()

        asyncio.run(told())
    assert [body["load"] for body in one.bodies] == [{"free_share": 0.5}]
    assert "which goes on serving: ValueError: " in capsys.readouterr().err


def test_it_began_when_the_edge_first_knew_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the clock was before: the edge takes no message of an earlier run after one of a later."""
    clock = iter([4_000_000_000.0] * 2 + [1_900_000_000.0] * 2 + [1_900_000_005.0] * 100)
    monkeypatch.setattr("spikingbrain_vllm.node.registration.time", SimpleNamespace(time=lambda: next(clock)))
    with edge((401, {}), OFTEN) as one:

        async def of(registration: Registration) -> None:
            registration.tell("ready")
            await until(lambda: len(one.requests) >= 3)

        story(one.port, of)
    assert [body["started"] for body in one.bodies[:3]] == [4_000_000_000, 1_900_000_000, 1_900_000_000]
    assert [int(headers["x-spikingbrain-timestamp"]) for headers, _ in one.requests[:3]] == [4_000_000_000, 1_900_000_000, 1_900_000_005]
