"""The parts of a state's bytes: numbers, tokens of softmax branches, salient tokens (`file.py` puts them in order)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from spikingbrain.spike.key_value_codes import LARGEST_CODE, Int8Rows, quantise_rows
from spikingbrain.state.key_values import Rows
from spikingbrain.state.salient import Salient

FLOAT_BYTES = 4
HALF_BYTES = 2
LARGEST_BFLOAT16 = torch.finfo(torch.bfloat16).max
Bytes = npt.NDArray[np.uint8]


class StateError(ValueError):
    """Bytes that hold no state of this model, or a state that the bytes cannot hold."""


@dataclass(frozen=True)
class Encoding:
    """How the numbers of a file are written."""

    int8_rows: bool = False
    """Keys and values as codes, or in f32."""
    bf16_recurrent: bool = False
    """Linear states and sums of evicted tokens in bf16, or in f32."""


@dataclass
class Reader:
    data: bytes
    dtype: torch.dtype
    """What dense keys and values become."""
    device: torch.device
    encoding: Encoding = Encoding()
    at: int = 0

    @property
    def left(self) -> int:
        return len(self.data) - self.at

    def take(self, count: int) -> bytes:
        if count > self.left:
            raise StateError(f"a part of {count} bytes must follow byte {self.at}; {self.left} do")
        self.at += count
        return self.data[self.at - count : self.at]

    def recurrent(self, *shape: int) -> Tensor:
        """Of the next bytes, as f32."""
        at, count = self.at, int(np.prod(shape))
        if not self.encoding.bf16_recurrent:
            raw = np.frombuffer(self.take(count * FLOAT_BYTES), dtype=np.uint8)
        else:
            halves = np.frombuffer(self.take(count * HALF_BYTES), dtype="<u2").astype("<u4")
            raw = (halves << 16).view(np.uint8)
        return torch.from_numpy(_finite(raw, at).reshape(shape)).to(self.device)

    def group(self, tokens: int, layers: int, heads: int, dim: int) -> list[tuple[Rows, Rows]]:
        """Keys and values, `[tokens, heads, dim]`, of the layers of a group, whose next bytes are token by token."""
        at, row = self.at, row_bytes(dim, self.encoding)
        raw = np.frombuffer(self.take(tokens * layers * heads * row), dtype=np.uint8).reshape(tokens, layers, heads, row)
        return [self._rows(raw[:, layer], at, dim) for layer in range(layers)]

    def salient(self, evicted: range, most: int, heads: int, dim: int) -> Salient:
        """Of the next bytes: at most `most` tokens of those at the positions `evicted`, as many for every KV head."""
        at, slots = self.at, min(most, len(evicted))
        entry = FLOAT_BYTES + FLOAT_BYTES + row_bytes(dim, self.encoding)
        raw = np.frombuffer(self.take(heads * slots * entry), dtype=np.uint8).reshape(heads, slots, entry).transpose(1, 0, 2)
        positions = np.ascontiguousarray(raw[..., :FLOAT_BYTES]).view("<u4")[..., 0].astype(np.int64)
        for head in positions.T.tolist():
            if len(set(head)) < slots or any(position not in evicted for position in head):
                raise StateError(
                    f"positions of salient tokens from byte {at} on must differ and be in {evicted}; they are {head[:4]} and on"
                )
        salience = _finite(np.ascontiguousarray(raw[..., FLOAT_BYTES : 2 * FLOAT_BYTES]), at)[..., 0]
        keys, values = self._rows(raw[..., 2 * FLOAT_BYTES :], at, dim)
        return Salient(keys, values, torch.from_numpy(salience.copy()).to(self.device), torch.from_numpy(positions).to(self.device))

    def _rows(self, raw: Bytes, at: int, dim: int) -> tuple[Rows, Rows]:
        if not self.encoding.int8_rows:
            both = torch.from_numpy(_finite(np.ascontiguousarray(raw), at)).to(device=self.device, dtype=self.dtype)
            return both[..., :dim].clone(), both[..., dim:].clone()
        scales = np.ascontiguousarray(raw[..., : 2 * FLOAT_BYTES]).view("<f4")
        codes = np.ascontiguousarray(raw[..., 2 * FLOAT_BYTES :]).view(np.int8)
        if not (np.isfinite(scales) & (scales >= 0)).all():
            raise StateError(f"scales from byte {at} on must be finite and not negative; one is")
        if (codes < -LARGEST_CODE).any():
            raise StateError(f"codes from byte {at} on must be from -{LARGEST_CODE} to {LARGEST_CODE}; one is -128")

        def part(first: int) -> Int8Rows:
            of_part = codes[..., first * dim : (first + 1) * dim]
            of_scales = scales[..., first : first + 1].astype(np.float32)
            return Int8Rows(torch.from_numpy(of_part.copy()).to(self.device), torch.from_numpy(of_scales).to(self.device))

        return part(0), part(1)


def group_bytes(layers: list[tuple[Rows, Rows]], encoding: Encoding) -> bytes:
    """Token by token, layer by layer, KV head by KV head."""
    return np.stack([_packed(keys, values, encoding) for keys, values in layers], axis=1).tobytes()


def salient_bytes(salient: Salient, encoding: Encoding) -> bytes:
    """KV head by KV head, slot by slot."""
    positions = salient.positions.cpu().numpy().astype("<u4")[..., None].view(np.uint8)
    salience = _array(salient.salience)[..., None].view(np.uint8)
    rows = _packed(salient.keys, salient.values, encoding)
    by_head: Bytes = np.concatenate([positions, salience, rows], axis=-1).transpose(1, 0, 2)
    return by_head.tobytes()


def recurrent_bytes(tensor: Tensor, encoding: Encoding) -> bytes:
    """To nearest even where it is rounded; what is finite stays finite."""
    if not encoding.bf16_recurrent:
        return _array(tensor).tobytes()
    values = torch.from_numpy(_array(tensor))
    bounded = torch.where(values.isfinite(), values.clamp(-LARGEST_BFLOAT16, LARGEST_BFLOAT16), values)
    return bounded.to(torch.bfloat16).view(torch.int16).numpy().astype("<i2").tobytes()


def row_bytes(dim: int, encoding: Encoding) -> int:
    """Of a token's key and value in one layer and KV head."""
    return 2 * FLOAT_BYTES + 2 * dim if encoding.int8_rows else 2 * dim * FLOAT_BYTES


def _finite(raw: Bytes, at: int) -> npt.NDArray[np.float32]:
    """The same bytes as f32, a fourth as many along the last axis."""
    values = raw.view("<f4").astype(np.float32)
    if not np.isfinite(values).all():
        raise StateError(f"numbers from byte {at} on must be finite; one is not")
    return values


def _packed(keys: Rows, values: Rows, encoding: Encoding) -> Bytes:
    """`[tokens, kv_heads, bytes of a row]`"""
    if encoding.int8_rows and isinstance(keys, Tensor) and isinstance(values, Tensor):
        return _packed(quantise_rows(keys), quantise_rows(values), encoding)
    if isinstance(keys, Int8Rows) and isinstance(values, Int8Rows):
        codes = [rows.codes.cpu().numpy() for rows in (keys, values)]
        if any((part < -LARGEST_CODE).any() for part in codes):
            raise StateError(f"codes of keys and values must be from -{LARGEST_CODE} to {LARGEST_CODE}; one is -128")
        scales = [_array(rows.scales).view(np.uint8) for rows in (keys, values)]
        return np.concatenate([*scales, *(part.view(np.uint8) for part in codes)], axis=-1)
    if isinstance(keys, Int8Rows) or isinstance(values, Int8Rows):
        raise StateError("keys and values must be of one type; they are of two")
    return np.concatenate([_array(keys), _array(values)], axis=-1).view(np.uint8)


def _array(tensor: Tensor) -> npt.NDArray[np.float32]:
    if tensor.dtype == torch.float64:
        raise StateError("a state must be of f32 or a half type; it is float64")
    return np.ascontiguousarray(tensor.to(torch.float32).cpu().numpy())
