"""Log lines contain no query strings of URLs, from any library and in any form; other text stays."""

from __future__ import annotations

import logging
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import httpx
import httpx2
import pytest
import requests

from instrumentation.redaction import MASK, Redactor
from tests.unit.instrumentation.logs.conftest import Log, given_back, log

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["given_back", "log"]
LINES = Redactor(queries=True)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("see https://shop.example:8443/orders/7?page=2&q=tea#top", "see https://shop.example:8443/orders/7?***"),
        ("see https://shop.example/cb?code=x, then", "see https://shop.example/cb?***, then"),
        ("(https://shop.example/a?b)", "(https://shop.example/a?***)"),
        ("http://joe:pw@shop.example/a?b=c", "http://***@shop.example/a?***"),
        ("amqps://broker.example?heartbeat=3", "amqps://broker.example?***"),
        ('"GET /orders/7?code=x HTTP/1.1" 200', '"GET /orders/7?*** HTTP/1.1" 200'),
        ("GET /a?list HTTP/1.1", "GET /a?*** HTTP/1.1"),
        ("{'url_path': '/a?x=y', 'n': 1}", "{'url_path': '/a?***', 'n': 1}"),
        (r"{\"url\": \"https://x.example/a?b=c\", \"n\": 1}", r"{\"url\": \"https://x.example/a?***\", \"n\": 1}"),
        (r'{"url":"https://x.example/a?b=1\u0026c=2","n":1}', '{"url":"https://x.example/a?***","n":1}'),
        ("raw_path=b'/ws?ticket=7'", "raw_path=b'/ws?***'"),
        ("called orders/31?code=x", "called orders/31?***"),
        ("?code=x&state=y", "?***"),
        ("POST\n/\nAction=Send&Body=x\nhost:sqs", "POST\n/\n***\nhost:sqs"),
        ("https%3A%2F%2Fx.example%2Fcb%3Fcode%3Dx", "https://x.example/cb?***"),
        ("scope={'query_string': b'ticket=7', 'path': '/a'}", "scope={'query_string': b'***', 'path': '/a'}"),
        ("Query Params: {'a': 'x'}", "Query Params: ***"),
    ],
)
def test_a_query_is_masked_in_a_text(text: str, masked: str) -> None:
    assert LINES.text(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "Really? yes", "why?!", "either/or?really", "a ? b : c", "SELECT * FROM orders WHERE id=? AND sku = ?", "x=1, y=2",
        "^/items/(?P<item>[0-9]+)/?$", "https://shop.example/a/b#top", "R&D", "a && b", "/orders/{order}", "what?", "km/h?x",
        "glob /var/log/?.log",
    ],
)  # fmt: skip
def test_other_text_than_queries_stays(text: str) -> None:
    assert LINES.text(text) == text


def test_a_query_is_masked_in_data_and_in_objects() -> None:
    value = {"url": "https://x.example/a?b=c", "query_string": b"b=c", "url.query": "b=c", "query": "SELECT 1"}
    assert LINES.value(value) == {
        "url": "https://x.example/a?***", "query_string": MASK, "url.query": MASK, "query": "SELECT 1",
    }  # fmt: skip
    assert LINES.message("called %s", (httpx.URL("https://x.example/a?b=c"),)) == "called https://x.example/a?***"


def test_only_lines_are_masked_and_masking_can_be_turned_off() -> None:
    text = "https://x.example/a?page=2&token=x"
    assert Redactor().text(text) == "https://x.example/a?page=2&token=***"
    assert Redactor(queries=True, allow=["url_query"]).text(text) == "https://x.example/a?page=2&token=***"


# --- Libraries that call others ---------------------------------------------------------------------------------------


class Handler(BaseHTTPRequestHandler):
    """Redirects once, then answers."""

    def do_GET(self) -> None:
        self.send_response(302 if self.path.startswith("/old") else 200)
        if self.path.startswith("/old"):
            self.send_header("location", "/new?ticket=hunter2")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Be silent."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


CLIENTS: dict[str, Any] = {
    "httpx": lambda url: httpx.get(url, follow_redirects=True),
    "httpx2": lambda url: httpx2.get(url, follow_redirects=True),
    "requests": lambda url: requests.get(url, timeout=9),
}


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_logs_each_call_only_at_debug_and_never_the_query(client: str, address: str, log: Log) -> None:
    CLIENTS[client](f"{address}/old?code=hunter2")
    assert log.lines == []
    log.configure(level="debug")
    CLIENTS[client](f"{address}/old?code=hunter2")
    said = [line["event"] for line in log.lines]
    assert any("/old?***" in event for event in said)
    assert any("/new?***" in event for event in said)
    assert "hunter2" not in log.text


def test_a_client_that_is_made_of_httpx_is_quiet_too_unless_its_own_level_is_debug(log: Log) -> None:
    record = ('HTTP Request: %s %s "%s %d %s"', "GET", "https://x.example/orders/7?a=b", "HTTP/1.1", 200, "OK")
    logging.getLogger("vendor.client").info(*record)
    assert log.lines == []
    logging.getLogger("vendor.client").warning(*record)
    log.configure(levels={"vendor": "debug"})
    logging.getLogger("vendor.client").info(*record)
    assert [line["event"] for line in log.lines] == [
        'HTTP Request: GET https://x.example/orders/7?*** "HTTP/1.1 200 OK"'
    ] * 2
