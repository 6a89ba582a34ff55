"""The server answers GET requests for the dashboards' own queries, and nothing else."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from sidelight.view import panels, prometheus
from sidelight.view.access import HEADERS, Rules
from sidelight.view.errors import ViewError
from sidelight.view.prometheus import source
from sidelight.view.server import Address, serve

if TYPE_CHECKING:
    from sidelight.view.boards import Boards
    from tests.unit.sidelight.view.conftest import Page, StandIn

OPERATIONS = "/api/dashboards/sidelight-operations"
HOUR = {"from": "3600000", "to": "7200000"}


def get(page: Page, path: str, rules: Rules | None = None, method: str = "GET", **options: Any) -> httpx.Response:
    async def run() -> httpx.Response:
        async with page.client(rules) as client:
            return await client.request(method, path, **options)

    return asyncio.run(run())


def panel(boards: Boards, title: str) -> int:
    found = boards.board("sidelight-operations").panels
    return next(number for number, each in found.items() if each["title"] == title)


def test_a_dashboard_is_the_json_that_grafana_gets(page: Page, boards: Boards) -> None:
    assert get(page, OPERATIONS).json() == boards.board("sidelight-operations").document
    listed = [each["uid"] for each in get(page, "/api/dashboards").json()["dashboards"]]
    assert listed == [board.uid for board in boards]


def test_a_panel_runs_its_own_queries_with_the_chosen_values(page: Page, boards: Boards, prometheus: StandIn) -> None:
    number = panel(boards, "Request rate")
    chosen = {**HOUR, "var-job": ["shop", "a.b"], "var-instance": "All", "points": "240"}
    answer = get(page, f"{OPERATIONS}/panels/{number}", params=chosen).json()
    ((path, asked),) = prometheus.asked
    assert path == "query_range"
    assert (asked["start"], asked["end"], asked["step"]) == ("3600.000", "7200.000", "15.000")
    assert 'job=~"(shop|a\\\\.b)",instance=~".+"' in asked["query"]
    assert "[1m]" in asked["query"]
    assert answer["window"] == {"start": 3600.0, "end": 7200.0}
    assert answer["answers"]["A"]["result"] == [{"metric": {"job": "shop"}, "values": [[1000, "1"]]}]


def test_every_panel_and_annotation_of_every_dashboard_is_asked_without_a_variable_left(
    page: Page, boards: Boards, prometheus: StandIn
) -> None:
    for board in boards:
        numbers = [f"panels/{number}" for number in board.panels]
        for part in [*numbers, "annotations", "variables"]:
            assert get(page, f"/api/dashboards/{board.uid}/{part}").status_code == 200
    targets = [target for board in boards for each in board.panels.values() for target in each["targets"]]
    assert len(prometheus.queries) == len(targets) + sum(len(board.annotations) for board in boards)
    assert not [query for query in prometheus.queries if "$" in query.replace("${1}xx", "").replace('"$1"', "")]


def test_panels_in_collapsed_rows_can_be_read(page: Page, boards: Boards) -> None:
    row = {"type": "row", "id": 1, "title": "Closed", "collapsed": True, "gridPos": {"x": 0, "y": 0, "w": 24, "h": 1}}
    inside = next(iter(boards.board("sidelight-operations").panels.values()))
    document: Any = boards.board("sidelight-operations").document
    document["panels"] = [{**row, "panels": [inside]}]
    assert get(page, f"{OPERATIONS}/panels/{inside['id']}").status_code == 200


def test_a_panel_with_its_own_start_ignores_the_chosen_range(page: Page, boards: Boards) -> None:
    number = panel(boards, "Request rate")
    document: Any = boards.board("sidelight-operations").panel(number)
    document["timeFrom"] = "now/d"
    answer = get(page, f"{OPERATIONS}/panels/{number}", params=HOUR).json()
    assert answer["window"]["start"] % 86_400 == 0
    assert answer["window"]["end"] > 7200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_but_get_is_answered(page: Page, prometheus: StandIn, method: str) -> None:
    assert get(page, OPERATIONS, method=method).status_code == 405
    assert prometheus.asked == []


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("?query=up", "got the parameter 'query'; give from, to, timezone, points and var-<variable>."),
        ("?expr=up", "got the parameter 'expr'"),
        ("?from=soon", "from: got 'soon'; give a time such as now-6h"),
        ("?points=9999999999", "points: got '9999999999'; give a number from 20 to 4000."),
        ("?points=²", "points: got"),
        ("?var-job=" + "a" * 1001, "var-job: got 1001 characters; give at most 1000."),
        ("?" + "&".join(["var-job=a"] * 201), "var-...: got 201 values; give at most 200."),
    ],
)
def test_a_wrong_parameter_is_named_and_nothing_is_asked(
    page: Page, boards: Boards, prometheus: StandIn, path: str, sentence: str
) -> None:
    answer = get(page, f"{OPERATIONS}/panels/{panel(boards, 'Request rate')}{path}")
    assert answer.status_code == 400
    assert sentence in answer.json()["error"]
    assert prometheus.asked == []


@pytest.mark.parametrize(
    "path",
    [
        "/api/query", "/api/v1/query?query=up", "/api/dashboards/unknown", f"{OPERATIONS}/panels/1", f"{OPERATIONS}/panels/x",
        "/assets/index.html", "/assets/..%2Fserver.py", "/metrics",
    ],
)  # fmt: skip
def test_there_is_nothing_else(page: Page, prometheus: StandIn, path: str) -> None:
    assert get(page, path).status_code == 404
    assert prometheus.asked == []


def test_a_value_that_is_no_value_of_prometheus_stays_a_value(page: Page, boards: Boards, prometheus: StandIn) -> None:
    evil = 'x"} or vector(1) or up{job="'
    get(page, f"{OPERATIONS}/panels/{panel(boards, 'Request rate')}", params={"var-job": evil})
    assert 'job=~"x\\"\\\\} or vector\\\\(1\\\\) or up\\\\{job=\\""' in prometheus.queries[0]


# --- What goes wrong behind it ---------------------------------------------------------------------------------------


def failing(page: Page, boards: Boards) -> dict[str, Any]:
    answer = get(page, f"{OPERATIONS}/panels/{panel(boards, 'Request rate')}")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()["answers"]["A"]
    return found


def test_what_prometheus_says_about_a_query_is_shown(page: Page, boards: Boards, prometheus: StandIn) -> None:
    refusal = {"status": "error", "errorType": "execution", "error": "query processing would load too many samples"}
    prometheus.answer = lambda _: httpx.Response(422, json=refusal)
    error = failing(page, boards)["error"]
    assert error == (
        "Prometheus at http://prometheus.example:9090/path refuses the query: query processing would load too many samples."
    )


def test_an_answer_that_is_not_prometheus_is_named(page: Page, boards: Boards, prometheus: StandIn) -> None:
    prometheus.answer = lambda _: httpx.Response(200, text="<html>Welcome to nginx</html>")
    assert "answered 200 without the JSON of Prometheus' API" in failing(page, boards)["error"]


def test_an_answer_that_is_too_large_is_cut_off(
    page: Page, boards: Boards, prometheus: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidelight.view.prometheus.LARGEST", 1000)
    prometheus.answer = lambda _: httpx.Response(200, content=b"x" * 1001)
    assert "the answer is larger than" in failing(page, boards)["error"]


def test_a_prometheus_that_hangs_is_given_up(page: Page, boards: Boards, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(_: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(prometheus, "READ", 0.05)
    monkeypatch.setattr(type(page.prometheus), "__call__", lambda _, request: hang(request))
    assert "did not answer within 0.05 s" in failing(page, boards)["error"]


def test_a_prometheus_that_is_gone_is_named(page: Page, boards: Boards, prometheus: StandIn) -> None:
    def refuse(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused")

    prometheus.answer = refuse
    assert "does not answer: connection refused" in failing(page, boards)["error"]
    assert get(page, "/api/alerts").status_code == 502


def test_a_result_of_too_many_series_says_how_many_are_left_out(
    page: Page, boards: Boards, prometheus: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(panels, "MOST_SERIES", 3)
    many = [{"metric": {"job": str(number)}, "values": [[1000, "1"]]} for number in range(7)]
    prometheus.answers["query_range"] = {"resultType": "matrix", "result": many}
    answer = failing(page, boards)
    assert (len(answer["result"]), answer["left_out"]) == (3, 4)


# --- Who may read ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/d/sidelight-operations", "/assets/view.js", "/api/dashboards", "/nowhere"])
def test_every_answer_forbids_foreign_scripts_and_frames(page: Page, path: str) -> None:
    headers = get(page, path).headers
    assert {name: headers[name] for name in HEADERS} == HEADERS
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert "access-control-allow-origin" not in headers


LOCAL = Rules(hosts=frozenset({"localhost", "127.0.0.1"}))


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "", "127.0.0.1.evil.example:9797"])
def test_a_name_that_was_pointed_at_this_machine_is_refused(page: Page, host: str) -> None:
    assert get(page, "/api/dashboards", LOCAL, headers={"Host": host}).status_code == 421
    assert get(page, "/api/dashboards", LOCAL).status_code == 200


def test_a_page_of_another_site_cannot_read_it(page: Page) -> None:
    foreign = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    assert get(page, "/api/dashboards", headers=foreign).status_code == 403
    assert get(page, "/", headers={**foreign, "Sec-Fetch-Mode": "navigate"}).status_code == 200


SECRET = Rules(token="correct-horse")  # noqa: S106 - a test's


@pytest.mark.parametrize("path", ["/", "/api/dashboards", "/assets/view.js", "/nowhere"])
@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer wrong"}, {"Cookie": "sidelight-view=wörng".encode()}]
)
def test_without_the_token_nothing_is_answered(page: Page, path: str, headers: dict[str, Any]) -> None:
    answer = get(page, path, SECRET, headers=headers)
    assert answer.status_code == 401
    assert "token" in answer.text


def test_the_address_with_the_token_leaves_a_cookie_and_leads_to_the_address_without(page: Page) -> None:
    async def run() -> tuple[httpx.Response, httpx.Response]:
        async with page.client(SECRET) as client:
            first = await client.get("/d/sidelight-operations?token=correct-horse&from=now-1h")
            return first, await client.get(first.headers["location"])

    first, second = asyncio.run(run())
    assert first.headers["location"] == "/d/sidelight-operations?from=now-1h"
    assert "HttpOnly" in first.headers["set-cookie"]
    assert "SameSite=strict" in first.headers["set-cookie"]
    assert second.status_code == 200


def test_programs_may_send_the_token_as_a_header(page: Page) -> None:
    assert get(page, "/api/dashboards", SECRET, headers={"Authorization": "Bearer correct-horse"}).status_code == 200


@pytest.mark.parametrize(
    ("host", "is_loopback"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("shop.example", False)]  # noqa: S104
)  # fmt: skip
def test_only_loopback_needs_no_token(host: str, *, is_loopback: bool) -> None:
    assert Address(host=host).is_loopback is is_loopback


def test_a_port_that_is_taken_is_named(boards: Boards) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ViewError, match=f"127.0.0.1:{port} cannot be served .*; give another --host or --port"):
            serve(boards, source("http://localhost:9090"), Address(port=port), lambda _: None)


# --- What Prometheus is sent -----------------------------------------------------------------------------------------


def test_prometheus_gets_the_headers_and_the_page_no_password() -> None:
    where = source("https://user:pass@prometheus.example/prom/", ["X-Scope-OrgID: team"], "s3cret")
    assert where.headers == {"Authorization": "Bearer s3cret", "X-Scope-OrgID": "team"}
    assert where.shown == "https://prometheus.example/prom"


@pytest.mark.parametrize("url", ["localhost:9090", "ftp://prometheus.example", "http://", "http://a/?query=up", ""])
def test_an_address_that_is_no_prometheus_is_named(url: str) -> None:
    with pytest.raises(ViewError, match="--prometheus: got"):
        source(url)


@pytest.mark.parametrize("header", ["X-Scope-OrgID", "a b: c", ": c", "A: b\r\nC: d"])
def test_a_header_that_is_none_is_named(header: str) -> None:
    with pytest.raises(ViewError, match="--header: got"):
        source("http://localhost:9090", [header])


def test_large_answers_are_compressed(page: Page) -> None:
    answer = get(page, OPERATIONS, headers={"Accept-Encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert json.loads(answer.content)["uid"] == "sidelight-operations"
