"""Signals in the code: counted exactly, declared or refused at the start, and never an exception in the service."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from prometheus_client import CollectorRegistry

from instrumentation import counter, gauge, histogram, instrument, job
from instrumentation.errors import InstrumentationError, SettingsError
from instrumentation.exposition.formats import Exposition
from instrumentation.settings import Settings, parse_settings
from instrumentation.signals import declared
from instrumentation.signals.calls import check_calls
from instrumentation.signals.handle import start
from instrumentation.store.process_store import ProcessStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SETTINGS = parse_settings(
    {
        "signals": [
            {"name": "orders_placed", "kind": "counter", "labels": {"channel": ["web", "app"]}},
            {"name": "searches", "kind": "counter", "labels": {"tenant": {"limit": 3}}},
            {"name": "revenue_usd", "kind": "counter"},
            {"name": "pool_size", "kind": "gauge", "combine": "sum", "labels": {"pool": ["read", "write"]}},
            {"name": "quote_seconds", "kind": "histogram", "buckets": [0.3, 0.7], "labels": {"region": ["eu", "us"]}},
            {"name": "nightly_import", "kind": "job"},
            {"name": "go_things", "kind": "counter", "emitted_by": "other"},
        ]
    }
)


@pytest.fixture
def store() -> ProcessStore:
    return ProcessStore(folder=lambda: None)


@pytest.fixture(autouse=True)
def nothing_declared(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SIDELIGHT_CONFIG", raising=False)
    monkeypatch.setattr(declared, "_with_settings", type(declared._handles)())
    for name in ("_started", "_read"):
        monkeypatch.setattr(declared, name, [])
    monkeypatch.setattr(declared, "_handles", type(declared._handles)())


def read(store: ProcessStore, name: str) -> dict[tuple[str, ...], tuple[float, ...]]:
    return {row.labels: row.slots for row in store.series() if row.metric.name == name}


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage().partition(": ")[2] for record in caplog.records]


def test_events_and_amounts_are_counted(store: ProcessStore) -> None:
    orders = counter("orders_placed", settings=SETTINGS, store=store)
    orders.add(channel="web")
    orders.add(3, channel="app")
    orders.add(channel="web")
    assert read(store, "orders_placed_total") == {("web",): (2.0,), ("app",): (3.0,)}
    revenue = counter("revenue_usd", settings=SETTINGS, store=store)
    revenue.add(Decimal("0.25"))
    revenue.add(0.5)
    assert read(store, "revenue_usd_total") == {(): (0.75,)}


def test_threads_count_exactly(store: ProcessStore) -> None:
    orders = counter("orders_placed", settings=SETTINGS, store=store)
    threads = [threading.Thread(target=lambda: [orders.add(channel="web") for _ in range(3000)]) for _ in range(7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read(store, "orders_placed_total") == {("web",): (21000.0,)}


def test_the_order_of_labels_does_not_matter(store: ProcessStore) -> None:
    settings = parse_settings({"signals": [{"name": "x", "kind": "counter", "labels": {"a": ["1"], "b": ["2"]}}]})
    x = counter("x", settings=settings, store=store)
    x.add(a="1", b="2")
    x.add(b="2", a="1")
    assert read(store, "x_total") == {("1", "2"): (2.0,)}


def test_an_undeclared_value_counts_as_other_and_is_logged_once(
    store: ProcessStore, caplog: pytest.LogCaptureFixture
) -> None:
    orders = counter("orders_placed", settings=SETTINGS, store=store)
    for value in ("fax", "fax", None, object()):
        orders.add(channel=value)
    assert read(store, "orders_placed_total") == {("_OTHER",): (4.0,)}
    assert lines(caplog) == [
        "counter 'orders_placed': label 'channel' got 'fax'; declared: web, app. It counts as _OTHER. This is logged once."
    ]
    assert caplog.records[0].getMessage().startswith(f"{__file__}:")


class Broken:
    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        raise RuntimeError


def test_no_call_raises_whatever_it_is_given(store: ProcessStore, caplog: pytest.LogCaptureFixture) -> None:
    orders = counter("orders_placed", settings=SETTINGS, store=store)
    orders.add(chanel="web")
    orders.add(channel=Broken())
    orders.add(channel=["web"])
    for amount in (-1, float("nan"), float("inf"), "7", None, 10**400, True):
        orders.add(amount, channel="web")  # type: ignore[arg-type]
    assert read(store, "orders_placed_total") == {("_OTHER",): (3.0,)}
    assert lines(caplog) == [
        f"counter 'orders_placed': {sentence} This is logged once."
        for sentence in (
            "got the label 'chanel'; declared: channel. It is left out.",
            "label 'channel' is missing. It counts as _OTHER.",
            "label 'channel' got \"['web']\"; declared: web, app. It counts as _OTHER.",
            "add got -1; give a number of at least 0. It is not counted.",
        )
    ]


def test_an_enum_counts_by_its_text(store: ProcessStore) -> None:
    class Channel(StrEnum):
        WEB = "web"

    counter("orders_placed", settings=SETTINGS, store=store).add(channel=Channel.WEB)
    assert read(store, "orders_placed_total") == {("web",): (1.0,)}


def test_an_open_label_folds_beyond_its_limit(store: ProcessStore, caplog: pytest.LogCaptureFixture) -> None:
    searches = counter("searches", settings=SETTINGS, store=store)
    for number in range(20_000):
        searches.add(tenant=number % 10_000)
    found = read(store, "searches_total")
    assert found == {("0",): (2.0,), ("1",): (2.0,), ("2",): (2.0,), ("_OVERFLOW",): (19994.0,)}
    assert lines(caplog) == [
        "counter 'searches': label 'tenant' has more than 3 values. Further ones count as _OVERFLOW. This is logged once."
    ]
    assert len(searches._bound.places) <= 5001


def test_a_gauge_is_set_and_changed(store: ProcessStore, caplog: pytest.LogCaptureFixture) -> None:
    pool = gauge("pool_size", settings=SETTINGS, store=store)
    assert read(store, "pool_size") == {}
    pool.set(7, pool="read")
    pool.add(pool="read")
    pool.add(-3, pool="read")
    pool.set(float("nan"), pool="read")
    assert read(store, "pool_size") == {("read",): (5.0,)}
    assert lines(caplog) == ["gauge 'pool_size': got nan; give a finite number. It is ignored. This is logged once."]


def test_a_gauge_is_read_at_each_scrape(store: ProcessStore, caplog: pytest.LogCaptureFixture) -> None:
    values: Iterator[Any] = iter([3, 7, "many", "many"])
    gauge("pool_size", settings=SETTINGS, store=store).read(lambda: next(values), pool="write")
    assert read(store, "pool_size") == {("write",): (3.0,)}
    assert read(store, "pool_size") == {("write",): (7.0,)}
    assert read(store, "pool_size") == {}
    assert read(store, "signal_read_failures_total") == {("pool_size",): (2.0,)}
    assert "gauge 'pool_size' cannot be read: ValueError: got 'many'; give a finite number" in caplog.text
    with pytest.raises(InstrumentationError, match="read got 7; give a function without arguments"):
        gauge("pool_size", settings=SETTINGS, store=store).read(7)  # type: ignore[arg-type]


def test_a_histogram_counts_values_in_buckets(store: ProcessStore) -> None:
    quotes = histogram("quote_seconds", settings=SETTINGS, store=store)
    for value in (0.3, 0.31, Decimal("0.7"), 9):
        quotes.observe(value, region="eu")  # type: ignore[arg-type]
    quotes.observe(float("nan"), region="eu")
    [(labels, slots)] = read(store, "quote_seconds").items()
    assert (labels, slots[:3], round(slots[3], 6)) == (("eu",), (1.0, 2.0, 1.0), 10.31)


def test_a_block_is_timed_also_if_it_raises(store: ProcessStore) -> None:
    quotes = histogram("quote_seconds", settings=SETTINGS, store=store)
    with pytest.raises(ZeroDivisionError), quotes.time(region="us"):
        raise ZeroDivisionError
    [slots] = read(store, "quote_seconds").values()
    assert slots[0] == 1.0


def test_a_job_with_a_schedule_shows_when_the_run_after_its_last_success_is_due(store: ProcessStore) -> None:
    declared = {"name": "nightly", "kind": "job", "cron": "30 2 * * MON-FRI", "time_zone": "Europe/Berlin"}
    nightly = job("nightly", settings=parse_settings({"signals": [declared]}), store=store)

    def due() -> float:
        return next(one.slots[0] for one in store.series() if one.metric.name == "nightly_due_timestamp_seconds")

    with nightly.run() as run:
        run.fail()
    assert due() == 0
    before = time.time()
    with nightly.run():
        pass
    when = datetime.fromtimestamp(due(), ZoneInfo("Europe/Berlin"))
    assert before < due() <= before + 3 * 86400 + 3600
    assert (when.hour, when.minute) == (2, 30) or (when.hour, when.month) == (3, 3)  # the clocks have been changed
    assert when.weekday() < 5


def test_a_job_shows_start_success_duration_and_outcome(store: ProcessStore) -> None:
    nightly = job("nightly_import", settings=SETTINGS, store=store)
    start(SETTINGS.signals, store)
    name = "nightly_import_last_{}_timestamp_seconds".format
    assert read(store, name("success")) == {(): (0.0,)}

    @nightly
    def run(*, fails: bool) -> int:
        return 1 // (not fails)

    with pytest.raises(ZeroDivisionError):
        run(fails=True)
    assert read(store, name("success")) == {(): (0.0,)}
    assert read(store, name("start"))[()][0] > 0
    run(fails=False)
    with nightly.run() as one:
        one.fail()
    assert read(store, name("success"))[()][0] > 0
    runs = {labels[0]: slots[0] for labels, slots in read(store, "nightly_import_runs_total").items()}
    assert runs == {"success": 1.0, "failure": 2.0, "cancelled": 0.0}
    durations = read(store, "nightly_import_duration_seconds")
    assert [sum(slots[:-1]) for slots in durations.values()] == [1.0, 2.0, 0.0]


def test_series_with_known_labels_exist_at_0_from_the_start(store: ProcessStore) -> None:
    start(SETTINGS.signals, store)
    assert read(store, "orders_placed_total") == {("web",): (0.0,), ("app",): (0.0,)}
    assert read(store, "revenue_usd_total") == {(): (0.0,)}
    assert set(read(store, "quote_seconds")) == {("eu",), ("us",)}
    assert read(store, "searches_total") == read(store, "pool_size") == read(store, "go_things_total") == {}


def test_the_page_shows_signals_in_both_formats(store: ProcessStore) -> None:
    counter("orders_placed", settings=SETTINGS, store=store).add(channel="web")
    text = Exposition(store).page().body.decode()
    assert (
        '# HELP orders_placed_total Orders placed.\n# TYPE orders_placed_total counter\norders_placed_total{channel="web"} 1.0\n'
        in text
    )
    openmetrics = Exposition(store).page("application/openmetrics-text;version=1.0.0").body.decode()
    assert '# TYPE orders_placed counter\norders_placed_total{channel="web"} 1.0\n' in openmetrics


@pytest.mark.parametrize(
    ("make", "name", "sentence"),
    [
        (
            counter,
            "order_placed",
            "counter 'order_placed': the settings declare no such signal (did you mean orders_placed?)",
        ),
        (
            gauge,
            "orders_placed",
            "gauge 'orders_placed': the settings declare a counter; use counter('orders_placed').",
        ),
        (counter, "go_things", "counter 'go_things': the settings say emitted_by: other; leave that out if this code"),
        (counter, 7, "counter 7: the settings declare no such signal"),
    ],
)
def test_what_is_not_declared_is_an_error_at_import(make: Any, name: Any, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(InstrumentationError) as caught:
        make(name, settings=SETTINGS)
    assert caught.value.message.startswith(sentence)
    (tmp_path / "sidelight.yaml").write_text("signals: [{name: only, kind: counter}]\n")
    with pytest.raises(InstrumentationError):
        make(name)
    assert counter("only").name == "only"


def test_without_a_settings_file_the_start_of_the_app_names_all_that_is_not_declared(store: ProcessStore) -> None:
    handles = counter("lost", store=store), gauge("gone", store=store)
    with pytest.raises(InstrumentationError) as caught:
        instrument(app(), settings=SETTINGS, store=store, registry=CollectorRegistry())
    assert [line.partition(":")[0] for line in caught.value.message.splitlines()] == ["gauge 'gone'", "counter 'lost'"]
    assert [handle.name for handle in handles] == ["lost", "gone"]


def test_a_handle_that_is_older_than_the_settings_counts_once_the_app_starts(store: ProcessStore) -> None:
    good = counter("orders_placed", store=store)
    instrument(app(), settings=SETTINGS, store=store, registry=CollectorRegistry())
    good.add(channel="web")
    assert read(store, "orders_placed_total")[("web",)] == (1.0,)


def test_without_any_settings_a_call_is_logged_once_and_counts_nothing(
    store: ProcessStore, caplog: pytest.LogCaptureFixture
) -> None:
    orders = counter("orders_placed", store=store)
    orders.add(channel="web")
    orders.add(channel="app")
    assert lines(caplog) == [
        "counter 'orders_placed': there are no settings that declare it. It is not counted. This is logged once."
    ]
    with job("nightly_import", store=store).run():
        pass
    assert read(store, "nightly_import_runs_total") == {}


def test_calls_with_other_labels_stop_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sidelight.yaml").write_text(
        "signals:\n- {name: orders_placed, kind: counter, labels: {channel: [web]}}\n- {name: plain, kind: counter}\n"
    )
    (tmp_path / "team_metrics.py").write_text(
        "from instrumentation import counter\nORDERS = counter('orders_placed')\nPLAIN = counter('plain')\n"
    )
    (tmp_path / "team_orders.py").write_text(
        "import team_metrics\nfrom team_metrics import ORDERS as O\n"
        "def placed(**labels):\n"
        "    O.add(chanel='web')\n"
        "    team_metrics.ORDERS.add()\n"
        "    O.add(**labels)\n"
        "    O.add(channel='web')\n"
        "    team_metrics.PLAIN.add(2)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import team_orders  # noqa: PLC0415 - written above

    with pytest.raises(SettingsError) as caught:
        check_calls()
    for name in ("team_orders", "team_metrics"):  # otherwise no app can start in this process
        del sys.modules[name]
    file = team_orders.__file__
    assert [str(fault) for fault in caught.value.faults] == [
        f"{file}:4: counter orders_placed got the label chanel; give channel.",
        f"{file}:4: counter orders_placed lacks the label channel; give channel.",
        f"{file}:5: counter orders_placed lacks the label channel; give channel.",
    ]


def test_a_forked_child_counts_for_itself(tmp_path: Path) -> None:
    store = ProcessStore(folder=lambda: tmp_path)
    store.turn(on=True)
    orders = counter("orders_placed", settings=SETTINGS, store=store)
    orders.add(3, channel="web")
    pid = os.fork()
    if pid == 0:
        orders.add(4, channel="web")
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert read(store, "orders_placed_total") == {("web",): (7.0,)}


def app() -> Any:
    async def plain(scope: Any, receive: Any, send: Any) -> None: ...

    return plain


def test_settings_without_signals_change_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        declared.declare(Settings())
    assert caplog.records == []
