"""redis-py's clients: each command and pipeline, and the connection pool by its own count."""

from __future__ import annotations

import weakref
from time import perf_counter
from typing import TYPE_CHECKING, Any

from instrumentation.databases.interface import Address, PoolState

if TYPE_CHECKING:
    from collections.abc import Callable

    from instrumentation.databases.interface import Count

_NO_LIMIT = 2**31
_PIPELINE = "PIPELINE"


class Redis:
    """A client of ``redis`` or ``redis.asyncio``.

    Args:
        client: The client.
    """

    is_late = False

    def __init__(self, client: Any) -> None:
        self._client = weakref.ref(client)
        options = client.connection_pool.connection_kwargs
        server = f"{options['host']}:{options.get('port', 6379)}" if "host" in options else options.get("path", "")
        self.address = Address("redis", str(options.get("db") or 0), server)

    def listen(self, count: Count) -> None:
        """Replace the method that runs commands, and the one that makes pipelines."""
        client: Any = self._client()
        made, measured = client.pipeline, _measured_async if _is_async(client) else _measured
        client.execute_command = measured(client.execute_command, count, _command)

        def pipeline(*args: Any, **kwargs: Any) -> Any:
            one = made(*args, **kwargs)
            one.execute = measured(one.execute, count, lambda _: _PIPELINE)
            return one

        client.pipeline = pipeline

    def pool(self) -> PoolState | None:
        """The state of the pool; older versions of redis-py do not tell."""
        client: Any = self._client()
        pool: Any = None if client is None else client.connection_pool
        if not hasattr(pool, "get_connection_count"):
            return None
        count = {"idle": 0, "used": 0}
        for number, attributes in pool.get_connection_count():
            count[attributes["db.client.connection.state"]] += number
        most = getattr(pool, "max_connections", _NO_LIMIT)
        return PoolState(count["used"], count["idle"], most if most < _NO_LIMIT else None)


def _is_async(client: Any) -> bool:
    return any(kind.__module__.startswith("redis.asyncio") for kind in type(client).__mro__)


def _command(args: tuple[Any, ...]) -> str:
    """The name of a command, without what it is about."""
    name = args[0] if args else ""
    return str(name.decode(errors="replace") if isinstance(name, bytes) else name)


def _measured(run: Callable[..., Any], count: Count, named: Callable[[tuple[Any, ...]], str]) -> Callable[..., Any]:
    def measured(*args: Any, **kwargs: Any) -> Any:
        began = perf_counter()
        try:
            result = run(*args, **kwargs)
        except BaseException as error:
            count(named(args), perf_counter() - began, error)
            raise
        count(named(args), perf_counter() - began)
        return result

    return measured


def _measured_async(
    run: Callable[..., Any], count: Count, named: Callable[[tuple[Any, ...]], str]
) -> Callable[..., Any]:
    async def measured_async(*args: Any, **kwargs: Any) -> Any:
        began = perf_counter()
        try:
            result = await run(*args, **kwargs)
        except BaseException as error:
            count(named(args), perf_counter() - began, error)
            raise
        count(named(args), perf_counter() - began)
        return result

    return measured_async
