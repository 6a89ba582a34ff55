"""The resources that a service requests at its start are read by any worker, and measured where requests are served."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from instrumentation.errors import SettingsError
from instrumentation.queues import queue
from instrumentation.resources import _meters, attach, begin
from instrumentation.settings import parse_settings
from instrumentation.store import LocalStore
from instrumentation.store.process_store import ProcessStore

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).parents[4]
READ = {"cpu_available_cores", "disk_used_bytes", "disk_size_bytes", "disk_read_failures_total"}
MEASURED = {"python_gc_pause_seconds", "python_event_loop_lag_seconds"}


@pytest.fixture
def store() -> Iterator[ProcessStore]:
    store = ProcessStore(lambda: None)
    yield store
    _meters(store)._pauses.end()


def names(store: ProcessStore | LocalStore) -> list[str]:
    return [row.metric.name for row in list(store.series())]


def test_the_container_and_each_disk_of_the_settings_are_read(store: ProcessStore, tmp_path: Path) -> None:
    attach(store, parse_settings({"resources": {"disk_paths": ["/", str(tmp_path)]}}))
    disks = [row.labels for row in list(store.series()) if row.metric.name == "disk_size_bytes"]
    assert disks == [("/",), (str(tmp_path),)]
    assert set(names(store)) >= READ


def test_two_apps_that_share_a_store_read_and_measure_once(store: ProcessStore) -> None:
    async def serve() -> None:
        begin(store)
        begin(store)

    for _ in range(2):
        attach(store, parse_settings({}))
    asyncio.run(serve())
    asyncio.run(serve())
    found = names(store)
    for name in READ | MEASURED - {"python_gc_pause_seconds"}:
        assert found.count(name) == 1, name
    assert found.count("python_gc_pause_seconds") == 3  # generations
    assert gc.callbacks.count(_meters(store)._pauses._note) == 1


def test_the_settings_decide_how_long_a_page_waits(store: ProcessStore, released: threading.Event) -> None:
    attach(store, parse_settings({"metrics": {"read_timeout_seconds": 0.07}, "resources": {"disk_paths": []}}))
    assert store.callbacks.seconds == 0.07
    assert not released.is_set()
    assert READ & set(names(store)) == {"cpu_available_cores"}


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"metrics": {"read_timeout_seconds": 7}},
            "metrics.read_timeout_seconds: got 7; give seconds above 0 and at most 5",
        ),
        (
            {"metrics": {"read_timeout_seconds": 0}},
            "metrics.read_timeout_seconds: got 0; give seconds above 0 and at most 5",
        ),
        ({"resources": {"disk_paths": ["data"]}}, r'resources.disk_paths.0: got "data"; give an absolute path'),
        ({"resources": {"disk_paths": ["/"] * 21}}, "resources.disk_paths: got .*; give a list of at most 20"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        parse_settings(settings)


def test_without_an_event_loop_garbage_is_measured_all_the_same(store: ProcessStore) -> None:
    begin(store)
    assert MEASURED & set(names(store)) == {"python_gc_pause_seconds"}


def test_a_store_of_a_test_shows_nothing_of_the_machine() -> None:
    store = LocalStore()
    attach(store, parse_settings({}))
    begin(store)
    assert names(store) == []


def test_a_failing_source_is_left_out_and_logged_once(store: ProcessStore, caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def collect(self) -> Iterable[object]:
            yield object()
            raise ZeroDivisionError

    store.attach(Broken())  # type: ignore[arg-type]
    attach(store, parse_settings({}))
    assert set(names(store)) & set(names(store)) >= READ
    assert len(caplog.records) == 1
    assert "Broken is missing from the metrics page" in caplog.text


def test_queues_are_awaited_on_the_loop_that_serves(store: ProcessStore) -> None:
    async def seven() -> int:
        return 7

    async def serve() -> list[str]:
        begin(store)
        return await asyncio.get_running_loop().run_in_executor(None, names, store)

    queue("emails", depth=seven, store=store)
    assert "queue_depth" in asyncio.run(serve())


CHILD = """
import asyncio, gc, os, sys
from pathlib import Path
from instrumentation.resources import begin
from instrumentation.store.process_store import ProcessStore

store = ProcessStore(lambda: Path(sys.argv[1]))

async def serve():
    begin(store)

gc.disable()
asyncio.run(serve())
gc.collect(2)
child = os.fork()
if not child:
    gc.collect(2)
    asyncio.run(serve())
    gc.collect(2)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
collections = [sum(row.slots[:-1]) for row in store.series() if row.metric.name == "python_gc_pause_seconds"]
sys.exit(None if collections == [0, 0, 2] else collections)
"""


def test_a_forked_worker_counts_once_it_serves_and_never_where_its_parent_does(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", CHILD, tmp_path], cwd=ROOT, check=False, timeout=60, capture_output=True, text=True
    )
    assert (ended.returncode, ended.stderr) == (0, "")
