"""What `tokenizer_config.json` adds to a vocabulary. Fields that change no token, such as `padding_side`, are passed over."""

from collections.abc import Sequence
from typing import Any

from .tokenizer_rules import ABSENT, FLAG, OFF, Rule, check_fields, wrong

# Those that would change what is encoded or decoded. `clean_up_tokenization_spaces` is not among them: BPE never cleans up.
RULES: dict[str, Rule] = {
    "add_bos_token": (FLAG[0], lambda value: value is None or FLAG[1](value)),
    "add_eos_token": OFF,
    "add_prefix_space": OFF,
    "split_special_tokens": OFF,
    "do_lower_case": OFF,
    "errors": ('be "replace"', lambda value: value is ABSENT or value == "replace"),
}


def check_settings(settings: dict[str, Any]) -> None:
    """Refuses what is not done."""
    check_fields("tokenizer_config.json: ", {name: value for name, value in settings.items() if name in RULES}, RULES)


def first_token(before: Sequence[int], bos: int | None, settings: dict[str, Any], size: int) -> int | None:
    """The id of the token before a text, by the post-processor (`before`) and the settings, which must not contradict each other."""
    add_bos = settings.get("add_bos_token")
    if not before:
        if add_bos is True and bos is None:
            raise wrong("tokenizer_config.json: add_bos_token", "be false where there is no bos_token", True)
        return bos if add_bos is True else None
    path, first = "tokenizer.json: post_processor", before[0]
    if add_bos is False:
        raise wrong(path, "put no token before a text where add_bos_token is false", before)
    if not 0 <= first < size:
        raise wrong(path, "put a token of the vocabulary before a text", before)
    if bos not in (None, first):
        raise wrong(path, f"put bos_token, {bos}, before a text", before)
    return first
