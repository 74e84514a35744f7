"""llama.cpp through llama-cpp-python, as all that is measured of it uses it: a model with one context, forward passes, and a clock."""

import ctypes
import time
from collections.abc import Callable, Sequence

import llama_cpp
import numpy as np
import numpy.typing as npt

# llama.cpp's own default: tokens whose work is done together.
STEP = 512


class Llama:
    """A model, and one context over it."""

    def __init__(
        self,
        path: str,
        longest: int | None,
        *,
        threads: int = 1,
        flash_attention: bool | None = False,
        kv_type: str = "f16",
        mapped: bool = True,
        sequences: int = 1,
    ) -> None:
        """`longest`: tokens of the longest text; None for the model's own context. `flash_attention`: None where llama.cpp is to decide."""
        llama_cpp.llama_backend_init()
        model_params = llama_cpp.llama_model_default_params()
        model_params.n_gpu_layers = 0
        model_params.use_mmap = mapped
        self.model = llama_cpp.llama_model_load_from_file(path.encode(), model_params)
        if not self.model:
            raise SystemExit(f"llama.cpp cannot load {path}")
        params = llama_cpp.llama_context_default_params()
        self.longest = params.n_ctx = longest or int(llama_cpp.llama_model_n_ctx_train(self.model))
        params.n_batch = params.n_ubatch = STEP
        params.n_threads = params.n_threads_batch = threads
        if flash_attention is not None:
            on, off = llama_cpp.LLAMA_FLASH_ATTN_TYPE_ENABLED, llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
            params.flash_attn_type = on if flash_attention else off
        # Several share one store of keys and values, in which what they have in common lies once.
        params.n_seq_max = sequences
        params.kv_unified = sequences > 1
        params.type_k = params.type_v = llama_cpp.GGML_TYPE_Q8_0 if kv_type == "q8_0" else llama_cpp.GGML_TYPE_F16
        self.context = llama_cpp.llama_init_from_model(self.model, params)
        if not self.context:
            raise SystemExit(f"llama.cpp cannot make a context of {self.longest} tokens with {kv_type} keys and values")
        self.memory = llama_cpp.llama_get_memory(self.context)
        self.batch = llama_cpp.llama_batch_init(sequences, 0, 1)
        self.vocabulary = int(llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self.model)))

    def clear(self) -> None:
        """Forgets everything read."""
        llama_cpp.llama_memory_clear(self.memory, True)

    def read(self, tokens: Sequence[int]) -> None:
        """Forward passes of at most `STEP` tokens; logits are made for the last token of each."""
        for start in range(0, len(tokens), STEP):
            part = tokens[start : start + STEP]
            ids = (llama_cpp.llama_token * len(part))(*part)
            status = llama_cpp.llama_decode(self.context, llama_cpp.llama_batch_get_one(ids, len(part)))
            if status != 0:
                raise SystemExit(f"llama_decode of {len(part)} tokens failed with status {status}")

    def share(self, sequences: int) -> None:
        """What the first sequence has read is read by so many."""
        for sequence in range(1, sequences):
            llama_cpp.llama_memory_seq_cp(self.memory, 0, sequence, -1, -1)

    def read_each(self, tokens: Sequence[int], position: int) -> None:
        """One forward pass over a token of each sequence; logits are made for all of them."""
        batch = self.batch
        batch.n_tokens = len(tokens)
        for sequence, token in enumerate(tokens):
            batch.token[sequence], batch.pos[sequence], batch.logits[sequence] = token, position, 1
            batch.n_seq_id[sequence], batch.seq_id[sequence][0] = 1, sequence
        status = llama_cpp.llama_decode(self.context, batch)
        if status != 0:
            raise SystemExit(f"llama_decode of a token of {len(tokens)} sequences failed with status {status}")

    def logits(self, row: int = -1) -> npt.NDArray[np.float32]:
        """`[vocabulary]`, after the last token read or that of a sequence. The next pass writes over them."""
        address = ctypes.cast(llama_cpp.llama_get_logits_ith(self.context, row), ctypes.POINTER(ctypes.c_float))
        return np.ctypeslib.as_array(address, shape=(self.vocabulary,))

    def choose(self, row: int = -1) -> int:
        """The most likely next token."""
        return int(self.logits(row).argmax())


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Wall and processor seconds."""
    processor, begin = time.process_time(), time.perf_counter()
    work()
    return time.perf_counter() - begin, time.process_time() - processor


def described(what: str) -> str:
    """How the measurement was made, with the library's version in front."""
    return f"llama-cpp-python {llama_cpp.__version__}, {what}"
