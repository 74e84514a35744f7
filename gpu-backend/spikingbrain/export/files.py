"""What every writer of large files needs: room, progress, and nothing half-written under a final name."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from spikingbrain.checkpoint.errors import CheckpointError

Progress = Callable[[int, int], None]
"""Called with bytes written so far and bytes in all."""


def no_progress(done: int, total: int) -> None:
    """For callers that do not show any."""


def require_room(folder: Path, needed: int) -> None:
    """Refuses before anything is written what would fill the disk."""
    if not folder.is_dir():
        raise CheckpointError(f"{folder} is not a folder")
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise CheckpointError(f"{folder} must have {needed} bytes free; it has {free}")


def move_into(path: Path, folder: Path) -> Path:
    """Moves a finished file within its file system, replacing an older one; returns its new path."""
    target = folder / path.name
    os.replace(path, target)
    return target
