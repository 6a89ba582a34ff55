"""The worker group: the workers of one server, which count together and are found without configuration."""

from __future__ import annotations

import errno
import logging
import multiprocessing
import os
import re
import shutil
import stat
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_log = logging.getLogger("instrumentation")

DIRECTORY_VARIABLE = "SIDELIGHT_STORE_DIR"
READ = "read"
"""A file in a folder whose counts somebody reads; it contains the name of the process that says so."""

ABANDONED_SECONDS = 600.0
"""A folder of another pid namespace in which nothing was touched for so long is removed."""
_STARTED = 22  # the field of /proc/<pid>/stat with the start time, in ticks since boot (proc(5))


def family_folder(environ: Mapping[str, str] | None = None, proc: Path = Path("/proc")) -> Path | None:
    """The folder that this process shares with the other workers of its server; None if it is not a worker.

    uvicorn, hypercorn and granian start workers with multiprocessing, which knows its parent; gunicorn and uWSGI fork them.
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
    with suppress(OSError):  # the parent is itself a worker
        return Path(os.readlink(folder))  # noqa: PTH115 - it is absolute, and may not exist
    return folder


def folder_of_children(proc: Path = Path("/proc")) -> Path:
    """The folder in which the children of this process count.

    Raises:
        OSError: There is no place for such folders.
    """
    return _root() / f"{_namespace(proc)}-{identity(os.getpid(), proc)}"


def open_to_children(folder: Path | None, *, is_read: bool, environ: Mapping[str, str] | None = None) -> Path | None:
    """Let the children of this process count where somebody reads their counts.

    Args:
        folder: The folder in which this process counts with others; None if it counts in its own memory.
        is_read: Whether somebody reads the counts of this process.
        environ: The environment; with ``SIDELIGHT_STORE_DIR`` in it, children know the folder already.

    Returns:
        The folder in which they will count.

    Raises:
        OSError: There is no place for the folder.
    """
    environ = os.environ if environ is None else environ
    if environ.get(DIRECTORY_VARIABLE):
        return folder
    own = folder_of_children()
    if folder is None or folder.parent != own.parent:  # otherwise it was done when the folder was found
        _sweep(own.parent, own, Path("/proc"))
    if folder is None:
        prepare(own)
    elif own != folder:
        own.parent.mkdir(mode=0o700, exist_ok=True)
        with suppress(FileExistsError):
            own.symlink_to(folder)
    if is_read and not (own / READ).exists():
        (own / READ).write_text(own.name)
    return folder or own


def close_to_children(folder: Path, name: str, proc: Path = Path("/proc")) -> None:
    """Remove the link by which the children of a dead worker found its folder."""
    link = folder.parent / f"{_namespace(proc)}-{name}"
    if link.is_symlink():
        with suppress(OSError):
            link.unlink()


def is_read_by_parent(environ: Mapping[str, str] | None = None, proc: Path = Path("/proc")) -> bool:
    """Whether the parent, or a process that the parent counts with, reads what this process counts; it is then no worker."""
    environ = os.environ if environ is None else environ
    parent = multiprocessing.parent_process()
    if parent is None or parent.pid is None or environ.get(DIRECTORY_VARIABLE):
        return False
    folder = _root() / f"{_namespace(proc)}-{identity(parent.pid, proc)}"
    with suppress(OSError):
        return folder.is_symlink() or (folder / READ).read_text() == folder.name
    return False


def is_read(folder: Path) -> bool:
    """Whether somebody reads the counts in a folder."""
    return (folder / READ).exists()


def group_name(environ: Mapping[str, str] | None = None, proc: Path = Path("/proc")) -> str:
    """A name that the workers of one server have in common, and no other process has."""
    environ = os.environ if environ is None else environ
    chosen, parent = environ.get(DIRECTORY_VARIABLE), _server(proc)
    server = identity(os.getpid() if parent is None else parent, proc)
    return f"{os.getuid()} {_namespace(proc)} {chosen or server}"


def prepare(folder: Path) -> None:
    """Create the folder of a worker group if it does not exist.

    Raises:
        OSError: It cannot be created, or its parent folder was removed and now belongs to another user.
    """
    root = folder.parent
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    if root.name == _root_name() and not _is_private(root):
        raise PermissionError(errno.EACCES, "it belongs to another user", str(root))
    folder.mkdir(mode=0o700, exist_ok=True)


def identity(pid: int, proc: Path = Path("/proc")) -> str:
    """A name for a process that no later process will have: its pid and start time."""
    try:
        return f"{pid}-{_start(pid, proc)}"
    except PermissionError:  # a process of another user, on a machine that hides those
        return f"{pid}-"


def is_alive(name: str, proc: Path = Path("/proc")) -> bool:
    """Whether the process with this identity is running; a zombie is not. In doubt, it is."""
    pid, _, started = name.partition("-")
    try:
        return pid.isdigit() and started != "" and started == _start(int(pid), proc)
    except OSError:  # such as too many open files
        return True


def is_being_spawned() -> bool:
    """Whether this is a child of multiprocessing that still imports the main module, and does not know its parent yet."""
    return bool(getattr(multiprocessing.current_process(), "_inheriting", False))


def _start(pid: int, proc: Path) -> str:
    try:
        with open(f"{proc}/{pid}/stat", "rb", buffering=0) as stream:  # noqa: PTH123 - a third of the cost of Path
            fields = stream.read().decode("utf-8", "replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return "" if proc.exists() else _without_proc(pid)
    return "" if fields[0] in {"Z", "X"} else fields[_STARTED - 3]


def _without_proc(pid: int) -> str:
    """Whether a process with this pid is running, which is all that is known on systems other than Linux."""
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
        return os.getppid()  # otherwise this is the arbiter itself, which loads the app if preload_app is set
    return _uwsgi_master(sys.modules.get("uwsgi"))


def _uwsgi_master(uwsgi: Any) -> int | None:
    """The master of a uWSGI worker, by the module that uWSGI has built in."""
    if uwsgi is None:
        return None
    if uwsgi.worker_id() == 0 and uwsgi.numproc > 1:  # the master loads the app, and Python does not see uWSGI fork
        _log.warning(
            "each uWSGI worker counts only its own requests; set lazy-apps = true to count all of them together"
        )
    return int(uwsgi.masterpid()) or None if uwsgi.worker_id() else None


def _is_gunicorn(pid: int, proc: Path) -> bool:
    """Whether a process is a gunicorn arbiter, by its command line, or by its title with setproctitle."""
    with suppress(OSError):
        words = (proc / str(pid) / "cmdline").read_bytes().split(b"\0")
        names = [word.rpartition(b"/")[2] for word in words[:2]]
        return words[1:3] == [b"-m", b"gunicorn"] or any(name.startswith(b"gunicorn") for name in names)
    return False


def _namespace(proc: Path) -> str:
    """An identifier of the pid namespace: containers of a pod share /dev/shm, but have separate pids."""
    with suppress(OSError):
        return re.sub(r"\D", "", os.readlink(proc / "self/ns/pid"))  # noqa: PTH115 - a name, no path
    return "0"


def _root() -> Path:
    """A folder that only this user can access, in memory if there is such a file system.

    Raises:
        OSError: There is none, for example because another user created the folder first.
    """
    faults: list[OSError] = []
    for base in (Path("/dev/shm"), Path(tempfile.gettempdir())):  # noqa: S108 - checked: inaccessible to other users
        root = base / _root_name()
        try:
            root.mkdir(mode=0o700, exist_ok=True)
            if _is_private(root) and os.access(root, os.W_OK):
                return root
            faults.append(PermissionError(errno.EACCES, "it belongs to another user", str(root)))
        except OSError as error:
            faults.append(error)
    raise faults[0]


def _root_name() -> str:
    return f"sidelight-{os.getuid()}"


def _is_private(folder: Path) -> bool:
    status = folder.lstat()
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o077


def _sweep(root: Path, ours: Path, proc: Path) -> None:
    """Remove the folders of dead servers, because nobody else would.

    The processes of another pid namespace, such as another container, are not visible. Their workers touch a file in the folder
    every minute, so a folder without a recent file is a left-over. If its workers were only suspended, they restore their
    files.
    """
    own = _namespace(proc)
    for folder in root.iterdir():
        namespace, _, server = folder.name.partition("-")
        is_left_over = not is_alive(server, proc) if namespace == own else _is_abandoned(folder)
        if folder != ours and is_left_over:
            if folder.is_symlink():
                with suppress(OSError):  # another server was faster
                    folder.unlink()
            else:
                shutil.rmtree(folder, ignore_errors=True)


def _is_abandoned(folder: Path) -> bool:
    with suppress(OSError):
        newest = max(path.stat().st_mtime for path in (folder, *folder.iterdir()))  # of what a link leads to, too
        return time.time() - newest > ABANDONED_SECONDS
    return folder.is_symlink()  # to a folder that is gone
