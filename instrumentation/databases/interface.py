"""The interface of a library's module: the address of a database, each of its queries, and the state of its pool."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Count(Protocol):
    """Counts a query."""

    def __call__(self, statement: str, seconds: float, error: BaseException | None = None) -> None:
        """Count a query.

        Args:
            statement: The statement, with placeholders or with values.
            seconds: How long it took.
            error: What was raised instead of a result.
        """


class Address(NamedTuple):
    """Which database a client talks to.

    Attributes:
        system: Its kind, as in OpenTelemetry's ``db.system.name``.
        namespace: The name of the database within the server; empty if there is none.
        server: Host and port; empty if there is none.
    """

    system: str
    namespace: str
    server: str = ""

    @property
    def pool_name(self) -> str:
        """The name of a pool that has no name of its own, as OpenTelemetry makes it.

        >>> Address("postgresql", "shop", "db:5432").pool_name, Address("sqlite", "shop.db").pool_name
        ('db:5432/shop', 'shop.db')
        """
        return "/".join(filter(None, (self.server, self.namespace))) or self.system


class PoolState(NamedTuple):
    """A connection pool at one moment.

    Attributes:
        used: Connections in use.
        idle: Open connections that are free.
        most: The maximum number of connections; None if there is none.
        waiting: Callers that wait for a connection.
        timeouts: Callers that got no connection in time, since the pool was made.
    """

    used: int
    idle: int
    most: int | None
    waiting: int = 0
    timeouts: int = 0


class Adapter(Protocol):
    """A client of one library. It must keep nothing alive that the service no longer uses."""

    @property
    def address(self) -> Address:
        """Which database the client talks to."""

    @property
    def is_late(self) -> bool:
        """Whether queries are counted in a later turn of the event loop."""

    def listen(self, count: Count) -> None:
        """Count each query from now on."""

    def pool(self) -> PoolState | None:
        """The state of the client's pool; None if it has no pool, or no longer exists."""
