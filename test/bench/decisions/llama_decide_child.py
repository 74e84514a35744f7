"""llama.cpp asked many questions about one document. Arguments: GGUF, longest text in tokens.

One task a line: `{"document": ids, "questions": [{"prompts": [ids, …], "labels": ids}]}`; one answer a line. The document is read once.
Each prompt then follows it in two ways: the cache is cut back to the document's end (`kept`), and the state that was saved there is
loaded (`loaded`).
"""

import ctypes
import json
import sys
import time
from collections.abc import Callable, Sequence

import llama_cpp
import numpy as np

# llama.cpp's own default: tokens whose work is done together.
STEP = 512


class Llama:
    """A model, and one context of one thread over it."""

    def __init__(self, path: str, longest: int) -> None:
        llama_cpp.llama_backend_init()
        model_params = llama_cpp.llama_model_default_params()
        model_params.n_gpu_layers = 0
        self.model = llama_cpp.llama_model_load_from_file(path.encode(), model_params)
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = longest + STEP
        params.n_batch = params.n_ubatch = STEP
        params.n_threads = params.n_threads_batch = 1
        params.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
        self.context = llama_cpp.llama_init_from_model(self.model, params)
        if not self.model or not self.context:
            raise SystemExit(f"llama.cpp cannot load {path} with room for {longest} tokens")
        self.memory = llama_cpp.llama_get_memory(self.context)
        self.vocabulary = int(llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self.model)))

    def read(self, tokens: Sequence[int]) -> None:
        """Forward passes; logits are made for the last token of each."""
        for start in range(0, len(tokens), STEP):
            part = tokens[start : start + STEP]
            ids = (llama_cpp.llama_token * len(part))(*part)
            status = llama_cpp.llama_decode(self.context, llama_cpp.llama_batch_get_one(ids, len(part)))
            if status != 0:
                raise SystemExit(f"llama_decode of {len(part)} tokens failed with status {status}")

    def scores(self, labels: Sequence[int]) -> list[float]:
        """Log-probabilities of labels after what was read."""
        address = llama_cpp.llama_get_logits_ith(self.context, -1)
        logits = np.ctypeslib.as_array(ctypes.cast(address, ctypes.POINTER(ctypes.c_float)), shape=(self.vocabulary,)).astype(np.float64)
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
        llama_cpp.llama_memory_clear(self.memory, True)
        if llama_cpp.llama_state_seq_set_data(self.context, state, len(state), 0) == 0:
            raise SystemExit("llama.cpp does not take its own state")


def timed(work: Callable[[], None]) -> dict[str, float]:
    """Wall and processor seconds."""
    processor, begin = time.process_time(), time.perf_counter()
    work()
    return {"wall": time.perf_counter() - begin, "processor": time.process_time() - processor}


def measure(llama: Llama, document: Sequence[int], questions: Sequence[dict[str, list[list[int]] | list[int]]]) -> dict[str, object]:
    """All questions in both ways; the answers must be the same."""
    llama_cpp.llama_memory_clear(llama.memory, True)
    read = timed(lambda: llama.read(document))
    state = llama.save()
    scores: dict[str, list[list[float]]] = {"kept": [], "loaded": []}

    def ask(way: str, back: Callable[[], None]) -> None:
        for question in questions:
            for prompt in question["prompts"]:
                back()
                llama.read(prompt)  # type: ignore[arg-type]
                scores[way].append(llama.scores(question["labels"]))  # type: ignore[arg-type]

    kept = timed(lambda: ask("kept", lambda: llama.forget(len(document))))
    loaded = timed(lambda: ask("loaded", lambda: llama.load(state)))
    difference = float(np.abs(np.array(scores["kept"]) - np.array(scores["loaded"])).max())
    return {"read": read, "kept": kept, "loaded": loaded, "stateBytes": len(state), "difference": difference}


def main(path: str, longest: str) -> None:
    """Greets, then answers one task a line."""
    llama = Llama(path, int(longest))
    description = f"llama-cpp-python {llama_cpp.__version__}, one thread, f16 keys and values, no flash attention"
    print(json.dumps({"description": description}), flush=True)
    for line in sys.stdin:
        task = json.loads(line)
        print(json.dumps(measure(llama, task["document"], task["questions"])), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
