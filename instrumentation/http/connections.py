"""Limits the connections of the metrics port: over the limit, the connection that waits longest for its client is closed."""

from __future__ import annotations

import ipaddress
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_Connection = TypeVar("_Connection")
_IPV6_PREFIX = 64  # bits; one machine usually has all addresses behind them


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The limits for clients.

    Attributes:
        connections: Connections from all addresses together.
        per_address: Connections from one address.
        pages_per_address: Responses that are generated for one address at the same time.
        head_seconds: Time from the start of a connection to the end of the request's headers.
        answer_seconds: Time from the start of a connection to the last byte of the response.
    """

    connections: int = 64
    per_address: int = 16
    pages_per_address: int = 2
    head_seconds: float = 5.0
    answer_seconds: float = 30.0


@dataclass(kw_only=True)
class _State:
    address: str
    since: float
    has_head: bool = False
    is_authorized: bool = False
    is_worked_on: bool = False


class Connections(Generic[_Connection]):
    """The open connections, and which of them wait for their client.

    A connection waits for its client while its request is incomplete, and while the client does not read the response.
    Only such connections are closed over the limit, those without a valid token first.

    Args:
        limits: The limits for clients.
        clock: Seconds of a monotonic clock.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._lock = threading.Lock()
        self._open: dict[_Connection, _State] = {}

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, connection: _Connection, address: str) -> _Connection | None:
        """Admit a new connection.

        Returns:
            The connection to close: one that waits for its client, or the new one if none does. None if none is over the limit.
        """
        network = _network(address)
        with self._lock:
            own = [one for one, state in self._open.items() if state.address == network]
            if len(own) >= self._limits.per_address:
                closed = self._first_to_go(own, connection)
            elif len(self._open) >= self._limits.connections:
                closed = self._first_to_go(list(self._open), connection)
            else:
                closed = None
            if closed is not None:
                self._open.pop(closed, None)
            if closed is not connection:
                self._open[connection] = _State(address=network, since=self._clock())
        return closed

    def has_head(self, connection: _Connection) -> None:
        """Record that the request's headers are complete."""
        with self._lock:
            if (state := self._open.get(connection)) is not None:
                state.has_head = state.is_worked_on = True

    def may_be_answered(self, connection: _Connection) -> bool:
        """Record that the token is valid, and return whether a response may be generated now: each address has a limit."""
        with self._lock:
            if (state := self._open.get(connection)) is None:
                return False
            others = sum(
                other.address == state.address and other.is_authorized and other.is_worked_on
                for other in self._open.values()
            )
            state.is_authorized = True
            return others < self._limits.pages_per_address

    def is_answered(self, connection: _Connection) -> None:
        """Record that the response is generated, and waits for the client to read it."""
        with self._lock:
            if (state := self._open.get(connection)) is not None:
                state.is_worked_on = False

    def remove(self, connection: _Connection) -> None:
        """Forget a connection that is closed."""
        with self._lock:
            self._open.pop(connection, None)

    def late(self) -> list[_Connection]:
        """Forget the connections that are over their time limit, and return them to be closed."""
        with self._lock:
            now = self._clock()
            late = [one for one, state in self._open.items() if now - state.since > self._seconds(state)]
            for one in late:
                del self._open[one]
        return late

    def forget(self) -> list[_Connection]:
        """Forget every connection, because the server ends, and return them to be closed."""
        with self._lock:
            connections, self._open = list(self._open), {}
        return connections

    def _seconds(self, state: _State) -> float:
        return self._limits.answer_seconds if state.has_head else self._limits.head_seconds

    def _first_to_go(self, among: list[_Connection], otherwise: _Connection) -> _Connection:
        states = self._open
        waiting = [one for one in among if not states[one].is_worked_on]
        of_address: dict[str, int] = {}
        for one in among:
            of_address[states[one].address] = of_address.get(states[one].address, 0) + 1
        return min(
            waiting,
            key=lambda one: (states[one].is_authorized, -of_address[states[one].address], states[one].since),
            default=otherwise,
        )


def _network(address: str) -> str:
    """What counts as one address.

    >>> _network("192.0.2.7"), _network("::ffff:192.0.2.7"), _network("2001:db8::7%eth0")
    ('192.0.2.7', '192.0.2.7', '2001:db8::/64')
    """
    parsed = ipaddress.ip_address(address)
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((int(parsed), _IPV6_PREFIX), strict=False))
