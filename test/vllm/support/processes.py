"""Servers that tests start: they end with the process that has started them, however that ends."""

import ctypes
import errno
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_PARENT_DEATH_SIGNAL = 1
"""Linux's PR_SET_PDEATHSIG."""

_PORTS = range(20_000, 32_768)
"""Below those that systems give to whoever asks for any, which an engine of another test could have before a server has started."""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    for port in random.SystemRandom().sample(_PORTS, 100):
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
        else:
            return port
    raise OSError(f"none of 100 ports from {_PORTS.start} to {_PORTS.stop - 1} is free")


def start_server(
    command: Sequence[str], log: Path, environment: Mapping[str, str], *, at_parents_end: signal.Signals = signal.SIGKILL
) -> "subprocess.Popen[bytes]":
    """In a session of its own, so that all of it can be ended at once. `at_parents_end` is sent to its first process."""

    def end_with_parent() -> None:
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, at_parents_end)

    with log.open("wb") as out:
        return subprocess.Popen(
            list(command), env=dict(environment), stdout=out, stderr=subprocess.STDOUT, start_new_session=True, preexec_fn=end_with_parent
        )
