"""What the programs of this folder share: whom they ask, and that nothing they do leaves this machine.

Imported before the libraries, so that none of these says anything to its makers.
"""

import json
import os
import sys
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

os.environ.update(
    ANONYMIZED_TELEMETRY="false",
    DO_NOT_TRACK="1",
    LANGCHAIN_TRACING_V2="false",
    LANGSMITH_TRACING="false",
    OPENAI_AGENTS_DISABLE_TRACING="1",
    OTEL_SDK_DISABLED="true",
)

url, model = sys.argv[1:3]
base_url = f"{url}/v1"
key = "sk-any"

here = {"127.0.0.1", "::1", "localhost"}
elsewhere: list[str] = []


def _refuse_elsewhere(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        return
    address = arguments[0] if event == "socket.getaddrinfo" else arguments[1]
    host = address[0] if isinstance(address, tuple) else address
    name = host.decode() if isinstance(host, bytes) else str(host)
    if host is None or name in here:
        return
    elsewhere.append(name)
    raise ConnectionRefusedError(f"{name} is not this machine")


sys.addaudithook(_refuse_elsewhere)


class Trip(BaseModel):
    """A trip to a city."""

    model_config = ConfigDict(extra="forbid")

    city: Literal["Rome", "Oslo"]
    days: int = Field(ge=1, le=9)


def fits(value: object) -> bool:
    """Whether it is a trip, or what one is made of; raises where it is not."""
    Trip.model_validate(value.model_dump() if isinstance(value, BaseModel) else value)
    return True


def report(**found: object) -> None:
    """Prints what came back as one JSON object."""
    print(json.dumps({**found, "elsewhere": elsewhere}))
