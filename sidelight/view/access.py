"""Access to the page: GET only, known hosts or a token, and headers that let a browser run only this page."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@dataclass(frozen=True, kw_only=True)
class Rules:
    """Who may read.

    Attributes:
        hosts: The host names that a request may be addressed to; empty for any. They keep out pages of other origins
            whose name was pointed at this machine (DNS rebinding).
        token: The token that each request must have; empty for none.
        cookie: The name of the cookie that carries it.
    """

    hosts: frozenset[str] = frozenset()
    token: str = ""
    cookie: str = "sidelight-view"


class Access:
    """An ASGI app that lets only permitted requests through.

    Args:
        app: The app behind it.
        rules: Who may read.
    """

    def __init__(self, app: ASGIApp, rules: Rules) -> None:
        self._app = app
        self._rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await (self._refusal(scope) or self._app)(scope, receive, guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        headers, parameters = Headers(scope=scope), QueryParams(scope["query_string"])
        if scope["method"] not in {"GET", "HEAD"}:
            return _refused(405, "Only GET is allowed: this page changes nothing.", {"Allow": "GET, HEAD"})
        host = _host(headers.get("host", ""))
        if self._rules.hosts and host not in self._rules.hosts:
            allowed = ", ".join(sorted(self._rules.hosts))
            return _refused(421, f"The host {host[:80]!r} is not one of {allowed}.")
        if headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") != "navigate":
            return _refused(403, "Pages of other sites may not read this one.")
        return self._token_refusal(scope, headers, parameters)

    def _token_refusal(self, scope: Scope, headers: Headers, parameters: QueryParams) -> Response | None:
        if not self._rules.token:
            return None
        if self._fits(parameters.get("token", "")) and not scope["path"].startswith("/api/"):
            rest = urlencode([(name, value) for name, value in parameters.multi_items() if name != "token"])
            response = RedirectResponse(f"{scope['path']}?{rest}" if rest else scope["path"], status_code=303)
            response.set_cookie(self._rules.cookie, self._rules.token, httponly=True, samesite="strict")
            return response
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        cookie = cookie_parser(headers.get("cookie", "")).get(self._rules.cookie, "")
        if self._fits(bearer) or self._fits(cookie):
            return None
        return _refused(
            401, "Open the address with the token that `sidelight view` printed.", {"WWW-Authenticate": "Bearer"}
        )

    def _fits(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._rules.token.encode())


def _host(header: str) -> str:
    """The name or address in a ``Host`` header.

    >>> _host("localhost:9797"), _host("[::1]:9797"), _host("")
    ('localhost', '::1', '')
    """
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""


def _refused(status: int, sentence: str, headers: dict[str, str] | None = None) -> Response:
    return PlainTextResponse(f"{sentence}\n", status_code=status, headers=headers)
