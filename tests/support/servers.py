"""The servers for soak tests, and the workers that may be killed: not every server replaces a killed worker."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sidelight.toolchain import processes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from sidelight.toolchain.processes import Process

OLDEST, NEWEST = 0, -1


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server with several workers.

    Attributes:
        arguments: The arguments after ``python -m``; app, host, port and number of workers are filled in.
        victims: The workers to kill in turn, by their order of age. Empty if the server does not replace workers.
    """

    arguments: tuple[str, ...]
    victims: tuple[int, ...] = ()


SERVERS: Mapping[str, Server] = {
    "uvicorn": Server(
        arguments=("uvicorn", "{app}", "--host", "{host}", "--port", "{port}", "--workers", "{workers}"),
        victims=(OLDEST, NEWEST),
    ),
    "gunicorn": Server(
        arguments=("gunicorn", "{app}", "-k", "uvicorn_worker.UvicornWorker", "-w", "{workers}", "-b", "{host}:{port}"),
        victims=(OLDEST, NEWEST),
    ),
    # If the newest worker ends within 5.5 s, the server takes it for a crash loop and gives up.
    "granian": Server(
        arguments=(
            "granian", "--interface", "asgi", "{app}", "--host", "{host}", "--port", "{port}", "--workers", "{workers}",
            "--respawn-failed-workers",
        ),
        victims=(OLDEST,),
    ),
    # The server ends if a worker is killed.
    "hypercorn": Server(arguments=("hypercorn", "{app}", "-w", "{workers}", "-b", "{host}:{port}")),
}  # fmt: skip


@contextmanager
def serving(server: Server, app: str, *, workers: int, folder: Path, env: Mapping[str, str]) -> Iterator[Process]:
    """Run an app with a server until the context ends.

    Args:
        server: The server.
        app: ``module:attribute``.
        workers: The number of worker processes.
        folder: The working directory, which also contains the log.
        env: Changes to the environment.

    Raises:
        ProcessError: The server does not start.
    """
    host, port = processes.LOOPBACK, processes.free_port()
    url = f"http://{host}:{port}"
    arguments = [part.format(app=app, host=host, port=port, workers=workers) for part in server.arguments]
    argv = (sys.executable, "-m", *arguments)
    with processes.start(argv, log=folder / "log", ready=f"{url}/metrics", url=url, env=env, cwd=folder) as process:
        yield process
