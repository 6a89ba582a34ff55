"""The workers of a server, their memory and their shared files, read from /proc."""

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
    """The worker processes of the server with this pid, oldest first."""
    group = living(server)  # a server started by sidelight.toolchain leads its own process group
    children = (pid for pid in group if _stat(pid, PARENT) == server)
    return sorted(
        (pid for pid in children if b"resource_tracker" not in _read(pid, "cmdline")),
        key=lambda pid: _stat(pid, STARTED),
    )


def resident_bytes(pid: int) -> int:
    """The memory of a process, without files shared with others; 0 if the process has ended."""
    fields = _read(pid, "statm").split()
    return (int(fields[1]) - int(fields[2])) * os.sysconf("SC_PAGE_SIZE") if fields else 0


def store_folder(pid: int) -> Path | None:
    """The folder of the files that a process has mapped as shared and writable."""
    for line in _read(pid, "maps").decode().splitlines():
        _, access, *_, path = line.split(maxsplit=5)
        if access == _SHARED_AND_WRITABLE and path.startswith("/") and not path.endswith("(deleted)"):
            return Path(path).parent
    return None


def files_in(folder: Path | None) -> int:
    """The number of files in a folder; 0 if there is no folder."""
    with suppress(*_GONE):
        return sum(1 for _ in folder.iterdir()) if folder else 0
    return 0


def _stat(pid: int, field: int) -> int:
    """A field of stat in proc(5), counted from 1; 0 if the process has ended."""
    fields = (
        _read(pid, "stat").rpartition(b")")[2].split()
    )  # the name, the second field, is in parentheses and may contain anything
    return int(fields[field - 3]) if fields else 0


def _read(pid: int, name: str) -> bytes:
    with suppress(*_GONE):
        return (PROC / str(pid) / name).read_bytes()
    return b""
