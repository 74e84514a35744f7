"""Mistakes in the command line, told before anything is loaded; and which model is meant."""

import argparse
import base64
import hashlib
import json
import re
import socket
from pathlib import Path

import pytest
from spikingbrain.checkpoint.opening import find_tokenizer, open_checkpoint
from spikingbrain_vllm.__main__ import main
from spikingbrain_vllm.serve import command
from spikingbrain_vllm.serve.digests import tokenizer_digest, weights_digest
from spikingbrain_vllm.serve.options import Options

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


@pytest.fixture
def node_file(tmp_path: Path) -> str:
    (tmp_path / "node").write_text(f"node-1:{base64.b64encode(bytes(32)).decode()}")
    return str(tmp_path / "node")


EDGE = ["--edge", "https://edge.example.com"]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--name", "x"], "--name has a meaning only with --edge, which is not given"),
        (["--weight", "0"], "--weight has a meaning only with --edge, which is not given"),
        ([*EDGE], "--node-file must be given with --edge: a replica signs what it says"),
        (
            [*EDGE, "NODE", "--name", "a b"],
            "--name must be 1 to 64 letters, digits or the characters . _ -, the first one a letter or digit",
        ),
        ([*EDGE, "NODE", "--name", "engine"], "and not 'engine'; it is 'engine'"),
        ([*EDGE, "NODE", "--host", "0.0.0.0"], "--address must be given where --host is not loopback; --host is '0.0.0.0'"),
        ([*EDGE, "NODE", "--address", "http://10.0.0.1:8000"], "--address must be https:// and a host"),
        ([*EDGE, "NODE", "--address", "https://a.example.com/x"], "without a path; it is 'https://a.example.com/x'"),
        ([*EDGE, "NODE", "--address", "https://u:the-password@a.example.com"], "edge's), without a path\n"),
        ([*EDGE, "NODE", "--address", "http://[fd00::a]:8000"], "--address must be https:// and a host"),
        (["--edge", "http://edge.example.com", "NODE"], "--edge must be https:// and a host"),
        (["--edge", "https://edge.example.com:99999", "NODE"], "--edge must be https:// and a host"),
        (["--edge", "nonsense", "NODE"], "--edge must be https:// and a host"),
    ],
)
def test_options_of_an_edge_are_checked_before_anything_is_loaded(
    given: list[str], told: str, key_file: str, node_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [part for one in given for part in (["--node-file", node_file] if one == "NODE" else [one])]
    assert main(["serve", "nowhere", "--key-file", key_file, "--port", "1", *options]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: --") and told in said and "the-password" not in said


@pytest.mark.parametrize("given", [["--weight", "101"], ["--weight", "nan"], ["--weight", "x"], ["--place", "a b"], ["--place", ""]])
def test_numbers_and_places_of_an_edge_are_checked_too(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["serve", "nowhere", "--port", "1", *EDGE, *given])
    assert ended.value.code == 2
    assert f"argument {given[0]}: must be" in capsys.readouterr().err


def chosen(*given: str) -> Options:
    parser = argparse.ArgumentParser()
    command.add(parser.add_subparsers())
    return Options.of(parser.parse_args(["serve", "m", "--port", "8000", *given]))


def test_an_address_in_a_private_network_may_be_plain_http(node_file: str) -> None:
    plain = "http://seven-1.pool.example.com:8000"
    given = chosen(*EDGE, "--node-file", node_file, "--address", plain)
    assert given.node is not None and given.node.address == plain


def test_the_edges_key_is_taken_beside_the_files_or_alone(key_file: str, node_file: str, tmp_path: Path) -> None:
    both = chosen("--key-file", key_file, *EDGE, "--node-file", node_file, "--name", "seven-1")
    alone = chosen(*EDGE, "--node-file", node_file, "--name", "seven-1")
    assert both.node is not None and both.node.address == "http://127.0.0.1:8000"
    edges = both.node.credential.replica_key("seven-1")
    assert [both.keys.allow(f"Bearer {key}") for key in ("k" * 20, edges, "x" * 20)] == [True, True, False]
    assert [alone.keys.allow(f"Bearer {key}") for key in ("k" * 20, edges)] == [False, True]
    written = both.write_keys(tmp_path / "keys")
    assert written.read_text().split() == ["k" * 20, edges] and written.stat().st_mode & 0o777 == 0o600
    assert edges not in repr(both)
    with pytest.raises(ValueError, match="--key-file must be given, or --edge and --node-file"):
        chosen()


def test_a_replicas_name_is_the_same_after_a_restart_and_names_no_machine(node_file: str) -> None:
    first, again, other = (chosen(*EDGE, "--node-file", node_file, *more) for more in ((), (), ("--port", "8001")))
    assert first.node is not None and again.node is not None and other.node is not None
    assert first.node.name == again.node.name != other.node.name
    assert re.fullmatch(r"node-1-[0-9a-f]{8}", first.node.name)
    assert socket.gethostname() not in first.node.name


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
        (["--", "--logits-processors", "os:x"], "vLLM's option --logits-processors must not be given"),
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
