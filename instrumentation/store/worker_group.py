"""Which processes count together: the workers of one server, found without configuration."""

from __future__ import annotations

import errno
import multiprocessing
import os
import re
import shutil
import stat
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

DIRECTORY_VARIABLE = "SIDELIGHT_STORE_DIR"
_STARTED = 22  # the field of /proc/<pid>/stat with the start, in ticks since the machine started (proc(5))


def family_folder(environ: Mapping[str, str] | None = None, proc: Path = Path("/proc")) -> Path | None:
    """The folder that the workers of this process's server share; None where it is no worker.

    uvicorn, hypercorn and granian start workers with multiprocessing, which knows its parent; gunicorn forks them.
    """
    environ = os.environ if environ is None else environ
    chosen = environ.get(DIRECTORY_VARIABLE)
    if chosen:
        return Path(chosen)
    parent = _server(proc)
    if parent is None:
        return None
    root = _root()
    folder = root / f"{_namespace(proc)}-{identity(parent, proc)}"
    _sweep(root, folder, proc)
    return folder


def prepare(folder: Path) -> None:
    """Make a family's folder where it is not there.

    Raises:
        OSError: It cannot be made, or the one above it was removed and is now somebody else's.
    """
    root = folder.parent
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    if root.name == _root_name() and not _is_private(root):
        raise PermissionError(errno.EACCES, "it is somebody else's", str(root))
    folder.mkdir(mode=0o700, exist_ok=True)


def identity(pid: int, proc: Path = Path("/proc")) -> str:
    """A name for a process that no later process has: its pid and its start."""
    try:
        return f"{pid}-{_start(pid, proc)}"
    except PermissionError:  # another user's, on a machine that hides those
        return f"{pid}-"


def is_alive(name: str, proc: Path = Path("/proc")) -> bool:
    """Whether the process with this identity still runs; a zombie does not, and in doubt it does."""
    pid, _, started = name.partition("-")
    try:
        return pid.isdigit() and started != "" and started == _start(int(pid), proc)
    except OSError:  # such as too many open files
        return True


def _start(pid: int, proc: Path) -> str:
    try:
        with open(f"{proc}/{pid}/stat", "rb", buffering=0) as stream:  # noqa: PTH123 - a third of the cost of Path
            fields = stream.read().decode("utf-8", "replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return "" if proc.exists() else _without_proc(pid)
    return "" if fields[0] in {"Z", "X"} else fields[_STARTED - 3]


def _without_proc(pid: int) -> str:
    """On other systems than Linux all that is known is whether a process of this pid runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return "0"


def _server(proc: Path) -> int | None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        return parent.pid
    if "gunicorn.arbiter" in sys.modules and _is_gunicorn(os.getppid(), proc):
        return os.getppid()  # else this is the arbiter itself, which loads the app where preload_app is set
    return None


def _is_gunicorn(pid: int, proc: Path) -> bool:
    """Whether a process is an arbiter: ``python .../gunicorn``, ``python -m gunicorn``, or with setproctitle its title."""
    with suppress(OSError):
        words = (proc / str(pid) / "cmdline").read_bytes().split(b"\0")
        names = [word.rpartition(b"/")[2] for word in words[:2]]
        return words[1:3] == [b"-m", b"gunicorn"] or any(name.startswith(b"gunicorn") for name in names)
    return False


def _namespace(proc: Path) -> str:
    """Containers of a pod share /dev/shm, yet each has pids of its own."""
    with suppress(OSError):
        return re.sub(r"\D", "", os.readlink(proc / "self/ns/pid"))  # noqa: PTH115 - a name, no path
    return "0"


def _root() -> Path:
    """A folder of this user alone, in memory where there is such a file system."""
    shared_memory = Path("/dev/shm")  # noqa: S108 - checked below: ours, and for nobody else
    base = shared_memory if os.access(shared_memory, os.W_OK) else Path(tempfile.gettempdir())
    root = base / _root_name()
    root.mkdir(mode=0o700, exist_ok=True)
    if not _is_private(root):
        return Path(tempfile.mkdtemp(prefix="sidelight-"))  # somebody else's: count alone rather than in their folder
    return root


def _root_name() -> str:
    return f"sidelight-{os.getuid()}"


def _is_private(folder: Path) -> bool:
    status = folder.lstat()
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o077


def _sweep(root: Path, ours: Path, proc: Path) -> None:
    """Remove what servers that have ended left behind; nobody else would."""
    own = _namespace(proc)
    for folder in root.iterdir():
        namespace, _, server = folder.name.partition("-")
        if namespace == own and folder != ours and not is_alive(server, proc):
            shutil.rmtree(folder, ignore_errors=True)
