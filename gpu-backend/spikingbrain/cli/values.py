"""Argument values that argparse has no type for; a wrong one is a usage error."""

import argparse
import re
from typing import TypeAlias

UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def byte_count(text: str) -> int:
    """`500M`, `2G`, or plain bytes."""
    match = re.fullmatch(r"(\d+)([KMG]?)", text)
    if not match or int(match[1]) == 0:
        raise argparse.ArgumentTypeError(f"must be a positive number of bytes such as 500M or 2G; it is {text!r}")
    return int(match[1]) * UNITS[match[2]]


def token_list(text: str) -> list[int]:
    """`1,2,3`."""
    if not re.fullmatch(r"\d+(,\d+)*", text):
        raise argparse.ArgumentTypeError(f"must be token ids joined by commas such as 1,2,3; it is {text!r}")
    return [int(part) for part in text.split(",")]


def number_list(text: str) -> list[int]:
    """`1,2,3`, each a whole number from 1."""
    return [positive(part) for part in text.split(",")]


def seed(text: str) -> int:
    """A whole number that a generator of random numbers begins with."""
    if not text.isdecimal() or int(text) >= 1 << 31:
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 to {(1 << 31) - 1}; it is {text!r}")
    return int(text)


def positive(text: str) -> int:
    """A whole number from 1."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1; it is {text!r}")
    return int(text)


def positive_number(text: str) -> float:
    """A number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number above 0; it is {text!r}")
    return value


def share(text: str) -> float:
    """A number from 0 to 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 1; it is {text!r}")
    return value


def readable_bytes(count: int) -> str:
    """`3.5 MiB`."""
    value, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB"):
        if value >= 1_024:
            value, unit = value / 1_024, larger
    return f"{count} B" if unit == "B" else f"{value:.1f} {unit}"
