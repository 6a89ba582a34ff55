"""The series of a connection pool."""

from __future__ import annotations

from typing import TYPE_CHECKING

from instrumentation import catalog

if TYPE_CHECKING:
    from instrumentation.databases.interface import PoolState
    from instrumentation.sampler import Values


def pool_values(name: str, state: PoolState) -> Values:
    """The values of a pool.

    Args:
        name: Its name.
        state: Its state.
    """
    values: Values = {
        (catalog.DB_CLIENT_CONNECTION_COUNT, (name, "used")): state.used,
        (catalog.DB_CLIENT_CONNECTION_COUNT, (name, "idle")): state.idle,
        (catalog.DB_CLIENT_CONNECTION_PENDING_REQUESTS, (name,)): state.waiting,
        (catalog.DB_CLIENT_CONNECTION_TIMEOUTS, (name,)): state.timeouts,
    }
    if state.most is not None:
        values[catalog.DB_CLIENT_CONNECTION_MAX, (name,)] = state.most
    return values
