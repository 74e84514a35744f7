"""llama.cpp through llama-cpp-python. Arguments: GGUF, `f16` or `q8_0` keys and values, threads. See child-participant.ts."""

import ctypes
import json
import re
import sys
import time
from collections.abc import Callable, Sequence

import llama_cpp
import numpy as np

# llama.cpp's own default: tokens whose work is done together.
PREFILL_TOKENS_PER_STEP = 512


class Llama:
    """A model and one context over it."""

    def __init__(self, path: str, kv_type: str, threads: int) -> None:
        llama_cpp.llama_backend_init()
        model_params = llama_cpp.llama_model_default_params()
        model_params.n_gpu_layers = 0
        self.model = llama_cpp.llama_model_load_from_file(path.encode(), model_params)
        if not self.model:
            raise SystemExit(f"llama.cpp cannot load {path}")
        self.context_length = int(llama_cpp.llama_model_n_ctx_train(self.model))
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = self.context_length
        params.n_batch = params.n_ubatch = PREFILL_TOKENS_PER_STEP
        params.n_threads = params.n_threads_batch = threads
        # Quantised values need flash attention; without them it is off, as on any processor where it gains nothing.
        quantised = kv_type == "q8_0"
        params.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_ENABLED if quantised else llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
        params.type_k = params.type_v = llama_cpp.GGML_TYPE_Q8_0 if quantised else llama_cpp.GGML_TYPE_F16
        self.context = llama_cpp.llama_init_from_model(self.model, params)
        if not self.context:
            raise SystemExit(f"llama.cpp cannot make a context of {self.context_length} tokens with {kv_type} keys and values")
        self.vocabulary_size = int(llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self.model)))

    def clear(self) -> None:
        """Forgets everything read."""
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self.context), True)

    def read(self, tokens: Sequence[int]) -> None:
        """One forward pass; logits are made for the last token."""
        ids = (llama_cpp.llama_token * len(tokens))(*tokens)
        status = llama_cpp.llama_decode(self.context, llama_cpp.llama_batch_get_one(ids, len(tokens)))
        if status != 0:
            raise SystemExit(f"llama_decode of {len(tokens)} tokens failed with status {status}")

    def choose(self) -> int:
        """The most likely next token."""
        logits = llama_cpp.llama_get_logits_ith(self.context, -1)
        return int(np.ctypeslib.as_array(ctypes.cast(logits, ctypes.POINTER(ctypes.c_float)), shape=(self.vocabulary_size,)).argmax())


def timed(work: Callable[[], None]) -> tuple[float, float]:
    """Wall and processor seconds."""
    processor = time.process_time()
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin, time.process_time() - processor


def measure(llama: Llama, prompt: Sequence[int], decode: int) -> dict[str, object]:
    """Reads the prompt, then goes on greedily."""
    tokens: list[int] = []

    def prefill() -> None:
        for start in range(0, len(prompt), PREFILL_TOKENS_PER_STEP):
            llama.read(prompt[start : start + PREFILL_TOKENS_PER_STEP])

    def decoding() -> None:
        for _ in range(decode):
            tokens.append(llama.choose())
            llama.read(tokens[-1:])

    llama.clear()
    prefill_wall, prefill_processor = timed(prefill)
    decode_wall, decode_processor = timed(decoding)
    return {
        "prefillSeconds": prefill_wall,
        "decodeSeconds": decode_wall,
        "prefillProcessorSeconds": prefill_processor,
        "decodeProcessorSeconds": decode_processor,
        "tokens": tokens,
    }


def main(path: str, kv_type: str, threads: str = "1") -> None:
    """Greets, then answers one task a line."""
    if kv_type not in ("f16", "q8_0"):
        raise SystemExit(f'keys and values must be "f16" or "q8_0"; they are "{kv_type}"')
    llama = Llama(path, kv_type, int(threads))
    attention = "flash attention" if kv_type == "q8_0" else "no flash attention"
    counted = "one thread" if threads == "1" else f"{threads} threads"
    features = " ".join(re.findall(r"(\w+) = 1", llama_cpp.llama_print_system_info().decode()))
    description = (
        f"llama-cpp-python {llama_cpp.__version__}, {counted}, {kv_type} keys and values, {attention}, "
        f"{PREFILL_TOKENS_PER_STEP} prompt tokens a step, compiled with {features}"
    )
    print(json.dumps({"description": description, "contextLength": llama.context_length}), flush=True)
    for line in sys.stdin:
        task = json.loads(line)
        print(json.dumps(measure(llama, task["prompt"], task["decode"])), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
