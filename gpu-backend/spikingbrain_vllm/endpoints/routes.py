"""The routes (`gpu-backend/docs/vllm-states.md`). Every answer but a state itself is JSON, every refusal an error of OpenAI's shape."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from spikingbrain.state.pages import PAGE_TOKENS, Frame
from starlette.requests import ClientDisconnect

from spikingbrain_vllm.endpoints.service import SHA256, StateService
from spikingbrain_vllm.state.digests import content_digest, read_content_digest
from spikingbrain_vllm.state.refusal import STATUS, RefusalError
from spikingbrain_vllm.state.request import TENANT
from spikingbrain_vllm.state.store.record import Record

PATH = "/spikingbrain/states"
TENANT_HEADER, TEXT_HEADER, POSITION_HEADER = "x-spikingbrain-tenant", "x-spikingbrain-text-sha256", "x-spikingbrain-position"
DIGEST_HEADER = "content-digest"
CHUNK_BYTES = 2**18
MOST_WAIT_SECONDS = 60.0
DEFAULT_WAIT_SECONDS = 10.0
RETRY = {"retry-after": "1"}

Handler = Callable[[StateService, str, Request], Awaitable[Response]]


def router() -> APIRouter:
    routes = APIRouter(prefix=PATH)
    one = "/{handle}"
    for path, method, handler in (
        ("", "POST", _create),
        (one, "PUT", _put),
        (one, "GET", _get),
        (one, "DELETE", _delete),
        (f"{one}/status", "GET", _status),
        (f"{one}/snapshot", "POST", _snapshot),
    ):
        routes.add_api_route(path, _guarded(handler), methods=[method], response_model=None)
    return routes


def _guarded(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """With the key checked first, and refusals told."""

    async def guarded(request: Request) -> Response:
        service: StateService = request.app.state.spikingbrain_states
        try:
            if not service.keys.allow(request.headers.get("authorization")):
                raise RefusalError("unauthorized", "the header Authorization must have a key that is known")
            tenant = request.headers.get(TENANT_HEADER, "")
            if not TENANT.fullmatch(tenant):
                raise RefusalError("invalid_request", f"the header {TENANT_HEADER} must match {TENANT.pattern}")
            return await handler(service, tenant, request)
        except RefusalError as refusal:
            return _refused(refusal)
        except OSError:
            # What the system says may hold a path.
            return _refused(RefusalError("store_unavailable", "the store of states cannot be used at present"))
        except ClientDisconnect:
            return _refused(RefusalError("invalid_request", "the client went away before its state was whole"))

    guarded.__name__ = handler.__name__.lstrip("_") + "_state"
    return guarded


async def _create(service: StateService, tenant: str, request: Request) -> Response:
    handle, record = service.store.create(tenant)
    return JSONResponse({"handle": handle, **_told(record)}, 201)


async def _put(service: StateService, tenant: str, request: Request) -> Response:
    text = request.headers.get(TEXT_HEADER, "")
    if not SHA256.fullmatch(text):
        raise RefusalError("invalid_request", f"the header {TEXT_HEADER} must be the SHA-256 of the tokens read, in hexadecimal")
    follows = _follows(request)
    digest = None if follows else read_content_digest(request.headers.get(DIGEST_HEADER, ""))
    if digest is None and not follows:
        raise RefusalError("invalid_request", f"the header {DIGEST_HEADER} must have the SHA-256 of the body, as sha-256=:BASE64:")
    from_page, base = _whole(request, "from_page"), request.query_params.get("base")
    if (from_page > 0) != (base is not None):
        raise RefusalError("invalid_request", "base must be given exactly where from_page is above 0")
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > service.store.limits.state_bytes:
        raise RefusalError("state_too_large", f"a state must have at most {service.store.limits.state_bytes} bytes; it has {length}")
    chunks: AsyncIterator[bytes] = request.stream()
    record = await service.put(tenant, _handle(request), chunks, digest=digest, text=text, from_page=from_page, base=base)
    return JSONResponse(_told(record))


async def _get(service: StateService, tenant: str, request: Request) -> Response:
    from_page, seconds = _whole(request, "from_page"), _seconds(request)
    while True:
        record = await service.ready(tenant, _handle(request), seconds)
        try:
            file = os.open(service.store.path(record), os.O_RDONLY | os.O_CLOEXEC)
            break
        except FileNotFoundError:
            # A newer state took its place between the two.
            continue
    frame = Frame.read(os.pread(file, CHUNK_BYTES, 0))
    if from_page > -(-frame.position // PAGE_TOKENS):
        os.close(file)
        raise RefusalError("invalid_request", f"from_page must be at most {-(-frame.position // PAGE_TOKENS)}; it is {from_page}")
    headers = {POSITION_HEADER: str(record.position), "content-length": str(frame.file_bytes(from_page)), "cache-control": "no-store"}
    digest = record.digest if from_page == 0 else await asyncio.to_thread(_digest_of, file, frame, from_page)
    headers[DIGEST_HEADER] = content_digest(digest)
    if record.text is not None:
        headers[TEXT_HEADER] = record.text.digest
    return StreamingResponse(_sent(file, frame, from_page), media_type="application/octet-stream", headers=headers)


async def _delete(service: StateService, tenant: str, request: Request) -> Response:
    service.find(tenant, _handle(request))
    service.store.delete(tenant, _handle(request))
    return Response(status_code=204)


async def _status(service: StateService, tenant: str, request: Request) -> Response:
    return JSONResponse(_told(service.find(tenant, _handle(request))))


async def _snapshot(service: StateService, tenant: str, request: Request) -> Response:
    return JSONResponse(_told(await service.snapshot(tenant, _handle(request), _seconds(request))))


def _sent(file: int, frame: Frame, from_page: int) -> Iterator[bytes]:
    try:
        yield from _chunks_of(file, frame, from_page)
    finally:
        os.close(file)


def _chunks_of(file: int, frame: Frame, from_page: int) -> Iterator[bytes]:
    for extent in frame.extents(from_page):
        for start in range(extent.start, extent.stop, CHUNK_BYTES):
            yield os.pread(file, min(CHUNK_BYTES, extent.stop - start), start)


def _digest_of(file: int, frame: Frame, from_page: int) -> str:
    digest = hashlib.sha256()
    for chunk in _chunks_of(file, frame, from_page):
        digest.update(chunk)
    return digest.hexdigest()


def _told(record: Record) -> dict[str, Any]:
    text = record.text
    return {
        "status": record.status,
        "problem": record.problem or None,
        "position": record.position,
        "tokens": 0 if text is None else text.tokens,
        "text_sha256": None if text is None else text.digest,
        "bytes": record.bytes,
        "expires_at": record.expires,
    }


def _refused(refusal: RefusalError) -> JSONResponse:
    status = STATUS[refusal.code]
    error = {"message": refusal.message, "type": "state_error", "param": None, "code": refusal.code}
    headers = RETRY if status in (503, 507) or refusal.code == "state_not_ready" else None
    return JSONResponse({"error": error}, status, headers)


def _handle(request: Request) -> str:
    return str(request.path_params["handle"])


def _follows(request: Request) -> bool:
    """Whether the digest comes behind the state: whoever sends a state on while it comes does not know it before."""
    value = request.query_params.get("digest")
    if value is not None and (value != "follows" or DIGEST_HEADER in request.headers):
        raise RefusalError(
            "invalid_request", f"digest must be 'follows', and the header {DIGEST_HEADER} then be left out; it is {value!r:.20}"
        )
    return value is not None


def _whole(request: Request, name: str) -> int:
    value = request.query_params.get(name, "0")
    if not (value.isascii() and value.isdecimal() and len(value) <= 9):
        raise RefusalError("invalid_request", f"{name} must be a whole number from 0 on, of at most 9 digits")
    return int(value)


def _seconds(request: Request) -> float:
    value = request.query_params.get("wait_seconds")
    if value is None:
        return DEFAULT_WAIT_SECONDS
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= MOST_WAIT_SECONDS:
        raise RefusalError("invalid_request", f"wait_seconds must be a number from 0 to {MOST_WAIT_SECONDS:g}")
    return seconds
