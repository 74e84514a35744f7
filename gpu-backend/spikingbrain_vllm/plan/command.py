"""`plan`: what a model needs on these accelerators, and how it is started there. Needs neither them nor vLLM."""

import argparse
import json
import re
import shlex
from collections.abc import Iterator
from typing import Any

from spikingbrain.cli.inspect import NAMED, find_config
from spikingbrain.cli.values import Commands, positive, positive_number
from spikingbrain.rules import ConfigError
from spikingbrain.sizes import parameter_count

from spikingbrain_vllm.plan.launch import node_commands
from spikingbrain_vllm.plan.layout import Layout
from spikingbrain_vllm.plan.memory import STEP_BYTES, UTILISATION, WEIGHT_BYTES, Plan, Pool, plan, plans

GIGABYTE = 10**9
DEFAULT_CONTEXT, DEFAULT_LINK, DEFAULT_DRAIN = 32_768, 25.0, 120.0


def add(commands: Commands) -> None:
    parser = commands.add_parser(
        "plan",
        help="say how a model is spread over accelerators, what fits, and how it is started",
        description="Counts from a model's config: weights and states of each accelerator, conversations that fit, network for states.",
    )
    parser.add_argument("model", metavar="MODEL", help=f"a folder, a .gguf file, a config.json, or one of {', '.join(NAMED)}")
    parser.add_argument("--gpus", type=_gpus, required=True, metavar="NxMGB", help="accelerators of a node and the memory of each: 8x80GB")
    parser.add_argument("--nodes", type=positive, default=1, metavar="N", help="such nodes (1)")
    parser.add_argument("--context", type=positive, default=DEFAULT_CONTEXT, metavar="N", help="tokens of a conversation (32768)")
    parser.add_argument("--weights", choices=tuple(WEIGHT_BYTES), default="bfloat16", help="type of weights in memory (bfloat16)")
    parser.add_argument("--key-values", choices=("float32", "bfloat16"), default="bfloat16", help="type of keys and values (bfloat16)")
    parser.add_argument("--tensor", type=positive, metavar="T", help="tensor-parallel ranks, instead of the best layout")
    parser.add_argument("--data", type=positive, default=1, metavar="D", help="data-parallel ranks beside --tensor (1)")
    parser.add_argument("--expert-parallel", action="store_true", help="whole experts on each accelerator, beside --tensor")
    parser.add_argument(
        "--link", type=positive_number, default=DEFAULT_LINK, metavar="GBIT", help="a node's network, gigabits a second (25)"
    )
    parser.add_argument(
        "--drain-seconds", type=positive_number, default=DEFAULT_DRAIN, metavar="S", help="time for all states to leave (120)"
    )
    parser.add_argument("--port", type=positive, default=8_000, metavar="N", help="port in the commands (8000)")
    parser.add_argument("--key-file", default="/run/secrets/spikingbrain/keys", metavar="FILE", help="key file in the commands")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Raises ConfigError where nothing fits."""
    config = find_config(arguments.model)[0]
    pool = Pool(arguments.nodes, *arguments.gpus)
    if arguments.tensor is not None:
        layout = Layout(arguments.tensor, arguments.data, arguments.expert_parallel)
        if layout.accelerators > pool.accelerators:
            raise ConfigError("tensor x data", f"at most the {pool.accelerators} accelerators", layout.accelerators)
        found = [plan(config, pool, layout, arguments.context, arguments.weights, arguments.key_values)]
    else:
        found = plans(config, pool, arguments.context, arguments.weights, arguments.key_values)
    if not found or not found[0].fits:
        rule = f"enough for the weights and one conversation of {arguments.context} tokens in some layout"
        raise ConfigError("gpus", rule, f"{pool.nodes} x {pool.per_node} x {pool.bytes_each / GIGABYTE:g} GB")
    facts = describe(found[0], arguments) | {"layouts": [{"layout": str(one.layout), "sessions": one.sessions} for one in found]}
    print(json.dumps(facts) if arguments.json else "\n".join(_lines(facts)))
    return 0


def describe(chosen: Plan, arguments: argparse.Namespace) -> dict[str, Any]:
    parameters, state_file = parameter_count(chosen.config), chosen.state_file_bytes
    link = arguments.link * GIGABYTE / 8
    commands = node_commands(chosen, arguments.model, arguments.port, arguments.key_file, "$HEAD")
    return {
        "model": chosen.config.name,
        "parameters": parameters.total,
        "active_parameters": parameters.active,
        "layout": str(chosen.layout),
        "tensor": chosen.layout.tensor,
        "data": chosen.layout.data,
        "expert_parallel": chosen.layout.has_expert_parallel,
        "replicas": chosen.replicas,
        "accelerators_per_replica": chosen.layout.accelerators,
        "context": chosen.context,
        "ranks": [
            {"tensor": one.rank.tensor, "data": one.rank.data, "weight_bytes": one.weight_bytes, "session_bytes": one.state_bytes}
            for one in chosen.ranks
        ],
        "sessions_per_replica": chosen.sessions_per_replica,
        "sessions_per_accelerator": chosen.sessions_per_replica / chosen.layout.accelerators,
        "sessions": chosen.sessions,
        "state_file_bytes": state_file,
        "state_file_seconds": state_file / link,
        "drain_gigabits_a_second": chosen.sessions_per_replica * state_file * 8 / arguments.drain_seconds / GIGABYTE,
        "drain_seconds": chosen.sessions_per_replica * state_file / link,
        "commands": [shlex.join(command).replace("'$HEAD'", "$HEAD") for command in commands],
    }


def _gpus(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([1-9]\d{0,3})x([1-9]\d{0,3})GB", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"must be accelerators of a node and the memory of each, such as 8x80GB; it is {text!r}")
    return int(found[1]), int(found[2]) * GIGABYTE


def _lines(facts: dict[str, Any]) -> Iterator[str]:
    yield f"{facts['model']}: {facts['parameters']:,} parameters, {facts['active_parameters']:,} of them for a token"
    count = f"{facts['replicas']} replicas of {facts['accelerators_per_replica']}"
    yield f"layout               {facts['layout']}, {count} accelerators"
    for one in facts["ranks"]:
        place = f"rank {one['data']}.{one['tensor']}"
        yield f"{place:<21}{_gigabytes(one['weight_bytes'])} of weights, {_gigabytes(one['session_bytes'])} a conversation"
    yield f"kept free            {STEP_BYTES / GIGABYTE:g} GB for a step, {1 - UTILISATION:.0%} of the memory"
    each = f"{facts['sessions_per_accelerator']:.1f} an accelerator"
    yield f"conversations        {facts['sessions']:,} of {facts['context']:,} tokens, {each}"
    yield f"a state file         {_gigabytes(facts['state_file_bytes'])}, {facts['state_file_seconds']:.2f} s on the link"
    hand_over = f"{facts['drain_gigabits_a_second']:.1f} Gbit/s within the draining time, {facts['drain_seconds']:.0f} s on the link"
    yield f"all of a replica's   {hand_over}"
    others = ", ".join(f"{one['layout']} ({one['sessions']:,})" for one in facts["layouts"][1:])
    yield f"other layouts        {others or 'none'}"
    yield ""
    yield from facts["commands"]


def _gigabytes(count: int) -> str:
    return f"{count / GIGABYTE:.3f} GB"
