"""SQLAlchemy's engines: what the dialect executes; a call of ``pool.connect()`` that has not returned waits."""

from __future__ import annotations

import weakref
from pathlib import PurePath
from time import perf_counter
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from instrumentation.databases.interface import Address, PoolState

if TYPE_CHECKING:
    from collections.abc import Callable

    from instrumentation.databases.interface import Count

_SYSTEMS = {"oracle": "oracle.db", "mssql": "microsoft.sql_server"}


class SQLAlchemy:
    """An Engine, or the one within an AsyncEngine.

    Args:
        engine: The engine.
    """

    is_late = False

    def __init__(self, engine: Any) -> None:
        engine = getattr(engine, "sync_engine", engine)
        url, name = engine.url, engine.dialect.name
        server = f"{url.host}:{url.port}" if url.host and url.port else url.host or ""
        namespace = PurePath(url.database or "").name if name == "sqlite" else url.database or ""
        self._engine = weakref.ref(engine)
        self._waiting: set[object] = set()  # adding and discarding need no lock
        self._timeouts: list[None] = []
        self.address = Address(_SYSTEMS.get(name, name), namespace, server)

    def listen(self, count: Count) -> None:
        """Count each execution of a cursor, and watch the pool."""
        engine: Any = self._engine()
        _measure(engine.dialect, count)
        self._watch(engine.pool)

    def pool(self) -> PoolState | None:
        """The state of a QueuePool; other pools have no limit, or a single connection."""
        engine: Any = self._engine()
        pool: Any = None if engine is None else engine.pool
        if not hasattr(pool, "checkedout"):
            return None
        overflow = getattr(pool, "_max_overflow", -1)
        most = None if overflow < 0 or not pool.size() else pool.size() + overflow
        waiting = len(self._waiting)
        return PoolState(pool.checkedout(), pool.checkedin(), most, waiting, len(self._timeouts))

    def _watch(self, pool: Any) -> Any:
        """Watch a pool, and the one that replaces it when the engine is disposed."""
        connect, recreate, waiting, timeouts = pool.connect, pool.recreate, self._waiting, self._timeouts

        def watched() -> Any:
            caller = object()
            waiting.add(caller)
            try:
                return connect()
            except PoolTimeoutError:
                timeouts.append(None)
                raise
            finally:
                waiting.discard(caller)

        pool.connect = watched
        pool.recreate = lambda: self._watch(recreate())
        return pool


def _measure(dialect: Any, count: Count) -> None:
    """Time each statement that a dialect executes.

    A listener to SQLAlchemy's events would make every statement slower by more than all that is done here: 2 us for
    ``do_execute``, 6 us for ``before_cursor_execute``.
    """

    def timed(execute: Callable[..., None]) -> Callable[..., None]:
        def executed(cursor: Any, statement: str, *parameters_and_context: Any) -> None:
            began = perf_counter()
            try:
                execute(cursor, statement, *parameters_and_context)
            except BaseException as error:
                count(statement, perf_counter() - began, error)
                raise
            count(statement, perf_counter() - began)

        return executed

    for name in ("do_execute", "do_executemany", "do_execute_no_params"):
        setattr(dialect, name, timed(getattr(dialect, name)))
