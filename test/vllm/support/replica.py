"""A replica as its users have it: a process and its routes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from support.engine import CACHE_BYTES
from support.processes import free_port, start_server

KEY = "replica-key-of-the-tests"
HEADERS = {"authorization": f"Bearer {KEY}"}
START_SECONDS = 500
GENERATE = "/inference/v1/generate"


@dataclass(frozen=True)
class ReplicaProcess:
    process: "subprocess.Popen[bytes]"
    port: int
    place: Path

    @property
    def client(self) -> httpx.Client:
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=120, headers=HEADERS)

    @property
    def log(self) -> str:
        return (self.place / "log").read_text(errors="replace")

    def wait_until_ready(self) -> "ReplicaProcess":
        end = time.monotonic() + START_SECONDS
        with self.client as client:
            while time.monotonic() < end and self.process.poll() is None:
                try:
                    if client.get("/ready", timeout=5).status_code == 200:
                        return self
                except httpx.HTTPError:
                    pass
                time.sleep(0.2)
        raise AssertionError(self.log[-4_000:])

    def files(self) -> list[str]:
        """That it has now: all of its temporary ones are in folders of its own."""
        return sorted(os.listdir(self.place / "temporary"))


def request(text: list[int], tokens: int, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"token_ids": text, "sampling_params": {"temperature": 0, "max_tokens": tokens, "ignore_eos": True, "detokenize": False}} | more


@contextmanager
def replica_process(model: str, place: Path, *options: str, engine: tuple[str, ...] = ()) -> Iterator[ReplicaProcess]:
    """Started, not yet ready. Its engine is in f32."""
    (place / "temporary").mkdir(parents=True)
    (place / "key").write_text(KEY)
    port = free_port()
    command = [sys.executable, "-m", "spikingbrain_vllm", "serve", model, "--port", str(port), "--key-file", str(place / "key"), *options]
    command += ["--", "--dtype", "float32", "--enforce-eager", "--max-num-seqs", "8", "--kv-cache-memory-bytes", str(CACHE_BYTES), *engine]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(place / "temporary")}
    process = start_server(command, place / "log", environment)
    try:
        yield ReplicaProcess(process, port, place)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
