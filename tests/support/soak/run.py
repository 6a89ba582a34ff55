"""Runs the soak test: load, kills and scrapes, concurrently."""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.support.servers import SERVERS, Server, serving
from tests.support.soak import processes
from tests.support.soak.load import Load, Tally
from tests.support.soak.scrapes import Scrapes, fetch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ROOT = Path(__file__).parents[3]
SERVICE = "tests.support.soak.service:app"
WORKERS = 4
KILL_SECONDS = 2.0
SCRAPE_SECONDS = 1.0
GROWN_UP_SECONDS = 3.0  # from when on a worker's memory is compared with others'
MEBIBYTE = 1 << 20
LOOK_SECONDS = 0.1
SETTLED_LOOKS = 100  # for a full set of workers, before the load and after it


@dataclass(kw_only=True)
class Observed:
    """The observations.

    Attributes:
        tally: The outcome of the requests.
        scrapes: The content of the pages.
        kills: Whether workers are killed; not for servers that do not replace them.
        killed: The killed processes, in order.
        lost: Workers that ended without being killed.
        failed: Scrapes without a response.
        folder: The shared folder of the workers; None if it was not found.
        series: The number of series on each page.
        files: The number of files in the folder at each scrape.
        mebibytes: The median memory of workers that are no longer young, at each scrape.
    """

    tally: Tally = field(default_factory=Tally)
    scrapes: Scrapes = field(default_factory=Scrapes)
    kills: bool = True
    killed: list[int] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    folder: Path | None = None
    series: list[float] = field(default_factory=list)
    files: list[float] = field(default_factory=list)
    mebibytes: list[float] = field(default_factory=list)


def soak(seconds: float, requests: int, server: str = "uvicorn") -> Observed:
    """Run a server with four workers, without configuration, for a number of seconds and at most a number of requests."""
    chosen = SERVERS[server]
    with tempfile.TemporaryDirectory(prefix="sidelight-soak-") as name:
        folder = Path(name)
        paths = os.pathsep.join((str(ROOT), *filter(None, sys.path)))
        with serving(chosen, SERVICE, workers=WORKERS, folder=folder, env={"PYTHONPATH": paths}) as process:
            return asyncio.run(_Soak(process.url, process.pid, chosen).run(seconds, requests))


class _Soak:
    def __init__(self, url: str, pid: int, server: Server) -> None:
        self._url = url
        self._pid = pid
        self._victims = server.victims
        self._seen: dict[int, float] = {}
        self._observed = Observed(kills=bool(server.victims))

    async def run(self, seconds: float, requests: int) -> Observed:
        """Run everything concurrently, and read one more page after the last request."""
        await self._settle()
        host, _, port = urlsplit(self._url).netloc.partition(":")
        load = Load(host, int(port), requests)
        self._observed.tally = load.tally
        async with asyncio.TaskGroup() as group:
            group.create_task(load.run())
            around = [
                group.create_task(_every(SCRAPE_SECONDS, self._scrape)),
                group.create_task(_every(KILL_SECONDS, self._kill)),
            ]
            await asyncio.sleep(seconds)
            load.stop()
            for task in around:
                task.cancel()
        await self._settle()
        await self._scrape()
        return self._observed

    async def _settle(self) -> None:
        for _ in range(SETTLED_LOOKS):
            if len(processes.workers(self._pid)) == WORKERS:
                break
            await asyncio.sleep(LOOK_SECONDS)
        await asyncio.sleep(SCRAPE_SECONDS)

    async def _kill(self) -> None:
        """Kill the next victim; the newest worker may not have started yet."""
        alive, killed = processes.workers(self._pid), self._observed.killed
        if self._victims and len(alive) == WORKERS:  # otherwise the server is still replacing the previous one
            victim = alive[self._victims[len(killed) % len(self._victims)]]
            killed.append(victim)
            os.kill(victim, signal.SIGKILL)

    async def _scrape(self) -> None:
        observed = self._observed
        try:
            page = await asyncio.to_thread(fetch, f"{self._url}/metrics")
        except (OSError, HTTPException) as error:
            observed.failed.append(type(error).__name__)
            return
        observed.scrapes.read(page)
        self._look(len(observed.scrapes.latest))

    def _look(self, series: int) -> None:
        observed, now = self._observed, time.monotonic()
        alive = processes.workers(self._pid)
        observed.lost += [pid for pid in self._seen if pid not in alive and pid not in observed.killed]
        self._seen = {pid: self._seen.get(pid, now) for pid in alive}
        observed.folder = observed.folder or next(filter(None, map(processes.store_folder, alive)), None)
        observed.series.append(series)
        observed.files.append(processes.files_in(observed.folder))
        grown_up = [pid for pid, since in self._seen.items() if now - since >= GROWN_UP_SECONDS]
        held = list(filter(None, map(processes.resident_bytes, grown_up)))
        if held:
            observed.mebibytes.append(statistics.median(held) / MEBIBYTE)


async def _every(seconds: float, act: Callable[[], Awaitable[None]]) -> None:
    """Repeat an action until cancelled."""
    while True:
        await asyncio.sleep(seconds)
        await act()
