"""Every route that vLLM's app and this package have, as who calls them sees them; no engine."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI, Request
from spikingbrain_vllm.endpoints.keys import Keys
from spikingbrain_vllm.endpoints.routes import router as states_router
from spikingbrain_vllm.serve.allowed import ALLOWED, GENERATE, LIVE, STATES, keep_allowed
from spikingbrain_vllm.serve.errors import Refusal
from spikingbrain_vllm.serve.guard import BODY_BYTES, Guard
from spikingbrain_vllm.serve.replica import Replica
from spikingbrain_vllm.serve.routes import router
from starlette.responses import StreamingResponse
from starlette.types import Message, Scope

KEY = "a-key-of-the-tests"
BEARER = {"authorization": f"Bearer {KEY}"}


def whole_app() -> FastAPI:
    """vLLM's own, with all that it has where nobody takes anything out."""
    from vllm.entrypoints.launchers.app import build_app
    from vllm.entrypoints.launchers.cli_args import make_arg_parser
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    parser = make_arg_parser(FlexibleArgumentParser())  # type: ignore[no-untyped-call]
    arguments = parser.parse_args(["--model", "none", "--enable-scale-out", "--tokens-only"])
    app = build_app(arguments, ("generate",))
    app.include_router(states_router())
    return app


@dataclass(frozen=True)
class Guarded:
    guard: Guard
    replica: Replica
    every_route: list[tuple[str, str]]
    """Method and path, of vLLM's and ours, those that were taken out with them."""

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:  # noqa: ANN401
        async def asked() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.guard)
            async with httpx.AsyncClient(transport=transport, base_url="http://replica") as client:
                return await client.request(method, path, **more)

        return asyncio.run(asked())


def check(body: bytes) -> bytes:
    if body == b"bad":
        raise Refusal(400, "invalid_request", "bad")
    return body


@pytest.fixture(scope="module")
def app() -> FastAPI:
    return whole_app()


@pytest.fixture
def guarded(app: FastAPI) -> Iterator[Guarded]:
    replica = Replica(status="ready", most_requests=2)
    before = list(app.router.routes)
    app.include_router(router(replica, cast(Any, None), cast(Any, None)))
    every = [(method, path) for route in app.router.routes for path, methods in [_of(route)] for method in methods]
    keep_allowed(app)
    yield Guarded(Guard(app, Keys([KEY]), replica, check), replica, every)
    app.router.routes[:] = before


def _of(route: object) -> tuple[str, set[str]]:
    path = str(getattr(route, "path", "/")).replace("{handle}", "x" * 43).replace("{response_id}", "x")
    return path, getattr(route, "methods", None) or {"GET", "POST", "PUT", "DELETE", "OPTIONS", "CONNECT"}


@pytest.mark.parametrize("authorization", [None, "Bearer wrong", f"Basic {KEY}", KEY, f"Bearer {KEY}x", f"Bearer {KEY[:-1]}", "Bearer "])
def test_every_route_but_liveness_asks_for_the_key(guarded: Guarded, authorization: str | None) -> None:
    headers = {} if authorization is None else {"authorization": authorization}
    assert len(guarded.every_route) > 40
    for method, path in [*guarded.every_route, ("GET", "/nowhere"), ("OPTIONS", GENERATE), ("GET", "//live"), ("GET", "/live/")]:
        found = guarded.ask(method, path, headers=headers)
        if (method, path) == ("GET", LIVE):
            assert found.status_code == 200
            continue
        assert found.status_code == 401, (method, path)
        assert method == "HEAD" or found.json()["error"]["code"] == "unauthorized"
        assert KEY not in found.text


def test_what_is_not_on_the_list_is_not_there(guarded: Guarded) -> None:
    taken_out = [
        (method, path) for method, path in guarded.every_route if method not in ALLOWED.get(path, set()) and not path.startswith(STATES)
    ]
    assert {"/tokenize", "/invocations", "/scale_elastic_ep", "/v1/chat/completions", "/abort_requests", "/docs"} <= {
        path for _, path in taken_out
    }
    tricks = [("GET", "/metrics/"), ("GET", "//replica"), ("GET", "/METRICS"), ("POST", "/inference/v1/generate/"), ("GET", "/live/x")]
    for method, path in [*taken_out, *tricks, ("TRACE", LIVE), ("PATCH", GENERATE)]:
        found = guarded.ask(method, path, headers=BEARER)
        assert found.status_code == 404, (method, path)


def test_new_work_is_refused_unless_the_replica_is_ready(guarded: Guarded) -> None:
    for status in ("starting", "draining", "failed"):
        guarded.replica.status = cast(Any, status)
        for method, path in (("POST", GENERATE), ("POST", STATES), ("GET", "/ready")):
            found = guarded.ask(method, path, headers=BEARER)
            assert (found.status_code, found.json()["error"]["code"]) == (503, f"replica_{status}")
            assert int(found.headers["retry-after"]) > 0
        assert guarded.ask("GET", LIVE).status_code == 200


def test_more_requests_than_there_is_room_for_are_refused(guarded: Guarded) -> None:
    guarded.replica.requests = 2
    found = guarded.ask("POST", GENERATE, headers=BEARER, content=b"{}")
    assert (found.status_code, found.json()["error"]["code"]) == (503, "too_many_requests")
    assert "retry-after" in found.headers
    assert guarded.replica.requests == 2


def test_bodies_are_checked_before_vllm_has_them(guarded: Guarded) -> None:
    assert guarded.ask("POST", GENERATE, headers=BEARER, content=b"bad").json()["error"]["message"] == "bad"
    too_large = guarded.ask("POST", GENERATE, headers=BEARER, content=bytes(BODY_BYTES + 1))
    assert (too_large.status_code, too_large.json()["error"]["code"]) == (413, "request_too_large")
    assert guarded.replica.requests == 0
    assert guarded.replica.refused == {"invalid_request": 1, "request_too_large": 1}


def post(guarded: Guarded, receive: Callable[[], Awaitable[Message]]) -> list[Message]:
    """What is sent for a request that comes as `receive` says."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {"type": "http", "method": "POST", "path": GENERATE, "headers": [(b"authorization", f"Bearer {KEY}".encode())]}
    asyncio.run(guarded.guard({"query_string": b"", "root_path": "", **scope}, receive, send))
    return sent


def test_a_body_without_a_length_is_cut_off_too(guarded: Guarded) -> None:
    async def endless() -> Message:
        return {"type": "http.request", "body": bytes(2**20), "more_body": True}

    assert post(guarded, endless)[0]["status"] == 413


def test_a_client_that_stops_sending_is_told(guarded: Guarded) -> None:
    async def silent() -> Message:
        await asyncio.sleep(60)
        raise AssertionError

    guarded.guard.body_seconds = 0.05
    sent = post(guarded, silent)
    assert sent[0]["status"] == 408 and json.loads(sent[1]["body"])["error"]["code"] == "request_timeout"
    assert guarded.replica.requests == 0


def test_a_request_counts_until_its_last_byte(guarded: Guarded) -> None:
    seen: list[int] = []

    async def slow(request: Request) -> StreamingResponse:
        assert await request.body() == b"text"

        async def parts() -> Any:  # noqa: ANN401
            for _ in range(3):
                seen.append(guarded.replica.requests)
                yield b"x"

        return StreamingResponse(parts())

    routes = guarded.guard.app.router.routes
    routes[:] = [route for route in routes if getattr(route, "path", "") != GENERATE]
    guarded.guard.app.add_api_route(GENERATE, slow, methods=["POST"], response_model=None)
    assert guarded.ask("POST", GENERATE, headers=BEARER, content=b"text").text == "xxx"
    assert (seen, guarded.replica.requests) == ([1, 1, 1], 0)
