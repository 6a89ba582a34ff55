"""Publishing, against a real HTTP server that answers as Grafana's API does."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from dashboards.grafana.client import Grafana, PublishError, folder_uid
from dashboards.grafana.publish import publish, publish_from_environment
from instrumentation.settings import Settings, parse_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TOKEN = "glsa_seven_three"  # noqa: S105 - of a Grafana in memory
SHOP = {"uid": "shop", "title": "Shop", "panels": []}
STOCK = {"uid": "stock", "title": "Stock", "panels": []}
BOTH = {"shop": SHOP, "stock": STOCK}
HTML = "<!doctype html><title>Welcome</title>"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the server says once, instead of what Grafana would."""

    status: int = 200
    body: str = "{}"
    headers: dict[str, str] = field(default_factory=dict)
    wait: threading.Event | None = None


class FakeGrafana(ThreadingHTTPServer):
    """Folders and dashboards in memory, and a script of answers by path that come first."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folders: dict[str, Any] = {}
        self.dashboards: dict[str, Any] = {}
        self.script: dict[str, list[Answer]] = {}
        self.seen: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: FakeGrafana

    def do_GET(self) -> None:
        self._answer(None)

    def do_POST(self) -> None:
        self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def _answer(self, body: Any) -> None:
        self.server.seen.append(f"{self.command} {self.path}")
        scripted = self.server.script.get(self.path)
        answer = scripted.pop(0) if scripted else self._as_grafana(body)
        if answer.wait:
            answer.wait.wait(5)
        is_html = answer.body.startswith("<")
        headers = {"Content-Type": "text/html" if is_html else "application/json", **answer.headers}
        self.send_response(answer.status)
        for name, value in {**headers, "Content-Length": str(len(answer.body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body.encode())

    def _as_grafana(self, body: Any) -> Answer:
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            return _refusal(401, "Invalid API key")
        if self.path == "/api/folders":
            self.server.folders[body["uid"]] = body["title"]
            return Answer()
        if self.path.startswith("/api/folders/"):
            known = self.path.rpartition("/")[2] in self.server.folders
            return Answer() if known else _refusal(404, "folder not found")
        self.server.dashboards[body["dashboard"]["uid"]] = body
        return Answer(body='{"status": "success"}')

    def log_message(self, *_: object) -> None:
        """Silence: the test's output is for the test."""


def _refusal(status: int, message: str) -> Answer:
    return Answer(status=status, body=json.dumps({"message": message}))


@pytest.fixture
def server() -> Iterator[FakeGrafana]:
    with FakeGrafana() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that would have been slept between attempts."""
    slept: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", slept.append)
    return slept


def _publish(server: FakeGrafana, dashboards: Any = BOTH, **changes: Any) -> list[str]:
    lines: list[str] = []
    grafana = Grafana(**{"url": server.url, "token": TOKEN, "transport": httpx.HTTPTransport(), **changes})
    publish(dashboards, grafana, folder="Ops & Shop", message="from a test", echo=lines.append)
    return lines


@contextmanager
def _failing(code: str) -> Iterator[pytest.ExceptionInfo[PublishError]]:
    with pytest.raises(PublishError) as caught:
        yield caught
    assert caught.value.code == code
    assert TOKEN not in f"{caught.value} {caught.value.details} {caught.value!r} {caught.value.__cause__!r}"


def test_a_missing_folder_is_created_and_each_dashboard_put_into_it(server: FakeGrafana) -> None:
    assert _publish(server) == [
        f"published shop: {server.url}/d/shop",
        f"published stock: {server.url}/d/stock",
    ]
    uid = folder_uid("Ops & Shop")
    assert server.folders == {uid: "Ops & Shop"}
    assert server.dashboards["shop"] == {
        "dashboard": {**SHOP, "id": None},
        "folderUid": uid,
        "message": "from a test",
        "overwrite": True,
    }


def test_publishing_again_does_not_create_the_folder_again(server: FakeGrafana) -> None:
    _publish(server)
    server.seen.clear()
    _publish(server)
    assert server.seen == [
        f"GET /api/folders/{folder_uid('Ops & Shop')}",
        "POST /api/dashboards/db",
        "POST /api/dashboards/db",
    ]


def test_a_grafana_may_live_below_a_path(server: FakeGrafana) -> None:
    folder, dashboards = f"/grafana/api/folders/{folder_uid('Ops & Shop')}", "/grafana/api/dashboards/db"
    server.script = {folder: [Answer()], dashboards: [Answer(), Answer()]}
    assert _publish(server, url=f"{server.url}/grafana")[0] == f"published shop: {server.url}/grafana/d/shop"
    assert server.seen == [f"GET {folder}", f"POST {dashboards}", f"POST {dashboards}"]


def test_a_folder_that_another_publisher_creates_meanwhile_is_used(server: FakeGrafana) -> None:
    uid = folder_uid("Ops & Shop")
    server.folders[uid] = "Ops & Shop"
    server.script[f"/api/folders/{uid}"] = [_refusal(404, "folder not found")]
    server.script["/api/folders"] = [_refusal(409, "a folder with the same uid exists")]
    assert len(_publish(server)) == 2


def test_a_folder_that_grafana_refuses_is_named(server: FakeGrafana) -> None:
    server.script["/api/folders"] = [_refusal(412, "a folder with that name exists")]
    with _failing("folder_refused") as caught:
        _publish(server)
    assert str(caught.value) == (
        f"{server.url} refused the folder 'Ops & Shop': a folder with that name exists (412). Nothing was published."
    )


def test_folders_with_other_titles_have_other_uids_of_legal_characters() -> None:
    assert folder_uid("Team 組") != folder_uid("Team 班")
    assert folder_uid("Team 組").isascii()


@pytest.mark.parametrize("status", [400, 412, 422, 500])
def test_a_rejected_dashboard_is_named_with_grafanas_reason_and_with_what_was_published(
    server: FakeGrafana, status: int
) -> None:
    server.script["/api/dashboards/db"] = [Answer(), _refusal(status, "changed by someone else")]
    with _failing("dashboard_refused") as caught:
        _publish(server)
    assert str(caught.value) == (
        f"{server.url} refused the dashboard 'stock': changed by someone else ({status}). Published before that: shop."
    )
    assert caught.value.details == {"url": server.url, "status": status, "published": ("shop",)}


def test_a_wrong_token_gives_one_clear_line(server: FakeGrafana) -> None:
    wrong = "glsa_wrong_token"
    with _failing("grafana_token_refused") as caught:
        _publish(server, token=wrong)
    assert str(caught.value) == (
        f"{server.url} does not know the token; give the token of a service account with the role Editor (401)."
        " Nothing was published."
    )
    assert wrong not in repr(caught.value)


def test_a_token_without_the_right_gives_one_clear_line_even_from_a_proxy_in_html(server: FakeGrafana) -> None:
    server.script["/api/dashboards/db"] = [Answer(status=403, body=HTML)]
    with _failing("grafana_token_refused") as caught:
        _publish(server)
    assert "does not let the token publish" in str(caught.value)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_transient_answer_is_tried_again(server: FakeGrafana, pauses: list[float], status: int) -> None:
    server.script["/api/dashboards/db"] = [Answer(status=status, body=HTML)]
    assert len(_publish(server)) == 2
    assert len(pauses) == 1


def test_the_pause_is_the_one_that_the_server_asks_for(server: FakeGrafana, pauses: list[float]) -> None:
    server.script["/api/dashboards/db"] = [Answer(status=429, headers={"Retry-After": "7"})]
    _publish(server)
    assert pauses == [7.0]


def test_a_server_that_asks_for_too_long_a_pause_is_not_waited_for(server: FakeGrafana, pauses: list[float]) -> None:
    server.script["/api/dashboards/db"] = [Answer(status=503, headers={"Retry-After": "3600"})]
    with _failing("grafana_unavailable"):
        _publish(server)
    assert pauses == []


@pytest.mark.parametrize("asked", ["Wed, 21 Oct 2026 07:28:00 GMT", "soon", "nan", "-3"])
def test_a_pause_that_is_no_number_of_seconds_does_no_harm(
    server: FakeGrafana, pauses: list[float], asked: str
) -> None:
    server.script["/api/dashboards/db"] = [Answer(status=503, headers={"Retry-After": asked})]
    assert len(_publish(server)) == 2
    assert all(0 <= pause < 2 for pause in pauses)


def test_a_server_that_stays_unavailable_gives_one_clear_line(server: FakeGrafana, pauses: list[float]) -> None:
    server.script["/api/dashboards/db"] = [Answer(status=503)] * 9
    with _failing("grafana_unavailable") as caught:
        _publish(server, attempts=3)
    assert str(caught.value) == f"{server.url} answers 503 again and again; try later (503). Nothing was published."
    assert len(pauses) == 2


@pytest.mark.parametrize("status", [400, 401, 403, 412, 500])
def test_a_lasting_failure_is_not_tried_again(server: FakeGrafana, pauses: list[float], status: int) -> None:
    server.script["/api/dashboards/db"] = [_refusal(status, "no")]
    with pytest.raises(PublishError):
        _publish(server)
    assert pauses == []
    assert server.seen.count("POST /api/dashboards/db") == 1


@pytest.mark.parametrize(
    "answer",
    [
        Answer(body=HTML),
        Answer(status=302, headers={"Location": "/login"}, body=HTML),
        Answer(status=404, body=HTML),
        Answer(body="[]"),
        Answer(body=""),
    ],
    ids=["a page", "a login page", "no such page", "a list", "nothing"],
)
def test_what_is_no_grafana_gives_one_clear_line(server: FakeGrafana, answer: Answer) -> None:
    path = f"/api/folders/{folder_uid('Ops & Shop')}"
    server.script[path] = [answer]
    with _failing("not_grafana") as caught:
        _publish(server)
    assert str(caught.value) == (
        f"{server.url} does not answer {path} as a Grafana does; give the address of Grafana's own pages, without /d/"
        f" and what follows ({answer.status}). Nothing was published."
    )


def test_another_service_that_answers_json_is_no_grafana(server: FakeGrafana) -> None:
    server.script["/api/folders"] = [Answer(status=404, body='{"detail": "Not Found"}')]
    with _failing("not_grafana"):
        _publish(server)


def test_a_host_that_does_not_listen_gives_one_clear_line(pauses: list[float]) -> None:
    with FakeGrafana() as gone:
        pass
    with _failing("grafana_unreachable") as caught:
        _publish(gone, attempts=2)
    assert str(caught.value).startswith(f"{gone.url} cannot be reached (")
    assert str(caught.value).endswith("check the address and the network. Nothing was published.")
    assert len(pauses) == 1


def test_a_server_that_does_not_answer_is_not_waited_for(server: FakeGrafana, pauses: list[float]) -> None:
    released = threading.Event()
    server.script["/api/dashboards/db"] = [Answer(wait=released)]
    with _failing("grafana_unreachable") as caught:
        _publish(server, timeout=0.2)
    released.set()
    assert "did not answer within 0.2 s" in str(caught.value)
    assert pauses == []


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        ({"title": "Stock"}, "has no uid"),
        ({"uid": "stock", "title": ""}, "has no title"),
        ({"uid": "s" * 41, "title": "Stock"}, "has no uid of at most 40 characters"),
        ({**STOCK, "panels": float("nan")}, "has no form as JSON"),
        ({**STOCK, "panels": {1}}, "has no form as JSON"),
    ],
)
def test_nothing_is_sent_where_one_dashboard_is_broken(server: FakeGrafana, broken: Any, problem: str) -> None:
    with _failing("dashboard_invalid") as caught:
        _publish(server, {"shop": SHOP, "stock": broken})
    assert problem in str(caught.value)
    assert server.seen == []


@pytest.mark.parametrize(
    "url",
    ["shop.example", "ftp://grafana.example", "http://admin:seven@grafana.example", "http://[", "http://a/?b=c"],
)
def test_an_address_that_is_none_is_not_repeated_since_it_may_hold_a_password(server: FakeGrafana, url: str) -> None:
    with _failing("grafana_url_invalid") as caught:
        _publish(server, url=url)
    assert url not in str(caught.value)


@pytest.mark.parametrize("token", ["seven\nthree", "seven three", "sëven", "Bearer seven"])
def test_a_token_that_no_header_can_hold_is_not_repeated(server: FakeGrafana, token: str) -> None:
    with _failing("grafana_token_invalid") as caught:
        _publish(server, token=token)
    assert "seven" not in str(caught.value)
    assert server.seen == []


def test_a_token_is_not_in_what_the_process_prints(server: FakeGrafana, capfd: pytest.CaptureFixture[str]) -> None:
    server.script["/api/dashboards/db"] = [Answer(status=503, headers={"Retry-After": "0"})]
    _publish(server)
    printed = capfd.readouterr()
    assert TOKEN not in printed.out + printed.err


def test_a_grafana_does_not_show_its_token() -> None:
    assert TOKEN not in repr(Grafana(url="http://grafana.example", token=TOKEN))


def _from_environment(server: FakeGrafana, **environ: str) -> tuple[int, list[str]]:
    lines: list[str] = []
    transport = httpx.HTTPTransport()
    settings = parse_settings({"dashboards": {"folder": "Shop"}})
    return publish_from_environment(
        settings, {"GRAFANA_URL": f"{server.url}/", **environ}, lines.append, transport
    ), lines


def test_all_dashboards_are_published_from_the_environment(server: FakeGrafana) -> None:
    code, lines = _from_environment(server, GRAFANA_TOKEN=TOKEN)
    assert code == 0
    assert lines == [
        f"published fleet: {server.url}/d/sidelight-fleet",
        f"published operations: {server.url}/d/sidelight-operations",
        f"published business: {server.url}/d/sidelight-business",
    ]
    assert server.folders == {folder_uid("Shop"): "Shop"}
    assert server.dashboards["sidelight-business"]["message"].startswith("Published by Sidelight ")


def test_the_token_may_stand_in_a_file_with_a_line_break_at_its_end(server: FakeGrafana, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    assert _from_environment(server, GRAFANA_TOKEN_FILE=str(tmp_path / "token"))[0] == 0


def test_without_an_address_nothing_is_published_and_that_is_no_failure() -> None:
    lines: list[str] = []
    assert publish_from_environment(Settings(), {}, lines.append) == 0
    assert lines == ["GRAFANA_URL is not set, so nothing is published."]


@pytest.mark.parametrize("environ", [{}, {"GRAFANA_TOKEN": " "}], ids=["none", "blank"])
def test_an_address_without_a_token_says_where_to_give_one(server: FakeGrafana, environ: dict[str, str]) -> None:
    with _failing("grafana_token_missing") as caught:
        _from_environment(server, **environ)
    assert "GRAFANA_TOKEN_FILE" in str(caught.value)
    assert server.seen == []


@pytest.mark.parametrize("write", [lambda _: None, lambda file: file.write_bytes(b"seven\xff")], ids=["none", "binary"])
def test_a_token_file_that_cannot_be_read_is_named(
    server: FakeGrafana, tmp_path: Path, write: Callable[[Path], None]
) -> None:
    file = tmp_path / "token"
    write(file)
    with _failing("grafana_token_missing") as caught:
        _from_environment(server, GRAFANA_TOKEN_FILE=str(file))
    assert str(file) in str(caught.value)
    assert "seven" not in str(caught.value)
