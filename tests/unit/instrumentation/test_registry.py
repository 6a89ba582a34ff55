"""A user's collector may fail, hang or return nonsense: the page has everything else, in time, and each name once."""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from instrumentation.catalog import WORKFLOWS_CREATED
from instrumentation.exposition import registry
from instrumentation.exposition.formats import Exposition
from instrumentation.store import LocalStore, add

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from prometheus_client.metrics_core import Metric as Family

SECONDS = 7.0
OPENMETRICS = "application/openmetrics-text;version=1.0.0"
BOTH = pytest.mark.parametrize("accept", ["", OPENMETRICS], ids=["text", "OpenMetrics"])


class Giving:
    """A collector with given metrics."""

    def __init__(self, *families: Family) -> None:
        self.families = families

    def collect(self) -> Iterable[Family]:
        return self.families


class Hanging:
    """A collector that hangs until it is let go."""

    def __init__(self) -> None:
        self.asked = 0
        self.go_on = threading.Event()

    def collect(self) -> Iterator[Family]:
        self.asked += 1
        self.go_on.wait(SECONDS)
        yield GaugeMetricFamily("shop_hangs", "A gauge.", 7.0)


class Leaving:
    """A collector that wants the process to end."""

    def collect(self) -> Iterable[Family]:
        raise SystemExit


class LeavingValue(float):
    """A value that wants the process to end when it is printed."""

    def __float__(self) -> float:
        raise SystemExit

    __str__ = __repr__ = __float__  # type: ignore[assignment]


def exposition(*given: Giving | Hanging | Leaving) -> Exposition:
    store, registry = LocalStore(), CollectorRegistry()
    add(store, WORKFLOWS_CREATED, ("a",), 7.0)
    for collector in given:
        registry.register(collector)
    Gauge("shop_tills", "A gauge.", registry=registry).set(3)
    return Exposition(store, registry)


def read(made: Exposition, accept: str = "") -> dict[str, list[float]]:
    """Each of the user's metrics, and ours of which there is one, with the values of its samples."""
    text = made.page(accept).body.decode()
    families = list(parse_openmetrics(text) if accept else parse_text(text))  # type: ignore[no-untyped-call]
    names = [family.name for family in families]
    assert len(names) == len(set(names)), "a metric is there twice"
    return {
        family.name: [sample.value for sample in family.samples if not sample.name.endswith("_created")]
        for family in families
        if family.name.startswith(("shop", "workflows"))
    }


OURS = {"workflows_created": [7.0]}
TILLS = {"shop_tills": [3.0]}


@contextmanager
def warnings(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    said: list[str] = []
    with caplog.at_level(logging.WARNING, "instrumentation"):
        yield said
    said += [f"{record.getMessage()}: {record.exc_info[1]}" for record in caplog.records if record.exc_info]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "PATIENCE_SECONDS", 0.5)


# --- It hangs -----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("impatient")
def test_one_that_hangs_is_left_out_and_asked_again_only_once_it_has_answered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    hanging = Hanging()
    made = exposition(hanging)
    with warnings(caplog) as said:
        assert [read(made) for _ in range(7)] == [OURS | TILLS] * 7
    assert hanging.asked == 1
    assert said == [
        "metrics of a prometheus_client collector are missing; this is logged once: Hanging: took longer than 0.5 s"
    ]
    (left,) = [thread for thread in threading.enumerate() if thread.name == "sidelight-collectors"]
    assert left.daemon
    hanging.go_on.set()
    left.join(SECONDS)
    assert read(made) == OURS | TILLS | {"shop_hangs": [7.0]}


@pytest.mark.usefixtures("impatient")
def test_two_that_hang_take_two_times_the_limit_and_lose_only_their_own_metrics() -> None:
    first, second = Hanging(), Hanging()
    made = exposition(first, Giving(GaugeMetricFamily("shop_between", "A gauge.", 7.0)), second)
    assert read(made) == OURS | TILLS | {"shop_between": [7.0]}
    for hanging in (first, second):
        hanging.go_on.set()


def test_many_slow_ones_have_the_limit_each(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(Hanging):
        def collect(self) -> Iterator[Family]:
            self.go_on.wait(0.4)
            yield GaugeMetricFamily("shop_slow", "A gauge.", 7.0)

    monkeypatch.setattr(registry, "PATIENCE_SECONDS", 1.0)
    assert read(exposition(*(Slow() for _ in range(3)))) == OURS | TILLS | {"shop_slow": [7.0, 7.0, 7.0]}


# --- It fails -----------------------------------------------------------------------------------------------------------


def test_one_that_wants_the_process_to_end_is_left_out() -> None:
    assert read(exposition(Leaving())) == OURS | TILLS


@BOTH
def test_one_whose_value_wants_the_process_to_end_is_left_out(accept: str) -> None:
    family = GaugeMetricFamily("shop_leaves", "A gauge.")
    family.add_metric([], LeavingValue(7))
    assert read(exposition(Giving(family)), accept)["shop_tills"] == [3]


@BOTH
def test_text_that_is_not_unicode_loses_only_its_metric(accept: str, caplog: pytest.LogCaptureFixture) -> None:
    wrong = GaugeMetricFamily("shop_wrong", "A gauge.", labels=["file"])
    wrong.add_metric(["caf\udce9"], 7.0)
    with warnings(caplog) as said:
        assert read(exposition(Giving(wrong, GaugeMetricFamily("shop_right", "A gauge.", 7.0))), accept) == (
            OURS | TILLS | {"shop_right": [7.0]}
        )
    assert len(said) == 1
    assert "shop_wrong" in said[0]


def test_other_objects_than_metrics_are_left_out() -> None:
    assert read(exposition(Giving("shop_wrong 7"))) == OURS | TILLS  # type: ignore[arg-type]


def test_one_that_invents_names_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with warnings(caplog) as said:
        made_up = (GaugeMetricFamily(f"shop_{number}", "A gauge.", "seven") for number in range(700))  # type: ignore[arg-type]
        assert read(exposition(Giving(*made_up))) == OURS | TILLS
    assert len(said) == 100


# --- Each name is on the page once --------------------------------------------------------------------------------------


def gauge(value: float, name: str = "shop_weight") -> Family:
    family = GaugeMetricFamily(name, "A gauge.", labels=["till"])
    family.add_metric([str(value)], value)
    return family


@BOTH
def test_metrics_of_one_name_become_one(accept: str) -> None:
    made = exposition(Giving(gauge(3.0), gauge(7.0)), Giving(gauge(11.0)))
    assert [read(made, accept) for _ in range(2)] == [OURS | TILLS | {"shop_weight": [3.0, 7.0, 11.0]}] * 2


@BOTH
@pytest.mark.parametrize(
    ("given", "why"),
    [
        (
            lambda: (gauge(3.0), CounterMetricFamily("shop_weight", "A counter.", 7.0)),
            "it has different types",
        ),
        (lambda: (CounterMetricFamily("workflows_created", "A counter.", 3.0),), "a metric of Sidelight has this name"),
        (lambda: (gauge(3.0, "workflows_created_total"),), "a metric of Sidelight has this name"),
    ],
)
def test_incompatible_metrics_of_one_name_are_left_out_and_logged_once(
    accept: str, given: Callable[[], tuple[Family, ...]], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    made = exposition(Giving(*given()))
    with warnings(caplog) as said:
        assert [read(made, accept) for _ in range(2)] == [OURS | TILLS] * 2
    assert len(said) == 1
    assert said[0].endswith(why)
