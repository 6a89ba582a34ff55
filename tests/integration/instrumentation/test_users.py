"""Any worker of a real server reports the users of all workers, also of a killed one, without configuration."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from sidelight.toolchain import processes
from tests.support.estimators import improved

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[3]
BIN = Path(sys.executable).parent
USERS = 60
WORKERS = 3
SECONDS = 30.0

APP = """
import os
from fastapi import FastAPI
import instrumentation

app = FastAPI()

@app.get("/seen/{user}")
async def seen(user: str) -> int:
    instrumentation.saw_user(user)
    return os.getpid()

instrumentation.instrument(app)
"""

SERVERS: dict[str, tuple[str | Path, ...]] = {
    "uvicorn": (sys.executable, "-m", "uvicorn", "service:app", "--port", "{port}", "--workers", f"{WORKERS}"),
    "gunicorn, app loaded before the fork": (
        BIN / "gunicorn", "service:app", "--preload", "-k", "uvicorn_worker.UvicornWorker", "-w", f"{WORKERS}",
        "-b", "127.0.0.1:{port}",
    ),
}  # fmt: skip


@contextmanager
def serving(server: str, folder: Path) -> Iterator[str]:
    (folder / "service.py").write_text(APP)
    port = processes.free_port()
    url = f"http://127.0.0.1:{port}"
    argv = tuple(str(part).format(port=port) for part in SERVERS[server])
    env = {"PYTHONPATH": os.pathsep.join((str(ROOT), str(folder)))}
    with processes.start(argv, log=folder / "server.log", ready=f"{url}/metrics", url=url, env=env, cwd=folder):
        yield url


def get(url: str) -> str:
    """One request on a connection of its own, so that any worker may take it; tried again where a worker died."""
    for _ in range(50):
        try:
            return httpx.get(url, timeout=10, trust_env=False).text
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError("no worker answers")


def visit(url: str, until: Callable[[set[int]], bool]) -> set[int]:
    """Every user asks, and asks again until the pids of who answered are as wanted."""
    pids: set[int] = set()
    deadline = time.monotonic() + SECONDS
    while True:
        pids |= {int(get(f"{url}/seen/user-{number}")) for number in range(USERS)}
        if until(pids):
            return pids
        assert time.monotonic() < deadline, f"{len(pids)} workers answered within {SECONDS:g} s"


def users(url: str) -> float:
    found = re.findall(r'^active_user_register\{register="(\d+)"\} (\S+)$', get(f"{url}/metrics"), re.MULTILINE)
    ranks = {int(register): int(float(rank)) for register, rank in found}
    return improved([ranks.get(register, 0) for register in range(1024)])


@pytest.mark.parametrize("server", SERVERS)
def test_any_worker_shows_the_users_of_all(server: str, tmp_path: Path) -> None:
    with serving(server, tmp_path) as url:
        pids = visit(url, lambda pids: len(pids) == WORKERS)
        (counted,) = {users(url) for _ in range(3 * WORKERS)}
        assert counted == pytest.approx(USERS, rel=0.05)
        os.kill(min(pids), signal.SIGKILL)
        assert {users(url) for _ in range(3 * WORKERS)} == {counted}
