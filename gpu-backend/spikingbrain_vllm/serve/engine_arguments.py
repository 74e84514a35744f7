"""vLLM's arguments of a replica: what the command settles, then the caller's own."""

import json
from argparse import Namespace
from pathlib import Path

from spikingbrain_vllm.serve.generate_request import MOST_SCORED
from spikingbrain_vllm.serve.options import Options
from spikingbrain_vllm.serve.run_folder import RunFolder
from spikingbrain_vllm.serve.served_model import ServedModel
from spikingbrain_vllm.telemetry.settings import additional_config

CONNECTOR = "SpikingBrainStateConnector"


def engine_arguments(options: Options, model: ServedModel, folder: RunFolder, key_file: Path) -> Namespace:
    """As vLLM's own parser has them; a wrong option ends the process with that parser's message and code 2."""
    from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    settled = ["--model", str(model.folder), "--served-model-name", model.id, "--host", options.host, "--port", str(options.port)]
    settled += ["--disable-fastapi-docs", "--enable-scale-out", "--enable-prompt-tokens-details", "--disable-uvicorn-access-log"]
    settled += ["--max-logprobs", str(MOST_SCORED + 1)]
    if model.load_format is not None:
        settled += ["--load-format", model.load_format]
    if not model.has_tokenizer:
        settled.append("--skip-tokenizer-init")
    else:
        # The library that the edge has (`wasm/grammar`), and JSON as there: without white space between values.
        settled += ["--structured-outputs-config", json.dumps({"backend": "guidance", "disable_any_whitespace": True})]
    if not options.has_no_states:
        settled += ["--kv-transfer-config", json.dumps(_transfer(model, folder.states, key_file))]
    if options.counts_spikes:
        settled += ["--additional-config", json.dumps(additional_config(folder.spikes))]
    parser = make_arg_parser(FlexibleArgumentParser(prog="python -m spikingbrain_vllm serve MODEL … --"))  # type: ignore[no-untyped-call]
    arguments = parser.parse_args([*settled, *options.engine])
    # vLLM's own key is not used: ours guards every route. It would be taken from the environment.
    arguments.api_key = None
    validate_parsed_serve_args(arguments)
    return arguments


def _transfer(model: ServedModel, states: Path, key_file: Path) -> dict[str, object]:
    extra = {
        "directory": str(states),
        "key_file": str(key_file),
        "weights_sha256": model.digest,
        "tokenizer_sha256": model.tokenizer_digest,
    }
    connector = {"kv_connector": CONNECTOR, "kv_role": "kv_both", "kv_load_failure_policy": "recompute"}
    return {**connector, "kv_connector_extra_config": extra}
