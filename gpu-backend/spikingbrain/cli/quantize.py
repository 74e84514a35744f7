"""`quantize`: a checkpoint with fewer bits."""

import argparse
from pathlib import Path

from .export import write_folder, write_gguf_file
from .values import Commands, byte_count


def add(commands: Commands) -> None:
    parser = commands.add_parser(
        "quantize",
        help="write a checkpoint in W8ASpike's form, or a GGUF with another type",
        description="With --type w8: a folder in W8ASpike's form, f32 weights with a quantiser's scales per row and 128 inputs. "
        "With another type: a GGUF of that type, from a folder or from another GGUF.",
    )
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="folder or .gguf file")
    parser.add_argument("out", type=Path, metavar="OUT", help="a new folder for w8, else a file that ends in .gguf")
    parser.add_argument("--type", choices=("w8", "q8_0", "q4_0", "q4_1"), required=True)
    parser.add_argument("--shard-bytes", type=byte_count, metavar="N", help="split into numbered files of at most N bytes, such as 2G")
    parser.add_argument("--tokenizer", type=Path, metavar="DIR", help="folder of the tokenizer's files, where the checkpoint has none")
    parser.set_defaults(run=run, parser=parser)


def run(arguments: argparse.Namespace) -> None:
    if (arguments.type == "w8") == (arguments.out.suffix == ".gguf"):
        arguments.parser.error(
            f"OUT must be a folder for w8 and end in .gguf for another type; it is {arguments.out.name} for {arguments.type}"
        )
    from spikingbrain.checkpoint.opening import open_checkpoint
    from spikingbrain.export.w8 import w8_tensors

    source = open_checkpoint(arguments.checkpoint)
    written = write_folder(source, *w8_tensors(source), arguments) if arguments.type == "w8" else write_gguf_file(source, arguments)
    for path in written:
        print(path)
