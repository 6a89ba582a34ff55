"""Who answers a page: Sidelight where the app has no page of its own at the path, else the app."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from instrumentation.http.frameworks.interface import ENVIRON
from instrumentation.http.routes import local_path
from instrumentation.http.wsgi import asked_scope

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from instrumentation.http.middleware import ASGIApp, Message, Receive, Scope, Send
    from instrumentation.http.routes import Routes

_log = logging.getLogger("instrumentation")

PATIENCE_SECONDS = 1.0
"""How long the app may take to say whether it has a page; a probe waits as long."""

_SEEN = "sidelight"  # in a scope: an app within that is instrumented too does not count
_OK, _REDIRECTS = 200, 300
_NO_PAGE = frozenset((404, 405))
_NO_VALUE = 422  # FastAPI: what stands in the path is no value of the route's parameter
_REFUSED = frozenset((400, 421))  # such as for a host that the app does not know: that says nothing of the page


class Answer(NamedTuple):
    """Who answers a page.

    Attributes:
        app: Whether the app is asked each time.
        no_page: With which of its statuses the app says that it has no page after all; Sidelight then answers.
        why: What the app answered, or its route, for the log.
        is_wildcard: Whether a route of the app that stands for many paths answers.
    """

    app: bool
    no_page: frozenset[int] = frozenset()
    why: str = ""
    is_wildcard: bool = False


SIDELIGHT = Answer(app=False)
OVERRIDDEN = Answer(app=False, why="as http.overridden_routes says")


class Pages:
    """Answers the pages of Sidelight, or lets the app answer them.

    The first request for one of them decides for all, and one line of the log says how; a route that is added later
    decides anew. Where the app's table of routes does not tell, the app is asked, without the headers of whoever asks:
    what a guard refuses stays behind the guard.

    Args:
        pages: Path to the page.
        app: The app within, which counts nothing.
        counted: The app within, which counts what is not excluded.
        routes: The routes of the app.
        metrics_path: Which of the pages is that of the metrics.
        with_ours: The app within, with our metrics on its own page of metrics.
        prime: Called before a page of metrics: a scrape that comes before the first request sees the series at 0.
        overridden: Paths that the app is not asked for.
    """

    def __init__(  # noqa: PLR0913
        self,
        pages: Mapping[str, ASGIApp],
        *,
        app: ASGIApp,
        counted: ASGIApp,
        routes: Routes,
        metrics_path: str | None,
        with_ours: ASGIApp,
        prime: Callable[[], None],
        overridden: Iterable[str],
    ) -> None:
        self._pages = pages
        self._app = app
        self._counted = counted
        self._routes = routes
        self._metrics_path = metrics_path
        self._with_ours = with_ours
        self._prime = prime
        self._overridden = frozenset(overridden)
        self._answers: dict[str, Answer] = {}
        self._routes_known = 0

    @property
    def direct(self) -> dict[str, ASGIApp]:
        """Path to the app that answers it: the pages, and where Starlette redirects to for a mounted page of metrics."""
        redirected = {} if self._metrics_path is None else {f"{self._metrics_path}/": self._below_metrics}
        return {**redirected, **dict.fromkeys(self._pages, self._page)}

    async def _page(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in {"GET", "HEAD"}:
            return await self._counted(scope, receive, send)
        path = local_path(scope)
        answer = await self._answer_of(path, scope)
        if path == self._metrics_path:
            self._prime()
        if not answer.app:
            return await self._pages[path](scope, receive, send)
        app = self._counted
        if path == self._metrics_path:
            app = self._app if answer.is_wildcard else self._with_ours
        if answer.no_page:
            app = _replacing(app, answer.no_page, self._pages[path])
        return await app(scope, receive, send)

    async def _below_metrics(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = await self._answer_of(str(self._metrics_path), scope)
        self._prime()
        is_page = scope["method"] == "GET" and answer.app and not answer.is_wildcard
        await (self._with_ours if is_page else self._counted)(scope, receive, send)

    async def _answer_of(self, path: str, scope: Scope) -> Answer:
        number = self._routes.number
        if not self._answers or number != self._routes_known:
            answers = {path: await self._decided(path, scope) for path in self._pages}
            is_new, self._answers, self._routes_known = answers != self._answers, answers, number
            if is_new:
                self._say()
        return self._answers[path]

    async def _decided(self, path: str, scope: Scope) -> Answer:
        if path in self._overridden:
            return OVERRIDDEN
        try:
            if self._routes.has_page(path):
                return Answer(app=True)
            is_wildcard = self._routes.is_wildcard(scope, path)
        except Exception:  # noqa: BLE001 - a router of another version: the app itself is asked
            is_wildcard = False
        no_page = _NO_PAGE | {_NO_VALUE} if is_wildcard else _NO_PAGE
        status = await _asked(self._app, path, scope)
        if status in no_page:
            return SIDELIGHT
        why = "asked each time" if status is None else f"status {status}"
        if status in _REFUSED:
            no_page = no_page | _REFUSED
        elif status is not None and _OK <= status < _REDIRECTS:
            no_page = frozenset()
        return Answer(app=True, no_page=no_page, why=why, is_wildcard=is_wildcard)

    def _say(self) -> None:
        said = f"Sidelight answers {self._listed(app=False) or 'no page'}"
        if left := self._listed(app=True):
            said += f"; the app answers {left} itself (http.overridden_routes changes that)"
        metrics = self._answers.get(self._metrics_path or "", SIDELIGHT)
        if metrics.app and metrics.is_wildcard:
            _log.warning("%s; Sidelight's metrics are on no page: set metrics.path or metrics.port", said)
        elif metrics.app:
            _log.info("%s; Sidelight adds its metrics where %s is a page of metrics", said, self._metrics_path)
        else:
            _log.info("%s", said)

    def _listed(self, *, app: bool) -> str:
        found = [(path, answer.why) for path, answer in self._answers.items() if answer.app is app]
        return ", ".join(f"{path} ({why})" if why else path for path, why in found)


def _replacing(app: ASGIApp, no_page: frozenset[int], page: ASGIApp) -> ASGIApp:
    """The app's answer; the page where the app says that it has none."""

    async def replaced(scope: Scope, receive: Receive, send: Send) -> None:
        has_none = False

        async def watched(message: Message) -> None:
            nonlocal has_none
            has_none = has_none or (message["type"] == "http.response.start" and message["status"] in no_page)
            if not has_none:
                await send(message)

        await app(scope, receive, watched)
        if has_none:
            await page(scope, receive, send)

    return replaced


async def _asked(app: ASGIApp, path: str, scope: Scope) -> int | None:
    """The status with which the app answers somebody unknown at a path; None where it does not in time."""
    status: int | None = None
    ended = asyncio.Event()
    asked = False

    async def receive() -> Message:
        nonlocal asked
        if asked:
            await ended.wait()  # a client that has gone would end the request
            return {"type": "http.disconnect"}
        asked = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = int(message["status"])
        elif not message.get("more_body"):
            ended.set()

    if ENVIRON in scope:  # WSGI: nothing is awaited
        return await _quietly(app({**asked_scope(scope, path), _SEEN: True}, receive, send)) or status
    try:
        asyncio.get_running_loop()
    except RuntimeError:  # not asyncio's
        return None
    # A task of its own: what the app leaves in its context must not be there for the request that comes next.
    task = asyncio.create_task(_quietly(app(_unknown(scope, path), receive, send)))
    await asyncio.wait({task}, timeout=PATIENCE_SECONDS)
    task.cancel()
    if status is None and task.done() and not task.cancelled():
        return task.result()
    return status


async def _quietly(answering: Awaitable[None]) -> int | None:
    try:
        await answering
    except Exception:  # noqa: BLE001 - whoever asks for the page gets to see it
        return 500
    return None


def _unknown(scope: Scope, path: str) -> dict[str, Any]:
    """A GET of a path, from somebody of whom nothing is known but the host that is asked."""
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
