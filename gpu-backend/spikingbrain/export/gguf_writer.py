"""Writes a source of weights as GGUF, streaming: in memory is one tensor in the file's type, and a chunk of its values in f32.

Metadata: `spikingbrain.checkpoint.gguf_metadata` for the model, `tokenizer_metadata.py` for the tokenizer.
"""

import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from gguf import GGML_QUANT_VERSION, GGMLQuantizationType, GGUFWriter

from spikingbrain.checkpoint.errors import CheckpointError
from spikingbrain.checkpoint.gguf_keys import ARCHITECTURE
from spikingbrain.checkpoint.gguf_metadata import Value, to_metadata
from spikingbrain.checkpoint.names import TensorName
from spikingbrain.checkpoint.source import WeightSource, row_chunks
from spikingbrain.checkpoint.tokenizer import Tokenizer

from .files import Progress, move_into, no_progress, require_room
from .gguf_w8 import W8Tensor, encoded_w8, is_w8, plan_w8
from .tensor_type import FILE_TYPES, FileTypeName, TypeName, encode, stored_bytes, stored_type
from .tokenizer_metadata import add_tokenizer

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class OutputTensor:
    """A tensor of the file: one of the model's, or an expert matrix of each expert, stacked."""

    parts: list[TensorName]
    shape: tuple[int, ...]
    kind: GGMLQuantizationType

    @property
    def name(self) -> str:
        return self.parts[0].gguf

    @property
    def bytes(self) -> int:
        return stored_bytes(self.shape, self.kind)


def write_gguf(
    source: WeightSource,
    out: Path,
    kind: FileTypeName,
    tokenizer: Tokenizer | None = None,
    shard_bytes: int | None = None,
    progress: Progress = no_progress,
) -> list[Path]:
    """Writes `out`, or `STEM-00001-of-0000N.gguf` beside it when the tensors exceed `shard_bytes`; returns the files.

    Nothing appears under a final name until all of it is written.
    """
    if out.suffix != ".gguf":
        raise CheckpointError(f"the output must be called *.gguf; it is {out.name!r}")
    tensors = plan(source, kind)
    total = sum(tensor.bytes for tensor in tensors)
    require_room(out.parent, total)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".export-") as directory:
        writer = GGUFWriter(Path(directory) / out.name, ARCHITECTURE, split_max_size=shard_bytes or 0)
        _add_metadata(writer, source, kind, tokenizer, out.stem)
        for tensor in tensors:
            writer.add_tensor_info(tensor.name, tensor.shape, np.dtype(np.float32), tensor.bytes, raw_dtype=tensor.kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        done = 0
        for tensor in tensors:
            writer.write_tensor_data(encoded(source, tensor))
            done += tensor.bytes
            progress(done, total)
        writer.close()
        return [move_into(path, out.parent) for path in sorted(Path(directory).iterdir())]


def plan(source: WeightSource, kind: FileTypeName) -> list[OutputTensor | W8Tensor]:
    """The file's tensors in the order in which the source is read best."""
    groups: dict[str, list[TensorName]] = {}
    for name in source.names:
        groups.setdefault(name.gguf, []).append(name)
    tensors: list[OutputTensor | W8Tensor] = []
    of_rest: TypeName = "bf16" if kind == "w8" else kind
    for gguf, found in groups.items():
        parts = sorted(found, key=lambda name: name.expert or 0)
        shape = parts[0].shape if parts[0].expert is None else (len(parts), *parts[0].shape)
        if kind == "w8" and is_w8(source, parts[0]):
            tensors += plan_w8(source, parts, shape)
            continue
        stored = stored_type(shape, of_rest)
        if len(shape) > 1 and stored.name.lower() != of_rest:
            log.info("%s is stored as %s: its rows of %d values are no whole blocks of %s", gguf, stored.name.lower(), shape[-1], kind)
        tensors.append(OutputTensor(parts, shape, stored))
    return tensors


def encoded(source: WeightSource, tensor: OutputTensor | W8Tensor) -> npt.NDArray[np.uint8]:
    """The bytes of one tensor of the file."""
    if isinstance(tensor, W8Tensor):
        return encoded_w8(source, tensor)
    out = np.empty(tensor.bytes, dtype=np.uint8)
    at = 0
    for part in tensor.parts:
        for start, stop in row_chunks(part):
            values = encode(source.rows(part, start, stop), tensor.kind, part.name)
            out[at : at + values.size] = values
            at += values.size
    return out


def _add_metadata(writer: GGUFWriter, source: WeightSource, kind: FileTypeName, tokenizer: Tokenizer | None, stem: str) -> None:
    config = source.config
    writer.add_type("model")
    writer.add_name(config.name or stem)
    writer.add_file_type(FILE_TYPES[kind])
    writer.add_quantization_version(GGML_QUANT_VERSION)
    for key, value in to_metadata(config).items():
        add_value(writer, key, value)
    if tokenizer is not None:
        add_tokenizer(writer, tokenizer)
        kept = {tokenizer.eos, tokenizer.end_of_turn}
    else:
        log.warning("there is no tokenizer: the file holds weights only")
        for key, token in zip(("bos", "eos", "eot"), (config.bos, *config.end_tokens), strict=False):
            if token is not None:
                writer.add_uint32(f"tokenizer.ggml.{key}_token_id", token)
        kept = set(config.end_tokens[:2])
    if left_out := [token for token in config.end_tokens if token not in kept]:
        log.warning("a GGUF names two end tokens; the config's %s will not end a text", left_out)


def add_value(writer: GGUFWriter, key: str, value: Value) -> None:
    """Metadata of any type that a model's has."""
    match value:
        case bool():
            writer.add_bool(key, value)
        case int():
            writer.add_uint32(key, value)
        case float():
            writer.add_float32(key, value)
        case str():
            writer.add_string(key, value)
        case list():
            writer.add_array(key, value)
