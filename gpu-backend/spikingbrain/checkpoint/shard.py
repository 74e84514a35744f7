"""One weight file, opened lazily: names, shapes and types first, values tensor by tensor from the mapped file."""

from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open

from .errors import CheckpointError
from .safetensors_header import check_safetensors
from .torch_file import check_torch_file

FLOAT_TYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


class Shard(Protocol):
    """An open weight file."""

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every tensor by name, without reading values."""

    def tensor(self, name: str) -> torch.Tensor:
        """The tensor as stored. It maps the file where it can: pages come in as they are read, and go when it is dropped."""


class SafetensorsShard:
    """A `.safetensors` file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        check_safetensors(path)
        try:
            # The library has no types.
            self._file: Any = safe_open(path, framework="pt")
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"{path} cannot be read as safetensors: {error}") from error

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """See `Shard`."""
        return {name: tuple(self._file.get_slice(name).get_shape()) for name in self._file.keys()}  # noqa: SIM118 (not a dict)

    def tensor(self, name: str) -> torch.Tensor:
        """See `Shard`."""
        return _float(self._file.get_tensor(name), name, self.path)


class TorchShard:
    """A `.bin` file as `torch.save` writes it, read without running any code in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # Files of torch before 1.6 are no zip archives and cannot be mapped: these are held in memory whole.
        mapped = check_torch_file(path)
        try:
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
        # Whatever it is: torch's unpickler fails with the error of the line that met the file's bytes, and its message is advice.
        except Exception as error:
            reason = str(error).partition("\n")[0].partition(". ")[0][:120]
            raise CheckpointError(f"{path} cannot be read as a dictionary of tensors: {type(error).__name__} {reason}") from error
        self._tensors: dict[str, torch.Tensor] = content

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """See `Shard`."""
        return {name: tuple(tensor.shape) for name, tensor in self._tensors.items()}

    def tensor(self, name: str) -> torch.Tensor:
        """See `Shard`."""
        return _float(self._tensors[name], name, self.path)


def open_shard(path: Path) -> Shard:
    """Opens a weight file by its suffix."""
    return SafetensorsShard(path) if path.suffix == ".safetensors" else TorchShard(path)


def _float(tensor: torch.Tensor, name: str, path: Path) -> torch.Tensor:
    if tensor.dtype not in FLOAT_TYPES:
        allowed = ", ".join(str(kind).removeprefix("torch.") for kind in FLOAT_TYPES)
        found = str(tensor.dtype).removeprefix("torch.")
        raise CheckpointError(f"{path}: tensor '{name}' must be one of {allowed}; it is {found}")
    return tensor
