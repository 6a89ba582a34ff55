"""Databases and caches: each query and the connection pool of a client, by the hooks of its library."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, TypeVar

from instrumentation.databases.queries import Queries, metrics_of
from instrumentation.errors import InstrumentationError
from instrumentation.names import checked_name
from instrumentation.store import Store, default_store

if TYPE_CHECKING:
    from instrumentation.databases.interface import Adapter

_Client = TypeVar("_Client")
_MARK = "_sidelight_database"

_ADAPTERS = {
    "sqlalchemy.AsyncEngine": "sqlalchemy.SQLAlchemy",
    "sqlalchemy.Engine": "sqlalchemy.SQLAlchemy",
}
"""Package and class of a client, to the module and class in this folder that handle it."""


def instrument_database(client: _Client, *, name: str | None = None, store: Store | None = None) -> _Client:
    """Measure every query of a database client, its connection pool, and the queries of each request.

    The client is changed in place and returned; a second call has no effect. Statements appear only as summaries, such as
    ``SELECT orders``, never with values. Of clients that are built on each other, instrument one.

    Args:
        client: An ``Engine`` or ``AsyncEngine`` of SQLAlchemy.
        name: The name of the connection pool; by default, host, port and database. It becomes a label.
        store: The store to count in; the process's own by default.

    Raises:
        InstrumentationError: ``database_invalid``, ``pool_name_invalid``.
    """
    adapter = _adapter(client)
    if name is not None:
        checked_name("pool", name)
    marked = getattr(client, "sync_engine", client)
    if getattr(marked, _MARK, False) is True:
        return client
    setattr(marked, _MARK, True)
    metrics = metrics_of(store or default_store())
    metrics.is_used = True
    adapter.listen(Queries(adapter.address, metrics).count)
    metrics.pools.watch(name or adapter.address.pool_name, adapter.pool)
    return client


def _adapter(client: object) -> Adapter:
    for kind in type(client).__mro__:
        known = _ADAPTERS.get(f"{kind.__module__.partition('.')[0]}.{kind.__name__}")
        if known is not None:
            module, _, adapter = known.partition(".")
            made: Adapter = getattr(import_module(f"{__name__}.{module}"), adapter)(client)
            return made
    raise InstrumentationError(
        f"instrument_database() got {type(client).__name__}; give an Engine or AsyncEngine of SQLAlchemy.",
        code="database_invalid",
    )
