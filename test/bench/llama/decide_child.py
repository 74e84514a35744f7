"""llama.cpp asked many questions about one document. Arguments: GGUF, longest text in tokens.

One task a line: `{"document": ids, "questions": [{"prompts": [ids, …], "labels": ids}], "seconds": bound}`; one answer a line. The
document is read once. Each prompt then follows it in two ways: the cache is cut back to the document's end (`kept`), and the state that
was saved there is loaded (`loaded`). A way asks all questions, or as many as are begun within the bound, the first always.
"""

import ctypes
import json
import sys
import time
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
    llama: DecidingLlama, document: Sequence[int], questions: Sequence[dict[str, list[list[int]] | list[int]]], bound: float
) -> dict[str, object]:
    """The questions in both ways; the answers must be the same."""
    llama.clear()
    read = seconds(lambda: llama.read(document))
    state = llama.save()
    scores: dict[str, list[list[list[float]]]] = {"kept": [], "loaded": []}

    def ask(way: str, back: Callable[[], None]) -> None:
        begun = time.monotonic()
        for at, question in enumerate(questions):
            if at > 0 and time.monotonic() - begun > bound:
                return
            scores[way].append([])
            for prompt in question["prompts"]:
                back()
                llama.read(prompt)  # type: ignore[arg-type]
                scores[way][-1].append(llama.scores(question["labels"]))  # type: ignore[arg-type]

    kept = seconds(lambda: ask("kept", lambda: llama.forget(len(document))))
    loaded = seconds(lambda: ask("loaded", lambda: llama.load(state)))
    asked = {way: len(found) for way, found in scores.items()}
    pairs = zip(scores["kept"], scores["loaded"], strict=False)
    difference = max(float(np.abs(np.array(one) - np.array(other)).max()) for one, other in pairs)
    return {"read": read, "kept": kept, "loaded": loaded, "asked": asked, "stateBytes": len(state), "difference": difference}


def main(path: str, longest: str) -> None:
    """Greets, then answers one task a line."""
    llama = DecidingLlama(path, int(longest) + STEP)
    description = described("one thread, f16 keys and values, no flash attention")
    print(json.dumps({"description": description}), flush=True)
    for line in sys.stdin:
        task = json.loads(line)
        print(json.dumps(measure(llama, task["document"], task["questions"], task["seconds"])), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
