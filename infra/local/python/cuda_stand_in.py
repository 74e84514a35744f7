"""Lets the torch wheel of PyPI load on a machine without NVIDIA's libraries: `python cuda_stand_in.py FOLDER_OF_TORCH_LIBRARIES`.

On Linux that wheel is a CUDA build, whose loader wants two gigabytes of libraries that a CPU never calls. Where they are missing, this
builds one small library with their names and symbols beside torch's own. Every function in it returns 100, which both CUDA APIs define
as "no device", so torch finds no GPU and runs on the CPU. Real libraries, installed later, are found before it. Needs cc, ldd and readelf,
which every Linux that compiles Rust has.
"""

import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

NAME = "libcuda_stand_in.so"
NO_DEVICE = 100
# Some of NVIDIA's libraries do not version their symbols; only these prefixes tell them from the system's.
UNVERSIONED = re.compile(r"cu[A-Z]|cufft|curand|cusparseLt|nccl|nvshmem")


def output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def missing_libraries(libraries: list[Path]) -> set[str]:
    """Names that the dynamic loader looks for in vain."""
    return {name for library in libraries for name in re.findall(r"^\s*(\S+) => not found", output("ldd", str(library)), re.MULTILINE)}


def wanted_symbols(libraries: list[Path], missing: set[str]) -> dict[str, set[str]]:
    """Symbols that no library here defines, by their version; unversioned ones under the empty name."""
    undefined: set[tuple[str, str]] = set()
    defined: set[str] = set()
    versions = {""}
    for library in libraries:
        for name, block in re.findall(
            r"File: (\S+)(.*?)(?=File:|\Z)", output("readelf", "--version-info", "--wide", str(library)), re.DOTALL
        ):
            if name in missing:
                versions.update(re.findall(r"Name: (\S+)", block))
        for line in output("readelf", "--dyn-syms", "--wide", str(library)).splitlines():
            fields = line.split()
            if len(fields) < 8 or not fields[0].rstrip(":").isdigit():
                continue
            binding, section, (symbol, _, version) = fields[4], fields[6], fields[7].partition("@")
            if section != "UND":
                defined.add(symbol)
            elif binding == "GLOBAL" and (version or UNVERSIONED.match(symbol)):
                undefined.add((symbol, version.lstrip("@")))
    wanted: dict[str, set[str]] = defaultdict(set)
    for symbol, version in undefined:
        if version in versions and symbol not in defined:
            wanted[version].add(symbol)
    return wanted


def build(folder: Path, wanted: dict[str, set[str]]) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        source, versions = Path(temporary, "stand_in.c"), Path(temporary, "stand_in.map")
        symbols = sorted(symbol for of_version in wanted.values() for symbol in of_version)
        source.write_text("".join(f"int {symbol}(void) {{ return {NO_DEVICE}; }}\n" for symbol in symbols))
        versions.write_text("".join(f"{version} {{ {'; '.join(sorted(of))}; }};\n" for version, of in wanted.items() if version))
        script = f"-Wl,--version-script={versions}"
        output("cc", "-shared", "-fPIC", "-w", "-fno-builtin", f"-Wl,-soname,{NAME}", script, "-o", str(folder / NAME), str(source))


def clear(folder: Path) -> None:
    """What an earlier run left, perhaps for another version of torch."""
    for path in folder.iterdir():
        if path.name == NAME or (path.is_symlink() and path.readlink() == Path(NAME)):
            path.unlink()


def main(folder: Path) -> None:
    clear(folder)
    libraries = sorted(path for path in folder.glob("lib*.so*") if not path.is_symlink())
    missing = missing_libraries(libraries)
    if not missing:
        return
    build(folder, wanted_symbols(libraries, missing))
    for name in missing:
        (folder / name).symlink_to(NAME)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
