"""`upcycle`: a dense checkpoint as one with experts."""

import argparse
from pathlib import Path

from .export import GGUF_TYPES, require_type_of_out, write_source
from .values import Commands, byte_count, number_list, positive, positive_number, seed

ROUTERS = ("softmax", "sigmoid")


def add(commands: Commands) -> None:
    parser = commands.add_parser(
        "upcycle",
        help="write a dense checkpoint as a model with experts",
        description="Every expert of a layer starts as a copy of its dense feed-forward, scaled so that a token's experts together give "
        "about what that gave; the router starts from scratch. Reads and writes tensor by tensor, as export does.",
    )
    parser.add_argument("checkpoint", type=Path, metavar="SOURCE", help="folder or .gguf file of a model without experts")
    parser.add_argument("out", type=Path, metavar="OUT", help="file that ends in .gguf, or a new folder")
    parser.add_argument("--experts", type=positive, required=True, metavar="N", help="routed experts of a layer")
    parser.add_argument("--used", type=positive, required=True, metavar="K", help="how many of them a token uses")
    parser.add_argument("--shared", action="store_true", help="one more expert that every token uses")
    parser.add_argument("--every", type=positive, default=1, metavar="M", help="experts in every Mth layer, counted from 1 (1: in all)")
    parser.add_argument("--dense", type=number_list, default=[], metavar="LAYERS", help="layers that stay dense, from 1, such as 1,2,3")
    parser.add_argument("--router", choices=ROUTERS, default="softmax", help="how router logits become scores (softmax)")
    parser.add_argument("--normalised", action="store_true", help="scale the used experts' scores to sum to 1")
    parser.add_argument("--scale", type=positive_number, metavar="A", help="of experts' weights ((shared + K/N)^(-1/3) for a softmax)")
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help="of the routers (0)")
    parser.add_argument("--type", choices=GGUF_TYPES, default="bf16", help="element type of matrices; a folder has f32, f16 or bf16 (bf16)")
    parser.add_argument("--shard-bytes", type=byte_count, metavar="N", help="split into numbered files of at most N bytes, such as 2G")
    parser.add_argument("--tokenizer", type=Path, metavar="DIR", help="folder of the tokenizer's files, where the checkpoint has none")
    parser.set_defaults(run=run, parser=parser)


def run(arguments: argparse.Namespace) -> None:
    require_type_of_out(arguments)
    if arguments.used > arguments.experts:
        arguments.parser.error(f"--used must be at most {arguments.experts} experts; it is {arguments.used}")
    from spikingbrain.checkpoint.opening import open_checkpoint
    from spikingbrain.upcycle.scale import expert_scale
    from spikingbrain.upcycle.upcycled_source import UpcycledSource, experts_of, upcycled_config

    dense = open_checkpoint(arguments.checkpoint)
    layers = range(1, len(dense.config.layers) + 1)
    if strange := [number for number in arguments.dense if number not in layers]:
        arguments.parser.error(f"--dense must name layers from 1 to {len(layers)}; it names {strange[0]}")
    chosen = [number - 1 for number in layers if number % arguments.every == 0 and number not in arguments.dense]
    experts = experts_of(dense.config, arguments.experts, arguments.used, arguments.shared, arguments.router, arguments.normalised)
    scale = expert_scale(experts) if arguments.scale is None else arguments.scale
    source = UpcycledSource(dense, upcycled_config(dense.config, experts, chosen), scale, arguments.seed)
    for path in write_source(source, arguments):
        print(path)
