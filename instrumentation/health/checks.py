"""Health checks that are ready to use; each is a function that asks, for ``health_check``."""

from __future__ import annotations

import re
import socket
from collections.abc import Awaitable, Callable  # noqa: TC003 - for typing.get_type_hints
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from instrumentation.errors import InstrumentationError

SECONDS = 5.0
"""How long a connection may take; the check's own limit, which is shorter, decides whether it has failed."""


def http_check(url: str) -> Callable[[], None]:
    """Whether an address answers with a status below 400; redirects are followed.

    Args:
        url: Such as ``http://payments:8080/health``.

    Raises:
        InstrumentationError: ``http_check_invalid``.
    """
    if not re.fullmatch(r"https?://[^\s/@]+(/\S*)?", url):  # a password in it would be logged
        raise InstrumentationError(
            "http_check: give an http:// or https:// address without user and password.", code="http_check_invalid"
        )

    def ask() -> None:
        request = Request(url, headers={"user-agent": "sidelight"})  # noqa: S310 - its scheme was looked at
        try:
            urlopen(request, timeout=SECONDS).close()  # noqa: S310 - as above
        except HTTPError as error:
            error.close()
            raise

    return ask


def tcp_check(host: str, port: int) -> Callable[[], None]:
    """Whether somebody accepts connections."""

    def ask() -> None:
        with socket.create_connection((host, port), SECONDS):
            pass

    return ask


def sqlalchemy_check(engine: Any) -> Callable[[], object]:
    """Whether a database answers ``SELECT 1``.

    Args:
        engine: SQLAlchemy's Engine or AsyncEngine; a connection of its pool is borrowed.
    """
    from sqlalchemy import text  # noqa: PLC0415 - a service with an engine has SQLAlchemy

    def ask() -> None:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))

    async def ask_async() -> None:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))

    return ask_async if hasattr(engine, "sync_engine") else ask


def redis_check(client: Any) -> Callable[[], object | Awaitable[object]]:
    """Whether Redis answers a ping.

    Args:
        client: redis-py's Redis, of ``redis`` or of ``redis.asyncio``.
    """

    async def ask_async() -> object:
        return await client.ping()

    is_async = type(client).__module__.partition(".")[2].startswith("asyncio")
    return ask_async if is_async else client.ping
