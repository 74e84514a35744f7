"""Finds the weight files of a Hugging Face folder, and which tensor lies in which."""

import re
from dataclasses import dataclass
from pathlib import Path

from .errors import CheckpointError, listed
from .json_file import read_object
from .shard import open_shard

# In order of preference: safetensors can be read in part and holds no code.
FORMATS = (("model.safetensors.index.json", "*.safetensors"), ("pytorch_model.bin.index.json", "pytorch_model*.bin"))
NUMBERED = re.compile(r"^(.*)-(\d{1,5})-of-(\d{1,5})(\.\w+)$")


@dataclass(frozen=True)
class Location:
    """Where a tensor lies."""

    file: Path
    shape: tuple[int, ...]


def locate_tensors(folder: Path) -> dict[str, Location]:
    """Every tensor of the folder by name, in file order: of the files an index names, or, without one, of all of the preferred format.

    Opens one file at a time and reads no values.
    """
    if not folder.is_dir():
        raise CheckpointError(f"{folder} is not a folder")
    for index, pattern in FORMATS:
        if (folder / index).is_file():
            return _of_index(folder / index)
        if files := sorted(folder.glob(pattern)):
            _require_all_numbers(files)
            return _of_files(files)
    raise CheckpointError(f"{folder} has no weights: neither *.safetensors nor pytorch_model*.bin")


def _of_files(files: list[Path]) -> dict[str, Location]:
    found: dict[str, Location] = {}
    problems = []
    for file in files:
        for name, shape in open_shard(file).shapes().items():
            if name in found:
                problems.append(f"tensor '{name}' must be in one file; it is in {found[name].file.name} and {file.name}")
            found[name] = Location(file, shape)
    if problems:
        raise listed(f"{files[0].parent}", problems)
    return found


def _of_index(index: Path) -> dict[str, Location]:
    weight_map = read_object(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map or not all(isinstance(name, str) for name in weight_map.values()):
        raise CheckpointError(f"{index}: weight_map must be an object of file names; it is {str(weight_map)[:80]}")
    names = sorted(set(weight_map.values()))
    if problems := [
        f"{name!r} must be a file beside it" for name in names if Path(name).name != name or not (index.parent / name).is_file()
    ]:
        raise listed(f"{index}", problems)
    found = _of_files([index.parent / name for name in names])
    for name, file in weight_map.items():
        if name not in found:
            problems.append(f"tensor '{name}' must be in {file}; it is missing")
        elif found[name].file.name != file:
            problems.append(f"tensor '{name}' must be in {file}; it is in {found[name].file.name}")
    if problems:
        raise listed(f"{index}", problems)
    return found


def _require_all_numbers(files: list[Path]) -> None:
    """A file called `…-00002-of-00015…` promises fourteen others."""
    expected: dict[str, None] = {}
    for path in files:
        if match := NUMBERED.match(path.name):
            stem, number, count, suffix = match.groups()
            expected |= {f"{stem}-{index:0{len(number)}}-of-{count}{suffix}": None for index in range(1, int(count) + 1)}
    present = {path.name for path in files}
    if missing := [f"{name} is missing" for name in expected if name not in present]:
        raise listed(f"{files[0].parent}", missing)
