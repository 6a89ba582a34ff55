"""Cost of a scrape with many workers: 16 live and 256 dead ones."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import statistics
import tempfile
import time
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.cases import ROUTES, STATUSES
from benchmarks.variants import HAS_SHARED_STORE
from tests.support.errors import MeasurementError
from tests.support.tables import Column, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

    from benchmarks.effort import Effort
    from tests.support.tables import Row

RUNNING = 16
ENDED = 256
SECONDS = 300.0
MILLISECONDS = 1e3
MULTIPROCESS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
COLUMNS = (
    Column(key="variant", title="variant"),
    Column(key="running", title="workers running", digits=0),
    Column(key="ended", title="workers ended", digits=0),
    Column(key="first", title="ms the first time", digits=1),
    Column(key="then", title="ms from then on", digits=1),
    Column(key="fold", title="ms for each that ended, once", digits=2),
)
TITLES = {"sidelight": "Sidelight", "prometheus_client": "prometheus_client, multiprocess mode"}


class Merge(NamedTuple):
    """Milliseconds of CPU time.

    Attributes:
        first: The first scrape after workers have died.
        then: The median of the following scrapes.
    """

    first: float
    then: float


def table(effort: Effort) -> Table:
    """Measure Sidelight and prometheus_client, without and with dead workers."""
    names = [name for name in TITLES if name != "sidelight" or HAS_SHARED_STORE]
    rows = [row for name in names for row in _rows(name, effort.repeats)]
    return Table(
        name="merge",
        title=f"Merging the workers' numbers: {ROUTES} routes with {len(STATUSES)} statuses, a histogram each",
        note="Until the page's text is complete. Sidelight merges the counts of a dead worker once, at the first scrape.",
        columns=COLUMNS,
        rows=tuple(rows),
    )


def _rows(name: str, repeats: int) -> Iterator[Row]:
    alone, many = (_apart(name, ended, repeats) for ended in (0, ENDED))
    yield {"variant": TITLES[name], "running": RUNNING, "ended": 0, "first": alone.first, "then": alone.then}
    fold = (many.first - many.then) / ENDED
    yield {
        "variant": TITLES[name],
        "running": RUNNING,
        "ended": ENDED,
        "first": many.first,
        "then": many.then,
        "fold": max(0.0, fold),
    }


def _apart(name: str, ended: int, repeats: int) -> Merge:
    """Measure in a separate process, because prometheus_client chooses its mode when it is imported."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    with tempfile.TemporaryDirectory(prefix="sidelight-benchmark-") as folder:
        process = spawn.Process(target=_measure, args=(theirs, name, Path(folder), ended, repeats))
        process.start()
        theirs.close()
        try:
            return _answer(ours, TITLES[name])
        finally:
            process.join(SECONDS)


def _answer(connection: Connection, title: str) -> Merge:
    if not connection.poll(SECONDS):
        raise MeasurementError(f"{title}: merging took too long", code="variant_failed")
    try:
        merge: Merge = connection.recv()
    except EOFError as error:
        raise MeasurementError(f"{title}: merging failed", code="variant_failed") from error
    return merge


def _measure(connection: Connection, name: str, folder: Path, ended: int, repeats: int) -> None:
    os.environ[MULTIPROCESS_FOLDER] = str(folder)
    module = import_module(f"benchmarks.merging.{name}")
    with _workers(lambda: module.fill(folder), running=RUNNING, ended=ended):
        scrape = module.scraper(folder)
        gc.collect()  # writes to memory shared with forked processes, which is then copied; this is not part of a scrape
        first, *then = [_milliseconds(scrape) for _ in range(repeats + 1)]
    connection.send(Merge(first, statistics.median(then)))


def _milliseconds(scrape: Callable[[], object]) -> float:
    began = time.process_time()
    scrape()
    return (time.process_time() - began) * MILLISECONDS


@contextmanager
def _workers(fill: Callable[[], object], *, running: int, ended: int) -> Iterator[None]:
    """Fork processes that each count into files: some end at once as with kill -9, others keep running."""
    for _ in range(ended):
        os.waitpid(_fork(fill, stays=False), 0)
    children = [_fork(fill, stays=True) for _ in range(running)]
    try:
        yield
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def _fork(fill: Callable[[], object], *, stays: bool) -> int:
    """Fork, and return once the child has filled its files."""
    heard, told = os.pipe()
    child = os.fork()
    if not child:
        _work(fill, told, stays=stays)
    os.close(told)
    os.read(heard, 1)
    os.close(heard)
    return child


def _work(fill: Callable[[], object], told: int, *, stays: bool) -> None:
    try:
        kept = fill()
        os.write(told, b"." if kept else b"")
        if stays:
            time.sleep(SECONDS)
    finally:
        os._exit(0)  # no clean-up, as after kill -9
