"""The health pages: whether the process is alive, and whether it should get requests."""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from typing import TYPE_CHECKING

from instrumentation.shutdown import shutdown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from instrumentation.asgi import ASGIApp, Receive, Scope, Send
    from instrumentation.health.monitor import HealthChecks, Result
    from instrumentation.settings import Health

ALIVE, READY, NOT_READY, ENDING = "alive", "ready", "not ready", "shutting down"


def health_pages(settings: Health, checks: HealthChecks) -> Mapping[str, ASGIApp]:
    """Path to the page that answers it."""

    async def alive(scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        await _answer(scope, send, HTTPStatus.OK, {"status": ALIVE})

    async def ready(scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        if shutdown().has_begun:
            await _answer(scope, send, HTTPStatus.SERVICE_UNAVAILABLE, {"status": ENDING})
            return
        results = await _results(checks)
        lacks = any(result.problem for result in results if result.check.is_required)
        status = HTTPStatus.SERVICE_UNAVAILABLE if lacks else HTTPStatus.OK
        await _answer(scope, send, status, {"status": NOT_READY if lacks else READY, "checks": _shown(results)})

    pages = {settings.live_path: alive, settings.ready_path: ready}
    return {path: page for path, page in pages.items() if path is not None}


async def _results(checks: HealthChecks) -> list[Result]:
    try:
        asyncio.get_running_loop()
    except RuntimeError:  # trio's; checks run on a loop of their own, which the other one waits for
        return asyncio.run(checks.results())
    return await checks.results()


def _shown(results: Iterable[Result]) -> dict[str, dict[str, object]]:
    """What a probe may know: which check, whether it is well and how long it took; never what was raised."""
    return {
        result.check.name: {
            "status": "down" if result.problem else "up",
            **({"problem": result.problem} if result.problem else {}),
            "required": result.check.is_required,
            "duration_ms": round(result.seconds * 1000, 3),
        }
        for result in results
    }


async def _answer(scope: Scope, send: Send, status: int, document: Mapping[str, object]) -> None:
    body = json.dumps(document).encode() + b"\n"
    if scope["method"] not in {"GET", "HEAD"}:
        status, body = HTTPStatus.METHOD_NOT_ALLOWED, b'{"status": "GET or HEAD alone"}\n'
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": int(status), "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
