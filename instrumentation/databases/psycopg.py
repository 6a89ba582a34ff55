"""psycopg's connections and pools: their cursor factory makes cursors that measure."""

from __future__ import annotations

import weakref
from inspect import iscoroutinefunction
from time import perf_counter
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from instrumentation.databases.interface import Address, PoolState

if TYPE_CHECKING:
    from instrumentation.databases.interface import Count


class Psycopg:
    """A Connection, an AsyncConnection, or a pool of psycopg_pool.

    Args:
        client: The connection or the pool.
    """

    is_late = False

    def __init__(self, client: Any) -> None:
        self._client = weakref.ref(client)
        self._is_pool = hasattr(client, "get_stats")
        self.address = _of_pool(client) if self._is_pool else _address(vars(_Info(client.info)))

    def listen(self, count: Count) -> None:
        """Replace the cursor factory of open connections and, in a pool, of those that it will open."""
        client: Any = self._client()
        if not self._is_pool:
            client.cursor_factory = _measuring(client.cursor_factory, count)
            return
        is_async = issubclass(client.connection_class, psycopg.AsyncConnection)
        given, default = client.kwargs, psycopg.AsyncCursor if is_async else psycopg.Cursor

        def measured(options: Any) -> dict[str, Any]:
            factory = (options or {}).get("cursor_factory") or default
            return {**(options or {}), "cursor_factory": _measuring(factory, count)}

        client.kwargs = (lambda: measured(given())) if callable(given) else measured(given)
        for connection in tuple(client._pool):  # noqa: SLF001 - those that are open already
            connection.cursor_factory = _measuring(connection.cursor_factory, count)

    def pool(self) -> PoolState | None:
        """The state of a pool, by its statistics."""
        client: Any = self._client()
        if client is None or not self._is_pool:
            return None
        stats = client.get_stats()
        idle = stats["pool_available"]
        waiting, timeouts = stats.get("requests_waiting", 0), stats.get("requests_errors", 0)
        return PoolState(stats["pool_size"] - idle, idle, stats["pool_max"], waiting, timeouts)


class _Info:
    def __init__(self, info: Any) -> None:
        self.host, self.port, self.dbname = info.host, info.port, info.dbname


def _of_pool(pool: Any) -> Address:
    given = pool.conninfo if isinstance(pool.conninfo, str) else ""
    options = {} if callable(pool.kwargs) else pool.kwargs or {}
    return _address({**conninfo_to_dict(given), **options})


def _address(given: dict[str, Any]) -> Address:
    server = ":".join(str(given[part]) for part in ("host", "port") if given.get(part))
    return Address("postgresql", str(given.get("dbname") or given.get("user") or ""), server)


def _measuring(kind: Any, count: Count) -> Any:
    """A subclass of a cursor's class, with the same name."""

    def executed(name: str) -> Any:
        inner = getattr(kind, name)

        def execute(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
            began = perf_counter()
            try:
                result = inner(self, query, *args, **kwargs)
            except BaseException as error:
                count(_text(query), perf_counter() - began, error)
                raise
            count(_text(query), perf_counter() - began)
            return result

        async def execute_async(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
            began = perf_counter()
            try:
                result = await inner(self, query, *args, **kwargs)
            except BaseException as error:
                count(_text(query), perf_counter() - began, error)
                raise
            count(_text(query), perf_counter() - began)
            return result

        return execute_async if iscoroutinefunction(inner) else execute

    methods = {name: executed(name) for name in ("execute", "executemany")}
    return type(kind.__name__, (kind,), {"__slots__": (), "__module__": kind.__module__, **methods})


def _text(query: Any) -> str:
    """A statement as text; empty for a template, whose values cannot be separated from it."""
    if isinstance(query, str):
        return query
    if isinstance(query, bytes):
        return query.decode(errors="replace")
    as_string = getattr(query, "as_string", None)
    return as_string() if as_string else ""
