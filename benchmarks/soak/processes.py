"""The workers of a server, seen through /proc: which they are, what memory they hold, which files they share."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from sidelight.toolchain.processes import living

PROC = Path("/proc")
PARENT, STARTED = 4, 22
_GONE = (FileNotFoundError, ProcessLookupError, PermissionError)
_SHARED_AND_WRITABLE = "rw-s"


def workers(server: int) -> list[int]:
    """The processes that a server with this pid has started to serve, the oldest first."""
    group = living(server)  # a server of sidelight.processes leads a process group of its own
    children = (pid for pid in group if _stat(pid, PARENT) == server)
    return sorted(
        (pid for pid in children if b"resource_tracker" not in _read(pid, "cmdline")),
        key=lambda pid: _stat(pid, STARTED),
    )


def resident_bytes(pid: int) -> int:
    """The memory that a process holds, without what it shares with others through files; 0 if it is gone."""
    fields = _read(pid, "statm").split()
    return (int(fields[1]) - int(fields[2])) * os.sysconf("SC_PAGE_SIZE") if fields else 0


def store_folder(pid: int) -> Path | None:
    """The folder of the files that a process has mapped to write to them, together with others."""
    for line in _read(pid, "maps").decode().splitlines():
        _, access, *_, path = line.split(maxsplit=5)
        if access == _SHARED_AND_WRITABLE and path.startswith("/") and not path.endswith("(deleted)"):
            return Path(path).parent
    return None


def files_in(folder: Path | None) -> int:
    """How many files a folder holds, 0 if there is none."""
    with suppress(*_GONE):
        return sum(1 for _ in folder.iterdir()) if folder else 0
    return 0


def _stat(pid: int, field: int) -> int:
    """A field of proc(5)'s stat, counted from 1; 0 if the process is gone."""
    fields = _read(pid, "stat").rpartition(b")")[2].split()  # the name, the second, may hold anything, in brackets
    return int(fields[field - 3]) if fields else 0


def _read(pid: int, name: str) -> bytes:
    with suppress(*_GONE):
        return (PROC / str(pid) / name).read_bytes()
    return b""
