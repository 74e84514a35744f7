"""What a replica tells vLLM, in vLLM's own words: parsed by its parser, before any engine starts."""

import argparse
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from spikingbrain_vllm.serve import command, server
from spikingbrain_vllm.serve.engine_arguments import engine_arguments
from spikingbrain_vllm.serve.options import Options
from spikingbrain_vllm.serve.run_folder import RunFolder
from spikingbrain_vllm.serve.served_model import ServedModel
from spikingbrain_vllm.state.settings import Settings

MODEL = ServedModel(
    folder=Path("/models/seven"),
    id="seven",
    digest="ab" * 32,
    tokenizer_digest="cd" * 32,
    fingerprint="ef" * 16,
    parameters=7,
    vocabulary=512,
    has_tokenizer=False,
    load_format="spikingbrain_gguf",
)


def chosen(key_file: Path, *given: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add(parser.add_subparsers())
    return parser.parse_args(["serve", "m", "--port", "8000", "--key-file", str(key_file), *given])


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    (tmp_path / "key").write_text("k" * 20)
    return tmp_path / "key"


def told(key_file: Path, *given: str, engine: tuple[str, ...] = ()) -> tuple[argparse.Namespace, RunFolder]:
    folder, arguments = RunFolder(), chosen(key_file, *given)
    arguments.engine = list(engine)
    try:
        return engine_arguments(Options.of(arguments), MODEL, folder, key_file), folder
    finally:
        folder.close()


def test_states_are_the_models_own_and_behind_the_replicas_keys(key_file: Path) -> None:
    arguments, folder = told(key_file)
    transfer: dict[str, Any] = arguments.kv_transfer_config.__dict__
    assert (transfer["kv_connector"], transfer["kv_role"]) == ("SpikingBrainStateConnector", "kv_both")
    assert transfer["kv_load_failure_policy"] == "recompute"
    settings = Settings.of(transfer["kv_connector_extra_config"])
    assert (settings.key_file, settings.directory) == (key_file, folder.states)
    assert (settings.digests.model.hex(), settings.digests.tokenizer.hex()) == (MODEL.digest, MODEL.tokenizer_digest)


def test_answers_tell_what_was_cached_and_no_other_key_opens_a_route(key_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "the-key-of-somebody-else")
    arguments, _ = told(key_file, engine=("--dtype", "float32"))
    assert arguments.enable_prompt_tokens_details and arguments.skip_tokenizer_init
    assert arguments.api_key is None and arguments.dtype == "float32"
    assert (arguments.model, arguments.served_model_name, arguments.load_format) == (str(MODEL.folder), ["seven"], "spikingbrain_gguf")


def test_what_was_not_asked_for_is_not_there(key_file: Path) -> None:
    arguments, folder = told(key_file, "--no-states")
    assert arguments.kv_transfer_config is None and not arguments.additional_config
    arguments, folder = told(key_file, "--count-spikes")
    assert arguments.additional_config == {"spikingbrain_spikes": str(folder.spikes)}


@pytest.mark.parametrize(("given", "plugins"), [((), "spikingbrain,spikingbrain_states"), (("--no-states",), "spikingbrain")])
def test_vllm_loads_our_plugins_and_no_others(
    given: tuple[str, ...], plugins: str, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the environment says; and the first model runner, offline."""
    seen: dict[str, str] = {}

    def serve(_: Options) -> int:
        seen.update(os.environ)
        return 0

    for name in ("VLLM_PLUGINS", "VLLM_USE_V2_MODEL_RUNNER", "HF_HUB_OFFLINE", "VLLM_SERVER_DEV_MODE", "PYTHONWARNINGS"):
        monkeypatch.setenv(name, "other")
    monkeypatch.setattr(server, "serve", serve)
    assert command.run(chosen(key_file, *given)) == 0
    assert (seen["VLLM_PLUGINS"], seen["VLLM_USE_V2_MODEL_RUNNER"], seen["HF_HUB_OFFLINE"]) == (plugins, "0", "1")
    assert "VLLM_SERVER_DEV_MODE" not in seen


def test_texts_are_held_to_grammars_by_the_edges_own_library_where_there_is_a_tokenizer(
    key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert told(key_file)[0].structured_outputs_config.backend == "auto"
    monkeypatch.setitem(globals(), "MODEL", replace(MODEL, has_tokenizer=True))
    config = told(key_file)[0].structured_outputs_config
    assert (config.backend, config.disable_any_whitespace) == ("guidance", True)
