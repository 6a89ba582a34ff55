"""A request that leaves no trace, or leaks a secret, ends the demo with a sentence."""

from __future__ import annotations

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from sidelight.demo import followed_request
from sidelight.demo.errors import DemoError
from sidelight.demo.followed_request import follow
from sidelight.demo.spans import Received

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ID = "7" * 32
SPAN = Received("GET /items/{sku}", "3" * 32, "5" * 16, "", {"correlation_id": ID}, {}, ())
FAILED = b"Internal Server Error"
LINE = {"event": "request", "route": "/items/{sku}", "status": 404, "correlation_id": ID, "trace_id": "3" * 32}


@contextmanager
def shop(answer: Callable[[BaseHTTPRequestHandler], bytes], header: str = "x-correlation-id") -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = answer(self)
            self.send_response(500 if body == FAILED else 404)
            self.send_header(header, ID)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def document(_: Any) -> bytes:
    return json.dumps({"status": 404, "correlation_id": ID}).encode()


def followed_by(url: str, folder: Path, line: str, spans: Any) -> Any:
    log = folder / "shop.log"
    log.write_text(f"{line}\n")
    return follow(url, log, spans, folder, pause=lambda _: None)


def test_what_was_found_is_shown_line_by_line(tmp_path: Path) -> None:
    with shop(document) as url:
        found = str(followed_by(url, tmp_path, json.dumps(LINE), [SPAN]))
    assert [line.split()[0] for line in found.splitlines()] == ["answer", "problem", "log", "trace"]
    assert found.count(ID) == 4
    assert found.count("3" * 32) == 2


def test_a_request_that_fails_on_purpose_is_repeated(tmp_path: Path) -> None:
    answers = iter([FAILED, FAILED, document(None), b"the metrics"])
    with shop(lambda _: next(answers)) as url:
        assert followed_by(url, tmp_path, json.dumps(LINE), [SPAN]).document["status"] == 404


@pytest.mark.parametrize(("line", "spans"), [("{}", [SPAN]), (json.dumps(LINE), [])], ids=["no line", "no span"])
def test_a_request_that_is_not_found_is_lost(
    line: str, spans: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followed_request, "SECONDS", 0.2)
    with (
        shop(document) as url,
        pytest.raises(DemoError, match=f"The request {ID} was not found in the log and in the traces"),
    ):
        followed_by(url, tmp_path, line, spans)


def test_an_answer_without_the_id_is_a_fault(tmp_path: Path) -> None:
    with shop(document, header="other") as url, pytest.raises(DemoError, match="did not answer as expected"):
        followed_by(url, tmp_path, json.dumps(LINE), [SPAN])


def test_a_secret_anywhere_is_a_fault(tmp_path: Path) -> None:
    def leaking(request: BaseHTTPRequestHandler) -> bytes:
        if "password" in request.path:
            (tmp_path / "metrics.bin").write_bytes(b"\xff" + request.headers["cookie"].encode())
        return document(request)

    with (
        shop(leaking) as url,
        pytest.raises(DemoError, match=r"A secret of a request was found in .*metrics\.bin"),
    ):
        followed_by(url, tmp_path, json.dumps(LINE), [SPAN])


def test_a_secret_in_the_answer_is_a_fault(tmp_path: Path) -> None:
    def leaking(request: BaseHTTPRequestHandler) -> bytes:
        return json.dumps({"you": request.headers.get("authorization", "")}).encode()

    with shop(leaking) as url, pytest.raises(DemoError, match="was found in the response"):
        followed_by(url, tmp_path, json.dumps(LINE), [SPAN])
