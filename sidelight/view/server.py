"""Serves the page and its data."""

from __future__ import annotations

import ipaddress
import secrets
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from sidelight.view.access import Access, Rules
from sidelight.view.assets import asset
from sidelight.view.errors import PrometheusError, RequestError, ViewError
from sidelight.view.prometheus import Prometheus
from sidelight.view.viewer import Viewer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.requests import Request
    from starlette.types import ASGIApp

    from sidelight.view.boards import Boards
    from sidelight.view.prometheus import Source

REQUESTS_AT_ONCE = 100
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_PAGES = ("/", "/alerts", "/services", "/alerting/list", "/d/{uid}", "/d/{uid}/{slug}")
_TYPES = {"html": "text/html", "js": "text/javascript", "css": "text/css"}


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where the page is served.

    Attributes:
        host: Host name or IP address.
        port: TCP port; 0 for a free one.
        token: The token of requests; on loopback, empty for none.
    """

    host: str = "127.0.0.1"
    port: int = 0
    token: str = ""

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def url(self, port: int) -> str:
        """The URL to open, with the token if there is one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{port}/{f'?token={self.token}' if self.token else ''}"


def serve(boards: Boards, source: Source, address: Address, say: Callable[[str], None]) -> None:
    """Serve the page until a signal arrives.

    Args:
        boards: The dashboards.
        source: Where Prometheus is.
        address: Where to serve; beyond loopback, a token is made if none is given.
        say: Prints a line for the reader.

    Raises:
        ViewError: The address cannot be used.
    """
    if not address.token and not address.is_loopback:
        address = Address(host=address.host, port=address.port, token=secrets.token_urlsafe(24))
    with _socket(address) as listening:
        port = listening.getsockname()[1]
        hosts = _LOOPBACK_NAMES | {address.host} if address.is_loopback else frozenset[str]()
        rules = Rules(hosts=hosts, token=address.token, cookie=f"sidelight-view-{port}")
        say(address.url(port))
        config = uvicorn.Config(
            app(boards, Prometheus(source), rules, say),
            access_log=False,
            limit_concurrency=REQUESTS_AT_ONCE,
            log_level="warning",
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        uvicorn.Server(config).run(sockets=[listening])


def app(boards: Boards, prometheus: Prometheus, rules: Rules, say: Callable[[str], None]) -> ASGIApp:
    """The ASGI app.

    Args:
        boards: The dashboards.
        prometheus: Where their data is.
        rules: Who may read.
        say: Prints a line if Prometheus does not answer at the start.
    """
    viewer = Viewer(boards, prometheus)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        try:
            await prometheus.instant("1", 0)
        except PrometheusError as error:
            say(f"{error.message} The page shows data as soon as it does.")
        yield
        await prometheus.close()

    async def data(request: Request) -> Response:
        try:
            answer = await viewer.answer(request.path_params["path"], request.query_params.multi_items())
        except RequestError as error:
            return JSONResponse({"error": error.message}, status_code=error.status, headers=_FRESH)
        return Response(answer, media_type="application/json", headers=_FRESH)

    routes = [
        Route("/api/{path:path}", data),
        Route("/assets/{name}", _asset),
        *(Route(path, _page) for path in _PAGES),
    ]
    served = Starlette(routes=routes, lifespan=lifespan)
    return Access(GZipMiddleware(served, minimum_size=1000), rules)


_FRESH = {"Cache-Control": "no-store"}


async def _page(_: Request) -> Response:
    return _file("index.html")


async def _asset(request: Request) -> Response:
    name = request.path_params["name"]
    return _file(name) if name in {"view.js", "view.css"} else PlainTextResponse("There is no such file.\n", 404)


def _file(name: str) -> Response:
    media_type = _TYPES[name.rpartition(".")[2]]
    return Response(asset(name), media_type=media_type, headers={"Cache-Control": "no-cache"})


def _socket(address: Address) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        return socket.create_server((address.host, address.port), family=family)
    except OSError as error:
        message = f"{address.host}:{address.port} cannot be served ({error.strerror or error}); give another --host or --port."
        raise ViewError(message, code="view_address") from None
