"""asyncpg's connections and pools, by its query loggers, which it calls in a later turn of the event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from instrumentation.databases.interface import Address, PoolState

if TYPE_CHECKING:
    from instrumentation.databases.interface import Count


class Asyncpg:
    """A Connection or a Pool.

    Args:
        client: The connection or the pool.
    """

    is_late = True

    def __init__(self, client: Any) -> None:
        self._is_pool = hasattr(client, "get_idle_size")
        self._client = client  # a Pool cannot be referred to weakly; it is dropped once it is closed
        self.address = _of_pool(client) if self._is_pool else _of_connection(client)

    def listen(self, count: Count) -> None:
        """Add a query logger to open connections and, in a pool, to those that it will open."""
        client = self._client

        def logged(query: Any) -> None:
            count(query.query, query.elapsed, query.exception)

        if not self._is_pool:
            client.add_query_logger(logged)
            return
        given = client._init  # noqa: SLF001 - what create_pool(init=...) sets; there is no other hook for a pool that exists

        async def begin(connection: Any) -> None:
            connection.add_query_logger(logged)
            if given is not None:
                await given(connection)

        client._init = begin  # noqa: SLF001 - as above
        for holder in client._holders:  # noqa: SLF001 - connections that are open already
            if holder.is_connected():
                holder._con.add_query_logger(logged)  # noqa: SLF001 - as above

    def pool(self) -> PoolState | None:
        """The state of a pool. How many callers wait is not public."""
        client = self._client
        if not self._is_pool or client._closed:  # noqa: SLF001 - no public attribute tells
            self._client = None
        if self._client is None:
            return None
        if getattr(client, "_queue", None) is None:  # it has not been opened
            return PoolState(0, 0, client.get_max_size())
        idle = client.get_idle_size()
        waiting = len(getattr(client._queue, "_getters", ()))  # noqa: SLF001 - asyncio's queue counts no waiters
        return PoolState(client.get_size() - idle, idle, client.get_max_size(), waiting)


def _of_pool(pool: Any) -> Address:
    dsn = next(iter(pool._connect_args), None)  # noqa: SLF001 - the address is known from no public attribute
    options = pool._connect_kwargs  # noqa: SLF001 - as above
    url = urlsplit(dsn or "")
    host, port = options.get("host") or url.hostname or "", options.get("port") or url.port
    return _address(options.get("database") or url.path.removeprefix("/"), host, port)


def _of_connection(connection: Any) -> Address:
    host, port = connection._addr if isinstance(connection._addr, tuple) else (connection._addr, None)  # noqa: SLF001 - as above
    return _address(connection._params.database, host, port)  # noqa: SLF001 - as above


def _address(database: str, host: object, port: object) -> Address:
    return Address("postgresql", database, ":".join(str(part) for part in (host, port) if part))
