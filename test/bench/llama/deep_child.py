"""llama.cpp behind texts of any length, without reading them.

Arguments: GGUF, folder for state files, longest text, `on` or `off` for flash attention.

A text of 256 tokens is read and its state saved; the keys and values of a longer text are those, repeated. What comes out is no answer to
anything; what it takes is what a real text takes, because nothing that is done depends on what the numbers are. One task a line:
`{"depth": tokens, "prefill": tokens, "decode": tokens}`.
"""

import json
import os
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import llama_cpp
import numpy as np
from llama import STEP, Llama, described, timed

READ = 256
"""Tokens that are really read."""
MAGIC, VERSION = 0x67677371, 3
"""Of its files of one sequence's state: `GGSQ`."""


class Cursor:
    """What is left of a state file."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = memoryview(data), 0

    def take(self, count: int) -> memoryview:
        part = self.data[self.at : self.at + count]
        if len(part) != count:
            raise SystemExit("the state file ends early: this version of llama.cpp writes another form")
        self.at += count
        return part

    def number(self, form: str) -> int:
        (value,) = struct.unpack(form, self.take(struct.calcsize(form)))
        return int(value)


@dataclass(frozen=True)
class Rows:
    """One layer's keys or values: what stands before them, and the bytes of one token after another, in each of `groups` groups."""

    prefix: bytes
    data: memoryview
    groups: int


def rows(cursor: Cursor, cells: int, transposed: bool) -> Rows:
    """llama.cpp's `state_write_data` of one layer."""
    begin = cursor.at
    cursor.take(4)
    if transposed:
        size, groups = cursor.number("<I"), cursor.number("<I")
    else:
        size, groups = cursor.number("<Q"), 1
    prefix = bytes(cursor.data[begin : cursor.at])
    return Rows(prefix, cursor.take(cells * size * groups), groups)


def write_repeated(state: bytes, out: BinaryIO, times: int) -> None:
    """The state of `READ` tokens as that of `times` as many, at positions that go on."""
    cursor = Cursor(state)
    head = [cursor.number("<I") for _ in range(2)]
    tokens = cursor.number("<I")
    cursor.take(4 * tokens)
    streams, cells = cursor.number("<I"), cursor.number("<I")
    if head != [MAGIC, VERSION] or streams != 1 or cells != READ:
        raise SystemExit(
            f"the state file's head is {head}, of {streams} streams and {cells} cells: this version of llama.cpp writes another form"
        )
    out.write(struct.pack("<5I", MAGIC, VERSION, 0, streams, cells * times))
    cell = np.frombuffer(cursor.take(12 * cells), dtype="<u4").reshape(cells, 3)
    for start in range(0, cells * times, cells):
        moved = cell.copy()
        moved[:, 0] += np.uint32(start)
        out.write(moved.tobytes())
    transposed, layers = cursor.number("<I"), cursor.number("<I")
    out.write(struct.pack("<2I", transposed, layers))
    for transposed_here in [False] * layers + [bool(transposed)] * layers:
        part = rows(cursor, cells, transposed_here)
        out.write(part.prefix)
        for group in np.frombuffer(part.data, dtype=np.uint8).reshape(part.groups, -1):
            for _ in range(times):
                out.write(group.tobytes())
    if cursor.at != len(state):
        raise SystemExit("the state file has more than was read: this version of llama.cpp writes another form")


class DeepLlama(Llama):
    """With a state that it can repeat."""

    def __init__(self, path: str, folder: str, longest: int, flash_attention: bool) -> None:
        super().__init__(path, longest + STEP, flash_attention=flash_attention)
        self.file = Path(folder) / f"llama-{os.getpid()}.state"
        self.read_some(READ)
        if llama_cpp.llama_state_seq_save_file(self.context, str(self.file).encode(), 0, None, 0) == 0:
            raise SystemExit(f"llama.cpp cannot write {self.file}")
        self.state = self.file.read_bytes()
        self.file.unlink()

    def read_some(self, count: int) -> None:
        """So many tokens, whichever."""
        self.read([token % self.vocabulary for token in range(1_000, 1_000 + count)])

    def move(self, depth: int) -> None:
        """Behind a text of `depth` tokens, a multiple of `READ`."""
        self.clear()
        if depth == 0:
            return
        try:
            with self.file.open("wb") as out:
                write_repeated(self.state, out, depth // READ)
            count, none = llama_cpp.ctypes.c_size_t(), (llama_cpp.llama_token * 1)()
            if llama_cpp.llama_state_seq_load_file(self.context, str(self.file).encode(), 0, none, 1, count) == 0:
                raise SystemExit(f"llama.cpp does not take a state of {depth} tokens")
        finally:
            self.file.unlink(missing_ok=True)
        last = int(llama_cpp.llama_memory_seq_pos_max(self.memory, 0))
        if last != depth - 1:
            raise SystemExit(f"the last position must be {depth - 1}; it is {last}")

    def measure(self, depth: int, prefill: int, decode: int) -> dict[str, float]:
        self.move(depth)
        wall, processor = timed(lambda: self.read_some(prefill))

        def decoding() -> None:
            for _ in range(decode):
                self.read_some(1)

        decode_wall, decode_processor = timed(decoding)
        return {
            "prefillSeconds": wall,
            "prefillProcessorSeconds": processor,
            "decodeSeconds": decode_wall,
            "decodeProcessorSeconds": decode_processor,
        }


def main(path: str, folder: str, longest: str, flash_attention: str) -> None:
    """Greets, then answers one task a line."""
    llama = DeepLlama(path, folder, int(longest), flash_attention == "on")
    description = described(f"one thread, f16 keys and values, flash attention {flash_attention}")
    print(json.dumps({"description": description}), flush=True)
    for line in sys.stdin:
        task = json.loads(line)
        print(json.dumps(llama.measure(task["depth"], task["prefill"], task["decode"])), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
