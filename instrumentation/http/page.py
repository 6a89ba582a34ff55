"""The page Prometheus reads, over HTTP: who may read it, in which form; as an ASGI app and as a plain function."""

from __future__ import annotations

import gzip
import hmac
import os
import threading
import time
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qs

from instrumentation.catalog import SIDELIGHT_SCRAPE
from instrumentation.errors import SettingsError
from instrumentation.exposition.formats import Exposition, preferences
from instrumentation.http.merged_page import BufferedResponse, PageMerger
from instrumentation.log_once import LogOnce
from instrumentation.multiprocess import worker_files
from instrumentation.offload import in_thread
from instrumentation.secret import find_secret
from instrumentation.store import observe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from prometheus_client.registry import CollectorRegistry

    from instrumentation.asgi import ASGIApp, Receive, Scope, Send
    from instrumentation.exposition.formats import Exemplars, Page
    from instrumentation.secret import Secret
    from instrumentation.settings import Settings
    from instrumentation.store import Store

TOKEN_VARIABLE = "SIDELIGHT_METRICS_TOKEN"  # noqa: S105 - a variable's name

_THREAD = "sidelight-page"
_TOKEN = "the token"  # noqa: S105 - its name in messages
_AT_ONCE = 4  # more pages at the same time would only wait for each other
_WORTH_GZIP = 1024  # bytes; below, it saves no packet
_FAST = 1  # gzip level: a third of the time of level 6, for pages that are a fifth larger


class Request(NamedTuple):
    """What the page needs to know of a request.

    Attributes:
        method: Such as GET.
        query: The query string.
        headers: By lower-case name; several of one name are joined with commas.
    """

    method: str
    query: str
    headers: Mapping[str, str]


class Response(NamedTuple):
    """What to answer.

    Attributes:
        status: The HTTP status.
        headers: By lower-case name.
        body: Empty for HEAD, although ``content-length`` is that of GET.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


def metrics_page(
    store: Store,
    registry: CollectorRegistry,
    settings: Settings,
    *,
    skip: Callable[[str], bool] = lambda _: False,
    exemplars: Exemplars = MappingProxyType({}),
) -> MetricsPage:
    """An ASGI app that answers every path with the page.

    Args:
        store: Our series.
        registry: The user's own metrics.
        settings: Where the token stands, unless the environment says.
        skip: As for ``Exposition``.
        exemplars: As for ``Exposition``.

    Raises:
        SettingsError: The token or the files of ``PROMETHEUS_MULTIPROC_DIR`` cannot be read.
    """
    exposition = Exposition(store, registry, skip=skip, exemplars=exemplars, files=worker_files(os.environ))
    return MetricsPage(exposition, store, _token(settings, os.environ))


class MetricsPage:
    """The page, as an ASGI app, and for other servers ``answer``.

    Args:
        exposition: Makes the page.
        store: Where it counts how long each page took.
        token: Gives what a reader must bring; None: anybody may read.
    """

    def __init__(self, exposition: Exposition, store: Store, token: Callable[[], bytes] | None = None) -> None:
        self._exposition = exposition
        self._merger = PageMerger(exposition)
        self._store = store
        self._token = token
        self._free = threading.BoundedSemaphore(_AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer an ASGI HTTP request."""
        del receive
        request = _request(scope)
        response = await self._refused(request)
        if response is None:
            response = await in_thread(partial(self.made, request), _THREAD)
        await _respond(send, response)

    def answer(self, request: Request) -> Response:
        """Answer a request on the thread that asks."""
        return self.refusal(request) or self.made(request)

    def added_to(self, app: ASGIApp) -> ASGIApp:
        """An ASGI app with Sidelight's metrics added to the metrics page of another.

        Responses to other methods than GET, and to readers without the token, do not change.
        """
        log_once = LogOnce()

        async def added(scope: Scope, receive: Receive, send: Send) -> None:
            request = _request(scope)
            if request.method != "GET" or await self._refused(request):
                return await app(scope, receive, send)
            response = BufferedResponse(send)
            await app(_uncompressed(scope), receive, response.take)
            if response.is_buffered:
                made = await in_thread(partial(self.made, request, response.page()), _THREAD)
                await _respond(send, made, response.headers())
            elif response.status == HTTPStatus.OK:
                log_once(
                    "the app's response at %s is not a metrics page, so Sidelight's metrics are not added; "
                    "set metrics.path or metrics.port, or add the path to http.overridden_routes",
                    scope["path"],
                    about="page",
                )
            return None

        return added

    async def _refused(self, request: Request) -> Response | None:
        """As ``refusal``; a token in a file is read in a thread, since a file system may be slow."""
        if isinstance(self._token, TokenFile):
            return await in_thread(partial(self.refusal, request), _THREAD)
        return self.refusal(request)

    def refusal(self, request: Request) -> Response | None:
        """The answer to a request without the token or of another method than GET and HEAD; None for any other."""
        if self._token is not None and not _brings(request, self._token()):
            return _plain(401, "a valid bearer token is needed\n", {"www-authenticate": "Bearer"})
        if request.method not in {"GET", "HEAD"}:
            return _plain(405, "GET or HEAD alone\n", {"allow": "GET, HEAD"})
        return None

    def made(self, request: Request, other: Page | None = None) -> Response:
        """The page; or that it is being made for too many others.

        Args:
            request: Which metrics, and in which format.
            other: A metrics page to add to.
        """
        if not self._free.acquire(blocking=False):
            return BUSY
        try:
            with self._timed():
                names = parse_qs(request.query).get("name[]", ())
                if other is None:
                    page = self._exposition.page(request.headers.get("accept", ""), names)
                else:
                    page = self._merger.merge(other, names)
                return _encoded(request, page.body, page.content_type)
        finally:
            self._free.release()

    @contextmanager
    def _timed(self) -> Iterator[None]:
        self._store.place(SIDELIGHT_SCRAPE, ())  # at 0 on the first page: rate() misses what a series is born with
        began = time.perf_counter()
        yield
        observe(self._store, SIDELIGHT_SCRAPE, (), time.perf_counter() - began)


def _request(scope: Scope) -> Request:
    headers = joined_headers((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
    return Request(scope["method"], scope["query_string"].decode("latin-1"), headers)


def _uncompressed(scope: Scope) -> Scope:
    return {**scope, "headers": [header for header in scope["headers"] if header[0] != b"accept-encoding"]}


async def _respond(send: Send, response: Response, more: Iterable[tuple[bytes, bytes]] = ()) -> None:
    pairs = [*more, *((name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers.items())]
    await send({"type": "http.response.start", "status": response.status, "headers": pairs})
    await send({"type": "http.response.body", "body": response.body})


def joined_headers(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Headers by lower-case name, several of one name joined with commas."""
    headers: dict[str, str] = {}
    for name, value in pairs:
        known = headers.get(name.lower())
        headers[name.lower()] = value if known is None else f"{known}, {value}"
    return headers


def _encoded(request: Request, body: bytes, content_type: str) -> Response:
    headers = {"content-type": content_type, "vary": "Accept, Accept-Encoding"}
    if len(body) >= _WORTH_GZIP and _takes_gzip(request.headers.get("accept-encoding", "")):
        body = gzip.compress(body, _FAST, mtime=0)
        headers["content-encoding"] = "gzip"
    headers["content-length"] = str(len(body))
    return Response(200, headers, b"" if request.method == "HEAD" else body)


def _takes_gzip(accept_encoding: str) -> bool:
    quality = {preference.value: preference.quality for preference in preferences(accept_encoding)}
    return quality.get("gzip", quality.get("*", 0.0)) > 0.0


def _plain(status: int, text: str, headers: Mapping[str, str]) -> Response:
    body = text.encode()
    common = {"content-type": "text/plain; charset=utf-8", "content-length": str(len(body))}
    return Response(status, {**common, **headers}, body)


BUSY = _plain(503, "the page is being made for others\n", {"retry-after": "1"})
"""The answer to one reader too many."""


# --- The token --------------------------------------------------------------------------------------------------------


class TokenFile:
    """A token in a file, read again once the file changes, so that it can be rotated.

    Args:
        secret: Where the token is.

    Raises:
        SettingsError: The file cannot be read, or is empty.
    """

    def __init__(self, secret: Secret) -> None:
        self._secret = secret
        self._log_once = LogOnce()
        self._read()

    def __call__(self) -> bytes:
        """The current token; the previous one if the file is missing or empty, as it may be during a rotation."""
        try:
            if self._version() != self._last:
                self._read()
        except SettingsError as error:
            self._log_once("%s; the previous token still counts", error.faults[0].problem, about="token")
        else:
            self._log_once.clear()
        return self._token

    def _read(self) -> None:
        version = self._version()  # before the content, so that a change in between is read the next time
        token = self._secret.read(_TOKEN)
        if not token:
            raise self._secret.fault(f"{self._secret.file} is empty", f"give a file that contains {_TOKEN}")
        self._last, self._token = version, token

    def _version(self) -> tuple[int, int, int] | None:
        try:
            found = Path(self._secret.file or "").stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size


def _token(settings: Settings, environ: Mapping[str, str]) -> Callable[[], bytes] | None:
    found = find_secret(TOKEN_VARIABLE, environ, path="metrics.token_file", setting=settings.metrics.token_file)
    if found is None:
        return None
    if found.file is not None:
        return TokenFile(found)
    if not (token := found.read(_TOKEN)):
        raise found.fault("is set and empty", "give the token, or remove the variable")
    return partial(bytes, token)


def _brings(request: Request, token: bytes) -> bool:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    matches = hmac.compare_digest(given.strip().encode("latin-1", "replace"), token)
    return matches and scheme.lower() == "bearer"
