"""How far a long command is, on stderr: a line that rewrites itself on a terminal, a line every tenth elsewhere."""

import sys
import time

from .values import readable_bytes

SECONDS_BETWEEN = 0.2


class ProgressLine:
    """Called with the bytes that are done and those there are in all."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._begin = time.monotonic()
        self._shown_at = 0.0
        self._shown_tenth = -1

    def __call__(self, done: int, total: int) -> None:
        now, finished = time.monotonic(), done >= total
        tenth = done * 10 // max(total, 1)
        terminal = sys.stderr.isatty()
        if not finished and (now - self._shown_at < SECONDS_BETWEEN if terminal else tenth == self._shown_tenth):
            return
        self._shown_at, self._shown_tenth = now, tenth
        share = 100 * done // max(total, 1)
        line = f"{self._what}: {self._amount(done)} of {self._amount(total)} ({share} %, {now - self._begin:.0f} s)"
        end = "\n" if finished or not terminal else ""
        print(f"\r\x1b[K{line}" if terminal else line, end=end, file=sys.stderr, flush=True)

    def _amount(self, count: int) -> str:
        return readable_bytes(count)


class CountLine(ProgressLine):
    """The same for things that are counted."""

    def __init__(self, what: str, unit: str) -> None:
        super().__init__(what)
        self._unit = unit

    def _amount(self, count: int) -> str:
        return f"{count:,} {self._unit}"
