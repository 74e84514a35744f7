"""Which of vLLM's and our routes a replica has. vLLM has some forty, of which its own key guards a part; all others are taken out."""

from fastapi import FastAPI
from starlette.routing import BaseRoute, Match
from starlette.types import Scope

LIVE = "/live"
"""The only route without a key: it says that the process answers, and nothing else."""
GENERATE = "/inference/v1/generate"
STATES = "/spikingbrain/states"
ALLOWED = {LIVE: {"GET"}, "/ready": {"GET"}, "/replica": {"GET"}, "/metrics": {"GET"}, GENERATE: {"POST"}}


def is_allowed(path: str, methods: set[str]) -> bool:
    if path == STATES or path.startswith(f"{STATES}/"):
        return True
    return path in ALLOWED and methods - {"HEAD"} <= ALLOWED[path]


def keep_allowed(app: FastAPI) -> None:
    """Takes all other routes out of the app. A mounted app answers any method and any path below its own, so that none stays."""
    app.router.routes[:] = [route for route in app.router.routes if _stays(route)]
    app.router.redirect_slashes = False


def finds(app: FastAPI, scope: Scope) -> bool:
    """Whether the app has a route for the request's path and method."""
    return any(route.matches(scope)[0] == Match.FULL for route in app.router.routes)


def _stays(route: BaseRoute) -> bool:
    methods: set[str] | None = getattr(route, "methods", None)
    return methods is not None and is_allowed(getattr(route, "path", ""), methods)
