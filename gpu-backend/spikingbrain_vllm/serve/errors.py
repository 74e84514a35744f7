"""Refusals, in the shape of OpenAI's errors."""

from dataclasses import dataclass, field

from starlette.responses import JSONResponse

RETRY_SECONDS = 2


@dataclass(frozen=True)
class Refusal(Exception):  # noqa: N818 (what a caller is told; no fault of the program)
    status: int
    code: str
    message: str
    param: str | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def response(self) -> JSONResponse:
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        error = {"message": self.message, "type": kind, "param": self.param, "code": self.code}
        return JSONResponse({"error": error}, self.status, self.headers)


def unauthorized() -> Refusal:
    return Refusal(401, "unauthorized", "the header Authorization must have a key that is known", headers={"www-authenticate": "Bearer"})


def not_found() -> Refusal:
    return Refusal(404, "not_found", "there is no such route")


def busy(code: str, message: str) -> Refusal:
    return Refusal(503, code, message, headers={"retry-after": str(RETRY_SECONDS)})
