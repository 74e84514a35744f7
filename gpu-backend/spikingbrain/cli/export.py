"""`export`: a checkpoint as a GGUF file or as a Hugging Face folder."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .progress import ProgressLine
from .values import Commands, byte_count, positive_number

if TYPE_CHECKING:
    from spikingbrain.checkpoint.source import WeightSource
    from spikingbrain.config import Config
    from spikingbrain.export.safetensors_writer import PlannedTensor

# Spelled out here because the modules that define them need torch; a test compares.
GGUF_TYPES = ("f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "w8")
FOLDER_TYPES = ("f32", "f16", "bf16")


def add(commands: Commands) -> None:
    parser = commands.add_parser(
        "export",
        help="write a checkpoint as GGUF or as a Hugging Face folder",
        description="Reads a checkpoint (a Hugging Face folder with safetensors or pytorch_model*.bin, in the released 7B's, W8ASpike's or "
        "our own form, or a GGUF) and writes it tensor by tensor: as OUT.gguf, or, where OUT does not end in .gguf, as a folder.",
    )
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="folder or .gguf file")
    parser.add_argument("out", type=Path, metavar="OUT", help="file that ends in .gguf, or a new folder")
    parser.add_argument("--type", choices=GGUF_TYPES, default="bf16", help="element type of matrices; a folder has f32, f16 or bf16 (bf16)")
    parser.add_argument("--shard-bytes", type=byte_count, metavar="N", help="split into numbered files of at most N bytes, such as 2G")
    parser.add_argument("--tokenizer", type=Path, metavar="DIR", help="folder of the tokenizer's files, where the checkpoint has none")
    parser.add_argument("--spikes", choices=("off", "paper", "released"), help="spiking mode that the file asks for (the checkpoint's)")
    parser.add_argument("--k", type=positive_number, metavar="K", help="a token's threshold is mean|x| / K (the checkpoint's)")
    parser.set_defaults(run=run, parser=parser)


def run(arguments: argparse.Namespace) -> None:
    require_type_of_out(arguments)
    from spikingbrain.checkpoint.opening import open_checkpoint

    for path in write_source(open_checkpoint(arguments.checkpoint, arguments.spikes, arguments.k), arguments):
        print(path)


def require_type_of_out(arguments: argparse.Namespace) -> None:
    """Refuses a type that a folder cannot have."""
    if arguments.out.suffix != ".gguf" and arguments.type not in FOLDER_TYPES:
        arguments.parser.error(f"--type must be one of {', '.join(FOLDER_TYPES)} for a folder; it is {arguments.type}")


def write_source(source: "WeightSource", arguments: argparse.Namespace) -> list[Path]:
    """Writes `arguments.out` as a GGUF or a folder, by its name."""
    write = write_gguf_file if arguments.out.suffix == ".gguf" else _write_stored
    return write(source, arguments)


def write_gguf_file(source: "WeightSource", arguments: argparse.Namespace) -> list[Path]:
    """Writes `arguments.out` as `arguments.type`, with the tokenizer of the checkpoint or of `arguments.tokenizer`."""
    from spikingbrain.checkpoint.opening import find_tokenizer
    from spikingbrain.checkpoint.tokenizer import read_tokenizer
    from spikingbrain.export.gguf_writer import write_gguf

    given = arguments.tokenizer
    tokenizer = read_tokenizer(given, source.config.vocabulary) if given else find_tokenizer(arguments.checkpoint, source)
    progress = ProgressLine(f"writing {arguments.out.name}")
    return write_gguf(source, arguments.out, arguments.type, tokenizer, arguments.shard_bytes, progress)


def write_folder(source: "WeightSource", config: "Config", tensors: "Sequence[PlannedTensor]", arguments: argparse.Namespace) -> list[Path]:
    """Writes `arguments.out` with the tokenizer files of the checkpoint or of `arguments.tokenizer`, or with those that a GGUF's makes."""
    from spikingbrain.checkpoint.fast_tokenizer import write_fast_tokenizer
    from spikingbrain.checkpoint.opening import find_tokenizer
    from spikingbrain.export.hugging_face_writer import write_hugging_face

    folder = arguments.tokenizer or (arguments.checkpoint if arguments.checkpoint.is_dir() else None)
    progress = ProgressLine(f"writing {arguments.out.name}")
    written = write_hugging_face(config, tensors, arguments.out, folder, arguments.shard_bytes, progress)
    tokenizer = find_tokenizer(arguments.checkpoint, source) if folder is None else None
    return written if tokenizer is None else [*written, *write_fast_tokenizer(tokenizer, arguments.out)]


def _write_stored(source: "WeightSource", arguments: argparse.Namespace) -> list[Path]:
    import torch

    from spikingbrain.export.hugging_face_writer import stored_tensors

    dtype = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}[arguments.type]
    return write_folder(source, source.config, stored_tensors(source, dtype), arguments)
