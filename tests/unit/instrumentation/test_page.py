"""Access to the metrics page, and the format in which it is sent."""

from __future__ import annotations

import asyncio
import gzip
import os
import threading
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from prometheus_client import CollectorRegistry, Gauge

from instrumentation.catalog import WORKFLOWS_CREATED
from instrumentation.errors import SettingsError
from instrumentation.http.page import MetricsPage, Request, metrics_page
from instrumentation.settings import parse_settings
from instrumentation.store import LocalStore, add

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = "s7-3cret"  # noqa: S105 - of this test alone
BEARER = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture(autouse=True)
def _no_token(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for variable in ("SIDELIGHT_METRICS_TOKEN", "SIDELIGHT_METRICS_TOKEN_FILE"):
        monkeypatch.delenv(variable, raising=False)
    yield
    assert not [thread for thread in threading.enumerate() if thread.name == "sidelight-page" and settle(thread)]


def settle(thread: threading.Thread) -> bool:
    thread.join(7)
    return thread.is_alive()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    return file


def a_page(workflows: int = 3, registry: CollectorRegistry | None = None, **metrics: Any) -> MetricsPage:
    store = LocalStore()
    for number in range(workflows):
        add(store, WORKFLOWS_CREATED, (f"workflow_{number}",), 7.0)
    return metrics_page(store, registry or CollectorRegistry(), parse_settings({"metrics": metrics}))


def timeless(page: MetricsPage) -> MetricsPage:
    """One that does not say how long it took, so that it is the same each time."""
    page._store = LocalStore()
    return page


def ask(page: MetricsPage, method: str = "GET", query: str = "", **headers: str) -> httpx.Response:
    async def run() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(page), base_url="http://shop", headers={}) as client:
            plain = {"accept-encoding": "identity"}
            return await client.request(method, f"/metrics?{query}", headers={**plain, **headers})

    return asyncio.run(run())


# --- Method, format, names ----------------------------------------------------------------------------------------------


def test_get_gives_the_page_with_its_length_and_its_type() -> None:
    answer = ask(a_page())
    assert answer.status_code == 200
    assert 'workflows_created_total{workflow="workflow_2"} 7.0\n' in answer.text
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert int(answer.headers["content-length"]) == len(answer.content)


def test_the_accept_header_decides_also_when_it_is_sent_in_two_parts() -> None:
    scope_headers = [("accept", "text/plain;q=0.3"), ("accept", "application/openmetrics-text;q=0.7")]

    async def run() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(a_page()), base_url="http://shop") as client:
            del client.headers["accept"]
            return await client.get("/metrics", headers=scope_headers)

    assert asyncio.run(run()).text.endswith("# EOF\n")


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_head_is_get_without_the_body(encoding: str) -> None:
    page = timeless(a_page(70))
    get, head = (ask(page, method, **{"accept-encoding": encoding}) for method in ("GET", "HEAD"))
    assert head.status_code == 200
    assert head.content == b""
    assert head.headers == get.headers
    assert page.answer(Request("HEAD", "", {"accept-encoding": encoding})).body == b""


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PURGE"])
def test_any_other_method_is_405_and_says_which_are_allowed(method: str) -> None:
    answer = ask(a_page(), method)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"


def test_names_choose_metrics() -> None:
    answer = ask(a_page(), query="name[]=sidelight_series&name%5B%5D=sidelight_series_limit&nonsense")
    assert [line.split()[0] for line in answer.text.splitlines() if line[0] != "#"] == [
        "sidelight_series",
        "sidelight_series_limit",
    ]


# --- gzip ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accepted", "zipped"),
    [
        ("gzip", True),
        ("deflate, GZIP;q=0.3", True),
        ("*", True),
        ("br, *;q=0.7", True),
        ("", False),
        ("identity", False),
        ("deflate, br", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("gzip;q=0, *", False),
        ("*;q=0", False),
    ],
)
def test_the_page_is_zipped_where_the_client_takes_it(accepted: str, *, zipped: bool) -> None:
    page = timeless(a_page(70))
    request = Request("GET", "", {"accept-encoding": accepted})
    answer = page.answer(request)
    assert ("content-encoding" in answer.headers) == zipped
    assert answer.headers["vary"] == "Accept, Accept-Encoding"
    assert answer.headers["content-length"] == str(len(answer.body))
    body = gzip.decompress(answer.body) if zipped else answer.body
    assert body == page.answer(Request("GET", "", {})).body
    assert len(answer.body) * 3 < len(body) or not zipped


def test_a_short_page_is_not_worth_zipping() -> None:
    answer = ask(a_page(), query="name[]=sidelight_series", **{"accept-encoding": "gzip"})
    assert "content-encoding" not in answer.headers


# --- Token --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "status"),
    [
        (f"Bearer {TOKEN}", 200),
        (f"bearer {TOKEN}", 200),
        (f"BEARER   {TOKEN} ", 200),
        (None, 401),
        ("", 401),
        ("Bearer", 401),
        ("Bearer ", 401),
        (TOKEN, 401),
        (f"Basic {TOKEN}", 401),
        (f"Bearer {TOKEN.upper()}", 401),
        (f"Bearer {TOKEN[:-1]}", 401),
        (f"Bearer {TOKEN}7", 401),
        ("Bearer \xff", 401),
    ],
)
def test_the_token_must_be_right(given: str | None, status: int, file: Path) -> None:
    headers = {} if given is None else {"authorization": given}
    assert a_page(token_file=str(file)).answer(Request("GET", "", headers)).status == status


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_a_refusal_asks_for_a_bearer_token_and_reveals_nothing(method: str, file: Path) -> None:
    page = a_page(token_file=str(file))
    missing, wrong = ask(page, method), ask(page, method, authorization="Bearer s7")
    assert missing.status_code == 401
    assert missing.headers["www-authenticate"] == "Bearer"
    assert "workflow" not in missing.text
    assert (missing.headers, missing.content) == (wrong.headers, wrong.content)


def test_without_a_configured_token_any_token_is_accepted() -> None:
    assert ask(a_page(), authorization="Bearer anything").status_code == 200


def test_a_rotated_token_counts_at_once_and_the_old_one_no_longer(file: Path) -> None:
    page = a_page(token_file=str(file))
    assert ask(page, **BEARER).status_code == 200
    fresh = file.with_name("fresh")
    fresh.write_text("s3-rotated")
    fresh.replace(file)
    assert ask(page, **BEARER).status_code == 401
    assert ask(page, authorization="Bearer s3-rotated").status_code == 200


def test_a_file_that_is_rewritten_in_place_counts_too(file: Path) -> None:
    page = a_page(token_file=str(file))
    file.write_text("s3-7ecret\n")  # as long as before
    os.utime(file, ns=(7, 7))
    assert ask(page, authorization="Bearer s3-7ecret").status_code == 200


@pytest.mark.parametrize("emptied", [True, False])
def test_in_the_middle_of_a_rotation_the_last_token_counts(
    *, emptied: bool, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    page = a_page(token_file=str(file))
    if emptied:
        file.write_text("")
    else:
        file.unlink()
    assert [ask(page, **BEARER).status_code for _ in range(3)] == [200, 200, 200]
    assert ask(page).status_code == 401
    assert len([record for record in caplog.records if "still counts" in record.message]) == 1
    assert TOKEN not in caplog.text


@pytest.mark.parametrize(
    ("text", "sentence"), [(None, "cannot be read (No such file or directory)"), (" \n", "is empty")]
)
def test_a_token_file_without_a_token_stops_the_start(text: str | None, sentence: str, tmp_path: Path) -> None:
    file = tmp_path / "token"
    if text is not None:
        file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        a_page(token_file=str(file))
    assert str(caught.value) == f"settings: metrics.token_file: {file} {sentence}; give a file that contains the token."


def test_the_environment_wins_over_the_key_and_the_token_over_its_file(
    monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    gone = str(file.with_name("gone"))
    monkeypatch.setenv("SIDELIGHT_METRICS_TOKEN_FILE", str(file))
    assert ask(a_page(token_file=gone), **BEARER).status_code == 200
    monkeypatch.setenv("SIDELIGHT_METRICS_TOKEN", " s3-given\n")
    assert ask(a_page(token_file=gone), **BEARER).status_code == 401
    assert ask(a_page(token_file=gone), authorization="Bearer s3-given").status_code == 200


@pytest.mark.parametrize("variable", ["SIDELIGHT_METRICS_TOKEN", "SIDELIGHT_METRICS_TOKEN_FILE"])
def test_an_empty_variable_does_not_open_the_page(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "")
    with pytest.raises(SettingsError, match=f"^{variable}: "):
        a_page()


# --- How long it took ------------------------------------------------------------------------------------------------


def scrapes(page: MetricsPage, **headers: str) -> str:
    text = page.answer(Request("GET", "name[]=sidelight_scrape_seconds_count", headers)).body.decode()
    return text.rpartition(" ")[2].strip()


def test_a_page_says_how_long_the_pages_before_it_took(file: Path) -> None:
    page = a_page(token_file=str(file))
    assert scrapes(page, **BEARER) == "0.0"
    assert page.answer(Request("GET", "", {})).status == 401
    assert page.answer(Request("POST", "", BEARER)).status == 405
    assert [scrapes(page, **BEARER) for _ in range(3)] == ["1.0", "2.0", "3.0"]


def test_the_logged_duration_is_the_real_one() -> None:
    registry = CollectorRegistry()
    Gauge("shop_slow", "A gauge.", registry=registry).set_function(lambda: float(threading.Event().wait(0.3)))
    page = a_page(registry=registry)
    page.answer(Request("GET", "", {}))
    text = page.answer(Request("GET", "name[]=sidelight_scrape_seconds", {})).body.decode()
    assert 'sidelight_scrape_seconds_bucket{le="0.25"} 0.0\n' in text
    assert 'sidelight_scrape_seconds_bucket{le="10.0"} 1.0\n' in text


# --- The event loop ------------------------------------------------------------------------------------------------------


def a_slow_gauge(registry: CollectorRegistry, asked: threading.Event, go_on: threading.Event) -> None:
    def value() -> float:
        asked.set()
        return float(go_on.wait(7))

    Gauge("shop_slow", "A gauge.", registry=registry).set_function(value)


def test_a_slow_collector_does_not_block_the_event_loop() -> None:
    registry, asked, go_on = CollectorRegistry(), threading.Event(), threading.Event()
    a_slow_gauge(registry, asked, go_on)
    page = a_page(registry=registry)

    async def run() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(page), base_url="http://shop") as client:
            answer = asyncio.create_task(client.get("/metrics"))
            assert await asyncio.to_thread(asked.wait, 7)
            assert [thread.daemon for thread in threading.enumerate() if thread.name == "sidelight-page"] == [True]
            go_on.set()
            return await answer

    assert "shop_slow 1.0" in asyncio.run(run()).text


def test_more_readers_than_it_helps_are_sent_away_and_come_back() -> None:
    registry, go_on = CollectorRegistry(), threading.Event()
    Gauge("shop_slow", "A gauge.", registry=registry).set_function(lambda: float(go_on.wait(7)))
    page = a_page(registry=registry)

    async def run() -> list[httpx.Response]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(page), base_url="http://shop") as client:
            readers = [asyncio.create_task(client.get("/metrics")) for _ in range(7)]
            await asyncio.wait(readers, return_when=asyncio.FIRST_COMPLETED)
            go_on.set()
            return await asyncio.gather(*readers)

    statuses = [answer.status_code for answer in asyncio.run(run())]
    assert {200, 503} == set(statuses)
    assert ask(page).status_code == 200


def test_a_reader_who_leaves_harms_nobody() -> None:
    registry, asked, go_on = CollectorRegistry(), threading.Event(), threading.Event()
    a_slow_gauge(registry, asked, go_on)
    page = a_page(registry=registry)

    async def run() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(page), base_url="http://shop") as client:
            reader = asyncio.create_task(client.get("/metrics"))
            assert await asyncio.to_thread(asked.wait, 7)
            reader.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reader

    asyncio.run(run())
    go_on.set()
    assert ask(page).status_code == 200


def test_a_fault_in_the_page_reaches_the_server() -> None:
    class Broken(LocalStore):
        def series(self) -> Any:
            raise ZeroDivisionError("till")

    page = metrics_page(Broken(), CollectorRegistry(), parse_settings({}))
    with pytest.raises(ZeroDivisionError, match="till"):
        ask(page)


def test_a_loop_that_is_not_asyncios_gets_the_page_too() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "headers": [], "query_string": b""}
    with pytest.raises(StopIteration):
        a_page()(scope, send, send).send(None)  # type: ignore[arg-type]
    assert sent[0]["status"] == 200
