"""The directory of a store: its owner's alone, and empty again after whoever used it, also where that ended without a word."""

import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MEMORY = Path("/dev/shm")
USERS = ".users"
"""Locked by every process that has the directory open; who can have the lock alone is the only one."""
MUTEX = ".mutex"
"""Held while a record changes."""


def default_directory() -> Path:
    """In memory where the system has such a place."""
    parent = MEMORY if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) else Path(tempfile.gettempdir())
    return parent / f"spikingbrain-states-{os.getuid()}"


class StoreDirectory:
    """Opened by each process of a replica; the files of a replica that died are gone as soon as the next opens it."""

    def __init__(self, path: Path) -> None:
        """Raises ValueError where somebody else could read or change it."""
        self.path = path
        self._users = self._join()
        while not self._is_current():
            # Its last user has removed it since.
            os.close(self._users)
            self._users = self._join()

    def close(self) -> None:
        """Leaves nothing behind where no other process has it open."""
        if self._users < 0:
            return
        if _is_alone(self._users):
            # Where somebody has opened it since, or removed it, it is theirs.
            with suppress(OSError):
                self._empty()
                for name in (USERS, MUTEX):
                    (self.path / name).unlink(missing_ok=True)
                self.path.rmdir()
        os.close(self._users)
        self._users = -1

    @contextmanager
    def mutex(self) -> Iterator[None]:
        """One at a time, over all processes and threads."""
        file = self._open(MUTEX)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
        finally:
            os.close(file)

    def create(self, name: str) -> int:
        """A new file, open for reading and writing."""
        return os.open(self.path / name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    def replace(self, name: str, text: str) -> None:
        """The file whole or not at all."""
        draft = f"{name}.draft"
        file = os.open(self.path / draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(file, "w", encoding="utf-8") as out:
            out.write(text)
        os.replace(self.path / draft, self.path / name)

    def remove(self, name: str) -> None:
        (self.path / name).unlink(missing_ok=True)

    def names(self) -> list[str]:
        """Of all files but the locks."""
        return [entry.name for entry in os.scandir(self.path) if entry.name not in (USERS, MUTEX)]

    def _join(self) -> int:
        """The lock, held with others; whoever has it alone first removes what the dead have left."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = self.path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
            raise ValueError(f"the directory of states must be this user's own, with mode 0700; {self.path} is not")
        users = self._open(USERS)
        if _is_alone(users):
            self._empty()
        fcntl.flock(users, fcntl.LOCK_SH)
        return users

    def _is_current(self) -> bool:
        try:
            found = (self.path / USERS).stat()
        except FileNotFoundError:
            return False
        return found.st_ino == os.fstat(self._users).st_ino

    def _open(self, name: str) -> int:
        return os.open(self.path / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    def _empty(self) -> None:
        for name in self.names():
            self.remove(name)


def _is_alone(users: int) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
