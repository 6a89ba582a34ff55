"""Any worker of any server serves the sum of all, without configuration."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import httpx
import pytest

from sidelight.toolchain import processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sidelight.toolchain.processes import Process

ROOT = Path(__file__).parents[3]
BIN = Path(sys.executable).parent
WORKERS = 3
CLIENTS = 2
SECONDS = 30.0
T = TypeVar("T")

APP = """
import os
from fastapi import FastAPI
import instrumentation

app = FastAPI()

@app.get("/pid")
async def pid() -> int:
    return os.getpid()

instrumentation.instrument(app)
"""

SERVERS: dict[str, tuple[str, ...]] = {
    "uvicorn": ("uvicorn", "service:app", "--host", "127.0.0.1", "--port", "{port}", "--workers", "{workers}"),
    "fastapi run": ("fastapi", "run", "service.py", "--host", "127.0.0.1", "--port", "{port}", "--workers", "{workers}"),
    "gunicorn": (
        "gunicorn", "service:app", "-k", "uvicorn_worker.UvicornWorker", "-w", "{workers}", "-b", "127.0.0.1:{port}"
    ),
    "gunicorn, app loaded before the fork": (
        "gunicorn", "service:app", "--preload", "-k", "uvicorn_worker.UvicornWorker", "-w", "{workers}",
        "-b", "127.0.0.1:{port}",
    ),
    "granian": (
        "granian", "--interface", "asgi", "service:app", "--host", "127.0.0.1", "--port", "{port}",
        "--workers", "{workers}", "--respawn-failed-workers",
    ),
    "hypercorn": ("hypercorn", "service:app", "-w", "{workers}", "-b", "127.0.0.1:{port}"),
}  # fmt: skip


REPLACING = {"uvicorn": ("--limit-max-requests", "30"), "gunicorn": ("--max-requests", "30")}


@contextmanager
def serving(server: str, folder: Path, *more: str) -> Iterator[Process]:
    folder.mkdir(exist_ok=True)
    (folder / "service.py").write_text(APP)
    port = processes.free_port()
    url = f"http://127.0.0.1:{port}"
    program, *arguments = (part.format(port=port, workers=WORKERS) for part in (*SERVERS[server], *more))
    argv = (sys.executable, "-m", program, *arguments) if program == "uvicorn" else (BIN / program, *arguments)
    env = {"PYTHONPATH": os.pathsep.join((str(ROOT), str(folder)))}
    with processes.start(
        argv, log=folder / "server.log", ready=f"{url}/metrics", url=url, env=env, cwd=folder
    ) as running:
        yield running


def read(ask: Callable[[], T]) -> T:
    """The answer; a connection that a dying worker closes is tried again, but not a request that it may still count."""
    for _ in range(50):
        try:
            return ask()
        except httpx.TimeoutException:
            raise
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError("no worker answers")


def pid(url: str) -> int:
    """One request on a connection of its own, so that any worker may take it."""
    return read(lambda: int(httpx.get(f"{url}/pid", timeout=SECONDS, trust_env=False).json()))


def counted(url: str, status: int = 200) -> float:
    page = httpx.get(f"{url}/metrics", timeout=SECONDS, trust_env=False).text
    pattern = rf'^http_server_request_duration_seconds_count{{.*status_code="{status}",http_route="/pid".*}} (\S+)$'
    return sum(map(float, re.findall(pattern, page, re.MULTILINE)))


def all_counted(url: str, asked: int) -> None:
    """Wait until all that was answered is counted: a count follows its answer."""
    deadline = time.monotonic() + SECONDS
    while (found := read(lambda: counted(url))) != asked:
        assert found < asked
        assert time.monotonic() < deadline, f"{found:g} of {asked} requests were counted within {SECONDS:g} s"


def kill(victim: int, url: str, asked: int) -> None:
    """Kill a worker, with no count in flight, which may be lost."""
    all_counted(url, asked)
    os.kill(victim, signal.SIGKILL)


def ask_until(condition: Callable[[set[int]], bool], url: str) -> tuple[set[int], int]:
    """Ask for pids until a condition holds; gives the pids and how many requests were answered."""
    pids: set[int] = set()
    asked = 0
    deadline = time.monotonic() + SECONDS
    while not condition(pids):
        assert time.monotonic() < deadline, f"{len(pids)} workers answered within {SECONDS:g} s"
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(pid, [url] * 8))
        pids |= set(answers)
        asked += len(answers)
    return pids, asked


@pytest.mark.parametrize("server", SERVERS)
def test_any_worker_shows_the_sum(server: str, tmp_path: Path) -> None:
    with serving(server, tmp_path / "service") as running:
        pids, asked = ask_until(lambda pids: len(pids) == WORKERS, running.url)
        all_counted(running.url, asked)
        assert {counted(running.url) for _ in range(3 * WORKERS)} == {asked}
    assert len(pids) == WORKERS


@pytest.mark.parametrize("server", ["uvicorn", "gunicorn"])
def test_a_killed_worker_leaves_its_counts_and_no_files(server: str, tmp_path: Path) -> None:
    with serving(server, tmp_path / "service") as running:
        pids, asked = ask_until(lambda pids: len(pids) == WORKERS, running.url)
        victim = pids.pop()
        kill(victim, running.url, asked)
        _, more = ask_until(lambda others: bool(others - pids - {victim}), running.url)
        all_counted(running.url, asked + more)
        counts = [counted(running.url) for _ in range(3 * WORKERS)]
        assert set(counts) == {asked + more}
        folder = next(path.parent for path in family_files(next(iter(pids))))
        assert not list(folder.glob(f"{victim}-*"))


@pytest.mark.parametrize("server", REPLACING)
def test_workers_that_are_replaced_after_some_requests_lose_no_count(server: str, tmp_path: Path) -> None:
    with serving(server, tmp_path / "service", *REPLACING[server]) as running:
        pids: set[int] = set()
        asked = 0
        while len(pids) < WORKERS + 3:
            known = len(pids)
            newer, more = ask_until(lambda newer: len(newer | pids) > known, running.url)  # noqa: B023 - called at once
            pids |= newer
            asked += more
            all_counted(running.url, asked)
    assert len(pids) >= WORKERS + 3


class Clients:
    """Ask for pids, and know how often they were answered."""

    def __init__(self, url: str) -> None:
        self.answered = 0
        self._url = url
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def ask(self, client: httpx.Client) -> int:
        worker = int(client.get("/pid").raise_for_status().json())
        with self._lock:
            self.answered += 1
        return worker

    def read_pages_of(self, pids: set[int]) -> None:
        """Let each worker make a page; a connection stays with one worker."""
        left = set(pids)
        deadline = time.monotonic() + SECONDS
        while left:
            assert time.monotonic() < deadline, f"{len(left)} workers were not reached within {SECONDS:g} s"
            with httpx.Client(base_url=self._url, timeout=10, trust_env=False) as client:
                left.discard(self.ask(client))
                client.get("/metrics").raise_for_status()

    @contextmanager
    def without_a_pause(self) -> Iterator[None]:
        with ThreadPoolExecutor(CLIENTS) as pool:
            running = [pool.submit(self._go_on) for _ in range(CLIENTS)]
            try:
                yield
            finally:
                self._stopped.set()
        for one in running:
            one.result()

    def _go_on(self) -> None:
        while not self._stopped.is_set():
            with httpx.Client(base_url=self._url, timeout=10, trust_env=False) as client:
                self.ask(client)


def test_removing_the_folder_under_load_loses_no_count(tmp_path: Path) -> None:
    with serving("uvicorn", tmp_path / "service") as running:
        pids, asked = ask_until(lambda pids: len(pids) == WORKERS, running.url)
        victim = pids.pop()
        kill(victim, running.url, asked)
        others, more = ask_until(lambda others: len(others - {victim}) == WORKERS, running.url)
        pids = others - {victim}
        before = seen = counted(running.url)  # and one worker has what the dead one counted
        assert before == asked + more
        clients = Clients(running.url)
        removed = 0
        with clients.without_a_pause():
            while removed < 3 or not all(map(family_files, pids)):
                if all(map(family_files, pids)):
                    clients.read_pages_of(pids)  # all know all
                    shutil.rmtree(family_files(next(iter(pids)))[0].parent, ignore_errors=True)
                    removed += 1
                # The last of each client may be answered and not yet counted.
                at_least = max(seen, before + clients.answered - CLIENTS)
                seen = counted(running.url)
                assert seen >= at_least
        assert {counted(running.url) for _ in range(3 * WORKERS)} == {before + clients.answered}


def family_files(worker: int) -> list[Path]:
    return list(Path(f"/dev/shm/sidelight-{os.getuid()}").glob(f"*/{worker}-*"))  # noqa: S108 - where workers meet


def test_two_instances_of_one_service_do_not_mix(tmp_path: Path) -> None:
    with serving("uvicorn", tmp_path / "a") as first, serving("uvicorn", tmp_path / "b") as second:
        _, asked = ask_until(lambda pids: len(pids) == WORKERS, first.url)
        assert counted(first.url) == asked
        assert counted(second.url) == 0


def test_what_a_server_leaves_behind_is_removed_by_the_next(tmp_path: Path) -> None:
    with serving("uvicorn", tmp_path / "a") as running:
        pids, _ = ask_until(lambda pids: len(pids) == WORKERS, running.url)
        left = family_files(next(iter(pids)))[0].parent
    with serving("uvicorn", tmp_path / "b"):
        assert not left.exists()
