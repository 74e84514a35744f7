"""The WASM engine, in Node."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
NODE = ROOT / "node_modules/.bin/node"
PROGRAM = Path(__file__).with_name("wasm_engine.ts")


@dataclass(frozen=True)
class WasmAnswer:
    restored: int
    """Tokens of text that the state had read."""
    ids: list[int]


def run_wasm(
    model: Path,
    tokens: Sequence[int],
    answer: int,
    *,
    restore: Path | None = None,
    save: Path | None = None,
    kv: str = "f32",
    score: tuple[Sequence[int], Path] | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> WasmAnswer:
    """Reads `tokens` after a state file, or from nothing; answers, greedily where `parameters` (as a sequence is opened with them) do not
    say otherwise, and saves the state of all but the answer's last token. `score`: then reads these tokens and writes the logits after
    each to the file, f32."""
    task = {
        "model": str(model),
        "kv": kv,
        "restore": None if restore is None else str(restore),
        "tokens": list(tokens),
        "parameters": dict(parameters or {}),
        "answer": answer,
        "save": None if save is None else str(save),
        "score": None if score is None else {"tokens": list(score[0]), "file": str(score[1])},
    }
    done = subprocess.run(
        [str(NODE), "--no-warnings", str(PROGRAM)], input=json.dumps(task), capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    return WasmAnswer(found["restored"], found["ids"])
