"""Rules for the fields of a Hugging Face tokenizer's files: the verdicts and words of `workers/tokenizer/hugging-face-checks.ts`.

A field that no rule names is refused, so nothing that a file asks for is silently dropped.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from .errors import CheckpointError

LONGEST_SHOWN = 200
ABSENT = object()

Rule = tuple[str, Callable[[object], bool]]
"""What goes on after "must", and whether a value, `ABSENT` where there is none, holds to it."""


def exactly(*allowed: object) -> Rule:
    """One of these values."""
    return "be " + " or ".join(map(as_json, allowed)), lambda value: value is not ABSENT and as_json(value) in map(as_json, allowed)


ANYTHING: Rule = ("be there or not", lambda _: True)
FLAG: Rule = ("be true or false", lambda value: value is ABSENT or isinstance(value, bool))
OFF: Rule = ("be false", lambda value: value is ABSENT or value is None or value is False)
EMPTY: Rule = ("be null", lambda value: value is ABSENT or value is None)
BLANK: Rule = ("be null or empty", lambda value: value is ABSENT or value is None or value == "")
ZERO: Rule = ("be null or 0", lambda value: value is ABSENT or value is None or (not isinstance(value, bool) and value == 0))


def check_fields(path: str, content: Mapping[str, Any], rules: Mapping[str, Rule]) -> None:
    """Raises an error that names the first field of `content` that breaks its rule or has none."""
    separator = "" if path.endswith(": ") else "."
    for name, (says, holds) in rules.items():
        value = content.get(name, ABSENT)
        if not holds(value):
            raise wrong(f"{path}{separator}{name}", says, value)
    for name, value in content.items():
        if name not in rules:
            raise wrong(f"{path}{separator}{name}", "be absent", value)


def object_at(path: str, value: object) -> dict[str, Any]:
    """`value`, which must be an object."""
    if not isinstance(value, dict):
        raise wrong(path, "be an object", value)
    return value


def list_at(path: str, value: object) -> list[Any]:
    """`value`, which must be a list."""
    if not isinstance(value, list):
        raise wrong(path, "be a list", value)
    return value


def wrong(path: str, says: str, value: object) -> CheckpointError:
    """Names the field, the rule and the value."""
    shown = "absent" if value is ABSENT else as_json(value)[:LONGEST_SHOWN]
    return CheckpointError(f"{path} must {says}; it is {shown}")


def as_json(value: object) -> str:
    """As JavaScript's `JSON.stringify` writes it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
