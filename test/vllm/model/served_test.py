"""The built-in model with its real weights, from the file that set-up makes. Its golden tokens: `serve/built_in_test.py`."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from spikingbrain.checkpoint.loading import load_model
from spikingbrain_vllm.gguf import write_gguf_folder
from support.engine import answer, compare, engine
from vllm import LLM

MERGED = Path(__file__).parents[3] / ".cache" / "spikingbrain" / "spikingbrain-135m.gguf"
TEXTS = (
    "The capital of France is",
    "Water boils at a temperature of",
    "Once upon a time there was a",
    "def add(a, b):\n    return",
    "Monday, Tuesday, Wednesday,",
    "The opposite of hot is",
    "<|im_start|>user\nWhat is two plus two?<|im_end|>\n<|im_start|>assistant\n",
    "<|im_start|>user\nName a colour of the rainbow.<|im_end|>\n<|im_start|>assistant\n",
    "<|im_start|>user\nSay hello to Anna.<|im_end|>\n<|im_start|>assistant\n",
    "<|im_start|>user\nWhich animal says meow?<|im_end|>\n<|im_start|>assistant\n",
    "To be, or not to be, that is the",
    "a b c d e f g h",
    "January, February, March,",
    "The sun rises in the east and sets in the",
    "Bread, butter, and",
    "In the beginning",
)


@pytest.fixture(scope="module")
def llm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LLM]:
    folder = write_gguf_folder(MERGED, tmp_path_factory.mktemp("served") / "model")
    with engine(folder, skip_tokenizer_init=False, max_model_len=512) as made:
        yield made


def test_sixteen_prompts(llm: LLM) -> None:
    tokenizer = llm.get_tokenizer()
    texts = [tokenizer.encode(text, add_special_tokens=False) for text in TEXTS]
    with torch.inference_mode():
        assert compare(load_model(MERGED), answer(llm, texts, tokens=12)).is_equal
