"""What a replica is at the moment."""

import asyncio
from dataclasses import dataclass, field
from typing import Literal

Status = Literal["starting", "ready", "draining", "failed"]


@dataclass
class Replica:
    status: Status = "starting"
    most_requests: int = 1
    requests: int = 0
    """That are answered now, in whatever part: they wait for the engine, or their answers go out."""
    refused: dict[str, int] = field(default_factory=dict)
    """Requests by the code of the refusal."""
    _idle: asyncio.Event = field(default_factory=asyncio.Event)

    def begin(self) -> None:
        self.requests += 1
        self._idle.clear()

    def end(self) -> None:
        self.requests -= 1
        if self.requests == 0:
            self._idle.set()

    async def idle(self, seconds: float) -> bool:
        """Whether no request is left after at most so long."""
        if self.requests == 0:
            return True
        try:
            await asyncio.wait_for(self._idle.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def refuse(self, code: str) -> None:
        self.refused[code] = self.refused.get(code, 0) + 1
