"""Starts processes, waits until they are ready, and reliably ends them with all their children.

Every process runs in its own session. A guard, a second small process, holds the other end of a pipe: when this process
ends, even by SIGKILL, the pipe closes and the guard ends the session.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from urllib.request import ProxyHandler, build_opener

from instrumentation.errors import SidelightError
from sidelight.toolchain.toolbox import tool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Ready: TypeAlias = str | Callable[[], bool] | None

LOOPBACK = "127.0.0.1"
INTERVAL = 0.02  # seconds between two polls
READY_TIMEOUT = 30.0  # seconds; a loaded machine with two cores needs a few
GRACE = 10.0  # seconds between SIGTERM and SIGKILL
TAIL = 20  # lines of a log in an error

# The prctl for this, PR_SET_PDEATHSIG, follows the starting thread rather than the process, and ignores grandchildren.
GUARD = """
import os, signal, sys, time
group = int(sys.stdin.readline() or 0)
sys.stdin.read()
try:
    for number, seconds in ((signal.SIGTERM, float(sys.argv[1])), (signal.SIGKILL, 0)):
        deadline = time.monotonic() + seconds
        os.killpg(group, number) if group else sys.exit()
        while time.monotonic() < deadline:
            os.killpg(group, 0)
            time.sleep(0.05)
except ProcessLookupError:
    pass
"""


class ProcessError(SidelightError):
    """A process could not be started, or did not become ready."""


@dataclass(frozen=True, kw_only=True)
class Process:
    """A running process.

    Attributes:
        argv: Its command line.
        log: The file for its stdout and stderr.
        url: Its URL without a trailing slash; empty if it is not a server.
        popen: Python's own handle.
    """

    argv: tuple[str, ...]
    log: Path
    url: str = ""
    popen: subprocess.Popen[bytes] = field(repr=False)

    @property
    def name(self) -> str:
        """The file name of the program."""
        return Path(self.argv[0]).name

    @property
    def pid(self) -> int:
        """The id of the process, of its session and of its process group."""
        return self.popen.pid

    @property
    def running(self) -> bool:
        """Whether the process is still running; its children may run longer."""
        return self.popen.poll() is None

    def tail(self, lines: int = TAIL) -> str:
        """The last lines of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process, but not to its children, if it is still running."""
        self.popen.send_signal(number)

    def wait(self, timeout: float) -> int:
        """Return the exit status, negative for a signal.

        Raises:
            ProcessError: It is still running after the timeout, in seconds.
        """
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise _fault(self, f"still runs after {timeout:g} s", code="process_running") from error

    def stop(self, grace: float = GRACE) -> None:
        """End the process and its children with SIGTERM, and with SIGKILL after a grace period in seconds."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._gone():  # its id may have been reused
                return
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number)
            _until(self._gone, grace)

    def _gone(self) -> bool:
        return not self.running and not living(self.pid)


def living(group: int) -> tuple[int, ...]:
    """The ids of the processes in a process group, without zombies."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            # The name, in parentheses, may itself contain parentheses and spaces: proc(5).
            state, _parent, its_group, *_ = stat.read_text(errors="replace").rpartition(")")[2].split()
            if int(its_group) == group and state not in "ZX":
                found.append(int(stat.parent.name))
    return tuple(found)


def free_port() -> int:
    """Return a loopback TCP port that the kernel gives to nobody else for the next minute.

    The port is left in TIME_WAIT: the kernel does not assign it when any free port is requested, but a server that
    requests it by number with SO_REUSEADDR, as Go, uvicorn and gunicorn do, gets it (Yelp's ephemeral-port-reserve).
    """
    with socket.socket() as server, socket.socket() as client:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((LOOPBACK, 0))
        server.listen(1)
        client.connect(server.getsockname())
        accepted, _ = server.accept()
        accepted.close()  # the side that closes first keeps TIME_WAIT: the server's
        port: int = server.getsockname()[1]
        return port


def answers(url: str, *, timeout: float = 1.0) -> bool:
    """Whether a URL answers 200 within a timeout in seconds; proxies in the environment are ignored."""
    try:
        with build_opener(ProxyHandler({})).open(url, timeout=timeout) as response:
            return bool(response.status == 200)  # noqa: PLR2004  # HTTP's own number
    except (OSError, HTTPException):
        return False


@contextmanager
def start(  # noqa: PLR0913  # all but one by keyword, and most have a default
    argv: Sequence[str | Path],
    *,
    log: Path,
    ready: Ready = None,
    url: str = "",
    timeout: float = READY_TIMEOUT,
    grace: float = GRACE,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Iterator[Process]:
    """Run a process, with its children, for as long as the context lasts.

    Args:
        argv: The command line.
        log: A file for stdout and stderr; it is overwritten.
        ready: A URL that answers 200, or a function that returns True, once the process can be used.
        url: Its URL, for `Process.url`.
        timeout: Seconds until it must be ready.
        grace: Seconds between SIGTERM and SIGKILL at the end.
        env: Changes to the environment.
        cwd: The working directory.

    Raises:
        ProcessError: It cannot be started, ends before it is ready, or is not ready in time; contains the end of the log.
    """
    words = tuple(map(str, argv))
    with _guard(grace) as watch:
        process = Process(argv=words, log=log, url=url, popen=_popen(words, log=log, env=env, cwd=cwd))
        try:
            watch(process.pid)
            _wait_ready(process, ready, timeout)
            yield process
        finally:
            process.stop(grace)


def _popen(
    argv: tuple[str, ...], *, log: Path, env: Mapping[str, str] | None, cwd: Path | None
) -> subprocess.Popen[bytes]:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        try:
            return subprocess.Popen(  # noqa: S603  # no shell; the command line is the caller's
                argv,
                cwd=cwd,
                env={**os.environ, **(env or {})},
                start_new_session=True,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                stdout=output,
            )
        except OSError as error:
            message = f"{argv[0]} cannot be started: {error.strerror}."
            raise ProcessError(message, code="process_not_started", details={"argv": argv}) from error


@contextmanager
def _guard(grace: float) -> Iterator[Callable[[int], None]]:
    """Run the guard, which ends the process group when this process dies or leaves the group behind."""
    argv = (sys.executable, "-I", "-S", "-c", GUARD, str(grace))
    watched: list[int] = []
    with subprocess.Popen(argv, stdin=subprocess.PIPE, start_new_session=True, text=True) as guard:  # noqa: S603

        def watch(group: int) -> None:
            watched.append(group)
            print(group, file=guard.stdin, flush=True)

        try:
            yield watch
        finally:
            if not any(map(living, watched)):  # otherwise, for example after a second Ctrl-C, the guard does it
                guard.kill()


def _wait_ready(process: Process, ready: Ready, timeout: float) -> None:
    is_ready = _condition(ready)
    if not _until(lambda: not process.running or is_ready(), timeout):
        raise _fault(process, f"was not ready within {timeout:g} s", code="process_not_ready")
    if not process.running and ready is not None:
        raise _fault(process, f"ended with status {process.popen.returncode} before it was ready", code="process_ended")


def _condition(ready: Ready) -> Callable[[], bool]:
    if ready is None:
        return lambda: True
    if isinstance(ready, str):
        return lambda: answers(ready)
    return ready


def _until(condition: Callable[[], bool], timeout: float) -> bool:
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(INTERVAL)
    return True


def _fault(process: Process, what: str, *, code: str) -> ProcessError:
    details = {"argv": process.argv, "log": str(process.log), "status": process.popen.returncode}
    return ProcessError(f"{process.name} {what}; the end of its log:\n{process.tail()}", code=code, details=details)


# --- The servers of the tests and the demo -----------------------------------------------------------------------------


@contextmanager
def prometheus(
    config: Path,
    data: Path,
    *,
    port: int | None = None,
    binary: Path | None = None,
    flags: Sequence[str] = (),
) -> Iterator[Process]:
    """Run Prometheus on loopback until the context ends; ``POST /-/reload`` and ``/-/quit`` are open.

    Args:
        config: Its configuration file.
        data: The folder for its series; its log is beside it, with the suffix ``.log``.
        port: The port; a free one by default.
        binary: The program; the current 3.x by default.
        flags: Further flags.

    Raises:
        ProcessError: As `start`.
        ToolError: Prometheus is not available.
    """
    url = _url(port)
    argv: tuple[str | Path, ...] = (
        binary or tool("prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={data}",
        f"--web.listen-address={_address(url)}",
        "--web.enable-lifecycle",
        *flags,
    )
    with start(argv, log=data.with_suffix(".log"), ready=f"{url}/-/ready", url=url) as process:
        yield process


@contextmanager
def alertmanager(
    config: Path,
    data: Path,
    *,
    port: int | None = None,
    binary: Path | None = None,
    flags: Sequence[str] = (),
) -> Iterator[Process]:
    """Run a single Alertmanager on loopback until the context ends.

    Args:
        config: Its configuration file.
        data: The folder for silences and notifications; its log is beside it, with the suffix ``.log``.
        port: The port; a free one by default.
        binary: The program; the pinned one by default.
        flags: Further flags.

    Raises:
        ProcessError: As `start`.
        ToolError: Alertmanager is not available.
    """
    url = _url(port)
    argv: tuple[str | Path, ...] = (
        binary or tool("alertmanager"),
        f"--config.file={config}",
        f"--storage.path={data}",
        f"--web.listen-address={_address(url)}",
        "--cluster.listen-address=",  # empty: no clustering
        *flags,
    )
    with start(argv, log=data.with_suffix(".log"), ready=f"{url}/-/ready", url=url) as process:
        yield process


@contextmanager
def uvicorn(  # noqa: PLR0913  # as start
    app: str,
    *,
    log: Path,
    port: int | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    workers: int = 1,
    ready_path: str = "/metrics",
) -> Iterator[Process]:
    """Run an ASGI app with uvicorn, in this Python, on loopback until the context ends.

    Args:
        app: ``module:attribute``.
        log: Its log.
        port: The port; a free one by default.
        env: Changes to the environment.
        cwd: The working directory, from which the module is imported.
        workers: The number of worker processes.
        ready_path: A path that answers 200 once the app has started.

    Raises:
        ProcessError: As `start`.
    """
    url = _url(port)
    number = url.rpartition(":")[2]
    argv = (sys.executable, "-m", "uvicorn", app, "--host", LOOPBACK, "--port", number, "--workers", str(workers))
    with start(argv, log=log, ready=f"{url}{ready_path}", url=url, env=env, cwd=cwd) as process:
        yield process


def _url(port: int | None) -> str:
    return f"http://{LOOPBACK}:{port or free_port()}"


def _address(url: str) -> str:
    return url.removeprefix("http://")
