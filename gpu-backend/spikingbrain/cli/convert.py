"""`convert`: makes a SpikingBrain of an ordinary Transformer."""

import argparse
from pathlib import Path

from .values import Commands

# Spelled out here because the module that defines them needs torch; a test compares.
STAGES = (
    "data",
    "chats",
    "copies",
    "salience",
    "transfer",
    "distil",
    "sft",
    "evaluate",
    "ablate",
    "far",
    "recall",
    "programs",
    "spikes",
    "spike-distil",
    "export",
)


def add(commands: Commands) -> None:
    parser = commands.add_parser(
        "convert",
        help="train linear attention in or beside a Transformer's windows, as one TOML file says",
        description="Runs the stages of a conversion; what is there already is passed by, and a stopped stage goes on at its last "
        "checkpoint. Under torchrun, training is shared among all processes.",
    )
    parser.add_argument("settings", type=Path, metavar="SETTINGS", help="TOML file, such as gpu-backend/convert/spikingbrain-135m.toml")
    parser.add_argument("--stage", choices=STAGES, action="append", help="only this stage; may repeat")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="threads of each process (1)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    import torch

    from spikingbrain.convert.pipeline import convert
    from spikingbrain.convert.settings import read_settings
    from spikingbrain.convert.train.team import Team

    torch.set_num_threads(arguments.threads)
    settings = read_settings(arguments.settings)
    team = Team.join(accelerated=settings.hybrid is not None, shares_weights=settings.team.shard)
    convert(settings, team, lambda line: print(line, flush=True), arguments.stage or STAGES)
