"""Workers that cannot share files: one of them reports its own counts, which never seem to restart."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from instrumentation import catalog
from instrumentation.store import add, worker_group
from instrumentation.store.process_store import ProcessStore
from instrumentation.store.reporter import Reporter

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]
DEGRADED, CREATED = catalog.SIDELIGHT_STORE_DEGRADED, catalog.WORKFLOWS_CREATED


def refused() -> Path:
    raise PermissionError(errno.EACCES, "it belongs to another user", "/dev/shm/sidelight-7")  # noqa: S108


def shown(store: ProcessStore) -> dict[str, float]:
    return {row.metric.name: row.slots[0] for row in store.series() if row.metric in {DEGRADED, CREATED}}


@contextmanager
def another_process(code: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A process that runs code, prints a line and ends when its stdin closes."""
    argv = (sys.executable, "-c", f"{code}\nprint('ready', flush=True)\nsys.stdin.read()", *arguments)
    environ = {"PYTHONPATH": str(ROOT), "PATH": os.defpath}
    with subprocess.Popen(argv, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield process
        assert process.stdin
        process.stdin.close()
        process.wait(30)


TAKING = (
    "import sys\nfrom instrumentation.store.reporter import Reporter\nr = Reporter(sys.argv[1])\nassert r.reports()"
)


def test_one_process_of_a_group_reports_and_the_next_after_its_end(tmp_path: Path) -> None:
    group, other = Reporter(str(tmp_path)), Reporter(f"{tmp_path} of another server")
    with another_process(TAKING, str(tmp_path)):
        assert [group.reports() for _ in range(3)] == [False] * 3
        assert other.reports()
    assert [group.reports() for _ in range(3)] == [True] * 3
    group.close()
    other.close()


def test_a_degraded_worker_shows_its_counts_only_while_it_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("instrumentation.store.process_store.group_name", lambda: str(tmp_path))
    store = ProcessStore(refused)
    with another_process(TAKING, str(tmp_path)):
        add(store, CREATED, ("import",), 7.0)
        assert shown(store) == {DEGRADED.name: 1.0}
    assert shown(store) == {DEGRADED.name: 1.0, CREATED.name: 7.0}
    assert store.is_degraded
    (said,) = [record.getMessage() for record in caplog.records]
    assert said == (
        "the workers of this server cannot count together: /dev/shm/sidelight-7: it belongs to another user. "
        "Only one of them reports, and only its own requests; make room there, or set another folder in SIDELIGHT_STORE_DIR"
    )


def test_a_forked_child_gives_the_right_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("instrumentation.store.process_store.group_name", lambda: str(tmp_path))
    store = ProcessStore(refused)
    assert shown(store) == {DEGRADED.name: 1.0}
    store._after_fork()
    with another_process(TAKING, str(tmp_path)):
        assert shown(store) == {DEGRADED.name: 1.0}
        assert not store._reporter or not store._reporter.reports()


def test_a_process_without_workers_and_a_healthy_worker_are_not_degraded(tmp_path: Path) -> None:
    for folder in (None, tmp_path):
        store = ProcessStore(lambda folder=folder: folder)
        add(store, CREATED, ("import",), 7.0)
        assert shown(store) == {DEGRADED.name: 0.0, CREATED.name: 7.0}


def test_a_folder_of_another_user_is_left_for_the_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = worker_group._is_private
    monkeypatch.setattr(worker_group, "_is_private", lambda root: "shm" not in root.parts and private(root))
    monkeypatch.setattr(worker_group.tempfile, "gettempdir", lambda: str(tmp_path))
    assert worker_group._root() == tmp_path / f"sidelight-{os.getuid()}"
    monkeypatch.setattr(worker_group, "_is_private", lambda _: False)
    with pytest.raises(PermissionError, match="it belongs to another user"):
        worker_group._root()


def test_left_overs_of_other_containers_are_removed_and_folders_in_use_stay(tmp_path: Path) -> None:
    long_ago = time.time() - worker_group.ABANDONED_SECONDS - 1
    for name, touched in (("17-1-2", long_ago), ("18-1-2", time.time())):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "lock").touch()
        os.utime(folder / "lock", (touched, touched))
        os.utime(folder, (long_ago, long_ago))
    worker_group._sweep(tmp_path, tmp_path / "ours", Path("/proc"))
    assert [path.name for path in tmp_path.iterdir()] == ["18-1-2"]


def test_a_store_in_use_is_touched(tmp_path: Path) -> None:
    store = ProcessStore(lambda: tmp_path)
    add(store, CREATED, ("import",), 7.0)
    list(store.series())
    os.utime(tmp_path / "lock", (7, 7))
    store.inner.touch()  # type: ignore[union-attr]
    assert (tmp_path / "lock").stat().st_mtime > 7
