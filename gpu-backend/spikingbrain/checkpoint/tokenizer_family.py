"""Names the pre-tokenizer that a checkpoint's files ask for, as GGUF's `tokenizer.ggml.pre` does.

The families are those of `workers/tokenizer`; what a file asks for beyond them is refused, never ignored.
"""

import json
from typing import Any

from .errors import CheckpointError

QWEN2_EXPRESSION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"

SHAPES: dict[str, list[str]] = {
    "gpt-2": ["none", "ByteLevel with expression"],
    "smollm": ["none", "Digits one by one", "ByteLevel with expression"],
    "qwen2": ["NFC", "Split by Qwen2's expression", "ByteLevel"],
}

CLASSES = {"Qwen2Tokenizer": "qwen2", "Qwen2TokenizerFast": "qwen2", "GPT2Tokenizer": "gpt-2", "GPT2TokenizerFast": "gpt-2"}


def family_of_tokenizer_json(content: dict[str, Any]) -> str:
    """From the normalizer and pre-tokenizer of a `tokenizer.json`."""
    normalizer, outer = content.get("normalizer"), content.get("pre_tokenizer") or {}
    steps = outer.get("pretokenizers", []) if outer.get("type") == "Sequence" else [outer]
    shape = [str(normalizer.get("type")) if normalizer else "none", *map(_step_name, steps)]
    for family, known in SHAPES.items():
        if shape == known:
            return family
    raise CheckpointError(f"tokenizer.json: normalizer and pre_tokenizer must be those of {', '.join(SHAPES)}; they are {shape}")


def family_of_class(name: object) -> str:
    """From the `tokenizer_class` of a folder that has `vocab.json` and `merges.txt` only."""
    family = CLASSES.get(name) if isinstance(name, str) else None
    if family is None:
        raise CheckpointError(f"tokenizer_config.json: tokenizer_class must be one of {', '.join(CLASSES)}; it is {name!r}")
    return family


def _step_name(step: dict[str, Any]) -> str:
    kind = step.get("type")
    if kind == "ByteLevel" and step.get("add_prefix_space") is False:
        return "ByteLevel" if step.get("use_regex") is False else "ByteLevel with expression"
    if kind == "Digits" and step.get("individual_digits") is True:
        return "Digits one by one"
    pattern = (step.get("pattern") or {}).get("Regex")
    if kind == "Split" and step.get("behavior") == "Isolated" and step.get("invert") is False and pattern == QWEN2_EXPRESSION:
        return "Split by Qwen2's expression"
    return json.dumps(step, ensure_ascii=False)
