"""What `serve` is told, checked before anything is loaded."""

import argparse
import os
import re
from dataclasses import dataclass
from pathlib import Path

from spikingbrain_vllm.endpoints.keys import Keys
from spikingbrain_vllm.node.options import NodeOptions

# What this command settles itself, and what would open a way around the key, run code of a model or choose other tokens.
REFUSED = (
    *(
        "--model",
        "--model-tag",
        "--host",
        "--port",
        "--uds",
        "--api-key",
        "--served-model-name",
        "--root-path",
        "--load-format",
        "--config",
    ),
    *("--middleware", "--enable-tokenizer-info-endpoint", "--enable-offline-docs", "--allowed-origins", "--allow-credentials"),
    *("--trust-remote-code", "--lora-modules", "--enable-lora", "--tool-server", "--enable-log-requests", "--enable-log-outputs"),
    *("--ssl-keyfile", "--ssl-certfile", "--ssl-ca-certs", "--headless", "--api-server-count", "--tokens-only", "--kv-transfer-config"),
    *("--disable-log-stats", "--enable-fault-tolerance", "--trust-request-chat-template", "--shutdown-timeout", "--enable-scale-out"),
    *("--logits-processors", "--logprobs-mode", "--additional-config"),
)
_ID = re.compile(r"[\w.:/-]{1,200}")


@dataclass(frozen=True)
class Options:
    model: str
    host: str
    port: int
    keys: Keys
    key_file: Path | None
    node: NodeOptions | None
    served_id: str | None
    weights_sha256: str | None
    tokenizer_sha256: str | None
    drain_seconds: float
    most_requests: int | None
    counts_spikes: bool
    has_no_states: bool
    engine: tuple[str, ...]
    """vLLM's own options."""

    @staticmethod
    def of(arguments: argparse.Namespace) -> "Options":
        """Raises ValueError that names option, rule and value."""
        for one in arguments.engine:
            check_engine_option(one)
        if arguments.served_id is not None and not _ID.fullmatch(arguments.served_id):
            raise ValueError(f"--served-id must be 1 to 200 letters, digits or the characters . _ : / -; it is {arguments.served_id!r}")
        node = NodeOptions.of(arguments)
        return Options(
            model=arguments.model,
            host=arguments.host,
            port=arguments.port,
            keys=Keys(_keys(arguments.key_file, node)),
            key_file=arguments.key_file,
            node=node,
            served_id=arguments.served_id,
            weights_sha256=arguments.weights_sha256,
            tokenizer_sha256=arguments.tokenizer_sha256,
            drain_seconds=arguments.drain_seconds,
            most_requests=arguments.most_requests,
            counts_spikes=arguments.count_spikes,
            has_no_states=arguments.no_states,
            engine=tuple(arguments.engine),
        )

    def write_keys(self, path: Path) -> Path:
        """All keys of callers in one file, which only this user can read: vLLM's processes have a path of it in their settings."""
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write("\n".join(_keys(self.key_file, self.node)) + "\n")
        return path


def check_engine_option(text: str) -> None:
    """vLLM's parser takes an option's beginning for the option, and underscores for hyphens, so that both are looked at here."""
    if not text.startswith("--"):
        return
    name = text.partition("=")[0].replace("_", "-")
    for refused in REFUSED:
        if refused.startswith(name) or name.startswith(f"{refused}."):
            raise ValueError(f"vLLM's option {refused} must not be given, for a replica settles it itself; it is {text!r}")


def port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65_535:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to 65535; it is {text!r}")
    return int(text)


def sha256(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise argparse.ArgumentTypeError(f"must be 64 hexadecimal digits in lower case; it is {text!r}")
    return text


def _keys(path: Path | None, node: NodeOptions | None) -> list[str]:
    """The file's, and the one that the edge makes of the node's secret."""
    if path is None and node is None:
        raise ValueError("--key-file must be given, or --edge and --node-file, of which the edge's key is made")
    try:
        given = [] if path is None else Keys.texts(path)
    except ValueError as error:
        raise ValueError(f"--key-file: {error}") from error
    return given if node is None else [*given, node.credential.replica_key(node.name)]
