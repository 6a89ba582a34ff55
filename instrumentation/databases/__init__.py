"""Databases and caches: each query and the connection pool of a client, by the hooks of its library."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakSet

from instrumentation.databases.pools import pool_values
from instrumentation.databases.queries import Queries, metrics_of
from instrumentation.errors import InstrumentationError
from instrumentation.names import checked_name
from instrumentation.store import Store, default_store

if TYPE_CHECKING:
    from instrumentation.databases.interface import Adapter
    from instrumentation.sampler import Values

_Client = TypeVar("_Client")
_observed: WeakSet[object] = WeakSet()
_observed_pools: list[object] = []  # of asyncpg, which cannot be referred to weakly

_ADAPTERS = {
    "asyncpg.Connection": "asyncpg.Asyncpg",
    "asyncpg.Pool": "asyncpg.Asyncpg",
    "psycopg.AsyncConnection": "psycopg.Psycopg",
    "psycopg.Connection": "psycopg.Psycopg",
    "psycopg_pool.AsyncConnectionPool": "psycopg.Psycopg",
    "psycopg_pool.ConnectionPool": "psycopg.Psycopg",
    "redis.Redis": "redis.Redis",
    "sqlalchemy.AsyncEngine": "sqlalchemy.SQLAlchemy",
    "sqlalchemy.Engine": "sqlalchemy.SQLAlchemy",
}
"""Package and class of a client, to the module and class in this folder that handle it."""


def instrument_database(client: _Client, *, name: str | None = None, store: Store | None = None) -> _Client:
    """Measure every query of a database client, its connection pool, and the queries of each request.

    The client is changed in place and returned; a second call has no effect. Statements appear only as summaries, such as
    ``SELECT orders``, never with values. Of clients that are built on each other, instrument one.

    Args:
        client: An ``Engine`` or ``AsyncEngine`` of SQLAlchemy; a pool or a connection of asyncpg or psycopg; a client of
            redis-py. Those of asyncio too.
        name: The name of the connection pool; by default, host, port and database. It becomes a label.
        store: The store to count in; the process's own by default.

    Raises:
        InstrumentationError: ``database_invalid``, ``pool_name_invalid``.
    """
    adapter = _adapter(client)
    if name is not None:
        checked_name("pool", name)
    if not _is_new(getattr(client, "sync_engine", client)):
        return client
    metrics = metrics_of(store or default_store())
    metrics.is_used, metrics.is_late = True, metrics.is_late or adapter.is_late
    adapter.listen(Queries(adapter.address, metrics, is_tallied=adapter.address.system != "redis").count)
    pool_name = name or adapter.address.pool_name

    def values() -> Values | None:
        state = adapter.pool()
        return None if state is None else pool_values(pool_name, state)

    metrics.sampler.watch(f"connection pool {pool_name}", values)
    return client


def _is_new(client: object) -> bool:
    """Whether a client is not observed yet; from now on it is."""
    if client in _observed_pools or (_is_weak(client) and client in _observed):
        return False
    (_observed.add if _is_weak(client) else _observed_pools.append)(client)
    return True


def _is_weak(client: object) -> bool:
    return hasattr(type(client), "__weakref__")


def _adapter(client: object) -> Adapter:
    for kind in type(client).__mro__:
        known = _ADAPTERS.get(f"{kind.__module__.partition('.')[0]}.{kind.__name__}")
        if known is not None:
            module, _, adapter = known.partition(".")
            made: Adapter = getattr(import_module(f"{__name__}.{module}"), adapter)(client)
            return made
    raise InstrumentationError(
        f"instrument_database() got {type(client).__name__}; give an Engine or AsyncEngine of SQLAlchemy, "
        "a pool or a connection of asyncpg or psycopg, or a client of redis-py.",
        code="database_invalid",
    )
