"""The element types a GGUF of ours may have, and rows of f32 as their bytes."""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, LlamaFileType
from gguf.quants import quantize

from spikingbrain.checkpoint.errors import CheckpointError

TypeName = Literal["f32", "f16", "bf16", "q8_0", "q4_0", "q4_1"]
FileTypeName = TypeName | Literal["w8"]
"""What a whole file may be: of one element type, or W8 (`gguf_w8.py`)."""

TYPES: dict[TypeName, GGMLQuantizationType] = {
    "f32": GGMLQuantizationType.F32,
    "f16": GGMLQuantizationType.F16,
    "bf16": GGMLQuantizationType.BF16,
    "q8_0": GGMLQuantizationType.Q8_0,
    "q4_0": GGMLQuantizationType.Q4_0,
    "q4_1": GGMLQuantizationType.Q4_1,
}

FILE_TYPES: dict[FileTypeName, LlamaFileType] = {
    # llama.cpp has no name for it.
    "w8": LlamaFileType.GUESSED,
    "f32": LlamaFileType.ALL_F32,
    "f16": LlamaFileType.MOSTLY_F16,
    "bf16": LlamaFileType.MOSTLY_BF16,
    "q8_0": LlamaFileType.MOSTLY_Q8_0,
    "q4_0": LlamaFileType.MOSTLY_Q4_0,
    "q4_1": LlamaFileType.MOSTLY_Q4_1,
}

LARGEST_HALF = 65_504.0


def stored_type(shape: tuple[int, ...], wanted: TypeName) -> GGMLQuantizationType:
    """The type a tensor gets in a file of type `wanted`: vectors stay f32, and a matrix whose rows are not whole blocks becomes f16."""
    kind = TYPES[wanted]
    if len(shape) == 1:
        return GGMLQuantizationType.F32
    return GGMLQuantizationType.F16 if shape[-1] % GGML_QUANT_SIZES[kind][0] else kind


def stored_bytes(shape: tuple[int, ...], kind: GGMLQuantizationType) -> int:
    """Bytes of a tensor whose rows are whole blocks."""
    block_values, block_bytes = GGML_QUANT_SIZES[kind]
    return int(np.prod(shape, dtype=np.int64)) // block_values * block_bytes


def encode(values: torch.Tensor, kind: GGMLQuantizationType, name: str) -> npt.NDArray[np.uint8]:
    """The bytes of f32 rows `[rows, columns]` or elements, as ggml's reference quantisers make them. Refuses what `kind` cannot hold."""
    least, most = (value.item() for value in values.aminmax())
    largest = max(abs(least), abs(most))
    if not np.isfinite(least + most):
        raise CheckpointError(f"tensor '{name}' must hold finite values; it holds {largest}")
    # A block's scale is an f16 too, and so is the minimum of q4_1.
    if kind not in (GGMLQuantizationType.F32, GGMLQuantizationType.BF16) and largest > LARGEST_HALF:
        raise CheckpointError(
            f"tensor '{name}' must hold values up to {LARGEST_HALF} to be {kind.name}; it holds {largest}: use bf16 or f32"
        )
    # torch rounds to bf16 many times faster than the quantiser, and alike.
    exact = kind == GGMLQuantizationType.BF16
    encoded: npt.NDArray[Any] = values.to(torch.bfloat16).view(torch.uint8).numpy() if exact else quantize(values.numpy(), kind)
    return np.ascontiguousarray(encoded).view(np.uint8).reshape(-1)
