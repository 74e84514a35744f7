"""When a replica is ready, how it drains and how it ends, with an engine that does as told."""

import asyncio
import math
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest
from spikingbrain_vllm.node.registration import Registration
from spikingbrain_vllm.serve import life
from spikingbrain_vllm.serve.life import live
from spikingbrain_vllm.serve.replica import Replica
from vllm.engine.protocol import EngineClient


@dataclass
class Engine:
    token: asyncio.Event = field(default_factory=asyncio.Event)
    errored: bool = False
    fault: Exception | None = None
    logprob: float = -0.5
    aborted: list[str] = field(default_factory=list)
    replica: Replica = field(default_factory=lambda: Replica(most_requests=8))

    async def generate(self, *_: object) -> AsyncIterator[Any]:
        await self.token.wait()
        if self.fault is not None:
            raise self.fault
        scores = [{5: SimpleNamespace(logprob=self.logprob)}]
        yield SimpleNamespace(outputs=[SimpleNamespace(token_ids=[5], logprobs=scores)])

    async def pause_generation(self, mode: str, clear_cache: bool) -> None:
        self.aborted.append(mode)
        while self.replica.requests:
            self.replica.end()


@dataclass
class Started:
    engine: Engine
    stop: asyncio.Event
    serving: "asyncio.Task[None]"
    living: "asyncio.Task[str | None]"

    @staticmethod
    async def start(drain_seconds: float = 60.0) -> "Started":
        engine, stop = Engine(), asyncio.Event()
        serving = asyncio.create_task(asyncio.sleep(3_600))
        client = cast(EngineClient, engine)
        living = asyncio.create_task(live(client, engine.replica, drain_seconds, serving, stop))
        await asyncio.sleep(0.05)
        return Started(engine, stop, serving, living)

    @property
    def status(self) -> str:
        return self.engine.replica.status

    async def settle(self) -> None:
        await asyncio.sleep(0.05)


def run(of: Coroutine[Any, Any, None]) -> None:
    asyncio.run(of)


def test_it_is_ready_only_after_one_real_token() -> None:
    async def story() -> None:
        started = await Started.start()
        assert started.status == "starting"
        started.engine.token.set()
        await started.settle()
        assert started.status == "ready"
        started.stop.set()
        assert await started.living is None

    run(story())


def test_an_engine_that_gives_no_token_ends_the_process() -> None:
    async def story() -> None:
        started = await Started.start()
        started.engine.fault = RuntimeError("no such head size")
        started.engine.token.set()
        assert await started.living == "the engine gave no token: no such head size"
        assert started.status == "failed"

    run(story())


def test_weights_that_give_no_numbers_end_the_process() -> None:
    async def story() -> None:
        started = await Started.start()
        started.engine.logprob = math.nan
        started.engine.token.set()
        assert await started.living == "the engine gave no token: its logits are not finite: the weights are broken"
        assert started.status == "failed"

    run(story())


def test_it_drains_until_the_last_request_has_ended() -> None:
    async def story() -> None:
        started = await Started.start()
        started.engine.token.set()
        await started.settle()
        started.engine.replica.begin()
        started.engine.replica.begin()
        started.stop.set()
        await started.settle()
        assert started.status == "draining"
        started.engine.replica.end()
        await started.settle()
        assert not started.living.done()
        started.engine.replica.end()
        assert await started.living is None
        assert started.engine.aborted == []

    run(story())


@dataclass
class Told:
    """In place of what tells the edge: what it was told, and the replica's own status then."""

    replica: Replica
    knows: asyncio.Event = field(default_factory=asyncio.Event)
    said: list[tuple[str, str]] = field(default_factory=list)

    def tell(self, status: str) -> None:
        self.said.append((status, self.replica.status))

    async def told(self) -> bool:
        return await self.knows.wait()


def test_the_edge_knows_of_its_end_before_anything_is_refused() -> None:
    async def story() -> None:
        engine, stop = Engine(), asyncio.Event()
        engine.token.set()
        told = Told(engine.replica)
        serving = asyncio.create_task(asyncio.sleep(3_600))
        living = asyncio.create_task(live(cast(EngineClient, engine), engine.replica, 60, serving, stop, cast(Registration, told)))
        await asyncio.sleep(0.05)
        assert told.said == [("ready", "ready")]
        stop.set()
        await asyncio.sleep(0.05)
        # Still served, as long as the edge has not heard.
        assert told.said == [("ready", "ready"), ("draining", "ready")] and engine.replica.status == "ready"
        told.knows.set()
        assert await living is None
        assert told.replica.status == "draining"

    run(story())


def test_requests_are_ended_when_the_time_is_over() -> None:
    async def story() -> None:
        started = await Started.start(drain_seconds=0.1)
        started.engine.token.set()
        await started.settle()
        started.engine.replica.begin()
        started.stop.set()
        assert await started.living is None
        assert started.engine.aborted == ["abort"]

    run(story())


def test_the_end_of_the_engine_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(life, "WATCH_SECONDS", 0.01)

    async def story(*, draining: bool) -> None:
        started = await Started.start()
        started.engine.token.set()
        await started.settle()
        started.engine.replica.begin()
        if draining:
            started.stop.set()
            await started.settle()
        started.engine.errored = True
        assert await started.living == "the engine has ended by itself; its last words are above"

    for draining in (False, True):
        run(story(draining=draining))
