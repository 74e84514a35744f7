"""What stands before every route: the key, the list of routes, what a body may be, and whether there is room.

In this order, so that who has no key learns nothing, not even which routes there are."""

import asyncio
from collections.abc import Callable

from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from spikingbrain_vllm.endpoints.keys import Keys
from spikingbrain_vllm.serve.allowed import GENERATE, LIVE, STATES, finds
from spikingbrain_vllm.serve.errors import Refusal, busy, not_found, unauthorized
from spikingbrain_vllm.serve.replica import Replica

BODY_BYTES = 2**24
"""Most of a request's body; a state's size has a limit of its own."""
BODY_SECONDS = 30.0
"""Longest wait for the next part of a body."""

Check = Callable[[bytes], bytes]
"""What vLLM is given of a body. Raises Refusal where it must not come there."""


class Guard:
    def __init__(self, app: FastAPI, keys: Keys, replica: Replica, check: Check) -> None:
        self.app, self._keys, self._replica, self._check = app, keys, replica, check
        self.body_seconds = BODY_SECONDS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            # No route is a WebSocket; the server answers 403 to what is closed before it was accepted.
            await send({"type": "websocket.close", "code": 1008})
            return
        try:
            await self._answer(scope, receive, send)
        except Refusal as refusal:
            self._replica.refuse(refusal.code)
            await refusal.response()(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        is_live = scope["path"] == LIVE and scope["method"] == "GET"
        if not is_live and not self._keys.allow(headers.get("authorization")):
            raise unauthorized()
        if not finds(self.app, scope):
            raise not_found()
        if scope["path"] == GENERATE:
            await self._generate(scope, receive, send, headers)
        elif self._brings_state(scope) and self._replica.status != "ready":
            raise self._not_ready()
        else:
            await self.app(scope, receive, send)

    def _brings_state(self, scope: Scope) -> bool:
        """States still go out while a replica drains, those of running requests too: the next one needs them."""
        return scope["method"] == "PUT" or (scope["method"] == "POST" and scope["path"] == STATES)

    async def _generate(self, scope: Scope, receive: Receive, send: Send, headers: Headers) -> None:
        if self._replica.status != "ready":
            raise self._not_ready()
        if self._replica.requests >= self._replica.most_requests:
            raise busy("too_many_requests", f"this replica answers at most {self._replica.most_requests} requests at once")
        self._replica.begin()
        try:
            body = await self._body(receive, headers)
            given = self._check(body)
            await self.app(scope, _replayed(given, receive), send)
        finally:
            self._replica.end()

    def _not_ready(self) -> Refusal:
        return busy(f"replica_{self._replica.status}", f"this replica takes no new work: it is {self._replica.status}")

    async def _body(self, receive: Receive, headers: Headers) -> bytes:
        too_large = Refusal(413, "request_too_large", f"a request's body must have at most {BODY_BYTES} bytes")
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > BODY_BYTES:
            raise too_large
        parts, size = list[bytes](), 0
        while True:
            try:
                message = await asyncio.wait_for(receive(), self.body_seconds)
            except TimeoutError as error:
                raise Refusal(408, "request_timeout", f"each part of a body must come within {self.body_seconds:g} seconds") from error
            if message["type"] == "http.disconnect":
                raise Refusal(400, "client_gone", "the client went away before its request was whole")
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > BODY_BYTES:
                raise too_large
            if not message.get("more_body", False):
                return b"".join(parts)


def _replayed(body: bytes, receive: Receive) -> Receive:
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
