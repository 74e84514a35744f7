"""The delta: a small GGUF with everything that a converted model has and its teacher's file lacks.

It is a GGUF of architecture `spikingbrain` whose metadata are those of the whole converted model (`checkpoint/gguf_metadata.py`), whose
tensors are those of `evicted` mixers and what was trained in place of the teacher's, and which names the file that it belongs to:

| key | type | is |
|---|---|---|
| `spikingbrain.delta.base_sha256` | string | SHA-256 of the teacher's file, lowercase hex |
| `spikingbrain.delta.base_file` | string | its name |

Matrices are f16, vectors f32. To merge (`infra/local/gguf/merge-delta.ts`): write a GGUF with the delta's
`general.architecture`, `general.name` and `spikingbrain.*` except `spikingbrain.delta.*`, and the base's other `general.*` and its
`tokenizer.*`; with the base's tensors byte for byte, but, where the base is a `llama`, with the rows of `blk.*.attn_q` and `attn_k` put
from interleaved into half-split rotary order (row `h D + p D/2 + i` is the base's row `h D + 2 i + p`, p of 0 and 1, D the head's width);
and with the delta's tensors byte for byte, which stand in place of the base's of the same name. A tensor `NAME.block_scales` of the delta
is not copied: it has, for every block of the Q4_1 matrix `NAME.weight` in the order of the merged file, the four bytes to begin with in
place of the base's (`tuned.py`). Last, the base's tensors of types that the engine does not read become ones that it reads
(`infra/local/gguf/requantise.ts`): Q5_0 exactly, Q4_K and Q6_K rounded.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from gguf import GGUFWriter
from torch import Tensor

from spikingbrain.checkpoint.errors import CheckpointError
from spikingbrain.checkpoint.gguf_file import read_gguf_tensors
from spikingbrain.checkpoint.gguf_keys import ARCHITECTURE
from spikingbrain.checkpoint.gguf_metadata import to_metadata
from spikingbrain.checkpoint.names import tensor_names
from spikingbrain.config import Config
from spikingbrain.convert.export.tuned import Scales, scale_names
from spikingbrain.convert.trunk.tensors import MARK
from spikingbrain.export.gguf_writer import add_value

HASH_BYTES = 1 << 20
LARGEST_HALF = float(np.finfo(np.float16).max)
LARGEST_FLOAT = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Base:
    file: str
    sha256: str


def base_of(path: Path) -> Base:
    """Of a GGUF, or of a folder: its weight files in the order of their names."""
    digest = hashlib.sha256()
    files = [path] if path.is_file() else sorted(file for file in path.iterdir() if file.suffix in (".safetensors", ".bin"))
    for each in files:
        with each.open("rb") as file:
            while block := file.read(HASH_BYTES):
                digest.update(block)
    return Base(path.name, digest.hexdigest())


def write_delta(path: Path, config: Config, tensors: Mapping[str, Tensor], base: Base, scales: Mapping[str, Scales] | None = None) -> None:
    """`tensors` by checkpoint name: all of the evicted mixers, and those that stand in place of the base's. `scales` by that of the Q4_1
    matrix they are of. The file appears under its name when it is whole."""
    partial = path.with_name(f"{path.name}.partial")
    writer = GGUFWriter(partial, ARCHITECTURE)
    writer.add_type("adapter")
    writer.add_name(config.name)
    writer.add_string(f"{ARCHITECTURE}.delta.base_file", base.file)
    writer.add_string(f"{ARCHITECTURE}.delta.base_sha256", base.sha256)
    for key, value in to_metadata(config).items():
        add_value(writer, key, value)
    for name in tensor_names(config):
        if MARK in name.name or name.name in tensors:
            values = tensors[name.name].detach().float().numpy()
            _require_at_most(name.name, values, LARGEST_HALF if values.ndim > 1 else LARGEST_FLOAT)
            writer.add_tensor(name.gguf, values.astype(np.float16) if values.ndim > 1 else values)
    for gguf, name in scale_names(config).items():
        if scales is not None and name.name in scales:
            _require_at_most(name.name, scales[name.name], LARGEST_HALF)
            writer.add_tensor(gguf, scales[name.name])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    partial.replace(path)


def read_delta(path: Path, config: Config) -> dict[str, Tensor]:
    """The tensors by checkpoint name, f32, for `config`, which the file's metadata must be those of; block scales are left out."""
    found, stored = read_gguf_tensors(path)
    for key, value in to_metadata(config).items():
        held = float(str(np.float32(value))) if isinstance(value, float) else value
        if json.dumps(found.get(key)) != json.dumps(held):
            raise CheckpointError(f"{path}: {key} must be {value!r}; it is {found.get(key)!r}")
    names = {name.gguf: name for name in tensor_names(config)}
    tensors = {name: tensor for name, tensor in stored.items() if name not in scale_names(config)}
    wrong = {gguf for gguf, name in names.items() if MARK in name.name and gguf not in tensors} | (tensors.keys() - names.keys())
    if wrong:
        raise CheckpointError(f"{path} must hold the tensors of evicted mixers, and others of the model; these differ: {sorted(wrong)[:4]}")
    for gguf, tensor in tensors.items():
        if tuple(tensor.shape) != names[gguf].shape:
            raise CheckpointError(f"{path}: tensor '{gguf}' must have shape {list(names[gguf].shape)}; it has {list(tensor.shape)}")
    return {names[gguf].name: tensor for gguf, tensor in tensors.items()}


def _require_at_most(name: str, values: npt.NDArray[np.floating], most: float) -> None:
    largest = float(np.abs(values).max())
    if not largest <= most:
        raise CheckpointError(f"tensor '{name}' must hold finite values of at most {most:g}; it holds {largest}")
