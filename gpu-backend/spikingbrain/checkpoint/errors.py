"""What can be wrong with a checkpoint."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from spikingbrain.rules import ConfigError

LISTED_PROBLEMS = 20


class CheckpointError(Exception):
    """A checkpoint that cannot be read or written as asked; the message names the file or tensor, the rule and the value."""


def listed(heading: str, problems: Sequence[str]) -> CheckpointError:
    """One error for all `problems`, of which the first `LISTED_PROBLEMS` are spelled out and the rest counted."""
    lines = [f"  {problem}" for problem in problems[:LISTED_PROBLEMS]]
    if len(problems) > LISTED_PROBLEMS:
        lines.append(f"  and {len(problems) - LISTED_PROBLEMS} more")
    return CheckpointError("\n".join([f"{heading}: {len(problems)} problem{'s' if len(problems) > 1 else ''}", *lines]))


@contextmanager
def naming(path: Path, what: str = "") -> Iterator[None]:
    """Puts the file, and `what` is wrong with it, in front of an error that does not name it."""
    try:
        yield
    except (CheckpointError, ConfigError) as error:
        if str(error).startswith(str(path)):
            raise
        raise CheckpointError(f"{path}{f' {what}' if what else ''}: {error}") from error
