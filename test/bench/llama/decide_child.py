"""llama.cpp asked many questions about one document. Arguments: GGUF, longest text in tokens.

One task a line: `{"document": ids, "questions": [{"prompts": [ids, …], "labels": ids}]}`; one answer a line. The document is read once.
Each prompt then follows it in two ways: the cache is cut back to the document's end (`kept`), and the state that was saved there is
loaded (`loaded`).
"""

import ctypes
import json
import sys
from collections.abc import Callable, Sequence

import llama_cpp
import numpy as np
from llama import STEP, Llama, described, timed


class DecidingLlama(Llama):
    """With log-probabilities, and ways back to where a text ended."""

    def scores(self, labels: Sequence[int]) -> list[float]:
        """Log-probabilities of labels after what was read."""
        logits = self.logits().astype(np.float64)
        normaliser = logits.max() + np.log(np.exp(logits - logits.max()).sum())
        return [float(logits[label] - normaliser) for label in labels]

    def forget(self, after: int) -> None:
        """Everything after so many tokens."""
        llama_cpp.llama_memory_seq_rm(self.memory, 0, after, -1)

    def save(self) -> ctypes.Array[ctypes.c_uint8]:
        """The state of what was read."""
        size = int(llama_cpp.llama_state_seq_get_size(self.context, 0))
        state: ctypes.Array[ctypes.c_uint8] = (ctypes.c_uint8 * size)()
        if llama_cpp.llama_state_seq_get_data(self.context, state, size, 0) != size:
            raise SystemExit("llama.cpp does not save its state")
        return state

    def load(self, state: ctypes.Array[ctypes.c_uint8]) -> None:
        """That state again, and nothing else."""
        self.clear()
        if llama_cpp.llama_state_seq_set_data(self.context, state, len(state), 0) == 0:
            raise SystemExit("llama.cpp does not take its own state")


def seconds(work: Callable[[], object]) -> dict[str, float]:
    """Wall and processor seconds."""
    wall, processor = timed(work)
    return {"wall": wall, "processor": processor}


def measure(
    llama: DecidingLlama, document: Sequence[int], questions: Sequence[dict[str, list[list[int]] | list[int]]]
) -> dict[str, object]:
    """All questions in both ways; the answers must be the same."""
    llama.clear()
    read = seconds(lambda: llama.read(document))
    state = llama.save()
    scores: dict[str, list[list[float]]] = {"kept": [], "loaded": []}

    def ask(way: str, back: Callable[[], None]) -> None:
        for question in questions:
            for prompt in question["prompts"]:
                back()
                llama.read(prompt)  # type: ignore[arg-type]
                scores[way].append(llama.scores(question["labels"]))  # type: ignore[arg-type]

    kept = seconds(lambda: ask("kept", lambda: llama.forget(len(document))))
    loaded = seconds(lambda: ask("loaded", lambda: llama.load(state)))
    difference = float(np.abs(np.array(scores["kept"]) - np.array(scores["loaded"])).max())
    return {"read": read, "kept": kept, "loaded": loaded, "stateBytes": len(state), "difference": difference}


def main(path: str, longest: str) -> None:
    """Greets, then answers one task a line."""
    llama = DecidingLlama(path, int(longest) + STEP)
    description = described("one thread, f16 keys and values, no flash attention")
    print(json.dumps({"description": description}), flush=True)
    for line in sys.stdin:
        task = json.loads(line)
        print(json.dumps(measure(llama, task["document"], task["questions"])), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
