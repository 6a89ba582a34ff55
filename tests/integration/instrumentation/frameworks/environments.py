"""Services of other frameworks, each in a separate environment, cached outside the repository."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
import sysconfig
import tomllib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import _sidelight_speedups

from sidelight.toolchain import Toolbox, processes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sidelight.toolchain.processes import Process

ROOT = Path(__file__).parents[4]
HERE = Path(__file__).parent
CONSTRAINTS = ROOT / "requirements" / "constraints.txt"
OURS = ("prometheus-client", "pydantic", "pyyaml", "stamina", "structlog")
"""What Sidelight itself needs."""
SECONDS = 90.0
"""Until a service is ready; on a busy machine an environment that was just made takes long to import."""
SERVERS = ("uvicorn", "websockets", "gunicorn")


@dataclass(frozen=True, kw_only=True)
class Service:
    """A service, as requirements/frameworks.toml has it, on one set of versions.

    Attributes:
        framework: Its name.
        app: Module and attribute.
        interface: ``asgi``, ``wsgi``, or ``sanic`` for Sanic's own server.
        versions: Package to version.
        item: A path, and the template that it is counted under.
        nested: As ``item``, in a blueprint, a router or a mount.
        wrong_method: The status and the template of a POST to an item.
        room: As ``item``, of a websocket; None for WSGI.
    """

    framework: str
    app: str
    interface: str
    versions: Mapping[str, str]
    item: tuple[str, str]
    nested: tuple[str, str]
    wrong_method: tuple[int, str]
    room: tuple[str, str] | None = None

    def __str__(self) -> str:
        pins = " ".join(f"{name}-{version}" for name, version in self.versions.items())
        return f"{pins} {self.interface}"


TABLE: dict[str, list[dict[str, Any]]] = tomllib.loads((ROOT / "requirements/frameworks.toml").read_text())


def services() -> list[Service]:
    """Every service, on each set of versions."""
    return [Service(**{**row, "versions": each}) for row in TABLE["services"] for each in row["versions"]]


def environment(versions: Mapping[str, str]) -> Path:
    """The folder of an environment's programs; the environment is made if it is not in the cache."""
    names = {*OURS, *SERVERS} - versions.keys()
    ours = (pin for pin in CONSTRAINTS.read_text().splitlines() if pin.partition("==")[0] in names)
    wanted = [*(f"{name}=={version}" for name, version in versions.items()), *ours]
    facts = "\n".join((*wanted, sys.version))
    folder = Toolbox().cache.parent / "frameworks" / hashlib.sha256(facts.encode()).hexdigest()[:16]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ready = folder / "ready"
        if not ready.exists():
            uv("venv", "--clear", "--python", sys.executable, folder)
            uv("pip", "install", "--python", folder / "bin/python", *wanted)
            purelib = sysconfig.get_path("purelib", vars={"base": str(folder)})
            Path(purelib, Path(_sidelight_speedups.__file__).name).symlink_to(_sidelight_speedups.__file__)
            ready.touch()
    return folder / "bin"


def uv(*arguments: object) -> None:
    argv = [sys.executable, "-m", "uv", "--quiet", "--no-config", *map(str, arguments)]
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stderr


COMMANDS = {
    "asgi": ("uvicorn", "--port", "{port}", "{app}"),
    "wsgi": ("gunicorn", "--bind", "127.0.0.1:{port}", "{app}"),
    "sanic": ("sanic", "{app}", "--port", "{port}", "--single-process"),
}


@contextmanager
def serving(
    service: Service, folder: Path, *options: str, command: Sequence[str] | None = None, ready: str = "/health"
) -> Iterator[Process]:
    """A service on uvicorn, or, of WSGI, on gunicorn, unless there is another command."""
    port = processes.free_port()
    program, *arguments = (each.format(port=port, app=service.app) for each in command or COMMANDS[service.interface])
    argv = (environment(service.versions) / program, *arguments, *options)
    env = {"PYTHONPATH": os.pathsep.join((str(ROOT), str(HERE / "services")))}
    url = f"http://127.0.0.1:{port}"
    log, ready = folder / "log", f"{url}{ready}"
    with processes.start(argv, log=log, ready=ready, url=url, env=env, cwd=folder, timeout=SECONDS) as process:
        yield process
