"""The user's own metrics of several workers are summed from prometheus_client's files."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, values
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.parser import text_string_to_metric_families as parse

from instrumentation.catalog import WORKFLOWS_CREATED
from instrumentation.errors import SettingsError
from instrumentation.exposition.formats import Exposition, register
from instrumentation.http.page import metrics_page
from instrumentation.multiprocess import WorkerFiles, worker_files
from instrumentation.settings import Settings
from instrumentation.store import LocalStore, add

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Read = dict[tuple[str, ...], float]


class Workers:
    """Workers in one process of the test: metrics that are made after ``worker`` are of that worker."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.store = LocalStore()
        add(self.store, WORKFLOWS_CREATED, ("a",), 7.0)
        self._patch = monkeypatch
        self._kinds: list[type] = [values.ValueClass]
        monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(folder))

    def worker(self, pid: int) -> CollectorRegistry:
        self._kinds.append(values.MultiProcessValue(lambda: pid))
        self._patch.setattr(values, "ValueClass", self._kinds[-1])
        return CollectorRegistry()

    def close(self) -> None:
        for kind in self._kinds[1:]:
            kind.close_all_files()  # type: ignore[attr-defined]


@pytest.fixture
def workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workers]:
    workers = Workers(tmp_path, monkeypatch)
    yield workers
    workers.close()


def sell(registry: CollectorRegistry, times: int) -> None:
    Counter("shop_sales", "Sales.", ["till"], registry=registry).labels("3").inc(times)
    Gauge("shop_open_tills", "Tills.", registry=registry, multiprocess_mode="livesum").set(times)
    basket = Histogram("shop_basket", "Items.", registry=registry, buckets=(1, 7))
    for _ in range(times):
        basket.observe(3)


def page(workers: Workers, registry: CollectorRegistry, *names: str) -> Read:
    register(workers.store, registry)
    text = Exposition(workers.store, registry, files=WorkerFiles(workers.folder)).page("", names).body.decode()
    families = list(parse(text))
    assert len(families) == len({family.name for family in families}), "a metric is there twice"
    every = [sample for family in families for sample in family.samples if not sample.name.startswith("sidelight")]
    read = {(sample.name, *sample.labels.values()): sample.value for sample in every}
    assert len(read) == len(every), "a sample is there twice"
    return read


SOLD = {
    ("shop_sales_total", "3"): 10.0,
    ("shop_open_tills",): 10.0,
    ("shop_basket_bucket", "1.0"): 0.0,
    ("shop_basket_bucket", "7.0"): 10.0,
    ("shop_basket_bucket", "+Inf"): 10.0,
    ("shop_basket_count",): 10.0,
    ("shop_basket_sum",): 30.0,
}
OURS = {("workflows_created_total", "a"): 7.0}
PARENT, OWN = os.getppid(), os.getpid()  # two processes that run


def test_the_page_has_the_sum_of_all_workers_and_ours_once(workers: Workers) -> None:
    first = workers.worker(PARENT)
    sell(first, 3)
    second = workers.worker(OWN)
    sell(second, 7)
    assert page(workers, first) == page(workers, second) == SOLD | OURS


def test_a_metric_that_this_worker_does_not_know_is_there_too(workers: Workers) -> None:
    sell(workers.worker(OWN), 10)
    assert page(workers, workers.worker(PARENT)) == SOLD | OURS


def test_a_name_gives_its_family_alone(workers: Workers) -> None:
    registry = workers.worker(OWN)
    sell(registry, 10)
    assert page(workers, registry, "shop_sales_total") == {("shop_sales_total", "3"): 10.0}
    assert page(workers, registry, "workflows_created") == OURS


def test_what_is_not_in_the_files_is_shown_of_the_worker_that_answers(workers: Workers) -> None:
    registry = workers.worker(OWN)
    Info("shop_till", "A till.", registry=registry).info({"model": "7"})
    assert page(workers, registry) == {("shop_till_info", "7"): 1.0} | OURS


def test_a_collector_of_the_files_that_is_registered_already_is_not_shown_twice(workers: Workers) -> None:
    registry = workers.worker(OWN)
    sell(registry, 10)
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    assert page(workers, registry) == SOLD | OURS


def test_the_live_gauges_of_a_process_that_has_ended_go_and_its_counts_stay(workers: Workers) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait(60)
    for pid, times in ((ended.pid, 3), (OWN, 7)):
        registry = workers.worker(pid)
        sell(registry, times)
        Gauge("shop_highest", "A gauge.", registry=registry, multiprocess_mode="max").set(times)
    assert page(workers, registry) == SOLD | OURS | {("shop_open_tills",): 7.0, ("shop_highest",): 7.0}
    left = sorted(file.name for file in workers.folder.glob(f"*_{ended.pid}.db"))
    assert left == [f"counter_{ended.pid}.db", f"gauge_max_{ended.pid}.db", f"histogram_{ended.pid}.db"]


def test_without_the_variable_there_are_no_files() -> None:
    assert worker_files({}) is None


@pytest.mark.usefixtures("workers")
@pytest.mark.parametrize("variable", ["PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"])
@pytest.mark.parametrize(("given", "shown"), [("/no/such/folder", "/no/such/folder"), ("", "an empty string")])
def test_a_folder_that_is_not_there_stops_the_start(variable: str, given: str, shown: str) -> None:
    with pytest.raises(SettingsError) as caught:
        worker_files({variable: given})
    assert str(caught.value) == (
        f"{variable}: {shown} is not a directory; create an empty folder before the service starts, or remove the variable."
    )


def test_a_variable_that_prometheus_client_has_not_seen_stops_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    with pytest.raises(SettingsError) as caught:
        metrics_page(LocalStore(), CollectorRegistry(), Settings())
    assert str(caught.value) == (
        "PROMETHEUS_MULTIPROC_DIR: was set after prometheus_client was imported; set it before the process starts."
    )
