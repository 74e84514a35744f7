"""Which model's states a replica takes and makes."""

import hashlib
import mmap
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
import torch
from spikingbrain.config import Config
from spikingbrain.spike.modes import INT8_KEY_VALUES
from spikingbrain.state.file import load_state
from spikingbrain.state.fingerprint import fingerprint
from spikingbrain.state.header import Digests, read_header
from spikingbrain.state.heads import Shape, heads_config, read_shape, take_heads
from spikingbrain.state.rows import Encoding, Reader, StateError
from spikingbrain.state.state import State

from spikingbrain_vllm.state.digests import file_digest

CPU = torch.device("cpu")


@dataclass(frozen=True)
class ModelIdentity:
    config: Config
    digests: Digests = field(default_factory=Digests)
    """Zeros where they are not known: then files of any are taken."""

    @property
    def digest(self) -> str:
        """Equal where states of one are states of the other."""
        return hashlib.sha256(fingerprint(self.config) + self.digests.model + self.digests.tokenizer).hexdigest()

    def shape(self, position: int) -> Shape:
        """Of a state that this replica makes: f32, but rows in int8 where the model keeps them so."""
        has_rows = any(layer.softmax is not None for layer in self.config.layers)
        return Shape(self.config, position, Encoding(int8_rows=has_rows and INT8_KEY_VALUES[self.config.spiking.mode]))

    def check_header(self, header: bytes) -> None:
        """Raises StateError that names what is not this model's."""
        reader = Reader(header, torch.float32, CPU)
        read_header(reader, self.config, self.digests)
        if reader.left:
            raise StateError(f"the header must have {len(header) - reader.left} bytes; it has {len(header)}")

    def check_file(self, path: Path) -> None:
        """Every byte. Raises StateError."""
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            # A map gives bytes for a slice, as bytes do.
            load_state(cast(bytes, data), self.config, torch.float32, CPU, self.digests)

    def load(self, path: Path, digest: str, heads: range) -> State:
        """The part of these KV heads of a file with this SHA-256. Raises StateError, and OSError where there is no such file."""
        if file_digest(path) != digest:
            raise StateError("the file must be as it was when it came; it has changed")
        data = np.memmap(path, dtype=np.uint8, mode="r")
        part = take_heads(data, read_shape(data, self.config, self.digests), heads)
        return load_state(part, heads_config(self.config, heads), torch.float32, CPU)
