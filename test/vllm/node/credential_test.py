"""Signatures and keys: those that the Worker's check takes, by a committed example that both sides read."""

import json
from base64 import b64decode
from pathlib import Path

import pytest
from spikingbrain_vllm.node.credential import NodeCredential

EXAMPLE = json.loads((Path(__file__).parents[2] / "fixtures" / "node-credential.json").read_text())


def test_the_example_is_signed_alike_and_its_key_is_the_same() -> None:
    request = EXAMPLE["request"]
    credential = NodeCredential(request["node"], b64decode(EXAMPLE["secret"]))
    body = request["body"].encode()
    signed = credential.sign(request["method"], request["path"], int(request["timestamp"]), request["nonce"], body)
    assert signed == EXAMPLE["signature"]
    assert credential.replica_key(EXAMPLE["replica"]) == EXAMPLE["key"]
    for altered in (("PUT", request["path"], body), ("POST", "/v1", body), ("POST", request["path"], body + b" ")):
        assert credential.sign(altered[0], altered[1], int(request["timestamp"]), request["nonce"], altered[2]) != signed


def test_it_is_read_from_a_file_and_shown_nowhere(tmp_path: Path) -> None:
    file = tmp_path / "node"
    file.write_text(f"  {EXAMPLE['request']['node']}:{EXAMPLE['secret']}\n")
    credential = NodeCredential.read(file)
    assert (credential.node, credential.secret) == (EXAMPLE["request"]["node"], b64decode(EXAMPLE["secret"]))
    assert EXAMPLE["secret"] not in repr(credential) and repr(credential.secret) not in repr(credential)


@pytest.mark.parametrize(
    "text", ["", "the-secret", "node:", "node:the-secret", "a b:{}", ":{}", "node:{}x", "node:{} {}", "node:{}\nother:{}", "é:{}"]
)
def test_a_file_that_holds_none_is_refused_without_a_word_of_it(text: str, tmp_path: Path) -> None:
    file = tmp_path / "node"
    file.write_text(text.replace("{}", EXAMPLE["secret"]))
    with pytest.raises(ValueError, match=r"^--node-file must hold NAME:BASE64, the base64 of 32 bytes; .* does not$") as refused:
        NodeCredential.read(file)
    assert "the-secret" not in str(refused.value) and EXAMPLE["secret"][:12] not in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"--node-file must be a file that can be read; .*nowhere: No such file"):
        NodeCredential.read(tmp_path / "nowhere")
