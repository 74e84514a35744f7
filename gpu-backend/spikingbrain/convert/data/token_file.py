"""A numpy file that grows: one row of numbers, of which only what was appended last is in memory."""

import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt


class TokenFile:
    """Appears under its name when the block it is used in is done; it maps like any `.npy` file then."""

    def __init__(self, path: Path, dtype: npt.DTypeLike) -> None:
        self.count = 0
        """Numbers so far."""
        self._path, self._dtype = path, np.dtype(dtype)
        self._partial = path.with_name(f"{path.name}.partial")

    def __enter__(self) -> "TokenFile":
        self._file = self._partial.open("wb")
        self._write_header()
        self._begin = self._file.tell()
        return self

    def append(self, numbers: Sequence[int] | npt.NDArray[Any]) -> None:
        self._file.write(np.asarray(numbers, dtype=self._dtype).tobytes())
        self.count += len(numbers)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self._file.seek(0)
            self._write_header()
            # numpy leaves room in a header for the count to grow.
            if self._file.tell() != self._begin:
                raise AssertionError(f"{self._path.name}: its header must keep {self._begin} bytes; it has {self._file.tell()}")
        self._file.close()
        if kind is None:
            os.replace(self._partial, self._path)
        else:
            self._partial.unlink()

    def _write_header(self) -> None:
        header = {"descr": np.lib.format.dtype_to_descr(self._dtype), "fortran_order": False, "shape": (self.count,)}
        np.lib.format.write_array_header_1_0(self._file, header)
