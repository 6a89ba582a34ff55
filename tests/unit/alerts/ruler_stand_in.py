"""A fake ruler: the API for rule groups over a real socket.

It answers as a Cortex 1.21.1 with rules in files was measured to.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote, urlsplit

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCEPTED = '{"status":"success"}'


@dataclass(kw_only=True)
class StandIn:
    """What the ruler has and how it answers.

    Attributes:
        path: The path of its API.
        url: Its address.
        tenants: Whether requests must name a tenant.
        most_rules: The maximum number of rules in a group.
        unavailable: How many requests are answered 503 before the others.
        stored: Tenant and namespace to groups by name.
        requests: Method and path of each request.
    """

    path: str = "/api/v1/rules"
    url: str = ""
    tenants: bool = False
    most_rules: int = 20
    unavailable: int = 0
    stored: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    def answer(self, method: str, path: str, tenant: str, body: str) -> tuple[int, str]:
        """Status and body of an answer."""
        self.requests.append(f"{method} {path}")
        if self.unavailable:
            self.unavailable -= 1
            return 503, "too busy"
        if not path.startswith(f"{self.path}/"):
            return 404, "404 page not found\n"
        if self.tenants and not tenant:
            return 401, "no org id\n"
        return self._ruled(method, path, tenant, body)

    def _ruled(self, method: str, path: str, tenant: str, body: str) -> tuple[int, str]:
        namespace, _, group = (unquote(part) for part in path.removeprefix(f"{self.path}/").partition("/"))
        groups = self.stored.setdefault((tenant, namespace), {})
        if method == "GET":
            if not groups:
                return 404, "no rule groups found\n"
            return 200, yaml.safe_dump({namespace: list(groups.values())}, sort_keys=False)
        if method == "DELETE":
            groups.pop(group, None)
            return 202, ACCEPTED
        return self._save(groups, yaml.safe_load(body))

    def _save(self, groups: dict[str, Any], group: dict[str, Any]) -> tuple[int, str]:
        if len(group["rules"]) > self.most_rules:
            actual = f"(limit: {self.most_rules} actual: {len(group['rules'])})"
            return 400, f"per-user rules per rule group limit {actual} exceeded\n"
        groups[group["name"]] = group
        return 202, ACCEPTED


class _Handler(BaseHTTPRequestHandler):
    def _answer(self) -> None:
        stand_in = cast("_HttpServer", self.server).stand_in
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        status, text = stand_in.answer(
            self.command, urlsplit(self.path).path, self.headers.get("X-Scope-OrgID", ""), body
        )
        self.send_response(status)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - the names of http.server

    def log_message(self, *_: object) -> None:
        """Print nothing."""


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    stand_in: StandIn


@contextmanager
def serving(stand_in: StandIn) -> Iterator[StandIn]:
    """Serve on a free loopback port until the end of the block."""
    with _HttpServer(("127.0.0.1", 0), _Handler) as server:
        server.stand_in = stand_in
        stand_in.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield stand_in
        finally:
            server.shutdown()
            thread.join()
