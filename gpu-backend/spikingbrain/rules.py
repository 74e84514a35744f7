"""Checks of values that come from outside: an error names the field, the rule and the value."""

from collections.abc import Sequence


class ConfigError(ValueError):
    """A config that no model can be made from."""

    def __init__(self, field: str, rule: str, value: object) -> None:
        super().__init__(f"{field} must be {rule}; it is {value!r}")
        self.field = field
        self.rule = rule
        self.value = value


def require(holds: bool, field: str, rule: str, value: object) -> None:
    if not holds:
        raise ConfigError(field, rule, value)


def require_count(field: str, value: object, least: int = 1, most: int = 2**31 - 1) -> int:
    """An integer within bounds; a bool is not an integer here."""
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return value
    raise ConfigError(field, f"an integer from {least} to {most}", value)


def require_list(field: str, rule: str, value: object) -> list[object]:
    if isinstance(value, list):
        return value
    raise ConfigError(field, rule, value)


def require_positive(field: str, value: object) -> None:
    holds = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")
    require(holds, field, "a positive finite number", value)


def require_flag(field: str, value: object) -> None:
    require(isinstance(value, bool), field, "true or false", value)


def require_choice(field: str, value: object, choices: Sequence[str]) -> None:
    require(isinstance(value, str) and value in choices, field, f"one of {list(choices)}", value)
