"""Mistakes in the command line, told before anything is loaded; and which model is meant."""

import hashlib
import json
from pathlib import Path

import pytest
from spikingbrain.checkpoint.opening import find_tokenizer, open_checkpoint
from spikingbrain_vllm.__main__ import main
from spikingbrain_vllm.serve.digests import tokenizer_digest, weights_digest

REPOSITORY = Path(__file__).parents[3]
BUILT_IN = REPOSITORY / ".cache" / "spikingbrain" / "spikingbrain-135m.gguf"


@pytest.fixture
def key_file(tmp_path: Path) -> str:
    (tmp_path / "key").write_text("k" * 20)
    return str(tmp_path / "key")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--port", "70000"], "argument --port: must be a whole number from 1 to 65535; it is '70000'"),
        (["--port", "x"], "argument --port: must be a whole number from 1 to 65535; it is 'x'"),
        (["--port", "1", "--drain-seconds", "0"], "argument --drain-seconds: must be a number above 0; it is '0'"),
        (["--port", "1", "--weights-sha256", "ab"], "argument --weights-sha256: must be 64 hexadecimal digits in lower case; it is 'ab'"),
        (["--port", "1", "--most-requests", "-1"], "argument --most-requests: must be a whole number from 1; it is '-1'"),
    ],
)
def test_wrong_options_are_named_with_rule_and_value(
    given: list[str], told: str, key_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["serve", "nowhere", "--key-file", key_file, *given])
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--served-id", "a b"], "--served-id must be 1 to 200 letters, digits or the characters . _ : / -; it is 'a b'"),
        (["--", "--api-key=x"], "vLLM's option --api-key must not be given, for a replica settles it itself; it is '--api-key=x'"),
        (["--", "--api_key", "x"], "vLLM's option --api-key must not be given"),
        (["--", "--api-k", "x"], "vLLM's option --api-key must not be given"),
        (["--", "--trust-remote-code"], "vLLM's option --trust-remote-code must not be given"),
        (["--", "--kv-transfer-config.kv_role", "x"], "vLLM's option --kv-transfer-config must not be given"),
        (["--", "--middleware=os.system"], "vLLM's option --middleware must not be given"),
    ],
)
def test_what_a_replica_settles_itself_is_refused(given: list[str], told: str, key_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "nowhere", "--key-file", key_file, "--port", "1", *given]) == 1
    assert f"error: {told}" in capsys.readouterr().err


def test_key_files_that_hold_no_key_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "short").write_text("abc")
    for name in ("none", "short"):
        assert main(["serve", "nowhere", "--port", "1", "--key-file", str(tmp_path / name)]) == 1
        assert "error: --key-file: key_file must" in capsys.readouterr().err


def test_a_model_that_is_not_there_is_named(key_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    for model in ("nowhere", "/nowhere/model.gguf"):
        assert main(["serve", model, "--port", "1", "--key-file", key_file]) == 1
        assert repr(model) in (told := capsys.readouterr().err) or model in told


def test_digests_are_those_that_the_edge_knows_the_built_in_model_by() -> None:
    manifest = json.loads((REPOSITORY / "dist" / "engine" / "model" / "manifest.json").read_text())
    assert manifest["id"] == "spikingbrain-135m"
    tokenizer = find_tokenizer(BUILT_IN, open_checkpoint(BUILT_IN))
    assert tokenizer is not None
    assert (weights_digest([BUILT_IN]), tokenizer_digest(tokenizer)) == (manifest["sha256"], manifest["tokenizerSha256"])


def test_the_digest_of_several_files_is_that_of_their_list(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / name).write_text(name)
    lines = "".join(f"{hashlib.sha256(name.encode()).hexdigest()}  {name}\n" for name in ("a", "b"))
    assert weights_digest([tmp_path / "b", tmp_path / "a"]) == hashlib.sha256(lines.encode()).hexdigest()
