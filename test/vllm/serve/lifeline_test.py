"""Processes that a replica forks or starts anew end with it, also where it is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

_REPLICA = """
import multiprocessing, subprocess, sys, time
from spikingbrain_vllm.serve import lifeline
lifeline.hold()
forked = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,))
forked.start()
anew = subprocess.Popen([sys.executable, "-c", "from spikingbrain_vllm.serve import lifeline; lifeline.follow(); print(1, flush=True); "
                         "import time; time.sleep(600)"], stdout=subprocess.PIPE)
anew.stdout.readline()
print(forked.pid, anew.pid, flush=True)
time.sleep(600)
"""


def test_what_a_replica_started_ends_with_it() -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    replica = subprocess.Popen([sys.executable, "-c", _REPLICA], stdout=subprocess.PIPE, text=True, env=environment)
    assert replica.stdout is not None
    started = [int(word) for word in replica.stdout.readline().split()]
    assert len(started) == 2 and all(_runs(one) for one in started)
    replica.send_signal(signal.SIGKILL)
    replica.wait()
    end = time.monotonic() + 60
    while any(_runs(one) for one in started) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(_runs(one) for one in started)


_TESTS = """
import os, sys, time
from pathlib import Path
from support.processes import start_server
server = start_server([sys.executable, "-c", "import time; time.sleep(600)"], Path(sys.argv[1]), os.environ)
print(server.pid, flush=True)
time.sleep(600)
"""


def test_what_tests_start_ends_with_them(tmp_path: Path) -> None:
    """Also where they are killed, and end nothing themselves."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    tests = subprocess.Popen([sys.executable, "-c", _TESTS, str(tmp_path / "log")], stdout=subprocess.PIPE, text=True, env=environment)
    assert tests.stdout is not None
    server = int(tests.stdout.readline())
    assert _runs(server)
    tests.kill()
    tests.wait()
    end = time.monotonic() + 60
    while _runs(server) and time.monotonic() < end:
        time.sleep(0.05)
    assert not _runs(server)


def _runs(process: int) -> bool:
    try:
        return " Z " not in Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False
