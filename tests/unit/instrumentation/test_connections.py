"""Which connections the metrics port keeps if there are too many."""

from __future__ import annotations

import pytest

from instrumentation.http.connections import Connections, Limits


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def connections(clock: Clock, **limits: float) -> Connections[str]:
    return Connections(Limits(**limits), clock)  # type: ignore[arg-type]


def opened(table: Connections[str], clock: Clock, *names: str, address: str = "192.0.2.7") -> list[str | None]:
    closed = []
    for name in names:
        clock.now += 0.001
        closed.append(table.admit(name, address))
    return closed


def test_a_new_connection_takes_the_place_of_the_one_of_its_address_that_waited_longest(clock: Clock) -> None:
    table = connections(clock, per_address=3)
    assert opened(table, clock, "a", "b", "c", "d", "e") == [None, None, None, "a", "b"]
    assert len(table) == 3


def test_the_address_with_the_most_connections_gives_up_a_place_for_another(clock: Clock) -> None:
    table = connections(clock, connections=4)
    opened(table, clock, "prometheus", address="192.0.2.3")
    opened(table, clock, "a", "b", "c", address="192.0.2.66")
    assert opened(table, clock, "new", address="192.0.2.9") == ["a"]


def test_a_connection_with_the_token_goes_after_those_without(clock: Clock) -> None:
    table = connections(clock, connections=2)
    opened(table, clock, "prometheus")
    table.has_head("prometheus")
    assert table.may_be_answered("prometheus")
    table.is_answered("prometheus")
    opened(table, clock, "a")
    assert opened(table, clock, "b", address="192.0.2.8") == ["a"]
    assert opened(table, clock, "c", address="192.0.2.9") == ["b"]


def test_a_connection_for_which_the_server_works_is_never_closed(clock: Clock) -> None:
    table = connections(clock, connections=2)
    opened(table, clock, "a", "b")
    for name in ("a", "b"):
        table.has_head(name)
    assert opened(table, clock, "c", address="192.0.2.8") == ["c"]
    table.is_answered("b")
    assert opened(table, clock, "d", address="192.0.2.8") == ["b"]


def test_one_address_has_two_pages_made_at_the_same_time(clock: Clock) -> None:
    table = connections(clock)
    opened(table, clock, "a", "b", "c")
    opened(table, clock, "other", address="192.0.2.8")
    for name in ("a", "b", "c", "other"):
        table.has_head(name)
    assert [table.may_be_answered(name) for name in ("a", "b", "c", "other")] == [True, True, False, True]
    table.is_answered("c")
    table.is_answered("a")
    opened(table, clock, "d")
    table.has_head("d")
    assert table.may_be_answered("d")


def test_a_request_that_was_closed_meanwhile_gets_no_page(clock: Clock) -> None:
    table = connections(clock)
    opened(table, clock, "a")
    table.remove("a")
    table.has_head("a")
    table.is_answered("a")
    assert not table.may_be_answered("a")


def test_a_request_has_5_seconds_for_its_headers_and_30_in_all(clock: Clock) -> None:
    table = connections(clock)
    opened(table, clock, "silent", "read", "working")
    for name in ("read", "working"):
        table.has_head(name)
    table.is_answered("read")
    clock.now += 4.9
    assert table.late() == []
    clock.now += 0.2
    assert table.late() == ["silent"]
    clock.now += 24.8
    assert table.late() == []
    clock.now += 0.2
    assert table.late() == ["read", "working"]
    assert len(table) == 0


def test_the_addresses_of_one_ipv6_network_count_as_one(clock: Clock) -> None:
    table = connections(clock, per_address=2)
    closed = [table.admit(f"{number}", f"2001:db8::{number}") for number in range(3)]
    assert closed == [None, None, "0"]
    assert table.admit("other", "2001:db8:0:1::1") is None


def test_a_table_that_ends_gives_every_connection(clock: Clock) -> None:
    table = connections(clock)
    opened(table, clock, "a", "b")
    assert (table.forget(), len(table)) == (["a", "b"], 0)
