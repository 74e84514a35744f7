"""Names the pre-tokenizer that a checkpoint's files ask for, as GGUF's `tokenizer.ggml.pre` does.

The families are those of `workers/tokenizer`; what a file asks for beyond them is refused, never ignored.
"""

from .errors import CheckpointError

QWEN2_EXPRESSION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"

SHAPES: dict[str, list[str]] = {
    "gpt-2": ["none", "ByteLevel with expression"],
    "smollm": ["none", "Digits", "ByteLevel with expression"],
    "qwen2": ["NFC", "Split", "ByteLevel"],
}

CLASSES = {"Qwen2Tokenizer": "qwen2", "Qwen2TokenizerFast": "qwen2", "GPT2Tokenizer": "gpt-2", "GPT2TokenizerFast": "gpt-2"}


def family_of_class(name: object) -> str:
    """From the `tokenizer_class` of a folder that has `vocab.json` and `merges.txt` only."""
    family = CLASSES.get(name) if isinstance(name, str) else None
    if family is None:
        raise CheckpointError(f"tokenizer_config.json: tokenizer_class must be one of {', '.join(CLASSES)}; it is {name!r}")
    return family
