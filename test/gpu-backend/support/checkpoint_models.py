"""Tiny models and tokenizers that the tests of checkpoints, exports and commands share."""

import json
from pathlib import Path
from typing import Any

from spikingbrain.checkpoint.tokenizer_family import QWEN2_EXPRESSION
from spikingbrain.config import Biases, Config, Experts, Layer, LinearAttention, OneMinusKeyGate
from tokenizers.pre_tokenizers import ByteLevel

BYTES = sorted(ByteLevel.alphabet())
MERGES = [["h", "e"], ["l", "l"], ["he", "ll"], ["hell", "o"], ["Ġ", "t"], ["Ġt", "he"]]
ADDED = {"<|endoftext|>": True, "<|im_start|>": True, "<|im_end|>": True, "<tool_call>": False}
WORDS = BYTES + ["".join(merge) for merge in MERGES]
# As in the 7B, the embedding has more rows than the tokenizer has tokens.
VOCABULARY = 288
IDS = {content: id_ for id_, content in enumerate([*WORDS, *ADDED])}

SEVEN = Config(
    name="tiny seven",
    hidden=64,
    heads=4,
    kv_heads=2,
    head_dim=16,
    vocabulary=VOCABULARY,
    feed_forward_inner=96,
    layers=(Layer(mixer=("linear",)), Layer(mixer=("window",))) * 2,
    window=9,
    linear=LinearAttention(),
    context=512,
    bos=IDS["<|endoftext|>"],
    end_tokens=(IDS["<|endoftext|>"], IDS["<|im_end|>"]),
)

_experts = Experts(count=3, used=1, inner=32, shared_inner=64, router="sigmoid")
SHARED = Config(
    name="tiny seventy-six",
    hidden=64,
    heads=4,
    kv_heads=2,
    head_dim=16,
    vocabulary=VOCABULARY,
    feed_forward_inner=96,
    layers=(Layer(mixer=("linear", "window")), Layer(mixer=("linear", "full"), feed_forward="moe")),
    window=9,
    linear=LinearAttention(feature_map="sigmoid", gate=OneMinusKeyGate()),
    experts=_experts,
    learned_sinks=4,
    context=512,
    tied_head=True,
)

SEPARATE = Config(
    name="tiny separate",
    hidden=96,
    heads=6,
    kv_heads=3,
    head_dim=32,
    vocabulary=VOCABULARY,
    feed_forward_inner=160,
    layers=(Layer(mixer=("linear", "full"), feed_forward="moe"), Layer(mixer=("full",)), Layer(mixer=("linear",))),
    linear=LinearAttention(head_norm=False),
    experts=Experts(count=2, used=2, inner=64, normalised=True),
    parallel_projections="separate",
    kept_tokens=3,
    rope_dim=16,
    rope_theta=10_000.0,
    context=256,
    biases=Biases(query_key_value=False, output=True),
)

CONFIGS = {config.name: config for config in (SEVEN, SHARED, SEPARATE)}


def tokenizer_json(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 (JSON)
    """A Qwen2-style tokenizer.json; `changes` replace its top-level fields."""
    split = {"type": "Split", "pattern": {"Regex": QWEN2_EXPRESSION}, "behavior": "Isolated", "invert": False}
    steps = [split, {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}]
    return {
        "version": "1.0",
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": steps},
        "decoder": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False},
        "model": {"type": "BPE", "vocab": {word: IDS[word] for word in WORDS}, "merges": MERGES},
        "added_tokens": [added_token(content) for content in ADDED],
    } | changes


def added_token(content: str, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 (JSON)
    """An entry of tokenizer.json's added_tokens."""
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": IDS[content], "content": content, "special": ADDED[content]} | flags | changes


SETTINGS = {
    "tokenizer_class": "Qwen2Tokenizer",
    "add_bos_token": False,
    "bos_token": "<|im_start|>",
    "eos_token": "<|endoftext|>",
    "pad_token": {"content": "<|endoftext|>"},
    "chat_template": "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}",
}


def write_tokenizer(folder: Path) -> None:
    """tokenizer.json and tokenizer_config.json."""
    write_json(folder / "tokenizer.json", tokenizer_json())
    write_json(folder / "tokenizer_config.json", SETTINGS)


def write_slow_tokenizer(folder: Path) -> None:
    """The same tokenizer as vocab.json, merges.txt and tokenizer_config.json, as the released 7B has it."""
    write_json(folder / "vocab.json", {word: IDS[word] for word in WORDS})
    lines = ["#version: 0.2", *(" ".join(merge) for merge in MERGES)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    decoder = {str(IDS[content]): {key: value for key, value in added_token(content).items() if key != "id"} for content in ADDED}
    write_json(folder / "tokenizer_config.json", SETTINGS | {"added_tokens_decoder": decoder})


def write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
