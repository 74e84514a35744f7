"""A replica's life: one real token, requests, and an end without a lost token."""

import asyncio
import math
import sys

from vllm import SamplingParams
from vllm.engine.protocol import EngineClient
from vllm.inputs import TokensPrompt

from spikingbrain_vllm.node.registration import Registration
from spikingbrain_vllm.serve.replica import Replica

FIRST_TOKEN_SECONDS = 300.0
WATCH_SECONDS = 0.5
ABORTED_SECONDS = 5.0
"""For the last events of requests that were ended when the time for draining was over."""


async def live(
    engine: EngineClient,
    replica: Replica,
    drain_seconds: float,
    serving: "asyncio.Task[None]",
    stop: asyncio.Event,
    registration: Registration | None = None,
) -> str | None:
    """Until `stop` and the ends of all requests; returns None. Or until something is wrong (the engine gives no token, or it or the HTTP
    server ends by itself); returns what."""
    stopping = asyncio.create_task(stop.wait())
    watching = asyncio.create_task(_until_dead(engine))
    first = asyncio.create_task(_first_token(engine))
    await asyncio.wait([first, stopping, watching, serving], return_when=asyncio.FIRST_COMPLETED, timeout=FIRST_TOKEN_SECONDS)
    if first.done() and first.exception() is None:
        replica.status = "ready"
        _say("ready")
        if registration is not None:
            registration.tell("ready")
        await asyncio.wait([stopping, watching, serving], return_when=asyncio.FIRST_COMPLETED)
    elif not stopping.done() and not watching.done():
        return _failed(replica, f"the engine gave no token: {first.exception() if first.done() else f'not in {FIRST_TOKEN_SECONDS:g} s'}")
    first.cancel()
    if serving.done():
        return _failed(replica, "the HTTP server has ended")
    if not watching.done():
        if registration is not None:
            # Before anything is refused: the edge plans with what it was told.
            registration.tell("draining")
            await registration.told()
        replica.status = "draining"
        _say(f"draining: {replica.requests} requests")
        idle = asyncio.create_task(replica.idle(drain_seconds))
        await asyncio.wait([idle, watching], return_when=asyncio.FIRST_COMPLETED)
        if idle.done() and not idle.result():
            _say(f"ends {replica.requests} requests after {drain_seconds:g} seconds")
            await engine.pause_generation(mode="abort", clear_cache=False)
            await replica.idle(ABORTED_SECONDS)
    if watching.done():
        return _failed(replica, "the engine has ended by itself; its last words are above")
    watching.cancel()
    return None


def _failed(replica: Replica, why: str) -> str:
    replica.status = "failed"
    return why


async def _first_token(engine: EngineClient) -> None:
    """Not `/health`, which an engine passes that dies at its first request; and of numbers that are none, vLLM makes a token too."""
    choices = SamplingParams(temperature=0, max_tokens=1, ignore_eos=True, detokenize=False, logprobs=0)
    async for output in engine.generate(TokensPrompt(prompt_token_ids=[0]), choices, "spikingbrain-first-token"):
        if output.outputs and output.outputs[0].token_ids:
            scores = [score.logprob for of_token in output.outputs[0].logprobs or [] for score in (of_token or {}).values()]
            if not scores or not all(map(math.isfinite, scores)):
                raise RuntimeError("its logits are not finite: the weights are broken")
            return
    raise RuntimeError("its answer was empty")


async def _until_dead(engine: EngineClient) -> None:
    while not engine.errored:
        await asyncio.sleep(WATCH_SECONDS)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
