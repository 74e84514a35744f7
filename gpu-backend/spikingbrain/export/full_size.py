"""Proves conversion at full size: writes a synthetic checkpoint in bf16 shards, converts it, loads the result and compares all of it.

    (cd wasm && cargo build --release --example load)
    python -m spikingbrain.export.full_size FOLDER [--model 7b] [--type q4_0] [--record FILE] \\
        [--engine wasm/target/release/examples/load]

Each step is a process of its own, whose peak of resident memory is measured. `FOLDER` needs room for both files (20 GB for the 7B) and is
empty again afterwards.
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from spikingbrain.checkpoint.gguf_file import GgufFile
from spikingbrain.checkpoint.names import TensorName
from spikingbrain.checkpoint.random_weights import RandomWeights
from spikingbrain.cli.inspect import NAMED
from spikingbrain.cli.progress import ProgressLine
from spikingbrain.cli.values import readable_bytes
from spikingbrain.config import Config
from spikingbrain.sizes import parameter_count

from .gguf_writer import encoded, plan
from .hugging_face_writer import stored_tensors, write_hugging_face
from .tensor_type import TYPES, TypeName

POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Step:
    """What a process took. Resident memory is in bytes; the anonymous part leaves out the pages of mapped files."""

    name: str
    seconds: float
    resident: int
    anonymous: int


def measure(name: str, command: list[str]) -> Step:
    """Runs a process to its end; raises when it fails."""
    begin = time.monotonic()
    peaks = {"VmHWM": 0, "RssAnon": 0}
    with subprocess.Popen(command) as process:
        while process.poll() is None:
            _raise_peaks(peaks, Path(f"/proc/{process.pid}/status"))
            time.sleep(POLL_SECONDS)
    if process.returncode != 0:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Step(name, time.monotonic() - begin, peaks["VmHWM"], peaks["RssAnon"])


def _raise_peaks(peaks: dict[str, int], status: Path) -> None:
    try:
        lines = status.read_text().splitlines()
    except OSError:
        # The process has ended between two looks.
        return
    for key, _, value in (line.partition(":") for line in lines):
        if key in peaks:
            peaks[key] = max(peaks[key], int(value.split()[0]) * 1_024)


def write(config: Config, folder: Path) -> None:
    """The synthetic checkpoint."""
    tensors = stored_tensors(RandomWeights(config), torch.bfloat16)
    write_hugging_face(config, tensors, folder, progress=ProgressLine("writing the checkpoint"))


def compare(config: Config, path: Path, kind: TypeName) -> None:
    """Every byte of the file's tensors with those of the weights made again, not read from the checkpoint."""
    expected, found = Rounded(config), GgufFile(path)
    tensors = plan(expected, kind)
    total, done, progress = sum(tensor.bytes for tensor in tensors), 0, ProgressLine("comparing")
    for tensor in tensors:
        if not np.array_equal(found.stored(tensor.name), encoded(expected, tensor)):
            raise AssertionError(f"{tensor.name} differs from the weights it was made of")
        done += tensor.bytes
        progress(done, total)


class Rounded(RandomWeights):
    """The random weights as a bf16 checkpoint holds them."""

    def _tensor(self, name: TensorName) -> torch.Tensor:
        return super()._tensor(name).to(torch.bfloat16).to(torch.float32)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m spikingbrain.export.full_size", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", choices=list(NAMED), default="7b")
    parser.add_argument("--type", choices=list(TYPES), default="q4_0")
    parser.add_argument("--engine", type=Path, metavar="PROGRAM", help="the engine's example `load`, which then loads the file too")
    parser.add_argument("--record", type=Path, metavar="FILE.md", help="where the measurement is written")
    parser.add_argument("--step", choices=("write", "compare"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    config, kind = NAMED[arguments.model](), arguments.type
    checkpoint, out = arguments.folder / "checkpoint", arguments.folder / f"{arguments.model}-{kind}.gguf"
    if arguments.step == "write":
        write(config, checkpoint)
    elif arguments.step == "compare":
        compare(config, out, kind)
    else:
        record = run(arguments.model, kind, checkpoint, out, arguments.engine)
        print(record)
        if arguments.record is not None:
            arguments.record.write_text(record, encoding="utf-8")


def run(model: str, kind: TypeName, checkpoint: Path, out: Path, engine: Path | None) -> str:
    """All steps; returns the record."""
    me = [sys.executable, "-m", "spikingbrain.export.full_size", str(out.parent), "--model", model, "--type", kind]
    export = [sys.executable, "-m", "spikingbrain", "export", str(checkpoint), str(out), "--type", kind]
    inspect = [sys.executable, "-m", "spikingbrain", "inspect", str(out)]
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        steps = [measure("write the checkpoint, bf16", [*me, "--step", "write"])]
        shards = [path.stat().st_size for path in checkpoint.glob("*.safetensors")]
        steps.append(measure(f"convert to {kind}", export))
        steps.append(measure("open and check (`inspect`)", inspect))
        if engine is not None:
            steps.append(measure("load in the native engine and read four tokens", [str(engine), str(out)]))
        steps.append(measure("compare every byte with the weights", [*me, "--step", "compare"]))
        return describe(model, kind, shards, out.stat().st_size, steps)
    finally:
        shutil.rmtree(checkpoint, ignore_errors=True)
        out.unlink(missing_ok=True)


def describe(model: str, kind: TypeName, shards: list[int], written: int, steps: list[Step]) -> str:
    """The record, Markdown."""
    config = NAMED[model]()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    rows = [f"| {s.name} | {s.seconds:.0f} | {readable_bytes(s.resident)} | {readable_bytes(s.anonymous)} |" for s in steps]
    largest = config.vocabulary * config.hidden
    lines = [
        f"# A synthetic {config.name}, converted at full size",
        "",
        f"`python -m spikingbrain.export.full_size FOLDER --model {model} --type {kind}`, {time.strftime('%Y-%m-%d')}.",
        "",
        f"- {parameter_count(config).total:,} parameters, random; {len(shards)} safetensors shards, {readable_bytes(sum(shards))} in all, "
        f"the largest {readable_bytes(max(shards))}",
        f"- GGUF of {readable_bytes(written)}; the largest tensor has {largest:,} elements, {readable_bytes(2 * largest)} in bf16",
        f"- {_processor()}, {os.cpu_count()} cores, {readable_bytes(memory)} of memory; Python {platform.python_version()}, torch "
        f"{torch.__version__}, numpy {np.__version__}",
        "",
        "| step | seconds | peak resident | of it anonymous |",
        "|---|--:|--:|--:|",
        *rows,
        "",
        "Resident memory counts the pages of mapped files, which the system takes back when it needs them; anonymous memory is the "
        "program's own.",
        "",
    ]
    return "\n".join(lines)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


if __name__ == "__main__":
    main()
