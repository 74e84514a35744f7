"""The store of states: its directory, its handles, its bounds."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from spikingbrain_vllm.state.refusal import RefusalError
from spikingbrain_vllm.state.store.directory import StoreDirectory
from spikingbrain_vllm.state.store.store import DRAFT_SECONDS, Limits, StateStore
from spikingbrain_vllm.state.tokens import Prefix, token_digest

A, B = "tenant-a", "tenant-b"
LIMITS = Limits(state_bytes=1_000, total_bytes=2_500, states=4, lifetime_seconds=60.0)
TEXT = Prefix(3, token_digest([1, 2, 3]))


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000_000.0

    def __call__(self) -> float:
        return self.now


def store_in(path: Path, clock: Clock | None = None, model: str = "m") -> StateStore:
    return StateStore(StoreDirectory(path), model, LIMITS, clock or Clock())


def fill(store: StateStore, tenant: str, handle: str, content: bytes = b"state", *, again: bool = False) -> None:
    name, file = store.draft(len(content))
    os.pwrite(file, content, 0)
    os.close(file)
    store.publish(tenant, handle, name, "d", 3, (TEXT,), again=again)


def refused(store: StateStore, tenant: str, handle: str) -> str:
    with pytest.raises(RefusalError) as found:
        store.find(tenant, handle)
    return found.value.code


def test_a_state_is_its_tenants_and_its_models(tmp_path: Path) -> None:
    store = store_in(tmp_path / "s")
    handle, record = store.create(A)
    assert record.status == "empty"
    fill(store, A, handle)
    found = store.find(A, handle)
    assert (found.status, found.bytes, found.text) == ("ready", 5, TEXT)
    assert store.path(found).read_bytes() == b"state"
    assert refused(store, B, handle) == "state_unknown"
    assert refused(store, A, handle[:-1] + ("A" if handle[-1] != "A" else "B")) == "state_unknown"
    assert refused(store_in(tmp_path / "s", model="other"), A, handle) == "state_unknown"


def test_handles_are_long_and_differ_and_name_no_file(tmp_path: Path) -> None:
    store = store_in(tmp_path / "s")
    handles = {store.create(A)[0] for _ in range(4)}
    assert len(handles) == 4 and all(len(handle) == 43 for handle in handles)
    assert not any(handle in name or A in name for handle in handles for name in store.directory.names())


def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    store = store_in(tmp_path / "s")
    fill(store, A, store.create(A)[0])
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "s").iterdir()} == {0o600}
    (tmp_path / "open").mkdir(mode=0o755)
    with pytest.raises(ValueError, match="must be this user's own, with mode 0700"):
        StoreDirectory(tmp_path / "open")
    (tmp_path / "link").symlink_to(tmp_path / "s")
    with pytest.raises(ValueError, match="must be this user's own, with mode 0700"):
        StoreDirectory(tmp_path / "link")


def test_what_is_deleted_or_expired_is_gone(tmp_path: Path) -> None:
    clock = Clock()
    store = store_in(tmp_path / "s", clock)
    deleted, expired, renewed = (store.create(A)[0] for _ in range(3))
    for handle in (deleted, expired, renewed):
        fill(store, A, handle)
    store.delete(A, deleted)
    assert refused(store, A, deleted) == "state_unknown"
    with pytest.raises(RefusalError):
        store.delete(B, expired)
    clock.now += 50
    store.renew(A, renewed)
    clock.now += 11
    assert refused(store, A, expired) == "state_unknown"
    store.sweep()
    assert store.find(A, renewed).status == "ready"
    # Its record and its file.
    assert len(store.directory.names()) == 2


def test_a_state_is_given_once_and_made_anew_only_where_that_is_meant(tmp_path: Path) -> None:
    store = store_in(tmp_path / "s")
    handle, _ = store.create(A)
    fill(store, A, handle)
    with pytest.raises(RefusalError, match="a handle must have no state before it is given one"):
        fill(store, A, handle, b"other")
    fill(store, A, handle, b"newer", again=True)
    assert store.path(store.find(A, handle)).read_bytes() == b"newer"
    store.delete(A, handle)
    with pytest.raises(RefusalError, match="there is no state"):
        fill(store, A, handle, b"late", again=True)
    assert store.directory.names() == []


def test_a_failure_keeps_the_state_that_was_there(tmp_path: Path) -> None:
    store = store_in(tmp_path / "s")
    first, second = store.create(A)[0], store.create(A)[0]
    store.fail(A, first, "why")
    assert (store.find(A, first).status, store.find(A, first).problem) == ("failed", "why")
    fill(store, A, second)
    store.fail(A, second, "why")
    assert (store.find(A, second).status, store.find(A, second).problem) == ("ready", "why")


def test_space_and_number_are_bounded(tmp_path: Path) -> None:
    store = store_in(tmp_path / "s")
    handles = [store.create(A)[0] for _ in range(4)]
    with pytest.raises(RefusalError, match="the store holds at most 4 states; it has 4"):
        store.create(A)
    with pytest.raises(RefusalError, match="a state must have at most 1000 bytes; it has 1001"):
        store.draft(1_001)
    for handle in handles[:2]:
        fill(store, A, handle, bytes(1_000))
    with pytest.raises(RefusalError, match="all states must have at most 2500 bytes; they have 2000"):
        store.draft(501)
    store.delete(A, handles[0])
    fill(store, A, handles[3], bytes(1_000))


def test_drafts_and_records_that_nobody_finished_are_swept(tmp_path: Path) -> None:
    clock = Clock()
    store = store_in(tmp_path / "s", clock)
    name, file = store.draft(10)
    os.close(file)
    (tmp_path / "s" / "broken.json").write_text("{")
    os.utime(tmp_path / "s" / name, (clock.now, clock.now))
    store.sweep()
    assert store.directory.names() == [name]
    clock.now += DRAFT_SECONDS + 1
    store.sweep()
    assert store.directory.names() == []


PROGRAM = """
import os, sys
from pathlib import Path
from spikingbrain_vllm.state.store.directory import StoreDirectory
from spikingbrain_vllm.state.store.store import Limits, StateStore
store = StateStore(StoreDirectory(Path(sys.argv[1])), "m", Limits())
store.create("t")
print(len(store.directory.names()), flush=True)
if sys.argv[2] == "die":
    os._exit(9)
store.directory.close()
"""


def run(path: Path, end: str) -> int:
    environment = {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path), end], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    return int(done.stdout)


def test_nothing_is_left_behind_also_by_who_died(tmp_path: Path) -> None:
    path = tmp_path / "s"
    assert run(path, "die") == 1
    assert len([name for name in os.listdir(path) if name.endswith(".json")]) == 1
    # The next one begins with nothing, and leaves nothing.
    assert run(path, "close") == 1
    assert not path.exists()
    # Where others of the replica live, what they have stays.
    store = StateStore(StoreDirectory(path), "m", LIMITS)
    store.create(A)
    assert run(path, "close") == 2
    assert len(store.directory.names()) == 2
    store.directory.close()
    assert not path.exists()


def test_a_record_is_what_json_says(tmp_path: Path) -> None:
    store = store_in(tmp_path / "s")
    handle, _ = store.create(A)
    (record,) = store.directory.names()
    for wrong in ("[]", "{}", json.dumps({"prefixes": [{"tokens": 1}]}), "\x00", ""):
        (tmp_path / "s" / record).write_text(wrong)
        assert refused(store, A, handle) == "state_unknown"
