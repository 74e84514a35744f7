"""W8 weights in a GGUF (`gpu-backend/docs/model.md#84-w8-weights`): the codes as they are, none of them saturated.

| tensor | type | holds |
|---|---|---|
| `X.weight` | I8, `[out, in]` | codes |
| `X.scales` | F32, `[out, groups]` | what a code is worth, one for each row and group of 128 inputs; the last group may be short |
| `X.outliers` | I32, `[outliers, 3]` | of codes that int8 cannot hold, in order: row, column, what it lacks; missing without any |

A stack of experts has one more dimension in front of the first two, and counts its rows through all experts. Every linear projection of a
layer is stored so, with a checkpoint's own scales or with the largest that no code needs to exceed; what a W8ASpike checkpoint leaves
unquantised, and the embedding and the head, is bf16.
"""

from dataclasses import dataclass, replace
from math import prod
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch
from gguf import GGMLQuantizationType

from spikingbrain.checkpoint.names import TensorName
from spikingbrain.checkpoint.source import WeightSource, row_chunks
from spikingbrain.spike.weight_codes import WeightCodes, group_count, largest_scales, quantise_weight

SUFFIX = ".weight"


@runtime_checkable
class HasScales(WeightSource, Protocol):
    """A source whose linear weights may be W8 already."""

    @property
    def is_w8(self) -> bool:
        """Whether any is."""

    def weight_scales(self, name: TensorName, start: int, stop: int) -> torch.Tensor | None:
        """The scales of rows `start` to `stop`, `[rows, groups]` f32; None where the tensor is not W8."""


@dataclass(frozen=True)
class W8Tensor:
    """One of the up to three tensors of a W8 matrix, or of an expert matrix of each expert, stacked."""

    parts: list[TensorName]
    shape: tuple[int, ...]
    kind: GGMLQuantizationType
    suffix: str

    @property
    def name(self) -> str:
        return self.parts[0].gguf.removesuffix(SUFFIX) + self.suffix

    @property
    def bytes(self) -> int:
        return prod(self.shape) * (1 if self.kind == GGMLQuantizationType.I8 else 4)


def is_w8(source: WeightSource, name: TensorName) -> bool:
    """Whether a file of type w8 holds this tensor as codes."""
    if not name.linear or not isinstance(source, HasScales) or not source.is_w8:
        return name.linear
    return source.weight_scales(name, 0, 1) is not None


def plan_w8(source: WeightSource, parts: list[TensorName], shape: tuple[int, ...]) -> list[W8Tensor]:
    """The tensors of a matrix of this shape. Where a checkpoint has scales, its weights are read for their outliers."""
    codes = W8Tensor(parts, shape, GGMLQuantizationType.I8, SUFFIX)
    scales = W8Tensor(parts, (*shape[:-1], group_count(shape[-1])), GGMLQuantizationType.F32, ".scales")
    outside = 0
    if isinstance(source, HasScales) and source.is_w8:
        outside = sum(len(chunk.residual) for part in parts for chunk in _codes(source, part))
    outliers = replace(scales, shape=(outside, 3), kind=GGMLQuantizationType.I32, suffix=".outliers")
    return [codes, scales, outliers] if outside else [codes, scales]


def encoded_w8(source: WeightSource, tensor: W8Tensor) -> npt.NDArray[np.uint8]:
    """The bytes of one tensor of the file."""
    chunks = []
    for index, part in enumerate(tensor.parts):
        row = index * part.shape[0]
        for codes in _codes(source, part):
            match tensor.kind:
                case GGMLQuantizationType.I8:
                    chunks.append(codes.base.numpy())
                case GGMLQuantizationType.F32:
                    chunks.append(codes.scales.numpy())
                case _:
                    at = codes.residual_at + torch.tensor([row, 0])
                    chunks.append(torch.cat([at, codes.residual[:, None]], dim=1).to(torch.int32).numpy())
            row += codes.shape[0]
    return np.concatenate([np.ascontiguousarray(chunk).view(np.uint8).reshape(-1) for chunk in chunks])


def _codes(source: WeightSource, part: TensorName) -> "list[WeightCodes]":
    """Of a matrix in chunks of rows."""
    return [
        quantise_weight(rows, scales if scales is not None else largest_scales(rows))
        for start, stop in row_chunks(part)
        for rows, scales in [(source.rows(part, start, stop), _scales(source, part, start, stop))]
    ]


def _scales(source: WeightSource, part: TensorName, start: int, stop: int) -> torch.Tensor | None:
    return source.weight_scales(part, start, stop) if isinstance(source, HasScales) else None
