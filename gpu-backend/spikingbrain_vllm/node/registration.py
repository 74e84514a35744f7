"""Tells the edge of this replica: when it is ready, then again and again, and before it leaves. An edge that is away costs no request: the
replica goes on serving, and tries again."""

import asyncio
import json
import random
import secrets
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal

import httpx

from spikingbrain_vllm.node.options import LOOPBACK, NodeOptions

PATH = "/v1/pool/replicas"
REQUEST_SECONDS = 10.0
SAY_SECONDS = 3.0
"""Longest wait for the edge where something waits for it: before requests are refused, and before the process ends."""
FIRST_RETRY_SECONDS, MOST_RETRY_SECONDS = 1.0, 30.0
LEAST_HEARTBEAT_SECONDS, MOST_HEARTBEAT_SECONDS = 0.05, 60.0
_SHOWN = 300

Told = Literal["ready", "draining", "gone"]
Facts = Callable[[], dict[str, Any]]
"""Models, load and versions, as they are now (`facts.py`)."""


class Registration:
    def __init__(self, options: NodeOptions, facts: Facts, *, first_retry_seconds: float = FIRST_RETRY_SECONDS) -> None:
        self._options, self._facts, self._first_retry = options, facts, first_retry_seconds
        host = httpx.URL(options.edge).host
        self._client = httpx.AsyncClient(timeout=REQUEST_SECONDS, follow_redirects=False, trust_env=host not in LOOPBACK)
        self._status: Told | None = None
        self._taken: Told | None = None
        """The last status that the edge has taken."""
        self._changed, self._settled = asyncio.Event(), asyncio.Event()
        self._sequence = 0
        self._started: int | None = None
        self._failures = 0
        self._said = ""

    def tell(self, status: Told) -> None:
        """From now on, at once and with every message."""
        self._status = status
        self._settled.clear()
        self._changed.set()

    async def told(self, seconds: float = SAY_SECONDS) -> bool:
        """Whether the edge has taken the status after at most so long; True also where it never knew of this replica."""
        if self._status is None or (self._status == "gone" and self._taken is None):
            return True
        with suppress(TimeoutError):
            await asyncio.wait_for(self._settled.wait(), seconds)
        return self._taken == self._status

    async def run(self) -> None:
        """Until it is cancelled, or the edge knows that the replica is gone."""
        while self._taken != "gone":
            if self._status is None or (self._status == "gone" and self._taken is None):
                await self._changed.wait()
                self._changed.clear()
                continue
            self._changed.clear()
            seconds = await self._send(self._status)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), seconds)

    async def close(self) -> None:
        await self._client.aclose()

    async def _send(self, status: Told) -> float:
        """Seconds until the next message."""
        try:
            seconds = await self._ask(self._message(status))
        except Exception as error:
            # Of whatever kind: a message that cannot be made or sent now may be the next time, and nothing else makes this replica known.
            why = str(error) if isinstance(error, _RefusedError) and str(error) else f"{type(error).__name__}: {error}"
            self._say(f"the edge {self._options.edge} has not taken this replica, which goes on serving: {why[:_SHOWN]}")
            self._failures += 1
            # After a while those that lost the same edge come back one by one.
            return min(self._first_retry * 2.0 ** min(self._failures - 1, 16), MOST_RETRY_SECONDS) * random.uniform(0.5, 1)
        self._failures = 0
        self._taken = status
        if status == self._status:
            self._settled.set()
        self._say(f"the edge {self._options.edge} knows this replica as {self._options.name}: {status}")
        return seconds

    def _message(self, status: Told) -> bytes:
        options = self._options
        if self._taken is None or self._started is None:
            # A clock that was wrong until now cannot make this run look later than the next one.
            self._started = int(time.time())
        self._sequence += 1
        who = {"name": options.name, "address": options.address, "kind": "vllm", "place": options.place, "weight": options.weight}
        when = {"status": status, "sequence": self._sequence, "started": self._started}
        return json.dumps(who | when | self._facts(), ensure_ascii=False, allow_nan=False).encode()

    async def _ask(self, body: bytes) -> float:
        credential = self._options.credential
        timestamp, nonce = int(time.time()), secrets.token_hex(16)
        headers = {
            "content-type": "application/json",
            "x-spikingbrain-node": credential.node,
            "x-spikingbrain-timestamp": str(timestamp),
            "x-spikingbrain-nonce": nonce,
            "x-spikingbrain-signature": credential.sign("POST", PATH, timestamp, nonce, body),
        }
        answer = await self._client.post(f"{self._options.edge}{PATH}", content=body, headers=headers)
        told = _json(answer)
        if answer.status_code != 200:
            error = told.get("error")
            message = error.get("message") if isinstance(error, dict) else None
            raise _RefusedError(f"status {answer.status_code}: {message or 'it says no more'}")
        seconds = told.get("heartbeatSeconds")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            raise _RefusedError("its answer has no heartbeatSeconds")
        return min(max(float(seconds), LEAST_HEARTBEAT_SECONDS), MOST_HEARTBEAT_SECONDS)

    def _say(self, line: str) -> None:
        """Once until something else is to be said."""
        if line != self._said:
            print("".join(one if one.isprintable() else " " for one in line), file=sys.stderr, flush=True)
        self._said = line


class _RefusedError(Exception):
    """An answer that is no yes."""


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        told = answer.json()
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
