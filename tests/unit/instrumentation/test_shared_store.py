"""Workers count together: nothing lost, nothing twice, nothing backwards, whoever dies when."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from instrumentation import catalog
from instrumentation.store import OVERFLOW, add, observe
from instrumentation.store.merge import rebucketed
from instrumentation.store.process import ProcessStore
from instrumentation.store.shared import SharedStore
from instrumentation.store.usage import Usage

if TYPE_CHECKING:
    from pathlib import Path

Counted = dict[tuple[str, tuple[str, ...]], tuple[float, ...]]


class Workers:
    """The workers of one server, in one process of the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: dict[str, SharedStore] = {}
        self.cpu: dict[int, float] = {}
        self._born = 0

    def start(self, **options: Any) -> SharedStore:
        self._born += 1
        name = f"{self._born}-0"
        self.running[name] = SharedStore(
            self.folder, name=name, is_alive=self.running.__contains__, usage=self._usage, **options
        )
        return self.running[name]

    def kill(self, store: SharedStore) -> None:
        del self.running[store.name]

    def _usage(self, pid: int) -> Usage | None:
        cpu = self.cpu.get(pid)
        return None if cpu is None else Usage(cpu, 70.0, 700.0, 7.0, 1024.0, 1_000.0 + pid)

    def counted(self) -> Counted:
        return counted(next(iter(self.running.values())))


def counted(store: SharedStore) -> Counted:
    return {(row.metric.name, row.labels): row.slots for row in store.series()}


@pytest.fixture
def workers(tmp_path: Path) -> Workers:
    return Workers(tmp_path / "family")


CREATED = ("workflows_created_total", ("import",))
ACTIVE = ("http_server_active_requests", ("GET",))


def create(store: SharedStore, times: int = 1) -> None:
    add(store, catalog.WORKFLOWS_CREATED, ("import",), times)


def test_any_worker_reads_the_sum_of_all(workers: Workers) -> None:
    for times in (3, 7, 11):
        create(workers.start(), times)
    assert [counted(store)[CREATED] for store in workers.running.values()] == [(21.0,)] * 3


def test_the_counts_of_a_dead_worker_stay_and_its_files_go(workers: Workers) -> None:
    first, second = workers.start(), workers.start()
    create(first, 3)
    create(second, 7)
    workers.kill(first)
    assert [workers.counted()[CREATED] for _ in range(3)] == [(10.0,)] * 3
    assert sorted(path.name for path in workers.folder.iterdir()) == ["2-0.keys", "2-0.values", "archive.json", "lock"]


def test_the_gauges_of_a_dead_worker_vanish(workers: Workers) -> None:
    first, second = workers.start(), workers.start()
    for store, active in ((first, 3.0), (second, 7.0)):
        add(store, catalog.HTTP_SERVER_ACTIVE_REQUESTS, ("GET",), active)
    assert workers.counted()[ACTIVE] == (10.0,)
    workers.kill(first)
    assert workers.counted()[ACTIVE] == (7.0,)


def test_what_every_worker_says_of_the_service_is_not_summed(workers: Workers) -> None:
    labels = ("shop", "1.0", "production")
    for _ in range(3):
        workers.start().pin(catalog.TARGET_INFO, labels, 1.0)
    assert workers.counted()["target_info", labels] == (1.0,)


def test_what_processes_use_is_summed_and_cpu_time_outlives_them(workers: Workers) -> None:
    first, second = workers.start(), workers.start()
    workers.cpu = {1: 3.0, 2: 7.0}
    both = counted(second)
    assert both["process_cpu_seconds_total", ()] == (10.0,)
    assert both["process_resident_memory_bytes", ()] == (140.0,)
    assert both["process_start_time_seconds", ()] == (1_001.0,)
    workers.kill(first)
    workers.cpu = {2: 8.0}
    assert [counted(second)["process_cpu_seconds_total", ()] for _ in range(2)] == [(11.0,)] * 2
    assert counted(second)["process_resident_memory_bytes", ()] == (70.0,)


def test_two_services_do_not_mix(tmp_path: Path) -> None:
    shop, search = Workers(tmp_path / "shop"), Workers(tmp_path / "search")
    create(shop.start(), 3)
    create(search.start(), 7)
    assert (shop.counted()[CREATED], search.counted()[CREATED]) == ((3.0,), (7.0,))


def test_a_crash_between_archiving_and_removing_counts_once(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = workers.start(), workers.start()
    create(first, 3)
    workers.kill(first)
    with monkeypatch.context() as patched:
        patched.setattr("instrumentation.store.shared._File.remove", _crash)
        with pytest.raises(KeyboardInterrupt):
            workers.counted()
    assert [workers.counted()[CREATED] for _ in range(2)] == [(3.0,)] * 2


def _crash(_: object) -> None:
    raise KeyboardInterrupt


def test_a_line_that_was_half_written_is_not_read(workers: Workers) -> None:
    first, second = workers.start(), workers.start()
    create(first, 3)
    with (workers.folder / "1-0.keys").open("a") as stream:
        stream.write('["workflows_created_total", ["half')
    assert counted(second)[CREATED] == (3.0,)
    workers.kill(first)
    assert counted(second)[CREATED] == (3.0,)


def test_a_full_disk_folds_later_and_loses_nothing(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = workers.start(), workers.start()
    create(first, 3)
    add(first, catalog.HTTP_SERVER_ACTIVE_REQUESTS, ("GET",), 1.0)
    workers.kill(first)
    with monkeypatch.context() as patched:
        patched.setattr("instrumentation.store.shared.tempfile.mkstemp", _full)
        assert [counted(second) for _ in range(2)] == [{CREATED: (3.0,)}] * 2
    assert counted(second) == {CREATED: (3.0,)}
    assert not (workers.folder / "1-0.keys").exists()


def _full(**_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_without_room_a_worker_counts_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("instrumentation.store.shared.os.posix_fallocate", lambda *_: _full())
    store = ProcessStore(lambda: tmp_path)
    add(store, catalog.WORKFLOWS_CREATED, ("import",), 7.0)
    assert [row.slots for row in store.series() if row.metric is catalog.WORKFLOWS_CREATED] == [(7.0,)]


def test_a_worker_that_hangs_with_the_lock_does_not_stop_the_others(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = workers.start(), workers.start()
    create(first, 3)
    monkeypatch.setattr("instrumentation.store.shared._LOCK_SECONDS", 0.05)
    with first._locked() as alone:
        assert alone
        assert counted(second)[CREATED] == (3.0,)


def test_more_series_than_there_is_room_for_are_folded_and_nobody_elses_slots_are_touched(tmp_path: Path) -> None:
    store = SharedStore(tmp_path, series_limit=1)
    for number in range(400):
        observe(store, catalog.WORKFLOW_DURATION, (f"workflow {number}", f"outcome {number}"), 0.3)
    assert store.folded > 0
    for row in (row for row in store.series() if row.metric is catalog.WORKFLOW_DURATION):
        assert sum(row.slots[:-1]) == 1.0
        assert row.labels[0] in {OVERFLOW, "workflow 0"}


def test_histograms_of_another_generation_are_summed_into_the_edges_of_this_one() -> None:
    assert rebucketed([1, 2, 4, 3.5], edges=(0.5, 1.0), wanted=(0.5, 0.8, 1.0)) == [1.0, 0.0, 2.0, 4.0, 3.5]


def test_a_child_does_not_count_where_its_parent_does(tmp_path: Path) -> None:
    store = ProcessStore(lambda: tmp_path)
    store.pin(catalog.TARGET_INFO, ("shop", "1", "test"), 1.0)
    add(store, catalog.WORKFLOWS_CREATED, ("import",), 3.0)
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        add(store, catalog.WORKFLOWS_CREATED, ("import",), 7.0)
        os._exit(0 if len(store.inner.workers()) == 2 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    sums = {(row.metric.name, row.labels): row.slots for row in store.series()}
    assert sums[CREATED] == (10.0,)
    assert sums["target_info", ("shop", "1", "test")] == (1.0,)


class Server(RuleBasedStateMachine):
    """Any interleaving of counting, crashing, starting and reading."""

    @initialize()
    def begin(self) -> None:
        import tempfile  # noqa: PLC0415
        from pathlib import Path  # noqa: PLC0415

        self._folder = tempfile.TemporaryDirectory()
        self.workers = Workers(Path(self._folder.name))
        self.workers.start()
        self.expected: dict[str, float] = {}
        self.seen: Counted = {}

    def _worker(self, number: int) -> SharedStore:
        running = list(self.workers.running.values())
        return running[number % len(running)]

    @rule(number=st.integers(0, 5), name=st.sampled_from("abc"), times=st.integers(1, 9))
    def count(self, number: int, name: str, times: int) -> None:
        store = self._worker(number)
        add(store, catalog.WORKFLOWS_CREATED, (name,), times)
        observe(store, catalog.WORKFLOW_DURATION, (name, "success"), times)
        self.expected[name] = self.expected.get(name, 0) + times

    @rule()
    def start(self) -> None:
        self.workers.start()

    @rule(number=st.integers(0, 5))
    def kill(self, number: int) -> None:
        if len(self.workers.running) > 1:
            self.workers.kill(self._worker(number))

    @rule(number=st.integers(0, 5))
    def read(self, number: int) -> None:
        now = counted(self._worker(number))
        for key, before in self.seen.items():
            assert all(later >= earlier for later, earlier in zip(now[key], before, strict=True))
        self.seen = now

    @invariant()
    def every_sum_is_right(self) -> None:
        if not hasattr(self, "workers"):
            return
        sums = {labels[0]: slots[0] for (name, labels), slots in self.workers.counted().items() if "created" in name}
        assert sums == self.expected

    def teardown(self) -> None:
        if hasattr(self, "_folder"):
            self._folder.cleanup()


TestServer = Server.TestCase
TestServer.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
