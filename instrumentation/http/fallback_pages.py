"""Decides who answers a page: Sidelight if the app has no page at the path, otherwise the app."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from instrumentation.http.frameworks.interface import ENVIRON
from instrumentation.http.routes import local_path
from instrumentation.http.wsgi import probe_scope

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from instrumentation.asgi import ASGIApp, Message, Receive, Scope, Send
    from instrumentation.http.routes import Routes

_log = logging.getLogger("instrumentation")

PROBE_SECONDS = 1.0
"""How long the app may take to respond to a probe."""

_SEEN = "sidelight"  # in a scope: an instrumented app inside this one does not count the request
_OK, _REDIRECTS = 200, 300
_NO_PAGE = frozenset((404, 405))
_INVALID_PARAMETER = 422  # from FastAPI: the path is not a valid value of the route's parameter
_BAD_REQUEST = frozenset((400, 421))  # for example an unknown host: this does not depend on the path


class Decision(NamedTuple):
    """Who answers a page.

    Attributes:
        by_app: Whether each request goes to the app.
        no_page: Statuses of the app that mean that it has no page; Sidelight then answers instead.
        reason: For the log: the status of the app, or the setting.
        is_wildcard: Whether the app's route matches many paths.
    """

    by_app: bool
    no_page: frozenset[int] = frozenset()
    reason: str = ""
    is_wildcard: bool = False


_BY_SIDELIGHT = Decision(by_app=False)
_OVERRIDDEN = Decision(by_app=False, reason="set in http.overridden_routes")
_BY_APP = Decision(by_app=True)


class FallbackPages:
    """Answers Sidelight's pages, or passes their requests to the app.

    The first request for a page decides for all pages, and one log line reports the decision. A route that is added later
    repeats it. If the app's route table does not decide, the app gets one probe without credentials. So a page that
    requires credentials keeps requiring them.

    Args:
        pages: Path to page.
        app: The inner app, without counting.
        counted: The inner app, with the requests counted that are not excluded.
        routes: The routes of the app.
        metrics_path: The path of the metrics page.
        with_metrics: The inner app, with Sidelight's metrics added to its own metrics page.
        prime: Called before a metrics page, so that a scrape before the first request has the series at 0.
        overridden: Paths for which Sidelight always answers.
    """

    def __init__(  # noqa: PLR0913
        self,
        pages: Mapping[str, ASGIApp],
        *,
        app: ASGIApp,
        counted: ASGIApp,
        routes: Routes,
        metrics_path: str | None,
        with_metrics: ASGIApp,
        prime: Callable[[], None],
        overridden: Iterable[str],
    ) -> None:
        self._pages = pages
        self._app = app
        self._counted = counted
        self._routes = routes
        self._metrics_path = metrics_path
        self._with_metrics = with_metrics
        self._prime = prime
        self._overridden = frozenset(overridden)
        self._decisions: dict[str, Decision] = {}
        self._route_count = 0

    @property
    def direct(self) -> dict[str, ASGIApp]:
        """Path to the app that answers it; Starlette redirects to a slash if a metrics page is mounted."""
        redirected = {} if self._metrics_path is None else {f"{self._metrics_path}/": self._answer_with_slash}
        return {**redirected, **dict.fromkeys(self._pages, self._answer)}

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in {"GET", "HEAD"}:
            return await self._counted(scope, receive, send)
        path = local_path(scope)
        decision = await self._decision(path, scope)
        app, page = self._counted, self._pages[path]
        if path == self._metrics_path:
            self._prime()
            app = self._app if decision.is_wildcard else self._with_metrics
        if not decision.by_app:
            app = page
        elif decision.no_page:
            app = _replacing(app, decision.no_page, page)
        return await app(scope, receive, send)

    async def _answer_with_slash(self, scope: Scope, receive: Receive, send: Send) -> None:
        decision = await self._decision(str(self._metrics_path), scope)
        self._prime()
        is_page = scope["method"] == "GET" and decision.by_app and not decision.is_wildcard
        await (self._with_metrics if is_page else self._counted)(scope, receive, send)

    async def _decision(self, path: str, scope: Scope) -> Decision:
        count = self._routes.count
        if not self._decisions or count != self._route_count:
            decisions = {each: await self._decide(each, scope) for each in self._pages}
            is_new, self._decisions, self._route_count = decisions != self._decisions, decisions, count
            if is_new:
                self._log_decisions()
        return self._decisions[path]

    async def _decide(self, path: str, scope: Scope) -> Decision:
        if path in self._overridden:
            return _OVERRIDDEN
        try:
            if self._routes.has_page(path):
                return _BY_APP
            is_wildcard = self._routes.is_wildcard(scope, path)
        except Exception:  # noqa: BLE001 - an unknown version of a router: the probe decides
            is_wildcard = False
        no_page = _NO_PAGE | {_INVALID_PARAMETER} if is_wildcard else _NO_PAGE
        status = await _probe(self._app, path, scope)
        if status in no_page:
            return _BY_SIDELIGHT
        reason = "no response to a probe" if status is None else f"status {status}"
        if status in _BAD_REQUEST:
            no_page = no_page | _BAD_REQUEST
        elif status is not None and _OK <= status < _REDIRECTS:
            no_page = frozenset()
        return Decision(by_app=True, no_page=no_page, reason=reason, is_wildcard=is_wildcard)

    def _log_decisions(self) -> None:
        parts = [f"Sidelight answers {self._paths(by_app=False) or 'no page'}"]
        if paths := self._paths(by_app=True):
            parts.append(f"the app answers {paths} (see http.overridden_routes)")
        metrics = self._decisions.get(self._metrics_path or "", _BY_SIDELIGHT)
        is_hidden = metrics.by_app and metrics.is_wildcard
        if is_hidden:
            parts.append("Sidelight's metrics are not available: set metrics.path or metrics.port")
        elif metrics.by_app:
            parts.append(f"Sidelight adds its metrics if {self._metrics_path} is a metrics page")
        _log.log(logging.WARNING if is_hidden else logging.INFO, "%s", "; ".join(parts))

    def _paths(self, *, by_app: bool) -> str:
        found = [(path, each.reason) for path, each in self._decisions.items() if each.by_app is by_app]
        return ", ".join(f"{path} ({reason})" if reason else path for path, reason in found)


def _replacing(app: ASGIApp, no_page: frozenset[int], page: ASGIApp) -> ASGIApp:
    """An app with the page in place of its responses that mean that it has none."""

    async def replacing(scope: Scope, receive: Receive, send: Send) -> None:
        has_none = False

        async def watch(message: Message) -> None:
            nonlocal has_none
            has_none = has_none or (message["type"] == "http.response.start" and message["status"] in no_page)
            if not has_none:
                await send(message)

        await app(scope, receive, watch)
        if has_none:
            await page(scope, receive, send)

    return replacing


async def _probe(app: ASGIApp, path: str, scope: Scope) -> int | None:
    """The status of the app's response to an unknown client at a path; None if there is none in time."""
    status: int | None = None
    ended = asyncio.Event()
    is_received = False

    async def receive() -> Message:
        nonlocal is_received
        if is_received:
            await ended.wait()  # a disconnect would cancel the request
            return {"type": "http.disconnect"}
        is_received = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = int(message["status"])
        elif not message.get("more_body"):
            ended.set()

    if ENVIRON in scope:  # WSGI runs without an event loop
        return await _guarded(app({**probe_scope(scope, path), _SEEN: True}, receive, send)) or status
    try:
        asyncio.get_running_loop()
    except RuntimeError:  # the loop is not asyncio's
        return None
    # In a separate task, so that context variables set by the app do not reach the request itself.
    task = asyncio.create_task(_guarded(app(_probe_scope(scope, path), receive, send)))
    await asyncio.wait({task}, timeout=PROBE_SECONDS)
    task.cancel()
    if status is None and task.done() and not task.cancelled():
        return task.result()
    return status


async def _guarded(response: Awaitable[None]) -> int | None:
    """500 if the app raises: the request itself then shows the exception."""
    try:
        await response
    except Exception:  # noqa: BLE001 - as above
        return 500
    return None


def _probe_scope(scope: Scope, path: str) -> dict[str, Any]:
    """The scope of a GET request for a path from an unknown client: only the host is the same."""
    root: str = scope["path"].removesuffix(local_path(scope))
    return {
        **scope,
        _SEEN: True,
        "method": "GET",
        "path": root + path,
        "raw_path": (root + path).encode(),
        "query_string": b"",
        "headers": [header for header in scope["headers"] if header[0] == b"host"],
        "state": {**scope.get("state", {})},
        "extensions": {},
    }
