"""Why a state was not taken, given or found."""

from typing import Literal

Code = Literal[
    "invalid_request",
    "unauthorized",
    "state_unknown",
    "state_not_ready",
    "state_taken",
    "state_invalid",
    "state_too_large",
    "store_full",
    "not_running",
    "export_failed",
    "upload_stalled",
    "too_many_uploads",
    "store_unavailable",
]

STATUS: dict[Code, int] = {
    "invalid_request": 400,
    "unauthorized": 401,
    "state_unknown": 404,
    "state_not_ready": 409,
    "state_taken": 409,
    "not_running": 409,
    "export_failed": 409,
    "upload_stalled": 408,
    "state_too_large": 413,
    "state_invalid": 422,
    "too_many_uploads": 503,
    "store_unavailable": 503,
    "store_full": 507,
}
"""Of HTTP."""


class RefusalError(Exception):
    """What a client is told: the code decides, the message says which rule and value."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
