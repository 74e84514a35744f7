"""`serve`: one model as a replica."""

import argparse
import os
from pathlib import Path

from spikingbrain.cli.values import Commands, positive, positive_number

from spikingbrain_vllm.node import options as node
from spikingbrain_vllm.serve.options import Options, port, sha256

DRAIN_SECONDS = 120.0


def add(commands: Commands) -> None:
    parser = commands.add_parser(
        "serve",
        help="serve a model as a replica of a pool",
        description="Token ids in, token ids out, for callers that have the key. What follows `--` are vLLM's own options, such as "
        "`-- --tensor-parallel-size 4`; those that would open or rename what this command settles are refused by name.",
    )
    parser.add_argument("model", metavar="MODEL", help="a model's folder, a .gguf file, or the id of a model that set-up has made")
    parser.add_argument("--port", type=port, required=True, metavar="N", help="port to listen on, 1 to 65535")
    parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="address to listen on (127.0.0.1)")
    parser.add_argument("--key-file", type=Path, metavar="FILE", help="keys of callers, one a line (required without --node-file)")
    parser.add_argument("--served-id", metavar="ID", help="the model's public id (the folder's or file's name, or MODEL where it is an id)")
    parser.add_argument("--weights-sha256", type=sha256, metavar="HEX", help="the model's digest, where the pool knows it by another's")
    parser.add_argument("--tokenizer-sha256", type=sha256, metavar="HEX", help="its tokenizer's digest, likewise")
    parser.add_argument(
        "--drain-seconds", type=positive_number, default=DRAIN_SECONDS, metavar="S", help="longest wait after SIGTERM (120)"
    )
    parser.add_argument(
        "--most-requests", type=positive, metavar="N", help="requests at once, waiting ones with them (4 times vLLM's batch)"
    )
    parser.add_argument("--count-spikes", action="store_true", help="count the spikes of requests that ask for it")
    parser.add_argument("--no-states", action="store_true", help="no states in and out")
    node.add(parser)
    parser.set_defaults(run=run, engine=[])


def run(arguments: argparse.Namespace) -> int:
    options = Options.of(arguments)
    # Before vLLM is imported: it reads them then. Nothing is fetched and nobody is told of a replica; only this package is loaded.
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", VLLM_NO_USAGE_STATS="1", DO_NOT_TRACK="1")
    os.environ.pop("VLLM_SERVER_DEV_MODE", None)
    os.environ.pop("VLLM_DEBUG_LOG_API_SERVER_RESPONSE", None)
    os.environ["VLLM_PLUGINS"] = "spikingbrain" if options.has_no_states else "spikingbrain,spikingbrain_states"
    # Of a process of Python's own, after the last line of this one.
    os.environ.setdefault("PYTHONWARNINGS", "ignore:resource_tracker")
    # Of the two, that which is tested, and which chooses tokens by our rule.
    os.environ["VLLM_USE_V2_MODEL_RUNNER"] = "0"
    from spikingbrain_vllm.serve.server import serve

    return serve(options)
