"""The normalizer, pre-tokenizer, post-processor and decoder of a `tokenizer.json`.

Each field is honoured as `tokenizers` does, or refused.
"""

from typing import Any

from .tokenizer_family import QWEN2_EXPRESSION, SHAPES
from .tokenizer_rules import ABSENT, ANYTHING, FLAG, Rule, as_json, check_fields, exactly, list_at, object_at, wrong

# `trim_offsets` moves offsets only, which nobody here asks for.
PRE_TOKENIZERS: dict[str, dict[str, Rule]] = {
    "ByteLevel": {"add_prefix_space": exactly(False), "trim_offsets": FLAG, "use_regex": FLAG},
    "Digits": {"individual_digits": exactly(True)},
    "Split": {"pattern": exactly({"Regex": QWEN2_EXPRESSION}), "behavior": exactly("Isolated"), "invert": exactly(False)},
}
# Of a byte-level post-processor or decoder, which reads none of them.
BYTE_LEVEL_FLAGS = {"add_prefix_space": FLAG, "trim_offsets": FLAG, "use_regex": FLAG}


def family_of_tokenizer_json(content: dict[str, Any]) -> str:
    """From the normalizer and pre-tokenizer of a `tokenizer.json`."""
    shape = [
        _normalizer_name(content.get("normalizer")),
        *_step_names("tokenizer.json: pre_tokenizer", content.get("pre_tokenizer", ABSENT)),
    ]
    for family, known in SHAPES.items():
        if shape == known:
            return family
    raise wrong("tokenizer.json: normalizer and pre_tokenizer", f"be those of {', '.join(SHAPES)}", shape)


def check_decoder(content: dict[str, Any]) -> None:
    """Only bytes are decoded."""
    path = "tokenizer.json: decoder"
    check_fields(path, object_at(path, content.get("decoder", ABSENT)), {"type": exactly("ByteLevel")} | BYTE_LEVEL_FLAGS)


def tokens_before(post_processor: object, path: str = "tokenizer.json: post_processor") -> list[int]:
    """The ids of the tokens that the post-processor puts before a text: none or one."""
    if post_processor is None:
        return []
    content = object_at(path, post_processor)
    kind = content.get("type", ABSENT)
    if kind == "ByteLevel":
        check_fields(path, content, {"type": ANYTHING} | BYTE_LEVEL_FLAGS)
        return []
    if kind == "Sequence":
        check_fields(path, content, {"type": ANYTHING, "processors": ANYTHING})
        steps = list_at(f"{path}.processors", content.get("processors", ABSENT))
        before = [id_ for at, step in enumerate(steps) for id_ in tokens_before(step, f"{path}.processors[{at}]")]
        if len(before) > 1:
            raise wrong(f"{path}.processors", "put at most one token before a text", before)
        return before
    if kind == "TemplateProcessing":
        return _tokens_of_template(content, path)
    raise wrong(f"{path}.type", 'be "ByteLevel" or "TemplateProcessing" or "Sequence"', kind)


def _tokens_of_template(content: dict[str, Any], path: str) -> list[int]:
    # `pair` is for two texts at once, which no model here reads.
    check_fields(path, content, {"type": ANYTHING, "single": ANYTHING, "pair": ANYTHING, "special_tokens": ANYTHING})
    single = list_at(f"{path}.single", content.get("single", ABSENT))
    names = [_name_of_part(part) for part in single]
    if names == [None]:
        return []
    if len(names) != 2 or not isinstance(names[0], str) or names[1] is not None:
        raise wrong(f"{path}.single", "be the text, or one special token and the text", single)
    where = f"{path}.special_tokens[{as_json(names[0])}]"
    known = object_at(f"{path}.special_tokens", content.get("special_tokens", ABSENT))
    ids = list_at(f"{where}.ids", object_at(where, known.get(names[0], ABSENT)).get("ids", ABSENT))
    if len(ids) != 1 or not isinstance(ids[0], int):
        raise wrong(f"{where}.ids", "be one token's id", ids)
    return ids


def _name_of_part(part: object) -> object:
    """A special token's name, None for the text, `ABSENT` for what is neither."""
    token, sequence = (part.get("SpecialToken"), part.get("Sequence")) if isinstance(part, dict) else (None, None)
    if isinstance(sequence, dict) and sequence.get("id") == "A":
        return None
    return token["id"] if isinstance(token, dict) and isinstance(token.get("id"), str) else ABSENT


def _normalizer_name(normalizer: object) -> str:
    if normalizer is None:
        return "none"
    path = "tokenizer.json: normalizer"
    check_fields(path, object_at(path, normalizer), {"type": exactly("NFC")})
    return "NFC"


def _step_names(path: str, step: object) -> list[str]:
    content = object_at(path, step)
    kind = content.get("type", ABSENT)
    fields = {name: value for name, value in content.items() if name != "type"}
    if kind == "Sequence":
        check_fields(path, fields, {"pretokenizers": ANYTHING})
        steps = list_at(f"{path}.pretokenizers", content.get("pretokenizers", ABSENT))
        return [name for at, one in enumerate(steps) for name in _step_names(f"{path}.pretokenizers[{at}]", one)]
    rules = PRE_TOKENIZERS.get(kind) if isinstance(kind, str) else None
    if rules is None:
        raise wrong(f"{path}.type", 'be "ByteLevel" or "Digits" or "Split" or "Sequence"', kind)
    check_fields(path, fields, rules)
    return ["ByteLevel with expression" if kind == "ByteLevel" and content.get("use_regex", True) else str(kind)]
