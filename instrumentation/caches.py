"""Caches: hits, misses, entries and evictions, by the cache's own statistics or by methods that count."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, TypeVar

from instrumentation import catalog
from instrumentation.errors import InstrumentationError
from instrumentation.names import checked_name
from instrumentation.sampler import sampler_of
from instrumentation.store import default_store
from instrumentation.store.process_store import ProcessStore  # noqa: TC001 - for typing.get_type_hints
from instrumentation.store.scrape_callbacks import Reading, reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from instrumentation.sampler import Values
    from instrumentation.store import Series

_Cache = TypeVar("_Cache")


def watch_cache(name: str, cache: _Cache, *, store: ProcessStore | None = None) -> _Cache:
    """Report hits, misses, entries and evictions of a cache.

    Args:
        name: The cache's name; use few different names, because it becomes a label.
        cache: A function with ``functools.lru_cache``, ``functools.cache`` or ``cachetools.cached(..., info=True)``; a cache of
            cachetools, which is changed in place; or a client of redis-py, for the whole server.
        store: The store to count in; the process's own by default.

    Returns:
        The cache.

    Raises:
        InstrumentationError: ``cache_name_invalid``, ``cache_invalid``.
    """
    checked_name("cache", name)
    store = store or default_store()
    packages = {kind.__module__.partition(".")[0] for kind in type(cache).__mro__}
    if hasattr(cache, "cache_info"):
        read = _of_function(name, cache)
    elif "cachetools" in packages:
        read = _of_cachetools(name, cache)
    elif "redis" in packages and hasattr(cache, "info"):
        store.callbacks.watch(("cache", name), _of_server(name, cache))
        return cache
    else:
        raise InstrumentationError(
            f"watch_cache({name!r}) got {type(cache).__name__}; give a function with lru_cache, a cache of cachetools, or a "
            "client of redis-py.",
            code="cache_invalid",
            details={"cache": name},
        )
    sampler_of(store).watch(f"cache {name}", read)
    return cache


def _of_function(name: str, function: Any) -> Callable[[], Values | None]:
    """Its own statistics, which do not tell evictions: a call that raises is a miss too, but leaves no entry."""
    held = weakref.ref(function)

    def read() -> Values | None:
        function = held()
        if function is None:
            return None
        info = function.cache_info()
        return _values(name, info.hits, info.misses, info.currsize)

    return read


class _Counts:
    """What happened in a cache. The service guards its cache by a lock if threads share it, and so these."""

    __slots__ = ("evictions", "hits", "misses")

    def __init__(self) -> None:
        self.hits = self.misses = self.evictions = 0


def _of_cachetools(name: str, cache: Any) -> Callable[[], Values | None]:
    """Counts in methods of a subclass, since cachetools has neither statistics nor events."""
    counts, kind = _Counts(), type(cache)

    class Counting(kind):  # type: ignore[misc, valid-type]  # the class of the cache
        __slots__ = ()

        def __getitem__(self, key: Any) -> Any:
            try:
                value = kind.__getitem__(self, key)
            except KeyError:
                counts.misses += 1
                raise
            counts.hits += 1
            return value

        def get(self, key: Any, default: Any = None) -> Any:
            if key in self:
                return self[key]
            counts.misses += 1
            return default

        def popitem(self) -> Any:
            hits = counts.hits
            item = kind.popitem(self)  # which looks the item up
            counts.hits = hits
            counts.evictions += 1
            return item

    Counting.__name__, Counting.__qualname__, Counting.__module__ = kind.__name__, kind.__qualname__, kind.__module__
    cache.__class__ = Counting
    held = weakref.ref(cache)

    def read() -> Values | None:
        cache = held()
        if cache is None:
            return None
        values = _values(name, counts.hits, counts.misses, len(cache))
        return {**values, (catalog.CACHE_EVICTIONS, (name,)): counts.evictions}

    return read


def _of_server(name: str, client: Any) -> Reading:
    """The statistics of a server, read at each scrape by the worker that answers it."""

    async def all_of(info: Any, size: Any) -> tuple[Any, Any]:
        return await info, await size

    def read() -> Any:
        info, size = client.info("stats"), client.dbsize()
        return (info, size) if isinstance(info, dict) else all_of(info, size)

    def series(found: tuple[dict[str, Any], int]) -> Iterator[Series]:
        info, size = found
        for (metric, labels), value in _values(name, info["keyspace_hits"], info["keyspace_misses"], size).items():
            yield reading(metric, value, labels)
        yield reading(catalog.CACHE_EVICTIONS, info["evicted_keys"], (name,))

    return Reading(
        what=f"statistics of cache {name!r}", read=read, series=series, failures=(catalog.CACHE_READ_FAILURES, (name,))
    )


def _values(name: str, hits: int, misses: int, entries: int) -> Values:
    return {
        (catalog.CACHE_REQUESTS, (name, "hit")): hits,
        (catalog.CACHE_REQUESTS, (name, "miss")): misses,
        (catalog.CACHE_ENTRIES, (name,)): entries,
    }
