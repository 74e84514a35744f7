"""A GGUF file, or the shards of one, as a source of weights."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from gguf import GGMLQuantizationType
from gguf.quants import dequantize

from spikingbrain.spike.weight_codes import group_count, spread

from .errors import CheckpointError, listed, naming
from .finite import require_finite
from .gguf_header import GgufHeader, read_header
from .gguf_metadata import from_metadata
from .gguf_tensors import GgufTensor
from .names import TensorName, tensor_names
from .wrong_file import require_file

SHARD = re.compile(r"^(.*)-(\d{5})-of-(\d{5})\.gguf$")
QUERY_OR_KEY = re.compile(r"\.attn_[qk]\.(weight|bias)$")


class GgufFile:
    """See `WeightSource`. Architectures `spikingbrain`, `llama` and `qwen2`, whose q and k are put into half-split rotary order."""

    def __init__(self, path: Path) -> None:
        """Maps the file; of a sharded one, `path` is any shard."""
        self.path = path
        self.metadata: dict[str, Any] = {}
        self._tensors: dict[str, GgufTensor] = {}
        self._data: dict[str, npt.NDArray[Any]] = {}
        for shard in _shards(path):
            self._add(shard)
        self.shapes = {name: tensor.shape for name, tensor in self._tensors.items()}
        with naming(path):
            self.config = from_metadata(self.metadata, self.shapes)
            self._interleaved = self.metadata["general.architecture"] == "llama"
            if self._interleaved and self.config.rotated != self.config.head_dim:
                raise CheckpointError(f"llama.rope.dimension_count must be {self.config.head_dim}; it is {self.config.rotated}")
        self.names = tensor_names(self.config)
        self._check(path)

    @property
    def types(self) -> dict[str, GGMLQuantizationType]:
        """The element type of every tensor by its GGUF name."""
        return {name: tensor.kind for name, tensor in self._tensors.items()}

    @property
    def tensor_bytes(self) -> int:
        """Bytes of all tensors."""
        return sum(tensor.bytes for tensor in self._tensors.values())

    def stored(self, gguf: str) -> npt.NDArray[np.uint8]:
        """The bytes of a tensor as they are in the file, mapped."""
        return self._data[gguf].reshape(-1).view(np.uint8)

    def encoded(self, name: TensorName) -> npt.NDArray[np.uint8]:
        """The bytes of a matrix that is no expert's, `[rows, bytes]`, with q and k in half-split rotary order."""
        return self._half_split(name, self._data[name.gguf]).view(np.uint8)

    def rows(self, name: TensorName, start: int, stop: int) -> torch.Tensor:
        """See `WeightSource`."""
        kind, stored = self._tensors[name.gguf].kind, self._data[name.gguf]
        data = stored if name.expert is None else stored[name.expert]
        if len(name.shape) == 1:
            values = dequantize(data, kind)
            return self._finite(name, torch.from_numpy(self._half_split(name, values)[start:stop].copy()))
        if kind == GGMLQuantizationType.I8:
            return self._finite(name, self._w8_rows(name, data, start, stop))
        values = dequantize(self._half_split(name, data, start, stop), kind)
        # Values that are f32 in the file are still the file's, which torch must not be able to write to.
        return self._finite(name, torch.from_numpy(values if values.flags.writeable else values.copy()))

    def _finite(self, name: TensorName, values: torch.Tensor) -> torch.Tensor:
        """As the engine, which refuses any other number."""
        return require_finite(values, name.gguf, self.path)

    @property
    def is_w8(self) -> bool:
        """Whether some weights are W8 codes (`export/gguf_w8.py`)."""
        return any(tensor.kind == GGMLQuantizationType.I8 for tensor in self._tensors.values())

    def weight_scales(self, name: TensorName, start: int, stop: int) -> torch.Tensor | None:
        """Of W8 codes, `[rows, groups]` f32; None where the tensor is of another type."""
        if self._tensors[name.gguf].kind != GGMLQuantizationType.I8:
            return None
        data = self._data[_beside(name.gguf, "scales")]
        return torch.from_numpy((data if name.expert is None else data[name.expert])[start:stop].copy())

    def _w8_rows(self, name: TensorName, data: npt.NDArray[Any], start: int, stop: int) -> torch.Tensor:
        scales = self.weight_scales(name, start, stop)
        assert scales is not None
        codes = torch.from_numpy(data[start:stop].view(np.int8).astype(np.int32))
        beside = _beside(name.gguf, "outliers")
        if beside in self._data:
            first = start + (name.expert or 0) * name.shape[0]
            rows, columns, lacking = torch.from_numpy(self._data[beside].astype(np.int64)).T
            within = (columns >= 0) & (columns < name.shape[1])
            if not within.all():
                rule = f"columns from 0 to {name.shape[1] - 1}"
                raise CheckpointError(f"{self.path}: tensor '{beside}' must have {rule}; it has {columns[~within][0]}")
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
        header, file = _read(path)
        self.metadata = header.metadata | self.metadata
        for tensor in header.tensors:
            if tensor.name in self._tensors:
                raise CheckpointError(f"{path}: tensor '{tensor.name}' must be in one shard; it is in two")
            self._tensors[tensor.name], self._data[tensor.name] = tensor, tensor.of(file)

    def _check(self, path: Path) -> None:
        wanted: dict[str, tuple[int, ...]] = {}
        # Of what stands beside W8 codes; all others are weights.
        beside: dict[str, GGMLQuantizationType] = {}
        for name in self.names:
            shape = name.shape if name.expert is None else (name.expert + 1, *name.shape)
            wanted[name.gguf] = shape
            tensor = self._tensors.get(name.gguf)
            if tensor is not None and tensor.kind == GGMLQuantizationType.I8 and len(shape) > 1:
                scales, outliers = _beside(name.gguf, "scales"), _beside(name.gguf, "outliers")
                wanted[scales], beside[scales] = (*shape[:-1], group_count(shape[-1])), GGMLQuantizationType.F32
                if outliers in self.shapes:
                    wanted[outliers], beside[outliers] = (self.shapes[outliers][0], 3), GGMLQuantizationType.I32
        problems = [f"tensor '{missing}' {list(shape)} is missing" for missing, shape in wanted.items() if missing not in self.shapes]
        for found, shape in self.shapes.items():
            if found not in wanted:
                problems.append(f"tensor '{found}' {list(shape)} has no place in this model")
            elif shape != wanted[found]:
                problems.append(f"tensor '{found}' must have shape {list(wanted[found])}; it has {list(shape)}")
            elif (kind := self._tensors[found].kind) != beside.get(found, kind):
                problems.append(f"tensor '{found}' must be of type {beside[found].name}; it is of {kind.name}")
            elif kind == GGMLQuantizationType.I32 != beside.get(found) or (kind == GGMLQuantizationType.I8 and len(shape) == 1):
                problems.append(f"tensor '{found}' is of type {kind.name}, which is not supported there")
        if problems:
            raise listed(str(path), problems)


def _beside(weight: str, what: str) -> str:
    """A tensor that belongs to W8 codes."""
    return f"{weight.removesuffix('.weight')}.{what}"


def read_gguf_metadata(path: Path) -> dict[str, Any]:
    """Of the one file, whatever its tensors are."""
    return _read(path)[0].metadata


def read_gguf_tensors(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """The metadata of the one file and its tensors by name, f32, whatever they are."""
    header, file = _read(path)
    if codes := [one.name for one in header.tensors if one.kind in (GGMLQuantizationType.I8, GGMLQuantizationType.I32)]:
        raise CheckpointError(f"{path}: tensor '{codes[0]}' must be of a type that holds weights; it holds codes")
    values = {one.name: torch.from_numpy(dequantize(one.of(file), one.kind).reshape(one.shape).copy()) for one in header.tensors}
    return header.metadata, {name: require_finite(tensor, name, path) for name, tensor in values.items()}


def _read(path: Path) -> tuple[GgufHeader, npt.NDArray[np.uint8]]:
    """The header, and the whole file, mapped."""
    require_file(path, "GGUF")
    with naming(path, "cannot be read as GGUF"):
        file = np.memmap(path, mode="r", dtype=np.uint8)
        return read_header(file.data), file


def _shards(path: Path) -> list[Path]:
    match = SHARD.match(path.name)
    if not match:
        return [path]
    stem, _, count = match.groups()
    paths = [path.with_name(f"{stem}-{number:05d}-of-{count}.gguf") for number in range(1, int(count) + 1)]
    if missing := [f"{shard.name} is missing" for shard in paths if not shard.is_file()]:
        raise listed(str(path.parent), missing)
    return paths
