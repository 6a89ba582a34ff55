"""Cost of counting users: in the service per user and per scrape, and in Prometheus for the rules."""

from __future__ import annotations

import tempfile
import time
import timeit
from functools import partial
from math import log2
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from prometheus_client.registry import CollectorRegistry

from instrumentation import saw_user
from instrumentation.catalog import ACTIVE_USER_REGISTER
from instrumentation.exposition.formats import Exposition
from instrumentation.store.process_store import ProcessStore
from instrumentation.users.active import KEY_VARIABLE, ActiveUsers
from instrumentation.users.registers import Home
from tests.support.prometheus_history import Prometheus, cost_of, layers, rules_of
from tests.support.tables import Column, Table
from tests.support.user_estimates import END
from tests.support.user_fleet import DAY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from instrumentation.settings import Settings
    from tests.support.tables import Row

PODS = (1, 10, 100)
WORKERS = (1, 4, 16)
USERS = 20_000  # enough to set every register
_REPEATS = 25


def rules_table(settings: Settings, version: str = "prometheus") -> Table:
    """Milliseconds per evaluation of each rule, by number of pods."""
    measured = {pods: _rules(settings, pods, version) for pods in PODS}
    rows: list[Row] = [
        {"rule": name, **{str(pods): measured[pods][name] for pods in PODS}} for name in measured[PODS[0]]
    ]
    rows.append({"rule": "all", **{str(pods): sum(measured[pods].values()) for pods in PODS}})
    return Table(
        name="rules",
        title=f"Milliseconds per evaluation of the rules of one service, {settings.users.registers} registers",
        note=f"All registers of all pods are set all day. The rules are evaluated every {settings.users_window}. "
        "Only the first rule depends on the number of pods.",
        columns=(
            Column(key="rule", title="rule"),
            *(Column(key=str(pods), title=f"{pods} pods" if pods > 1 else "1 pod", digits=1) for pods in PODS),
        ),
        rows=tuple(rows),
    )


def _rules(settings: Settings, pods: int, version: str) -> dict[str, float]:
    rules = rules_of(settings, "users")
    window = settings.users_window.seconds
    with tempfile.TemporaryDirectory() as folder:
        prometheus = Prometheus(Path(folder), version)
        prometheus.take(_scraped(settings, pods), ACTIVE_USER_REGISTER.name)
        prometheus.take(_recorded(settings, rules[0]["record"]), rules[0]["record"])
        for layer in list(layers(rules))[1:]:
            prometheus.record(layer, window, END, END + window)
        with prometheus.running() as client:
            return {
                rule["record"]: 1000 * min(cost_of(client, rule["expr"], END + window).seconds for _ in range(_REPEATS))
                for rule in rules
            }


def _scraped(settings: Settings, pods: int) -> Iterator[str]:
    """The samples of the pods within the last windows."""
    random, interval = Random(7), settings.metrics.scrape_interval.seconds  # noqa: S311 - not cryptography
    for second in range(END - 2 * settings.users_window.seconds, END + 2 * settings.users_window.seconds, interval):
        for pod in range(pods):
            start = f'{ACTIVE_USER_REGISTER.name}{{job="shop",instance="pod-{pod}",register='
            for register in range(settings.users.registers):
                yield f'{start}"{register}"}} {_rank(random)} {second}\n'


def _recorded(settings: Settings, name: str) -> Iterator[str]:
    """A day of samples recorded by the first rule."""
    random = Random(7)  # noqa: S311 - not cryptography
    for second in range(END - DAY, END + 1, settings.users_window.seconds):
        for register in range(settings.users.registers):
            yield f'{name}{{job="shop",register="{register}"}} {_rank(random)} {second}\n'


def _rank(random: Random) -> int:
    return 1 - int(log2(1 - random.random()))


def service_table(settings: Settings) -> Table:
    """The overhead in the service itself."""
    return Table(
        name="service",
        title=f"Overhead in the service, {settings.users.registers} registers",
        note="A page is what is added to each scrape, with all registers set. Memory is shared memory.",
        columns=(
            Column(key="workers", title="workers", digits=0),
            Column(key="saw", title="us for saw_user", digits=2),
            Column(key="page", title="ms for a page", digits=2),
            Column(key="bytes", title="bytes of page", digits=0),
            Column(key="memory", title="KiB of memory", digits=0),
        ),
        rows=tuple(_service(settings, workers) for workers in WORKERS),
    )


def _service(settings: Settings, workers: int) -> Row:
    ids = [f"user-{number}" for number in range(USERS)]
    with tempfile.TemporaryDirectory() as folder:
        counters = [_worker(settings, Path(folder), str(number)) for number in range(workers)]
        for counter in counters:
            for user in ids:
                counter.saw(user)
        store = ProcessStore(lambda: None)
        page = Exposition(store, CollectorRegistry()).page
        without, size = _least(page), len(page().body)
        store.attach(counters[0])

        def see_all() -> None:
            for user in ids:
                saw_user(user)

        return {
            "workers": workers,
            "saw": _least(see_all) / USERS * 1e6,
            "page": (_least(page) - without) * 1e3,
            "bytes": len(page().body) - size,
            "memory": workers * 2 * settings.users.registers * 8 / 1024,
        }


def _least(work: Callable[[], object]) -> float:
    """CPU seconds of the fastest of several rounds."""
    return min(timeit.repeat(work, timer=time.process_time, number=1, repeat=_REPEATS))


def _worker(settings: Settings, folder: Path, name: str) -> ActiveUsers:
    users = ActiveUsers(partial(Home, folder, name, lambda _: True))
    users.settle(settings, {KEY_VARIABLE: "a key for benchmarks and tests"})
    return users
