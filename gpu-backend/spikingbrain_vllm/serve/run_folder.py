"""The one folder that a replica writes in, gone when the replica is, however that ended."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

# Reads until every process that can write has gone: the replica, and those that it has started. In a session of its own, so that who ends
# the replica's processes all at once does not end it too.
_GUARDIAN = """
import shutil, signal, sys
for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(each, signal.SIG_IGN)
while sys.stdin.buffer.read(4096):
    pass
for folder in sys.argv[1:]:
    shutil.rmtree(folder, ignore_errors=True)
"""
_TEMPORARY, _SOCKETS = "TMPDIR", "VLLM_RPC_BASE_PATH"


class RunFolder:
    """Temporary files of vLLM lie here too. SIGKILL leaves no file behind: another process waits for the end of this one."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="spikingbrain-replica-"))
        # A socket's path has about a hundred characters at most, which a folder for temporary files may have alone.
        self._memory = Path(tempfile.mkdtemp(prefix="spikingbrain-replica-", dir=_memory()))
        self.states = self._memory / "states"
        """Of states that wait, in memory where the system has such a place. Not there yet."""
        self.spikes = self._memory / "spikes"
        """Of running requests, likewise."""
        sockets = self._memory / "sockets"
        sockets.mkdir()
        self._guardian = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _GUARDIAN, str(self.path), str(self._memory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._before = {name: os.environ.get(name) for name in (_TEMPORARY, _SOCKETS)}
        os.environ.update({_TEMPORARY: str(self.path), _SOCKETS: str(sockets)})
        tempfile.tempdir = str(self.path)

    def close(self) -> None:
        for folder in (self.path, self._memory):
            shutil.rmtree(folder, ignore_errors=True)
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        tempfile.tempdir = None
        pipe: IO[bytes] | None = self._guardian.stdin
        if pipe is not None:
            pipe.close()
            self._guardian.wait()


def _memory() -> str:
    memory = "/dev/shm"
    return memory if os.path.isdir(memory) and os.access(memory, os.W_OK) else "/tmp"
