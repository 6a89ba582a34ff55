"""Disk usage as the service sees it: space reserved for root is not free."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from instrumentation.resources.disk import disk
from instrumentation.store.process_store import ProcessStore

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from pathlib import Path


def statvfs(blocks: int, free: int, available: int) -> Callable[[str], os.statvfs_result]:
    return lambda _: os.statvfs_result((4096, 1024, blocks, free, available, 0, 0, 0, 0, 255))


def read(store: ProcessStore) -> dict[tuple[str, ...], float]:
    return {
        (row.metric.name, *row.labels): row.slots[0] for row in list(store.series()) if row.metric.name[:5] == "disk_"
    }


@pytest.fixture
def store() -> ProcessStore:
    return ProcessStore(lambda: None)


def watch(store: ProcessStore, path: str, statvfs: Callable[[str], os.statvfs_result]) -> None:
    assert store.callbacks.watch(("disk", path), disk(path, statvfs))


def test_used_and_size_are_computed_like_df(store: ProcessStore) -> None:
    watch(store, "/data", statvfs(blocks=1000, free=300, available=250))
    assert read(store) == {
        ("disk_used_bytes", "/data"): 700 * 1024,
        ("disk_size_bytes", "/data"): 950 * 1024,
        ("disk_read_failures_total", "/data"): 0,
    }


def test_a_disk_is_full_where_the_service_can_write_no_more(store: ProcessStore) -> None:
    watch(store, "/data", statvfs(blocks=1000, free=50, available=0))
    found = read(store)
    assert found["disk_used_bytes", "/data"] == found["disk_size_bytes", "/data"]


def test_the_disk_of_a_real_folder_is_read(store: ProcessStore, tmp_path: Path) -> None:
    watch(store, str(tmp_path), os.statvfs)
    found = read(store)
    assert 0 < found["disk_used_bytes", str(tmp_path)] <= found["disk_size_bytes", str(tmp_path)]


@pytest.mark.parametrize(
    ("path", "asked", "sentence"),
    [
        ("/gone/away", os.statvfs, "disk of '/gone/away' cannot be read: FileNotFoundError: [Errno 2]"),
        (
            "/proc",
            statvfs(0, 0, 0),
            "disk of '/proc' cannot be read: ValueError: its file system has no size; remove it",
        ),
    ],
)
def test_one_that_cannot_be_read_has_no_series_but_a_count_and_a_line(
    store: ProcessStore,
    path: str,
    asked: Callable[[str], os.statvfs_result],
    sentence: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    watch(store, path, asked)
    assert [read(store), read(store)][1] == {("disk_read_failures_total", path): 2}
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith(sentence)


def test_a_missing_file_server_does_not_block_the_page(store: ProcessStore, released: threading.Event) -> None:
    store.callbacks.seconds = 0.07

    def hangs(path: str) -> os.statvfs_result:
        released.wait()
        return os.statvfs(path)

    watch(store, "/nfs", hangs)
    watch(store, "/data", statvfs(blocks=1000, free=300, available=250))
    assert {labels for name, labels in read(store) if name == "disk_size_bytes"} == {"/data"}
