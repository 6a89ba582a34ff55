"""A worker group loses no count, counts nothing twice and never goes backwards, whichever worker or file disappears."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
import threading
import time
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from instrumentation import catalog
from instrumentation.store import OVERFLOW, add, file_watchdog, observe, shared_store, worker_files
from instrumentation.store.merge import Sums, rebucketed
from instrumentation.store.process_metrics import Usage
from instrumentation.store.process_store import ProcessStore
from instrumentation.store.shared_store import SharedStore
from instrumentation.store.table import Key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Counted = dict[tuple[str, tuple[str, ...]], tuple[float, ...]]


class Workers:
    """The workers of one server, in one process of the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: dict[str, SharedStore] = {}
        self.cpu: dict[int, float] = {}
        self._alive: set[str] = set()
        self._born = 0

    def start(self, **options: Any) -> SharedStore:
        self._born += 1
        name = f"{self._born}-0"
        self._alive.add(name)
        self.running[name] = SharedStore(
            self.folder, name=name, is_alive=self._alive.__contains__, usage=self._usage, **options
        )
        return self.running[name]

    def kill(self, store: SharedStore) -> None:
        del self.running[store.name]
        self._alive.remove(store.name)

    def died_at_birth(self) -> None:
        self._alive.remove(f"{self._born}-0")

    def a_second_passes(self) -> None:
        for store in self.running.values():
            store.keep()

    def vanish(self) -> None:
        """At once, since a watchdog that restores files would be in the way of removing file after file."""
        shutil.rmtree(self.folder.rename(self.folder.with_name("gone")))

    def _usage(self, pid: int) -> Usage | None:
        cpu = self.cpu.get(pid)
        return None if cpu is None else Usage(cpu, 70.0, 700.0, 7.0, 1024.0, 1_000.0 + pid)

    def counted(self) -> Counted:
        return counted(next(iter(self.running.values())))

    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())


def counted(store: SharedStore) -> Counted:
    found = {(row.metric.name, row.labels): row.slots for row in store.series()}
    del found["sidelight_series_folded_total", ()]
    return found


@pytest.fixture
def workers(tmp_path: Path) -> Workers:
    return Workers(tmp_path / "family")


CREATED = ("workflows_created_total", ("import",))
ACTIVE = ("http_server_active_requests", ("GET",))


def create(store: SharedStore, times: int = 1) -> None:
    add(store, catalog.WORKFLOWS_CREATED, ("import",), times)


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@contextmanager
def full_disk() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        for name in ("posix_fallocate", "write"):
            patched.setattr(f"instrumentation.store.worker_files.os.{name}", full)
        yield


def test_files_of_a_dead_worker_that_cannot_be_removed_are_not_counted_again_an_hour_later(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, dead = workers.start(), workers.start()
    create(dead, 5)
    workers.kill(dead)
    monkeypatch.setattr(worker_files, "remove", lambda folder, files: None)  # noqa: ARG005
    assert workers.counted()[CREATED] == (5.0,)
    hour_later = shared_store.time.time() + 3600
    monkeypatch.setattr(shared_store.time, "time", lambda: hour_later)
    another = workers.start()
    create(another, 1)
    workers.kill(another)
    assert [workers.counted()[CREATED] for _ in range(3)] == [(6.0,)] * 3
    assert f"{dead.name}.values" in workers.files()
    assert reader.name in workers.running


def test_any_worker_reads_the_sum_of_all(workers: Workers) -> None:
    for times in (3, 7, 11):
        create(workers.start(), times)
    assert [counted(store)[CREATED] for store in workers.running.values()] == [(21.0,)] * 3


def test_series_made_after_the_first_page_are_on_the_next(workers: Workers) -> None:
    first, second = workers.start(), workers.start()
    create(first, 3)
    assert counted(second) == {CREATED: (3.0,)}
    add(first, catalog.WORKFLOWS_CREATED, ("export",), 7)
    create(first, 1)
    assert counted(second) == {CREATED: (4.0,), ("workflows_created_total", ("export",)): (7.0,)}


def test_the_counts_of_a_dead_worker_stay_and_its_files_go(workers: Workers) -> None:
    first, second = workers.start(), workers.start()
    create(first, 3)
    create(second, 7)
    workers.kill(first)
    assert [workers.counted()[CREATED] for _ in range(3)] == [(10.0,)] * 3
    assert workers.files() == ["2-0.archive", "2-0.keys", "2-0.values", "lock"]


def test_counts_that_a_worker_has_merged_outlive_it_too(workers: Workers) -> None:
    for times in (3, 7, 11, 13):
        create(workers.start(), times)
    for alive in (3, 2, 1):
        workers.kill(next(iter(workers.running.values())))
        assert len(workers.running) == alive
        assert workers.counted() == {CREATED: (34.0,)}
    assert workers.files() == ["4-0.archive", "4-0.keys", "4-0.values", "lock"]


def test_the_gauges_of_a_dead_worker_vanish(workers: Workers) -> None:
    first, second = workers.start(), workers.start()
    for store, active in ((first, 3.0), (second, 7.0)):
        add(store, catalog.HTTP_SERVER_ACTIVE_REQUESTS, ("GET",), active)
    assert workers.counted()[ACTIVE] == (10.0,)
    workers.kill(first)
    assert workers.counted()[ACTIVE] == (7.0,)


def test_gauges_of_the_whole_service_are_not_summed(workers: Workers) -> None:
    labels = ("shop", "1.0", "production")
    for _ in range(3):
        workers.start().pin(catalog.TARGET_INFO, labels, 1.0)
    assert workers.counted()["target_info", labels] == (1.0,)


def test_process_metrics_are_summed_and_cpu_time_outlives_processes(workers: Workers) -> None:
    workers.cpu = {1: 3.0, 2: 7.0}
    first, second = workers.start(), workers.start()
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


def test_what_else_is_in_the_folder_stays(workers: Workers) -> None:
    first, second = workers.start(), workers.start()
    create(first, 7)
    for name in ("server.keys", "1.values", "a-1.archive", "7-0.users"):
        (workers.folder / name).touch()
    workers.kill(first)
    assert counted(second) == {CREATED: (7.0,)}
    assert {"server.keys", "1.values", "a-1.archive", "7-0.users"} < set(workers.files())


def test_a_worker_that_hangs_with_the_lock_does_not_stop_the_others(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, dead = workers.start(), workers.start(), workers.start()
    create(first, 3)
    create(dead, 7)
    workers.kill(dead)
    monkeypatch.setattr(shared_store, "_LOCK_SECONDS", 0.05)
    with shared_store._locked(workers.folder / "lock", 0.0) as alone:
        assert alone
        assert [counted(second)[CREATED] for _ in range(2)] == [(10.0,)] * 2
        assert "3-0.keys" in workers.files()
    assert counted(second)[CREATED] == (10.0,)
    assert "3-0.keys" not in workers.files()


def test_a_lock_in_a_removed_folder_blocks_no_worker(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    store, real = workers.start(), shared_store.fcntl.flock
    create(store, 7)

    def late(handle: int, how: int) -> None:
        monkeypatch.undo()
        workers.vanish()
        workers.a_second_passes()
        real(handle, how)

    monkeypatch.setattr(shared_store.fcntl, "flock", late)
    with (
        shared_store._locked(workers.folder / "lock", 1.0) as alone,
        shared_store._locked(workers.folder / "lock", 0.0) as too,
    ):
        assert (alone, too) == (True, False)


def test_a_child_that_is_forked_meanwhile_does_not_keep_the_lock(tmp_path: Path) -> None:
    lock, (heard, told) = tmp_path / "lock", os.pipe()
    with shared_store._locked(lock, 0.0):
        child = os.fork()
        if child == 0:  # pragma: no cover - another process
            os.close(told)
            os.read(heard, 1)
            os._exit(0)
    with shared_store._locked(lock, 0.0) as alone:
        os.close(told)
        os.waitpid(child, 0)
        assert alone
    os.close(heard)


def test_with_too_many_open_files_no_worker_is_dropped(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_many(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    first, dead, reader = workers.start(), workers.start(), workers.start()
    for store, times in ((first, 3), (dead, 7)):
        create(store, times)
    assert counted(reader) == {CREATED: (10.0,)}
    workers.kill(dead)
    with monkeypatch.context() as patched:
        for name in ("open", "listdir"):
            patched.setattr(os, name, too_many)
        assert [counted(reader) for _ in range(2)] == [{CREATED: (10.0,)}] * 2
    assert [counted(reader) for _ in range(2)] == [{CREATED: (10.0,)}] * 2


def test_counting_does_not_wait_for_a_page(workers: Workers) -> None:
    store = workers.start()
    with store._reading:
        create(store, 7)
    assert workers.counted() == {CREATED: (7.0,)}


def test_more_series_than_there_is_room_for_are_folded_and_nobody_elses_slots_are_touched(tmp_path: Path) -> None:
    store = SharedStore(tmp_path, series_limit=1)
    for number in range(400):
        observe(store, catalog.WORKFLOW_DURATION, (f"workflow {number}", f"outcome {number}"), 0.3)
    assert store.folded > 0
    for row in (row for row in store.series() if row.metric is catalog.WORKFLOW_DURATION):
        assert sum(row.slots[:-1]) == 1.0
        assert row.labels[0] in {OVERFLOW, "workflow 0"}


def test_threads_that_no_longer_have_room_of_their_own_are_folded_and_lose_no_count(tmp_path: Path) -> None:
    store = SharedStore(tmp_path, series_limit=1)
    for thread in range(700):
        store.buffer[store.place(catalog.WORKFLOWS_CREATED, ("import",), thread)] += 1.0
    created = {row.labels: row.slots[0] for row in store.series() if row.metric is catalog.WORKFLOWS_CREATED}
    assert sum(created.values()) == 700
    assert store.folded == created[OVERFLOW,] > 0
    assert created["import",] > 0


def test_what_dead_workers_leave_is_bounded_however_many_there_were(workers: Workers) -> None:
    workers.start(series_limit=7)
    for generation in range(9):
        worker = workers.start()
        for number in range(5):
            add(worker, catalog.WORKFLOWS_CREATED, (f"{generation} {number}",), 1)
        workers.kill(worker)
        workers.counted()
    created = [slots for (name, _), slots in workers.counted().items() if name == "workflows_created_total"]
    assert len(created) <= 7 + 1
    assert sum(slots[0] for slots in created) == 9 * 5


def test_a_file_is_closed_once_nothing_refers_to_it(tmp_path: Path) -> None:
    file = worker_files.File(str(tmp_path / "file"), os.O_CREAT | os.O_RDWR)
    number = file.number
    os.fstat(number)
    del file
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)


def test_a_store_names_the_workers_that_run(workers: Workers) -> None:
    first, second = workers.start(), workers.start()
    assert first.workers() == second.workers() == sorted([first.name, second.name])
    workers.kill(second)
    assert first.workers() == [first.name]


def test_a_store_marks_the_lock_in_its_folder_as_used_if_there_is_one(workers: Workers) -> None:
    store, lock = workers.start(), workers.folder / "lock"
    store.touch()
    assert not lock.exists()
    lock.touch()
    os.utime(lock, (7, 7))
    store.touch()
    assert time.time() - lock.stat().st_mtime < 60


# --- Numbers ----------------------------------------------------------------------------------------------------------


def test_the_highest_value_of_dead_workers_has_no_rounding_error() -> None:
    metric = next(metric for metric in catalog.METRICS if metric.merge is max)
    sums = Sums()
    for value in (3.0, 5.0, 4.0):
        sums.add([(Key.of(metric, ("x",) * len(metric.labels)), 1)], [7.0, value])
    assert [slots for _, slots in sums.exact()] == [[7.0, 5.0]]


def test_histograms_of_another_generation_are_summed_into_the_edges_of_this_one(workers: Workers) -> None:
    assert rebucketed([1, 2, 4, 3.5], edges=(0.5, 1.0), wanted=(0.5, 0.8, 1.0)) == [1.0, 0.0, 2.0, 4.0, 3.5]
    old, new = workers.start(), workers.start()
    labels = ("GET", "/", "200", "")
    for store, edges in ((old, (0.5, 1.0)), (new, (0.5, 0.8, 1.0))):
        store.declare(catalog.HTTP_SERVER_REQUEST_DURATION, edges)
        place = store.place(catalog.HTTP_SERVER_REQUEST_DURATION, labels)
        store.buffer[place + 1] += 3.0
    expected = (0.0, 3.0, 3.0, 0.0, 0.0)
    assert counted(new)[catalog.HTTP_SERVER_REQUEST_DURATION.name, labels] == expected
    workers.kill(old)
    assert [counted(new)[catalog.HTTP_SERVER_REQUEST_DURATION.name, labels] for _ in range(2)] == [expected] * 2


def test_a_sum_is_the_same_in_every_worker_and_does_not_change_by_merging(workers: Workers) -> None:
    """Added one after the other 0.1, 0.2 and 0.3 make 0.6000000000000001 or 0.6: a reset, for Prometheus."""
    for usd in (0.1, 0.2, 0.3, 1e16, 0.7):
        add(workers.start(), catalog.WORKFLOW_COST, ("import",), usd)
    seen = {slots for store in workers.running.values() for slots in counted(store).values()}
    while len(workers.running) > 1:
        workers.kill(next(iter(workers.running.values())))
        seen |= set(workers.counted().values())
    assert seen == {(10000000000000002.0,)}


def test_an_infinite_sum_does_not_break_the_page(workers: Workers) -> None:
    for usd in (1e308, 1e308, float("inf")):
        add(workers.start(), catalog.WORKFLOW_COST, ("import",), usd)
    assert set(workers.counted().values()) == {(float("inf"),)}
    workers.kill(next(iter(workers.running.values())))
    assert set(workers.counted().values()) == {(float("inf"),)}


def test_a_series_is_as_old_as_the_oldest_worker_that_had_it(workers: Workers) -> None:
    def since(store: SharedStore) -> float:
        return next(row.created for row in store.series() if row.metric is catalog.WORKFLOWS_CREATED)

    first, second = workers.start(), workers.start()
    create(first)
    oldest = since(first)
    create(second)
    assert since(second) == oldest
    workers.kill(first)
    assert since(second) == oldest


# --- The folder vanishes ----------------------------------------------------------------------------------------------


def test_a_folder_that_vanishes_takes_no_count_with_it(workers: Workers) -> None:
    for times in (3, 7, 11):
        create(workers.start(), times)
    workers.a_second_passes()
    workers.vanish()
    assert [counted(store) for store in workers.running.values()] == [{CREATED: (21.0,)}] * 3
    for store in workers.running.values():
        create(store)
    assert [counted(store) for store in [*workers.running.values(), workers.start()]] == [{CREATED: (24.0,)}] * 4


def test_the_first_worker_read_knows_all_counts_before_the_others_are_back(workers: Workers) -> None:
    first, second = workers.start(), workers.start()
    create(second, 7)
    workers.a_second_passes()
    workers.vanish()
    create(second)
    add(second, catalog.WORKFLOWS_CREATED, ("export",), 3)
    assert counted(first) == {CREATED: (8.0,), ("workflows_created_total", ("export",)): (3.0,)}
    assert workers.files() == ["1-0.keys", "1-0.values", "lock"]
    workers.a_second_passes()
    create(second)
    assert counted(first)[CREATED] == (9.0,)
    assert "2-0.keys" in workers.files()


def test_a_request_that_was_begun_before_the_folder_vanished_counts(workers: Workers) -> None:
    store, other = workers.start(), workers.start()
    place, buffer = store.place(catalog.WORKFLOWS_CREATED, ("import",)), store.buffer
    buffer[place] += 1.0
    for _ in range(3):
        workers.vanish()
        workers.a_second_passes()
        buffer[place] += 1.0
    assert store.buffer is buffer
    assert [counted(worker) for worker in (store, other, workers.start())] == [{CREATED: (4.0,)}] * 3


def test_threads_that_count_meanwhile_lose_nothing(workers: Workers) -> None:
    store = workers.start()
    times, vanishings = 50_000, 0
    places = [store.place(catalog.WORKFLOWS_CREATED, ("import",), shard) for shard in (1, 2)]

    def run(place: int) -> None:
        buffer = store.buffer
        for _ in range(times):
            buffer[place] += 1.0

    threads = [threading.Thread(target=run, args=(place,)) for place in places]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads) or not vanishings:
        workers.vanish()
        workers.a_second_passes()
        vanishings += 1
    for thread in threads:
        thread.join(timeout=30)
    assert counted(workers.start()) == {CREATED: (2.0 * times,)}


def test_what_was_written_between_the_copy_and_the_change_is_added(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = workers.start()
    create(store, 3)
    real = worker_files.move.__globals__["_replace"]

    def late(*arguments: object) -> None:
        create(store, 7)
        real(*arguments)

    monkeypatch.setattr("instrumentation.store.memory_mapping._replace", late)
    workers.vanish()
    assert counted(store) == {CREATED: (10.0,)}
    assert counted(workers.start()) == {CREATED: (10.0,)}


def test_what_was_taken_over_comes_back_too(workers: Workers) -> None:
    dead, heir, _ = workers.start(), workers.start(), workers.start()
    create(dead, 7)
    create(heir, 3)
    workers.kill(dead)
    counted(heir)
    workers.a_second_passes()
    workers.vanish()
    assert [counted(store) for store in reversed(workers.running.values())] == [{CREATED: (10.0,)}] * 2
    workers.a_second_passes()
    workers.kill(heir)
    assert [counted(store) for store in (*workers.running.values(), workers.start())] == [{CREATED: (10.0,)}] * 2


def test_a_dead_worker_that_was_not_merged_when_the_folder_vanished_counts_once(workers: Workers) -> None:
    dead, first, second = workers.start(), workers.start(), workers.start()
    create(dead, 7)
    workers.a_second_passes()
    workers.kill(dead)
    workers.vanish()
    assert [counted(store) for store in (first, second, first, workers.start())] == [{CREATED: (7.0,)}] * 4
    workers.kill(first)
    assert workers.counted() == {CREATED: (7.0,)}


def test_a_worker_that_was_merged_just_before_the_folder_vanished_counts_once(workers: Workers) -> None:
    dead, heir, other = workers.start(), workers.start(), workers.start()
    create(dead, 7)
    workers.a_second_passes()
    workers.kill(dead)
    counted(heir)  # and the other knows nothing of it yet
    workers.vanish()
    assert [counted(store) for store in (other, heir, other)] == [{CREATED: (7.0,)}] * 3
    workers.a_second_passes()
    assert [counted(store) for store in (other, heir, workers.start())] == [{CREATED: (7.0,)}] * 3


def test_a_worker_merged_by_a_merged_worker_counts_once(workers: Workers) -> None:
    dead, heir, heirs_heir, other = (workers.start() for _ in range(4))
    create(dead, 7)
    workers.a_second_passes()
    for store, reader in ((dead, heir), (heir, heirs_heir)):
        workers.kill(store)
        counted(reader)
    workers.vanish()
    assert [counted(store) for store in (other, heirs_heir, other)] == [{CREATED: (7.0,)}] * 3


@pytest.mark.parametrize("kind", worker_files.KINDS)
def test_a_single_file_that_is_removed_is_made_again(kind: str, workers: Workers) -> None:
    dead, heir = workers.start(), workers.start()
    create(dead, 3)
    create(heir, 7)
    workers.kill(dead)
    assert workers.counted() == {CREATED: (10.0,)}
    (workers.folder / f"2-0.{kind}").unlink()
    workers.a_second_passes()
    assert counted(workers.start()) == {CREATED: (10.0,)}


def test_the_folders_that_are_made_again_are_this_users_alone(tmp_path: Path) -> None:
    root = tmp_path / f"sidelight-{os.getuid()}"
    workers = Workers(root / "family")
    create(workers.start(), 7)
    shutil.rmtree(root)
    assert workers.counted() == {CREATED: (7.0,)}
    assert [stat.S_IMODE(path.stat().st_mode) for path in (root, workers.folder)] == [0o700, 0o700]


def test_a_root_that_is_somebody_elses_by_now_is_not_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = tmp_path / f"sidelight-{os.getuid()}"
    workers = Workers(root / "family")
    create(workers.start(), 7)
    shutil.rmtree(root)
    root.mkdir()
    root.chmod(0o777)
    assert [workers.counted() for _ in range(3)] == [{CREATED: (7.0,)}] * 3
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith("sidelight cannot restore the files of this worker, so new workers do not see its counts")
    assert said.endswith(f": {root}: it belongs to another user")
    assert list(root.iterdir()) == []


def keep_after_a_while(workers: Workers, store: SharedStore) -> None:
    long_ago = 1_000_000_000
    os.utime(workers.folder, (long_ago, long_ago))
    store.keep()


def test_if_nothing_has_changed_nothing_is_read(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    store = workers.start()
    keep_after_a_while(workers, store)
    with monkeypatch.context() as patched:
        patched.setattr(store, "_look", lambda: pytest.fail("it looks although nobody came or went"))
        keep_after_a_while(workers, store)
    create(workers.start(), 7)
    store.keep()
    workers.vanish()
    assert counted(store) == {CREATED: (7.0,)}


def test_lines_missing_because_of_a_full_disk_are_written_later_without_a_change_of_workers(workers: Workers) -> None:
    first, second = workers.start(), workers.start()
    keep_after_a_while(workers, first)
    with full_disk():
        create(first, 7)
    keep_after_a_while(workers, first)
    assert counted(second) == {CREATED: (7.0,)}


# --- The watchdog -------------------------------------------------------------------------------------------------------


def until(condition: Callable[[], object]) -> None:
    waiting = threading.Event()
    for _ in range(3_000):
        if condition():
            return
        waiting.wait(0.01)
    pytest.fail("it does not happen")


def test_a_worker_comes_back_without_a_scrape(workers: Workers) -> None:
    store = workers.start()
    create(store, 7)
    file_watchdog.look_after(store, seconds=0.01)
    for _ in range(3):
        workers.vanish()
        until((workers.folder / "1-0.keys").exists)
    assert counted(workers.start()) == {CREATED: (7.0,)}


def test_dead_workers_are_merged_without_a_scrape(workers: Workers) -> None:
    first = workers.start()
    file_watchdog.look_after(first, seconds=0.01)
    dead = workers.start()
    create(dead, 7)
    workers.kill(dead)
    workers.start()
    until(lambda: not (workers.folder / "2-0.keys").exists())
    assert workers.counted() == {CREATED: (7.0,)}


def test_the_watchdog_ends_with_its_store(tmp_path: Path) -> None:
    others = set(threading.enumerate())
    store = SharedStore(tmp_path)
    file_watchdog.look_after(store, seconds=0.01)
    (thread,) = set(threading.enumerate()) - others
    del store
    thread.join(timeout=30)
    assert not thread.is_alive()


def test_a_failing_watchdog_logs_this_once_and_continues(workers: Workers, caplog: pytest.LogCaptureFixture) -> None:
    store = workers.start()
    asked = []

    def keep() -> None:
        asked.append(7)
        raise RuntimeError("an error in Sidelight")

    store.keep = keep  # type: ignore[method-assign]
    file_watchdog.look_after(store, seconds=0.001)
    until(lambda: len(asked) > 3)
    assert [record.getMessage() for record in caplog.records] == [
        f"sidelight could not check {workers.folder}; further failures are not logged"
    ]


def test_a_worker_that_may_start_no_thread_counts_all_the_same(
    workers: Workers, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_more(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", no_more)
    store = ProcessStore(lambda: workers.folder)
    add(store, catalog.WORKFLOWS_CREATED, ("import",), 7.0)
    assert "can't start new thread" in caplog.text
    assert store.is_shared


# --- A full disk ------------------------------------------------------------------------------------------------------


def test_a_full_disk_merges_later_and_loses_nothing(workers: Workers, caplog: pytest.LogCaptureFixture) -> None:
    first, second = workers.start(), workers.start()
    create(first, 3)
    add(first, catalog.HTTP_SERVER_ACTIVE_REQUESTS, ("GET",), 1.0)
    workers.kill(first)
    with full_disk():
        assert [counted(second) for _ in range(3)] == [{CREATED: (3.0,)}] * 3
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith("sidelight cannot merge the counts of dead workers, so their files are read at each scrape")
    assert said.endswith(f": {workers.folder}/2-0.archive: No space left on device")
    assert counted(second) == {CREATED: (3.0,)}
    assert workers.files() == ["2-0.archive", "2-0.keys", "2-0.values", "lock"]
    workers.kill(workers.start())
    with full_disk():
        assert [counted(second) for _ in range(3)] == [{CREATED: (3.0,)}] * 3
    assert len(caplog.records) == 2  # it was well in between


@pytest.mark.parametrize("step", ["posix_fallocate", "open", "rename"])
def test_on_a_full_disk_a_worker_counts_alone_and_logs_this_once(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = os.open

    def open_full(path: str, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_CREAT:
            raise OSError(errno.ENOSPC, "No space left on device", path)
        return real(path, flags, mode)

    with monkeypatch.context() as patched:
        patched.setattr(f"instrumentation.store.worker_files.os.{step}", open_full if step == "open" else full)
        patched.setattr("instrumentation.store.process_store.group_name", lambda: str(tmp_path))
        store = ProcessStore(lambda: tmp_path)
        for _ in range(3):
            add(store, catalog.WORKFLOWS_CREATED, ("import",), 7.0)
        assert not store.is_shared
    shown = {row.metric.name: row.slots for row in store.series()}
    assert (shown["workflows_created_total"], shown["sidelight_store_degraded"]) == ((21.0,), (1.0,))
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith(f"the workers of this server cannot count together: {tmp_path}/")
    assert said.endswith(
        "No space left on device. Only one of them reports, and only its own requests; "
        "make room there, or set another folder in SIDELIGHT_STORE_DIR"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_series_without_room_on_the_disk_is_counted_and_seen_by_others_later(workers: Workers) -> None:
    first, second = workers.start(), workers.start()
    with full_disk():
        create(first, 7)
        assert counted(first) == {CREATED: (7.0,)}
        assert counted(second) == {}
    workers.a_second_passes()
    assert counted(second) == {CREATED: (7.0,)}


def test_a_line_that_the_disk_had_only_half_the_room_for_spoils_no_other(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = workers.start(), workers.start()
    write = os.write
    with monkeypatch.context() as patched:
        patched.setattr("instrumentation.store.worker_files.os.write", lambda file, data: write(file, bytes(data)[:17]))
        create(first, 7)
    add(first, catalog.WORKFLOWS_CREATED, ("export",), 3)
    assert counted(second) == {}
    workers.a_second_passes()
    assert counted(second) == {CREATED: (7.0,), ("workflows_created_total", ("export",)): (3.0,)}


def test_a_worker_comes_back_once_there_is_room(workers: Workers, caplog: pytest.LogCaptureFixture) -> None:
    first, second = workers.start(), workers.start()
    create(first, 3)
    workers.a_second_passes()
    workers.vanish()
    with full_disk():
        for _ in range(3):
            workers.a_second_passes()
            create(first)
        assert [counted(store) for store in (first, second)] == [{CREATED: (6.0,)}] * 2
    assert len(caplog.records) == 2  # one of each worker
    assert f"{workers.folder}/.1-0.values: No space left on device" in caplog.text
    workers.a_second_passes()
    assert counted(workers.start()) == {CREATED: (6.0,)}
    assert not [name for name in workers.files() if name.startswith(".")]


# --- Torn files -------------------------------------------------------------------------------------------------------


def test_a_line_that_was_half_written_is_not_read(workers: Workers) -> None:
    first, second = workers.start(), workers.start()
    create(first, 3)
    with (workers.folder / "1-0.keys").open("a") as stream:
        stream.write('["workflows_created_total", ["half')
    assert counted(second)[CREATED] == (3.0,)
    workers.kill(first)
    assert counted(second)[CREATED] == (3.0,)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\xff\xfe\0\n",
        b"7\n",
        b"[]\n",
        b'["workflows_created_total", 7, [], 1]\n',
        b'["workflows_created_total", ["a"], [], -9]\n',
        b"[" * 100_000 + b"\n",
    ],
)
def test_lines_after_garbage_are_ignored(garbage: bytes, workers: Workers) -> None:
    first, second = workers.start(), workers.start()
    create(first, 3)
    with (workers.folder / "1-0.keys").open("ab") as stream:
        stream.write(garbage + b'["workflows_created_total", ["export"], [], 1]\n')
    assert counted(second) == {CREATED: (3.0,)}
    workers.kill(first)
    assert counted(second) == {CREATED: (3.0,)}


def test_series_of_another_version_are_left_out_and_those_behind_them_are_not(workers: Workers) -> None:
    first, second = workers.start(), workers.start()
    place = first.place(catalog.WORKFLOWS_CREATED, ("import",))
    with (workers.folder / "1-0.keys").open("ab") as stream:
        stream.write(b'["a_metric_to_come_seconds", ["a"], [0.5], 3]\n["workflows_created_total", ["a", "b"], [], 1]\n')
        stream.write(b'["workflows_created_total", ["export"], [], 1]\n')
    first.buffer[place + 4 + 2 + 2] = 7.0
    assert counted(second) == {CREATED: (0.0,), ("workflows_created_total", ("export",)): (7.0,)}


@pytest.mark.parametrize("left", [b"", b"7", b"1234567" * 3])
def test_a_torn_values_file_does_not_break_the_page(left: bytes, workers: Workers) -> None:
    dead, reader = workers.start(), workers.start()
    create(dead, 3)
    create(reader, 7)
    workers.kill(dead)
    (workers.folder / "1-0.values").write_bytes(left)
    assert [counted(reader) for _ in range(2)] == [{CREATED: (7.0,)}] * 2
    assert workers.files() == ["2-0.archive", "2-0.keys", "2-0.values", "lock"]


@pytest.mark.parametrize("garbage", [b"", b"{}", b"\0" * 4096, b'00000000\n{"folded": []}\n\n'])
def test_a_torn_archive_is_named_and_its_earlier_values_count(
    garbage: bytes, workers: Workers, caplog: pytest.LogCaptureFixture
) -> None:
    dead, heir, reader = workers.start(), workers.start(), workers.start()
    create(dead, 7)
    create(heir, 3)
    workers.kill(dead)
    counted(heir)
    counted(reader)
    torn = workers.folder / "2-0.archive"
    torn.write_bytes(garbage)
    assert [counted(reader) for _ in range(3)] == [{CREATED: (10.0,)}] * 3
    assert [counted(workers.start()) for _ in range(2)] == [{CREATED: (3.0,)}] * 2  # who never read another one
    assert {record.getMessage() for record in caplog.records} == {
        f"{torn} cannot be read: its checksum is wrong; its previous content is used"
    }
    assert len(caplog.records) == 3  # one of each reader
    workers.a_second_passes()
    assert [counted(store) for store in workers.running.values()] == [{CREATED: (10.0,)}] * 4


def test_a_torn_archive_of_a_dead_worker_loses_only_its_own_values(workers: Workers) -> None:
    dead, heir, reader = workers.start(), workers.start(), workers.start()
    create(dead, 7)
    create(heir, 3)
    workers.kill(dead)
    counted(heir)
    workers.kill(heir)
    (workers.folder / "2-0.archive").write_bytes(b"torn")
    assert [counted(reader) for _ in range(2)] == [{CREATED: (3.0,)}] * 2
    assert workers.files() == ["3-0.archive", "3-0.keys", "3-0.values", "lock"]


# --- kill -9 ----------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """Ends a worker between two steps; nothing may catch it."""


@contextmanager
def killed_before(step: int) -> Iterator[None]:
    """Die before the nth change of a file."""
    steps = count(1)
    with pytest.MonkeyPatch.context() as patched:
        for name in ("open", "posix_fallocate", "write", "rename", "unlink"):
            real = getattr(os, name)

            def change(*arguments: Any, real: Callable[..., Any] = real, **options: Any) -> Any:
                if next(steps) == step:
                    raise Killed
                return real(*arguments, **options)

            patched.setattr(f"instrumentation.store.worker_files.os.{name}", change)
        yield


def ends_at_every_step(act: Callable[[int, Workers], bool], folder: Path) -> int:
    """How many steps an act has; it says whether it was killed at one."""
    return next(step for step in count(1) if not act(step, Workers(folder / str(step))))


def test_killed_between_any_two_steps_of_a_merge(tmp_path: Path) -> None:
    def fold(step: int, workers: Workers) -> bool:
        first, second, heir, other = (workers.start() for _ in range(4))
        for store, times in ((first, 3), (second, 7), (heir, 11)):
            create(store, times)
        workers.kill(first)
        counted(heir)  # it has an archive, to which now more is to be added
        workers.kill(second)
        died = False
        try:
            with killed_before(step):
                counted(heir)
        except Killed:
            died = True
            workers.kill(heir)
        assert [counted(store) for store in (other, other, workers.start())] == [{CREATED: (21.0,)}] * 3
        assert not [name for name in workers.files() if name.startswith(("1-", "2-", ".1", ".2"))]
        return died

    assert ends_at_every_step(fold, tmp_path) > 5


def test_killed_between_any_two_steps_of_coming_back(tmp_path: Path) -> None:
    def come_back(step: int, workers: Workers) -> bool:
        dead, victim, other = (workers.start() for _ in range(3))
        for store, times in ((dead, 3), (victim, 7), (other, 11)):
            create(store, times)
        workers.kill(dead)
        counted(victim)
        workers.a_second_passes()
        workers.vanish()
        died = False
        try:
            with killed_before(step):
                victim.keep()
        except Killed:
            died = True
            workers.kill(victim)
        assert [counted(store) for store in (other, other, workers.start())] == [{CREATED: (21.0,)}] * 3
        return died

    assert ends_at_every_step(come_back, tmp_path) > 8


def test_killed_between_any_two_steps_of_the_start(tmp_path: Path) -> None:
    def start(step: int, workers: Workers) -> bool:
        other = workers.start()
        create(other, 7)
        died = False
        try:
            with killed_before(step):
                create(workers.start(), 3)
        except Killed:
            died = True
            workers.died_at_birth()
            workers.running.pop("2-0", None)
        assert counted(other)[CREATED] == ((7.0,) if died else (10.0,))
        assert [name for name in workers.files() if "2-0" in name] == ([] if died else ["2-0.keys", "2-0.values"])
        return died

    assert ends_at_every_step(start, tmp_path) > 5


def test_a_child_does_not_write_into_the_files_of_its_parent(tmp_path: Path) -> None:
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


# --- Everything together ----------------------------------------------------------------------------------------------


class Server(RuleBasedStateMachine):
    """Any interleaving of counting, crashing, starting, reading, and of a folder that is removed."""

    @initialize()
    def begin(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.workers = Workers(Path(self._folder.name) / "family")
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
        observe(store, catalog.WORKFLOW_DURATION, (name, "success"), times / 7)
        self.expected[name] = self.expected.get(name, 0) + times

    @rule()
    def start(self) -> None:
        self.workers.a_second_passes()  # a process takes as long to start
        self.workers.start()

    @rule(number=st.integers(0, 5))
    def kill(self, number: int) -> None:
        if len(self.workers.running) > 1:
            self.workers.kill(self._worker(number))

    @rule()
    def vanish(self) -> None:
        for _ in range(2):  # until all are there, and until all have seen that
            self.workers.a_second_passes()
        self.workers.vanish()

    @rule(number=st.integers(0, 5))
    def keep(self, number: int) -> None:
        self._worker(number).keep()

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
