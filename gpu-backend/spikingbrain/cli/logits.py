"""`logits`: the reference model's logits after each token."""

import argparse
import json
from pathlib import Path

from spikingbrain.checkpoint.errors import CheckpointError

from .values import Commands, positive_number, token_list


def add(commands: Commands) -> None:
    parser = commands.add_parser(
        "logits",
        help="print the reference model's logits after each token",
        description='Runs the reference model. The last line is one JSON object: {"logits": [[…] per position]}.',
    )
    parser.add_argument("--model", type=Path, required=True, metavar="PATH", help="Hugging Face folder or .gguf file")
    parser.add_argument("--tokens", type=token_list, required=True, metavar="IDS", help="token ids joined by commas")
    parser.add_argument("--spikes", choices=("off", "paper", "released"), help="spiking mode (that of the model's config, or off)")
    parser.add_argument("--k", type=positive_number, metavar="K", help="a token's threshold is mean|x| / K (3)")
    parser.add_argument("--type", choices=("f32", "f64", "bf16"), default="f32", help="type the model computes in (f32)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    import torch

    from spikingbrain.checkpoint.loading import load_model

    dtype = {"f32": torch.float32, "f64": torch.float64, "bf16": torch.bfloat16}[arguments.type]
    model = load_model(arguments.model, spikes=arguments.spikes, k=arguments.k, dtype=dtype)
    with torch.inference_mode():
        logits = model.logits(torch.tensor(arguments.tokens))
    if not logits.isfinite().all():
        raise CheckpointError(f"{arguments.model}: logits must be finite; the weights are so large that some are not")
    print(json.dumps({"logits": logits.tolist()}, allow_nan=False))
