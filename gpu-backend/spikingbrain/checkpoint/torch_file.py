"""Looks through a `.bin` file of `torch.save` before torch opens it: which classes it names, and that its tensors lie within it.

A pickle is a program. This one runs with inert stand-ins in place of everything that it may name, in Python's own unpickler, whose memory
follows what the file holds (the one in C takes what a number in the file says). `torch.load(weights_only=True)` runs no foreign code
either, but trusts the counts of a mapped archive, and advises to try without its checks.
"""

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from .errors import CheckpointError, naming
from .wrong_file import ZIP, require_file

KIND = "a dictionary of tensors"
# What `torch.save` began its files with before version 1.6: a number of its own, then four more pickles.
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_BEFORE, LEGACY_AFTER = 2, 1
REBUILT = ("_rebuild_tensor", "_rebuild_tensor_v2")
# Of a value, by the class of its storage: floats, and the integers whose tensors are then refused by name.
STORAGE_BYTES = {
    **{f"{name}Storage": 8 for name in ("Double", "Long")},
    **{f"{name}Storage": 4 for name in ("Float", "Int")},
    **{f"{name}Storage": 2 for name in ("Half", "BFloat16", "Short")},
    **{f"{name}Storage": 1 for name in ("Char", "Byte", "Bool")},
}


def check_torch_file(path: Path) -> bool:
    """Whether it is an archive, which can be mapped. Refuses what is no dictionary of tensors."""
    require_file(path, KIND, ZIP)
    with naming(path, f"cannot be read as {KIND}"), path.open("rb") as file:
        size = path.stat().st_size
        if zipfile.is_zipfile(file):
            _check_archive(file)
            return True
        file.seek(0)
        magic = _Reader(file, lambda *_: None).read()
        if type(magic) is not int or magic != LEGACY_MAGIC:
            raise CheckpointError(f"it must be what torch.save writes; it is a pickle of {type(magic).__name__}")
        for _ in range(LEGACY_BEFORE):
            _Reader(file, lambda *_: None).read()
        _require_tensors(_Reader(file, lambda key, taken: _require_within(f"storage '{key}'", taken, size)).read())
        for _ in range(LEGACY_AFTER):
            _Reader(file, lambda *_: None).read()
        return False


def _check_archive(file: BinaryIO) -> None:
    try:
        with zipfile.ZipFile(file) as archive:
            entries = {entry.filename.partition("/")[2]: entry for entry in archive.infolist()}
            if "data.pkl" not in entries:
                raise CheckpointError(f"the archive must have an entry data.pkl; it has {sorted(entries)[:4]}")
            for name, entry in entries.items():
                if entry.compress_type != zipfile.ZIP_STORED:
                    raise CheckpointError(f"the archive's entry {name!r} must not be compressed; it is")
            with archive.open(entries["data.pkl"]) as content:

                def require_entry(key: str, taken: int) -> None:
                    held = entries.get(f"data/{key}")
                    if held is None or held.file_size != taken:
                        found = "missing" if held is None else f"of {held.file_size}"
                        raise CheckpointError(f"the archive's entry 'data/{key}' must be of {taken} bytes; it is {found}")

                _require_tensors(_Reader(content, require_entry).read())
    except (zipfile.BadZipFile, NotImplementedError, OSError, EOFError, ValueError) as error:
        raise CheckpointError(f"the archive is broken: {error}") from error


def _require_tensors(content: object) -> None:
    if not isinstance(content, dict):
        raise CheckpointError(f"it must hold a dict; it holds {type(content).__name__}")
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, _Tensor):
            raise CheckpointError(f"it must hold tensors by name; at {str(name)[:60]!r} it holds {type(value).__name__}")


def _require_within(what: str, taken: int, size: int) -> None:
    if taken > size:
        raise CheckpointError(f"{what} must lie within the file's {size} bytes; it claims {taken}")


class _Tensor:
    """In place of a tensor."""


@dataclass(frozen=True)
class _StorageClass:
    """In place of the class of a storage."""

    item_bytes: int


class _Storage:
    """In place of a storage of so many values."""

    def __init__(self, count: int) -> None:
        self.count = count


def _tensor(storage: object, offset: object, shape: object, strides: object, *_: object) -> _Tensor:
    """In place of torch's functions that make a tensor of a storage, which must hold all of it."""
    parts = (
        (offset, *shape, *strides) if isinstance(shape, tuple) and isinstance(strides, tuple) and len(shape) == len(strides) else (None,)
    )
    if not isinstance(storage, _Storage) or not all(type(part) is int and part >= 0 for part in parts):
        raise CheckpointError(f"a tensor must have an offset, a shape and strides from 0; they are {offset!r}, {shape!r} and {strides!r}")
    sizes: list[int] = list(shape)  # type: ignore[call-overload]
    steps: list[int] = list(strides)  # type: ignore[call-overload]
    last = offset + sum((size - 1) * step for size, step in zip(sizes, steps, strict=True))  # type: ignore[operator]
    if 0 not in sizes and last >= storage.count:
        raise CheckpointError(f"a tensor of shape {shape} must lie within its storage of {storage.count} values; it ends at {last}")
    return _Tensor()


def _parameter(tensor: object, *_: object) -> object:
    """In place of the function that makes a parameter of a tensor."""
    return tensor


class _Reader(pickle._Unpickler):  # Public in all but its name.
    """Runs one pickle; `require` is asked for each storage by its key and bytes."""

    def __init__(self, file: Any, require: Callable[[str, int], None]) -> None:  # noqa: ANN401 (a file, or an entry of an archive)
        super().__init__(file)
        self._require = require

    def read(self) -> object:
        try:
            return self.load()
        except CheckpointError:
            raise
        except RecursionError as error:
            raise CheckpointError("its pickle is nested too deeply") from error
        except Exception as error:
            raise CheckpointError(f"its pickle is broken: {type(error).__name__} {str(error)[:80]}".rstrip()) from error

    def find_class(self, module: str, name: str, /) -> Any:  # noqa: ANN401 (stand-ins)
        """See `pickle`."""
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch._utils" and name in REBUILT:
            return _tensor
        if module == "torch._utils" and name == "_rebuild_parameter":
            return _parameter
        if module == "torch" and name in STORAGE_BYTES:
            return _StorageClass(STORAGE_BYTES[name])
        raise CheckpointError(f"it may name torch's tensors and nothing else; it names {f'{module}.{name}'[:80]!r}, which was not run")

    def persistent_load(self, pid: Any) -> _Storage:  # noqa: ANN401 (untrusted)
        """See `pickle`."""
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage" or not isinstance(pid[2], str) or type(pid[4]) is not int:
            raise CheckpointError(f"its storages must be named as torch.save names them; one is {str(pid)[:80]}")
        _, kind, key, _, count = pid[:5]
        if count < 0 or not isinstance(kind, _StorageClass):
            raise CheckpointError(f"storage '{key[:40]}' must have a type and a count from 0; they are {str(kind)[:40]} and {count}")
        self._require(key, count * kind.item_bytes)
        return _Storage(count)
