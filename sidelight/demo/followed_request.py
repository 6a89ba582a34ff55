"""Follows one request: its correlation id must be in response, problem document, log and trace, its secrets nowhere."""

from __future__ import annotations

import json
import secrets
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx

from sidelight.demo.errors import DemoError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from sidelight.demo.spans import Received, Spans

PATH = "/catalog/items/no-such-lamp"
TRIES = 5  # every 50th request fails on purpose; with the load, two in a row may fail
SECONDS = 30.0  # spans are sent within one or two seconds; a busy machine needs longer
HEADER = "x-correlation-id"


class Followed(NamedTuple):
    """What was found about a request.

    Attributes:
        header: The correlation id in the response headers.
        document: The problem document.
        line: Its access line.
        span: Its span.
    """

    header: str
    document: dict[str, Any]
    line: dict[str, Any]
    span: Received

    def __str__(self) -> str:
        shown = {
            "answer": f"{HEADER}: {self.header}",
            "problem document": _short(self.document, "status", "detail", "correlation_id"),
            "log": _short(self.line, "event", "route", "status", "correlation_id", "trace_id"),
            "trace": f"{self.span.name}, trace_id {self.span.trace_id}, {_short(self.span.attributes, 'correlation_id')}",
        }
        return "\n".join(f"  {name:17} {text}" for name, text in shown.items())


def follow(url: str, log: Path, spans: Spans, folder: Path, *, pause: Callable[[float], None] = time.sleep) -> Followed:
    """Request a missing item from a shop, with secrets in query and headers, and find every trace of the request.

    Args:
        url: The shop's URL.
        log: Its log file.
        spans: The spans received.
        folder: The folder that all parts of the demo write to.
        pause: Sleeps for some seconds.

    Raises:
        DemoError: Something is missing, or a secret was found.
    """
    planted = [f"planted-{secrets.token_hex(12)}" for _ in range(3)]
    password, token, cookie = planted
    try:
        for _ in range(TRIES):
            answer = httpx.get(
                f"{url}{PATH}",
                params={"password": password},
                headers={"authorization": f"Bearer {token}", "cookie": f"session={cookie}"},
                timeout=SECONDS,
                trust_env=False,
            )
            if answer.status_code == HTTPStatus.NOT_FOUND:
                break
        current = answer.headers[HEADER]
        deadline = time.monotonic() + SECONDS
        while not (found := _found(current, log, spans)):
            if time.monotonic() > deadline:
                raise DemoError(
                    f"The request {current} was not found in the log and in the traces.", code="demo_request_lost"
                )
            pause(0.1)
        line, span = found
        page = httpx.get(f"{url}/metrics", timeout=SECONDS, trust_env=False).content
    except (httpx.HTTPError, KeyError) as error:
        raise DemoError(f"The shop did not answer as expected: {error}.", code="demo_shop_silent") from error
    _refuse_leaks(
        planted, {"the response": answer.content, "the metrics": page, "the spans": repr(list(spans)).encode()}
    )
    _refuse_leaks(planted, {str(file): file.read_bytes() for file in folder.rglob("*") if file.is_file()})
    return Followed(current, answer.json(), line, span)


def _found(current: str, log: Path, spans: Spans) -> tuple[dict[str, Any], Received] | None:
    lines = [line for line in log.read_text().splitlines() if current in line]
    of_request = [span for span in spans if span.attributes.get("correlation_id") == current]
    return (json.loads(lines[-1]), of_request[-1]) if lines and of_request else None


def _refuse_leaks(planted: Iterable[str], written: dict[str, bytes]) -> None:
    for secret in planted:
        for where, text in written.items():
            if secret.encode() in text:
                raise DemoError(f"A secret of a request was found in {where}.", code="demo_secret_leaked")


def _short(data: dict[str, Any], *keys: str) -> str:
    return json.dumps({key: data[key] for key in keys if key in data})
