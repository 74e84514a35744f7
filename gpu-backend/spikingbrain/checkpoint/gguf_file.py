"""A GGUF file, or the shards of one, as a source of weights."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from gguf import GGMLQuantizationType, GGUFReader, ReaderTensor
from gguf.quants import dequantize

from spikingbrain.spike.weight_codes import group_count, spread

from .errors import CheckpointError, listed
from .gguf_metadata import from_metadata
from .names import TensorName, tensor_names

SHARD = re.compile(r"^(.*)-(\d{5})-of-(\d{5})\.gguf$")
QUERY_OR_KEY = re.compile(r"\.attn_[qk]\.(weight|bias)$")


class GgufFile:
    """See `WeightSource`. Architectures `spikingbrain`, `llama` and `qwen2`, whose q and k are put into half-split rotary order."""

    def __init__(self, path: Path) -> None:
        """Maps the file; of a sharded one, `path` is any shard."""
        self.metadata: dict[str, Any] = {}
        self._tensors: dict[str, ReaderTensor] = {}
        for shard in _shards(path):
            self._add(shard)
        shapes = {name: tuple(int(size) for size in reversed(tensor.shape)) for name, tensor in self._tensors.items()}
        self.shapes = shapes
        self.config = from_metadata(self.metadata, shapes)
        self._interleaved = self.metadata["general.architecture"] == "llama"
        if self._interleaved and self.config.rotated != self.config.head_dim:
            raise CheckpointError(f"llama.rope.dimension_count must be {self.config.head_dim}; it is {self.config.rotated}")
        self.names = tensor_names(self.config)
        self._check(path)

    @property
    def types(self) -> dict[str, GGMLQuantizationType]:
        """The element type of every tensor by its GGUF name."""
        return {name: tensor.tensor_type for name, tensor in self._tensors.items()}

    @property
    def tensor_bytes(self) -> int:
        """Bytes of all tensors."""
        return sum(int(tensor.n_bytes) for tensor in self._tensors.values())

    def stored(self, gguf: str) -> npt.NDArray[np.uint8]:
        """The bytes of a tensor as they are in the file, mapped."""
        return self._tensors[gguf].data.reshape(-1).view(np.uint8)

    def encoded(self, name: TensorName) -> npt.NDArray[np.uint8]:
        """The bytes of a matrix that is no expert's, `[rows, bytes]`, with q and k in half-split rotary order."""
        return self._half_split(name, self._tensors[name.gguf].data).view(np.uint8)

    def rows(self, name: TensorName, start: int, stop: int) -> torch.Tensor:
        """See `WeightSource`."""
        tensor = self._tensors[name.gguf]
        data = tensor.data if name.expert is None else tensor.data[name.expert]
        if len(name.shape) == 1:
            values = dequantize(data, tensor.tensor_type)
            return torch.from_numpy(self._half_split(name, values)[start:stop].copy())
        if tensor.tensor_type == GGMLQuantizationType.I8:
            return self._w8_rows(name, data, start, stop)
        values = dequantize(self._half_split(name, data, start, stop), tensor.tensor_type)
        # Values that are f32 in the file are still the file's, which torch must not be able to write to.
        return torch.from_numpy(values if values.flags.writeable else values.copy())

    @property
    def is_w8(self) -> bool:
        """Whether some weights are W8 codes (`export/gguf_w8.py`)."""
        return any(tensor.tensor_type == GGMLQuantizationType.I8 for tensor in self._tensors.values())

    def weight_scales(self, name: TensorName, start: int, stop: int) -> torch.Tensor | None:
        """Of W8 codes, `[rows, groups]` f32; None where the tensor is of another type."""
        if self._tensors[name.gguf].tensor_type != GGMLQuantizationType.I8:
            return None
        data = self._tensors[_beside(name.gguf, "scales")].data
        return torch.from_numpy((data if name.expert is None else data[name.expert])[start:stop].copy())

    def _w8_rows(self, name: TensorName, data: npt.NDArray[Any], start: int, stop: int) -> torch.Tensor:
        scales = self.weight_scales(name, start, stop)
        assert scales is not None
        codes = torch.from_numpy(data[start:stop].view(np.int8).astype(np.int32))
        outliers = self._tensors.get(_beside(name.gguf, "outliers"))
        if outliers is not None:
            first = start + (name.expert or 0) * name.shape[0]
            rows, columns, lacking = torch.from_numpy(outliers.data.view(np.int32).reshape(-1, 3).astype(np.int64)).T
            here = (rows >= first) & (rows < first + stop - start)
            codes[rows[here] - first, columns[here]] += lacking[here].to(torch.int32)
        return codes * spread(scales, codes.shape[1])

    def _half_split(self, name: TensorName, data: npt.NDArray[Any], start: int = 0, stop: int | None = None) -> npt.NDArray[Any]:
        """Rows `start` to `stop`: `llama` files have a rotary pair side by side that is half a head apart here."""
        if not self._interleaved or not QUERY_OR_KEY.search(name.gguf):
            return np.ascontiguousarray(data[start:stop])
        row = np.arange(start, len(data) if stop is None else stop)
        head, within = np.divmod(row, self.config.head_dim)
        half, pair = np.divmod(within, self.config.head_dim // 2)
        return np.ascontiguousarray(data[head * self.config.head_dim + pair * 2 + half])

    def _add(self, path: Path) -> None:
        metadata, tensors = _read(path)
        self.metadata = metadata | self.metadata
        for tensor in tensors:
            if tensor.name in self._tensors:
                raise CheckpointError(f"{path}: tensor '{tensor.name}' must be in one shard; it is in two")
            self._tensors[tensor.name] = tensor

    def _check(self, path: Path) -> None:
        wanted: dict[str, tuple[int, ...]] = {}
        for name in self.names:
            shape = name.shape if name.expert is None else (name.expert + 1, *name.shape)
            wanted[name.gguf] = shape
            tensor = self._tensors.get(name.gguf)
            if tensor is not None and tensor.tensor_type == GGMLQuantizationType.I8:
                wanted[_beside(name.gguf, "scales")] = (*shape[:-1], group_count(shape[-1]))
                outliers = _beside(name.gguf, "outliers")
                if outliers in self.shapes:
                    wanted[outliers] = (self.shapes[outliers][0], 3)
        problems = [f"tensor '{missing}' {list(shape)} is missing" for missing, shape in wanted.items() if missing not in self.shapes]
        for found, shape in self.shapes.items():
            if found not in wanted:
                problems.append(f"tensor '{found}' {list(shape)} has no place in this model")
            elif shape != wanted[found]:
                problems.append(f"tensor '{found}' must have shape {list(wanted[found])}; it has {list(shape)}")
        if problems:
            raise listed(str(path), problems)


def _beside(weight: str, what: str) -> str:
    """A tensor that belongs to W8 codes."""
    return f"{weight.removesuffix('.weight')}.{what}"


def read_gguf_metadata(path: Path) -> dict[str, Any]:
    """Of the one file, whatever its tensors are."""
    return _read(path)[0]


def _read(path: Path) -> tuple[dict[str, Any], list[ReaderTensor]]:
    try:
        reader = GGUFReader(path)
        return {key: _plain(field.contents()) for key, field in reader.fields.items()}, reader.tensors
    except (OSError, ValueError, IndexError, KeyError, OverflowError, MemoryError) as error:
        raise CheckpointError(f"{path} cannot be read as GGUF: {error}") from error


def _plain(value: object) -> object:
    """A float32 as the shortest decimal that means it, so that 1e-6 comes back as 1e-6."""
    return float(str(np.float32(value))) if isinstance(value, float) else value


def _shards(path: Path) -> list[Path]:
    match = SHARD.match(path.name)
    if not match:
        return [path]
    stem, _, count = match.groups()
    paths = [path.with_name(f"{stem}-{number:05d}-of-{count}.gguf") for number in range(1, int(count) + 1)]
    if missing := [f"{shard.name} is missing" for shard in paths if not shard.is_file()]:
        raise listed(str(path.parent), missing)
    return paths
