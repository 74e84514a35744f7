"""Parts run one after the other in processes of their own, within one time, and what they found as text."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from typing import Any

LAST_WORDS = 2_000
"""Characters of a part's log that are kept where it failed."""

Results = dict[str, dict[str, Any]]


def run_parts(commands: dict[str, Sequence[str]], seconds: float) -> Results:
    """Each command's last line on stdout is its result. What fails, or would take longer than is left, is told as that."""
    end, found = time.monotonic() + seconds, Results()
    for name, command in commands.items():
        left = end - time.monotonic()
        found[name] = _run(command, left) if left > 0 else {"ok": False, "problem": "not begun: the time was over"}
    return found


def _run(command: Sequence[str], seconds: float) -> dict[str, Any]:
    begin = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        out, log = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return {"ok": False, "problem": f"not done within {seconds:.0f} seconds"}
    took = {"took": time.monotonic() - begin}
    lines = out.splitlines()
    if process.returncode != 0 or not lines:
        return {"ok": False, "problem": f"exit code {process.returncode}", "log": log[-LAST_WORDS:], **took}
    result: dict[str, Any] = json.loads(lines[-1])
    return result | took


def lines(results: Results) -> Iterator[str]:
    """A table for people."""
    for name, result in results.items():
        took = f"{result['took']:.0f} s" if "took" in result else ""
        yield f"{'ok    ' if result['ok'] else 'FAILED'} {name}: {result.get('problem', took)}"
        for row in result.get("rows", []):
            yield "         " + ", ".join(f"{key} {_shown(value)}" for key, value in row.items())
        yield from (f"         | {line}" for line in result.get("log", "").splitlines()[-12:])
    yield from _ratios(results)


def _ratios(results: Results) -> Iterator[str]:
    ours, softmax = ({row["tokens"]: row for row in results.get(name, {}).get("rows", []) if "ttft" in row} for name in _SPEEDS)
    for tokens in sorted(ours.keys() & softmax.keys()):
        ratio = ours[tokens]["ttft"] / softmax[tokens]["ttft"]
        yield f"TTFT at {tokens:,} tokens: {ratio:.2f} of the softmax model's"


_SPEEDS = ("speed", "softmax speed")


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
