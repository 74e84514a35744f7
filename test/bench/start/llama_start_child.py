"""llama.cpp from a file to its first token. Arguments: GGUF, `mapped` or `read`, the prompt's one token. See child-participant.ts."""

import ctypes
import json
import sys
import time
from collections.abc import Callable
from typing import TypeVar

import llama_cpp
import numpy as np

T = TypeVar("T")
CONTEXT = 2_048


def part(name: str, work: Callable[[], T]) -> tuple[dict[str, object], T]:
    """Runs and times one part of the start."""
    processor, begin = time.process_time(), time.perf_counter()
    value = work()
    return {"name": name, "wall": time.perf_counter() - begin, "processor": time.process_time() - processor}, value


def load(path: str, mapped: bool) -> tuple[object, object]:
    """Model and context, one thread."""
    llama_cpp.llama_backend_init()
    model_params = llama_cpp.llama_model_default_params()
    model_params.n_gpu_layers = 0
    model_params.use_mmap = mapped
    model = llama_cpp.llama_model_load_from_file(path.encode(), model_params)
    if not model:
        raise SystemExit(f"llama.cpp cannot load {path}")
    params = llama_cpp.llama_context_default_params()
    params.n_ctx = CONTEXT
    params.n_threads = params.n_threads_batch = 1
    context = llama_cpp.llama_init_from_model(model, params)
    if not context:
        raise SystemExit(f"llama.cpp cannot make a context of {CONTEXT} tokens")
    return model, context


def choose(model: object, context: object, token: int) -> int:
    """The most likely token after one."""
    status = llama_cpp.llama_decode(context, llama_cpp.llama_batch_get_one((llama_cpp.llama_token * 1)(token), 1))
    if status != 0:
        raise SystemExit(f"llama_decode failed with status {status}")
    size = int(llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model)))
    logits = ctypes.cast(llama_cpp.llama_get_logits_ith(context, -1), ctypes.POINTER(ctypes.c_float))
    return int(np.ctypeslib.as_array(logits, shape=(size,)).argmax())


def main(path: str, way: str, token: str) -> None:
    """Prints one measurement."""
    if way not in ("mapped", "read"):
        raise SystemExit(f'the file must be "mapped" or "read"; it is "{way}"')
    loaded, (model, context) = part("load", lambda: load(path, way == "mapped"))
    first, _ = part("first token", lambda: choose(model, context, int(token)))
    description = f"llama-cpp-python {llama_cpp.__version__}, one thread, file {way}, its modules loaded before"
    print(json.dumps({"description": description, "parts": [loaded, first]}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
