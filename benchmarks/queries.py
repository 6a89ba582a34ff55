"""Overhead of counting a query over the driver: the same queries with and without it, by turns."""

from __future__ import annotations

import gc
import statistics
import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import StaticPool, create_engine, text

from instrumentation.databases import instrument_database
from instrumentation.databases.requests import Tally, current
from instrumentation.store import LocalStore
from tests.support.tables import Column, Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.effort import Effort
    from tests.support.tables import Row

QUERIES, TURNS = 200, 10  # queries in one turn; turns in one round
_MICROSECONDS = 1e6
_STATEMENT = text("SELECT :number")
_COLUMNS = (
    Column(key="client", title="client"),
    Column(key="plain", title="us without", digits=1),
    Column(key="observed", title="us with", digits=1),
    Column(key="added", title="us added", digits=1),
)


def table(effort: Effort) -> Table:
    """Measure each client in this process."""
    return Table(
        name="queries",
        title="Databases: one query",
        note=(
            "CPU time of `SELECT :number` in SQLite in memory, which does nothing but return, within a request. Medians of turns "
            "of 200 queries, with and without Sidelight by turns."
        ),
        columns=_COLUMNS,
        rows=(_row("SQLAlchemy", _sqlalchemy, effort),),
    )


def _row(client: str, make: Callable[[bool], Callable[[], None]], effort: Effort) -> Row:
    plain, observed = make(False), make(True)  # noqa: FBT003 - the two of a pair
    taken: dict[Callable[[], None], list[float]] = {plain: [], observed: []}
    for _ in range(effort.rounds * TURNS):
        for query, times in taken.items():
            current.set(Tally())
            times.append(_turn(query))
    each = [[seconds * _MICROSECONDS / QUERIES for seconds in times] for times in taken.values()]
    added = statistics.median(with_ - without for without, with_ in zip(*each, strict=True))
    without, with_ = map(statistics.median, each)
    return {"client": client, "plain": without, "observed": with_, "added": added}


def _turn(query: Callable[[], None]) -> float:
    gc.collect()
    began = time.thread_time()
    for _ in range(QUERIES):
        query()
    return time.thread_time() - began


def _sqlalchemy(observed: bool) -> Callable[[], None]:  # noqa: FBT001 - one of a pair
    engine: Any = create_engine("sqlite://", poolclass=StaticPool)
    connection = (instrument_database(engine, store=LocalStore()) if observed else engine).connect()
    return lambda: connection.execute(_STATEMENT, {"number": 7}).close()


if __name__ == "__main__":
    from benchmarks.effort import FULL

    print(table(FULL).as_text())  # noqa: T201 - the result
