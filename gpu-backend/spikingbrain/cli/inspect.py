"""`inspect`: what a model is, what it weighs, and what a conversation with it takes."""

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spikingbrain.checkpoint.errors import CheckpointError
from spikingbrain.checkpoint.json_file import read_object
from spikingbrain.config import Config
from spikingbrain.hugging_face import from_hugging_face
from spikingbrain.presets import seven_billion, seventy_six_billion
from spikingbrain.sizes import parameter_count, state_bytes

from .values import Commands, positive, readable_bytes

NAMED = {
    "7b": seven_billion,
    "76b": seventy_six_billion,
    "76b-separate": lambda: seventy_six_billion(projections="separate"),
}
CONTEXTS = [1_024, 4_096, 32_768, 131_072, 1_048_576]


def add(commands: Commands) -> None:
    parser = commands.add_parser(
        "inspect",
        help="print parameters, state bytes at any context and bytes per token",
        description="Describes a checkpoint, a GGUF, or a published model by name. A checkpoint's tensors are checked, not read.",
    )
    parser.add_argument("model", metavar="MODEL", help=f"a folder, a .gguf file, a config.json, or one of {', '.join(NAMED)}")
    parser.add_argument(
        "--context", type=positive, action="append", metavar="N", help="tokens of context to give the state for; may repeat"
    )
    parser.add_argument("--key-values", choices=("float32", "bfloat16", "int8"), default="bfloat16", help="type of window keys and values")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    config, stored = find_config(arguments.model)
    facts = describe(config, arguments.context or CONTEXTS, arguments.key_values) | stored
    print(json.dumps(facts) if arguments.json else "\n".join(_lines(facts)))


def describe(config: Config, contexts: list[int], key_values: Any) -> dict[str, Any]:  # noqa: ANN401 (one of argparse's choices)
    """Sizes of a model in elements and bytes."""
    parameters = parameter_count(config)
    kinds = Counter(f"{layer.mixer_name} {layer.feed_forward}" for layer in config.layers)
    states = {context: state_bytes(config, context, key_values) for context in contexts}
    return {
        "name": config.name,
        "layers": len(config.layers),
        "layer_kinds": dict(kinds),
        "hidden": config.hidden,
        "heads": config.heads,
        "kv_heads": config.kv_heads,
        "head_dim": config.head_dim,
        "vocabulary": config.vocabulary,
        "window": config.window,
        "context": config.context,
        "parameters": parameters.total,
        "active_parameters": parameters.active,
        "key_values": key_values,
        "linear_state_bytes": state_bytes(config, 0, key_values).head,
        "bytes_per_token": state_bytes(config, 0, key_values).per_token,
        "state": [
            {"context": context, "bytes": state.total, "page_bytes": state.pages, "bytes_per_token": state.per_token}
            for context, state in states.items()
        ],
    }


def find_config(model: str) -> tuple[Config, dict[str, Any]]:
    """Of a folder, a GGUF, a `config.json` or a published model's name, and what is stored there. Raises CheckpointError or ConfigError."""
    if model in NAMED and not Path(model).exists():
        return NAMED[model](), {}
    if not Path(model).exists():
        raise CheckpointError(f"{model!r} must be a folder, a .gguf file, a config.json, or one of {', '.join(NAMED)}; it is not there")
    if Path(model).suffix == ".json":
        return from_hugging_face(read_object(Path(model))), {}
    from spikingbrain.checkpoint.gguf_file import GgufFile
    from spikingbrain.checkpoint.hugging_face_folder import HuggingFaceFolder
    from spikingbrain.checkpoint.opening import open_checkpoint

    source = open_checkpoint(Path(model))
    stored: dict[str, Any] = {}
    if isinstance(source, GgufFile):
        stored["stored_types"] = dict(Counter(kind.name.lower() for kind in source.types.values()))
        stored["stored_bytes"] = source.tensor_bytes
    elif isinstance(source, HuggingFaceFolder):
        stored["w8_scales"] = source.is_w8
        stored["stored_bytes"] = source.file_bytes
    return source.config, stored


def _lines(facts: dict[str, Any]) -> Iterator[str]:
    yield facts["name"] or "(no name)"
    kinds = ", ".join(f"{count} {kind}" for kind, count in facts["layer_kinds"].items())
    yield f"layers               {facts['layers']}: {kinds}"
    yield f"width                {facts['hidden']}, {facts['heads']} heads of {facts['head_dim']}, {facts['kv_heads']} for keys and values"
    yield f"vocabulary           {facts['vocabulary']:,}"
    yield f"window               {facts['window'] or 'none'}"
    yield f"trained context      {facts['context']:,} tokens"
    yield f"parameters           {facts['parameters']:,}"
    yield f"active for a token   {facts['active_parameters']:,}"
    if "stored_bytes" in facts:
        types = ", ".join(f"{count} {kind}" for kind, count in facts.get("stored_types", {}).items())
        yield f"stored               {readable_bytes(facts['stored_bytes'])}{f' ({types} tensors)' if types else ''}"
    if facts.get("w8_scales"):
        yield "weights              W8ASpike, with scales per row and 128 inputs"
    yield f"linear state         {readable_bytes(facts['linear_state_bytes'])}, constant"
    yield f"a token of context   {readable_bytes(facts['bytes_per_token'])} of {facts['key_values']} keys and values"
    yield ""
    yield f"{'context':>12}  {'state':>12}  {'next token':>12}"
    for state in facts["state"]:
        yield f"{state['context']:>12,}  {readable_bytes(state['bytes']):>12}  {readable_bytes(state['bytes_per_token']):>12}"
