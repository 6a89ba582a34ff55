"""The demo's parts: customers who do not wait, a webhook that stores messages, a watch, and signals."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from instrumentation.settings import parse_settings
from sidelight.demo.errors import DemoError
from sidelight.demo.interrupts import Interrupted, Interrupts, noticed
from sidelight.demo.load import MOST, REQUESTS, Load, flowing
from sidelight.demo.prometheus_queries import Measured, Watch
from sidelight.demo.scenario import document
from sidelight.demo.timeline import Key, Look, Message, Sighting
from sidelight.demo.webhook import LARGEST_BODY, listening

if TYPE_CHECKING:
    from collections.abc import Callable

EPOCH = 1_700_000_000.0
ERRORS = Key("HighErrorRate", "warning")


# --- The webhook -----------------------------------------------------------------------------------------------------


def alert(status: str, **labels: str) -> dict[str, Any]:
    return {"status": status, "labels": labels, "annotations": {}, "startsAt": "2026-01-01T00:00:00Z"}


def posted(*alerts: dict[str, Any]) -> bytes:
    return json.dumps({"version": "4", "status": "firing", "alerts": alerts}).encode()


def test_the_webhook_remembers_what_was_posted_and_gives_it_once() -> None:
    with listening(lambda: 7.0) as webhook:
        first = alert("firing", alertname="HighErrorRate", severity="warning", job="shop")
        second = alert("resolved", alertname="Watchdog")
        answer = httpx.post(webhook.url, content=posted(first, second), trust_env=False)
        assert answer.status_code == 200
        assert list(webhook.take()) == [
            Message(key=ERRORS, firing=True, at=7.0),
            Message(key=Key("Watchdog", ""), firing=False, at=7.0),
        ]
        assert list(webhook.take()) == []


@pytest.mark.parametrize("body", [b"", b"{", b"{}", b"[]", posted({"status": "odd", "labels": {}}), b"\xff"])
def test_the_webhook_refuses_other_bodies_than_notifications(body: bytes) -> None:
    with listening(lambda: 7.0) as webhook:
        assert httpx.post(webhook.url, content=body, trust_env=False).status_code == 400
        assert list(webhook.take()) == []


@pytest.mark.parametrize("length", [str(LARGEST_BODY + 1), "-1", "many"])
def test_the_webhook_refuses_a_body_without_bounds(length: str) -> None:
    with listening(lambda: 7.0) as webhook:
        place = httpx.URL(webhook.url)
        connection = HTTPConnection(place.host, place.port, timeout=30)
        connection.putrequest("POST", place.path)
        connection.putheader("Content-Length", length)
        connection.endheaders()
        assert connection.getresponse().status == 413
        connection.close()


# --- The load --------------------------------------------------------------------------------------------------------


class Shop:
    """Records its requests; after some requests the stream must end.

    Args:
        answers: Whether it answers, or keeps everyone waiting.
        closes_after: How many requests it takes.
    """

    def __init__(self, *, answers: bool = True, closes_after: int = 13) -> None:
        self.asked: list[str] = []
        self.load = Load("http://old", rate=5000, transport=httpx.MockTransport(self.answer))
        self._answers = answers
        self._closes_after = closes_after

    async def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(f"{request.method} {request.url}")
        if len(self.asked) >= self._closes_after:
            self.load.stop()
        if not self._answers:
            await asyncio.Event().wait()
        return httpx.Response(200)

    def open(self) -> Load:
        asyncio.run(asyncio.wait_for(self.load.flow(), 30))
        return self.load


def test_customers_ask_for_one_thing_after_the_other() -> None:
    shop = Shop()
    load = shop.open()
    assert shop.asked[:13] == [f"{r.method} http://old{r.path}" for r in (*REQUESTS, *REQUESTS)][:13]
    assert load.made >= 13
    assert load.lost == 0


def test_customers_do_not_wait_for_each_other() -> None:
    shop = Shop(answers=False, closes_after=50)
    assert shop.open().made >= 50


def test_no_more_than_some_customers_wait_and_the_others_are_lost() -> None:
    shop = Shop(answers=False, closes_after=MOST + 1)

    async def run() -> None:
        flow = asyncio.create_task(shop.load.flow())
        while shop.load.lost < 7:  # noqa: ASYNC110  # the load knows no one it could tell
            await asyncio.sleep(0)
        shop.load.stop()
        await flow

    asyncio.run(asyncio.wait_for(run(), 30))
    assert len(shop.asked) == MOST


def test_a_request_without_an_answer_is_lost() -> None:
    async def refuse(request: httpx.Request) -> httpx.Response:
        load.stop()
        raise httpx.ConnectError("refused", request=request)

    load = Load("http://shop", rate=5000, transport=httpx.MockTransport(refuse))
    asyncio.run(asyncio.wait_for(load.flow(), 30))
    assert load.lost == load.made >= 1


def test_the_stream_can_be_shifted() -> None:
    shop = Shop()
    shop.load.url = "http://new"
    shop.open()
    assert all(" http://new/" in asked for asked in shop.asked)


def test_the_stream_ends_with_its_context() -> None:
    before = set(threading.enumerate())
    with listening(lambda: 7.0) as webhook, flowing(webhook.url.removesuffix("/alerts")) as load:
        while load.made < 3:
            pass
        started = set(threading.enumerate()) - before
    for thread in started:  # one that answers the webhook's last request may still be closing its connection
        thread.join(10)
    assert started
    assert not any(thread.is_alive() for thread in started)


# --- The watch -------------------------------------------------------------------------------------------------------


def sample(state: str, *at: float, **labels: str) -> dict[str, Any]:
    metric = {"alertname": "HighErrorRate", "severity": "warning", "alertstate": state, **labels}
    return {"metric": metric, "values": [[EPOCH + moment, "1"] for moment in at]}


def value(text: str) -> dict[str, Any]:
    return {"metric": {}, "value": [EPOCH + 7, text]}


class Prometheus:
    """Answers queries from a table, and with nothing where the table has none."""

    def __init__(self, **answers: list[dict[str, Any]]) -> None:
        self.asked: dict[str, str] = {}
        self._answers = answers

    def __call__(self, request: httpx.Request) -> httpx.Response:
        query = request.url.params["query"]
        self.asked[query] = request.url.params["time"]
        found = [rows for name, rows in self._answers.items() if query.replace("[", "_").startswith(name)]
        return httpx.Response(200, json={"data": {"result": found[-1] if found else []}})


def watch(answer: Callable[[httpx.Request], httpx.Response]) -> Watch:
    client = httpx.Client(transport=httpx.MockTransport(answer), base_url="http://prometheus")
    settings = parse_settings(document("http://127.0.0.1:7/alerts", "audit.log", "http://127.0.0.1:8"))
    return Watch(client, settings=settings, epoch=EPOCH, clock=lambda: 7.0)


def test_a_look_has_every_sample_in_seconds_since_the_beginning_and_what_is_active() -> None:
    prometheus = Prometheus(
        ALERTS=[sample("firing", 6.5)], ALERTS_1m=[sample("pending", 1.5, 2.5), sample("firing", 6.5)]
    )
    assert watch(prometheus).look() == Look(
        at=7.0,
        sightings=(
            Sighting(key=ERRORS, firing=False, at=1.5),
            Sighting(key=ERRORS, firing=False, at=2.5),
            Sighting(key=ERRORS, firing=True, at=6.5),
        ),
        active=frozenset({ERRORS}),
    )
    assert prometheus.asked == {"ALERTS[1m]": "1700000007.000", "ALERTS": "1700000007.000"}


def test_what_is_measured_is_what_the_rules_recorded() -> None:
    prometheus = Prometheus(
        **{
            "job:http_server_requests:rate10s": [value("49.5")],
            "job:http_server_request_errors_per_requests:ratio_rate10s": [value("0.02")],
        }
    )
    assert watch(prometheus).measure() == Measured(requests=49.5, error_ratio=0.02, p95=None)


@pytest.mark.parametrize(("rows", "expected"), [([], None), ([value("0")], False), ([value("1")], True)])
def test_an_instance_is_scraped_or_down_or_unknown(rows: list[dict[str, Any]], expected: bool | None) -> None:  # noqa: FBT001
    prometheus = Prometheus(up=rows)
    assert watch(prometheus).scrapes("127.0.0.1:7") is expected
    assert list(prometheus.asked) == ['up{instance="127.0.0.1:7"}']


@pytest.mark.parametrize(
    ("rows", "now", "shown"),
    [
        ([value("7")], True, True),
        ([value("NaN")], True, False),
        ([], True, False),
        ([{"values": [[EPOCH, "NaN"], [EPOCH + 2, "0"]]}], False, True),
        ([{"values": [[EPOCH, "+Inf"]]}], False, False),
        ([], False, False),
    ],
)
def test_a_panel_shows_data_if_it_has_a_number_now_or_at_any_time(
    rows: list[dict[str, Any]],
    now: bool,  # noqa: FBT001
    shown: bool,  # noqa: FBT001
) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json={"data": {"result": rows}})

    assert watch(answer).shows("up", now=now) is shown
    span = {"time": "1700000007.000"} if now else {"start": "1700000000.000", "end": "1700000007.000", "step": "2s"}
    assert dict(asked[0].url.params) == {"query": "up", **span}


def test_a_prometheus_that_does_not_respond_is_named() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    with pytest.raises(DemoError, match=r"Prometheus does not answer the query ALERTS\[1m\]: refused\."):
        watch(refuse).look()


# --- Signals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_the_next_pause_and_sets_the_status(number: signal.Signals, status: int) -> None:
    with noticed() as interrupts:
        interrupts.check()
        os.kill(os.getpid(), number)
        with pytest.raises(Interrupted) as caught:
            interrupts.pause(0)
    assert caught.value.status == status


def test_further_signals_change_nothing() -> None:
    interrupts = Interrupts()
    for number in (signal.SIGTERM, signal.SIGINT):
        interrupts.note(number)
    with pytest.raises(Interrupted, match="SIGTERM"):
        interrupts.check()


def test_the_handlers_are_as_before_afterwards() -> None:
    before = signal.getsignal(signal.SIGINT)
    with noticed():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with noticed() as interrupts:
            os.kill(os.getpid(), signal.SIGHUP)
            interrupts.check()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_pause_sleeps() -> None:
    slept: list[float] = []
    Interrupts(slept.append).pause(0.7)
    assert slept == [0.7]
