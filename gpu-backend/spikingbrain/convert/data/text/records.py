"""Records of JSON lines and parquet files, one after another: no more of a file is in memory than a line or a batch of rows."""

import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spikingbrain.rules import ConfigError

RECORD_KINDS = (".jsonl", ".parquet")
PARQUET_ROWS = 256


@dataclass(frozen=True)
class Record:
    where: str
    """File and line or row, for errors."""
    fields: dict[str, Any]
    """Of a parquet file, those that were asked for and are there."""

    def text(self, field: str) -> str:
        """A field that must be a string."""
        value = self.fields.get(field)
        if not isinstance(value, str):
            raise ConfigError(f"{self.where}: {field}", "a string", value)
        return value


def file_kind(path: Path) -> str:
    """The suffix of a file, below one that says it is compressed."""
    return path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix


@contextmanager
def decompressing(path: Path) -> Iterator[None]:
    """Names a file that is found to be cut off or no gzip file while it is read."""
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ConfigError(path.name, "a whole gzip file", str(error)) from error


def read_records(path: Path, fields: Sequence[str]) -> Iterator[Record]:
    """All records of a `.jsonl`, `.jsonl.gz` or `.parquet` file, in order; `fields` are those that will be looked at."""
    return _rows(path, fields) if path.suffix == ".parquet" else _lines(path)


def _lines(path: Path) -> Iterator[Record]:
    with decompressing(path), gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                where = f"{path.name} line {number}"
                try:
                    record = json.loads(line)
                except ValueError as error:
                    raise ConfigError(where, "a JSON object", line[:80]) from error
                if not isinstance(record, dict):
                    raise ConfigError(where, "a JSON object", line[:80])
                yield Record(where, record)


def _rows(path: Path, fields: Sequence[str]) -> Iterator[Record]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        rule = "readable: parquet needs the package 'pyarrow', which comes with the extra 'parquet' of gpu-backend/pyproject.toml"
        raise ConfigError(str(path), rule, "not installed") from error
    try:
        with parquet.ParquetFile(path) as file:
            present = [field for field in fields if field in file.schema_arrow.names]
            number = 0
            for batch in file.iter_batches(PARQUET_ROWS, columns=present):
                for row in batch.to_pylist():
                    number += 1
                    yield Record(f"{path.name} row {number}", row)
    except ArrowException as error:
        raise ConfigError(path.name, "a parquet file", str(error)) from error
