"""llama.cpp from a file to its first token. Arguments: GGUF, `mapped` or `read`, the prompt's one token. See child-participant.ts."""

import json
import sys
from collections.abc import Callable
from typing import TypeVar

from llama import Llama, described, timed

T = TypeVar("T")
CONTEXT = 2_048


def part(name: str, work: Callable[[], T]) -> tuple[dict[str, object], T]:
    """Runs and times one part of the start."""
    values: list[T] = []
    wall, processor = timed(lambda: values.append(work()))
    return {"name": name, "wall": wall, "processor": processor}, values[0]


def choose(llama: Llama, token: int) -> int:
    """The most likely token after one."""
    llama.read([token])
    return llama.choose()


def main(path: str, way: str, token: str) -> None:
    """Prints one measurement."""
    if way not in ("mapped", "read"):
        raise SystemExit(f'the file must be "mapped" or "read"; it is "{way}"')
    loaded, llama = part("load", lambda: Llama(path, CONTEXT, flash_attention=None, mapped=way == "mapped"))
    first, _ = part("first token", lambda: choose(llama, int(token)))
    description = described(f"one thread, file {way}, its modules loaded before")
    print(json.dumps({"description": description, "parts": [loaded, first]}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
