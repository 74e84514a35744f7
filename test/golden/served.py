"""Greedy tokens of a model that set-up makes, for fixed prompts, from the reference in f32: what every engine that serves it must give.

`--check` compares instead of writing. A prompt at which the two likeliest tokens are close somewhere is refused: the engine rounds a
product's inputs to int8, which moves logits by some tenths.
"""

import argparse
import json
import sys
from pathlib import Path

import torch
from spikingbrain.checkpoint.loading import load_model
from spikingbrain.convert.data.vocabulary import open_vocabulary
from spikingbrain.model.model import Model

ROOT = Path(__file__).resolve().parents[2]
FILE = Path(__file__).parent / "served" / "spikingbrain-135m.json"
"""Of the built-in model; other models' files are beside it."""
LEAST_MARGIN = 0.8
ANSWER_TOKENS = 8
CHAT = "<|im_start|>user\nPlease count from one to ten.<|im_end|>\n<|im_start|>assistant\nOne, two, three,"
SHORT = (CHAT, "Counting: one, two, three, four, five,", "1, 2, 3, 4, 5, 6, 7, 8,")
# Long enough that most of it has left the window.
LONG_CHARACTERS = {"spikingbrain-135m": 5_200}
LONGER = 8_000


def prompts(name: str = FILE.stem) -> list[str]:
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")[: LONG_CHARACTERS.get(name, LONGER)]
    return [*SHORT, f"{licence}\n\n{SHORT[-1]}"]


def answer(model: Model, prompt: list[int]) -> tuple[list[int], float]:
    """Greedy tokens, and the least distance between the likeliest two logits of any step."""
    logits, state = model.step(model.new_state(), torch.tensor(prompt))
    found, least = [], float("inf")
    for _ in range(ANSWER_TOKENS):
        best = logits[-1].topk(2)
        found.append(int(best.indices[0]))
        least = min(least, float(best.values[0] - best.values[1]))
        logits, state = model.step(state, torch.tensor(found[-1:]))
    return found, least


def is_answer(model: Model, prompt: list[int], tokens: list[int]) -> bool:
    """Whether greedy decoding gives these tokens: whether each is the likeliest after those before it, which one pass tells."""
    logits, _ = model.step(model.new_state(), torch.tensor([*prompt, *tokens[:-1]]))
    return logits[-len(tokens) :].argmax(dim=-1).tolist() == tokens


def check(path: Path, count: int | None = None, file: Path | None = None) -> list[str]:
    """Of the first `count` prompts, the ones whose tokens in the file, `FILE` by default, are not what the model gives."""
    file = file or FILE
    model = load_model(path, dtype=torch.float32)
    tokenizer = open_vocabulary(path, model.config.vocabulary)
    vectors = json.loads(file.read_text(encoding="utf-8"))
    wrong = []
    for text, vector in list(zip(prompts(file.stem), vectors, strict=True))[:count]:
        prompt = list(tokenizer.encode(text, add_special_tokens=False).ids)
        with torch.inference_mode():
            if prompt != vector["prompt"] or not is_answer(model, prompt, vector["tokens"]):
                wrong.append(text)
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("model", type=Path, help="the merged GGUF that set-up makes, or a folder that it was exported to")
    parser.add_argument("--name", default=FILE.stem, help="the model's id, which the file has")
    parser.add_argument("--check", action="store_true", help="compare with the file instead of writing it")
    arguments = parser.parse_args()
    file = FILE.with_stem(arguments.name)
    if arguments.check:
        wrong = check(arguments.model, file=file)
        for text in wrong:
            print(f"the prompt that begins {text[:40]!r} has other tokens", file=sys.stderr)
        return 1 if wrong else 0
    model = load_model(arguments.model, dtype=torch.float32)
    tokenizer = open_vocabulary(arguments.model, model.config.vocabulary)
    vectors = []
    for text in prompts(arguments.name):
        prompt = list(tokenizer.encode(text, add_special_tokens=False).ids)
        with torch.inference_mode():
            tokens, margin = answer(model, prompt)
        print(f"{len(prompt)} tokens, margin {margin:.3f}: {tokenizer.decode(tokens)!r}")
        if margin < LEAST_MARGIN:
            raise ValueError(f"the prompt that begins {text[:40]!r} needs another wording: two tokens are {margin:.4f} apart")
        vectors.append({"prompt": prompt, "tokens": tokens})
    file.write_text(json.dumps(vectors, separators=(",", ":")) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
