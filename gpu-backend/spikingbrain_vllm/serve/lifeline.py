"""A replica's processes end with it, also where it is killed: vLLM's engine would go on alone, with its memory and its accelerator."""

import ctypes
import os
import signal
import sys

OF = "SPIKINGBRAIN_REPLICA"
"""Environment variable: the replica's process id."""
_PARENT_DEATH_SIGNAL = 1
"""Linux's PR_SET_PDEATHSIG."""


def hold() -> None:
    """In the replica, before it starts any process: those that are forked are bound here, those that are started anew by `follow`."""
    os.environ[OF] = str(os.getpid())
    os.register_at_fork(after_in_child=_end_with_parent)


def follow() -> None:
    """In every process that vLLM starts. Does nothing outside a replica, and in the replica's first process."""
    first = os.environ.get(OF)
    if first is not None and first != str(os.getpid()):
        _end_with_parent()


def _end_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
