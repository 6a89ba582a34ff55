"""Caches are reported by name, and behave as before."""

from __future__ import annotations

import gc
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import cachetools
import pytest

from instrumentation import watch_cache
from instrumentation.errors import InstrumentationError
from instrumentation.sampler import sampler_of
from instrumentation.store.process_store import ProcessStore

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def store() -> ProcessStore:
    store = ProcessStore(lambda: None)
    store.turn(on=True)
    return store


def seen(store: ProcessStore) -> dict[str, float]:
    sampler_of(store).read()
    return {
        "/".join((one.metric.name.removeprefix("cache_").removesuffix("_total"), *one.labels[1:])): one.slots[0]
        for one in store.series()
        if one.metric.name.startswith("cache_")
    }


def test_a_function_with_lru_cache(store: ProcessStore) -> None:
    doubled = lru_cache(maxsize=2)(lambda number: 2 * number)
    watch_cache("doubled", doubled, store=store)
    assert [doubled(number) for number in (1, 2, 3, 3)] == [2, 4, 6, 6]
    assert seen(store) == {"requests/hit": 1, "requests/miss": 3, "entries": 2}
    doubled.cache_clear()
    assert seen(store) == {"requests/hit": 1, "requests/miss": 3, "entries": 0}


KINDS: dict[str, Callable[[], Any]] = {
    "lru": lambda: cachetools.LRUCache(2),
    "lfu": lambda: cachetools.LFUCache(2),
    "fifo": lambda: cachetools.FIFOCache(2),
    "ttl": lambda: cachetools.TTLCache(2, 3600),
    "tlru": lambda: cachetools.TLRUCache(2, lambda *_: 1e9),
    "rr": lambda: cachetools.RRCache(2),
    "weighed": lambda: cachetools.LRUCache(14, getsizeof=lambda _: 7),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_cache_of_cachetools(kind: str, store: ProcessStore) -> None:
    cache = watch_cache("items", KINDS[kind](), store=store)
    for number in (1, 2, 3):
        cache[number] = number
    assert sum(number in cache for number in (1, 2, 3)) == 2
    kept = next(iter(cache))
    assert cache[kept] == cache.get(kept) == kept
    assert cache.get("gone", 7) == 7
    with pytest.raises(KeyError):
        cache["gone"]
    assert seen(store) == {"requests/hit": 2, "requests/miss": 2, "entries": 2, "evictions": 1}


def test_a_function_with_a_cache_of_cachetools(store: ProcessStore) -> None:
    cache: Any = watch_cache("doubled", cachetools.LRUCache(2), store=store)
    doubled = cachetools.cached(cache)(lambda number: 2 * number)
    assert [doubled(number) for number in (1, 2, 3, 3)] == [2, 4, 6, 6]
    assert seen(store) == {"requests/hit": 1, "requests/miss": 3, "entries": 2, "evictions": 1}


def test_a_cache_that_makes_what_is_missing(store: ProcessStore) -> None:
    class Doubling(cachetools.LRUCache[int, int]):
        def __missing__(self, key: int) -> int:
            self[key] = value = 2 * key
            return value

    cache = watch_cache("doubling", Doubling(7), store=store)
    assert (cache.get(3), cache[3], cache[3]) == (None, 6, 6)
    assert seen(store)["requests/miss"] == 1


def test_a_cache_that_is_gone_has_no_entries(store: ProcessStore) -> None:
    cache: Any = watch_cache("items", cachetools.LRUCache(2), store=store)
    cache[7] = 7
    assert seen(store)["entries"] == 1
    del cache
    gc.collect()
    assert seen(store)["entries"] == 0


def test_what_is_no_cache_is_refused(store: ProcessStore) -> None:
    with pytest.raises(InstrumentationError, match=r"watch_cache\('items'\) got dict; give a function with lru_cache"):
        watch_cache("items", {}, store=store)
