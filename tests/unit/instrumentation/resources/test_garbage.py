"""Every garbage collection is timed, by generation, whatever code it interrupts."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest

from instrumentation.catalog import GC_PAUSE
from instrumentation.resources.garbage import GarbagePauses
from instrumentation.store import LocalStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@pytest.fixture
def store() -> LocalStore:
    return LocalStore()


@pytest.fixture
def ticks() -> Iterator[float]:
    return iter((3.0, 3.03, 7.0, 7.25, 11.0, 11.5, 12.0, 12.5))


@pytest.fixture
def pauses(store: LocalStore, ticks: Iterator[float]) -> Iterator[GarbagePauses]:
    was_enabled = gc.isenabled()
    gc.disable()  # none but those of the test
    pauses = GarbagePauses(store, clock=lambda: next(ticks))
    yield pauses
    pauses.end()
    if was_enabled:
        gc.enable()


def slots(store: LocalStore) -> dict[str, Sequence[float]]:
    return {row.labels[0]: row.slots for row in store.series() if row.metric is GC_PAUSE}


def counts(store: LocalStore) -> dict[str, float]:
    return {generation: sum(row[:-1]) for generation, row in slots(store).items()}


def test_each_collection_counts_in_its_generation_with_its_pause(store: LocalStore, pauses: GarbagePauses) -> None:
    pauses.begin()
    assert counts(store) == {"0": 0, "1": 0, "2": 0}
    gc.collect(0)
    gc.collect(2)
    assert counts(store) == {"0": 1, "1": 0, "2": 1}
    bucket = GC_PAUSE.buckets.index(0.05)
    assert slots(store)["0"][bucket] == 1
    assert [slots(store)[generation][-1] for generation in "012"] == pytest.approx([0.03, 0.0, 0.25])


def test_beginning_twice_counts_once_and_after_the_end_nothing_does(store: LocalStore, pauses: GarbagePauses) -> None:
    pauses.begin()
    pauses.begin()
    gc.collect(1)
    pauses.end()
    pauses.end()
    gc.collect(1)
    assert counts(store) == {"0": 0, "1": 1, "2": 0}


def test_a_collection_in_the_middle_of_the_stores_own_work_does_not_hang(
    store: LocalStore, pauses: GarbagePauses
) -> None:
    pauses.begin()
    with store.lock:
        gc.collect(0)
    assert counts(store)["0"] == 1


def test_a_forked_child_writes_nothing_until_it_is_started_again(store: LocalStore, pauses: GarbagePauses) -> None:
    pauses.begin()
    pauses.reset()
    gc.collect(0)
    assert counts(store)["0"] == 0
    pauses.begin()
    gc.collect(0)
    assert counts(store)["0"] == 1


def test_an_end_without_a_start_and_an_unknown_generation_are_ignored(store: LocalStore, pauses: GarbagePauses) -> None:
    pauses.begin()
    pauses._note("stop", {"generation": 3})
    assert counts(store) == {"0": 0, "1": 0, "2": 0}
