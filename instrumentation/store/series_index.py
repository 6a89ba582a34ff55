"""The lines that say which series the slots of a file belong to, in the order of the slots."""

from __future__ import annotations

import json
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from instrumentation.catalog import BY_NAME
from instrumentation.store.table import HEAD, Key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from instrumentation.store.table import Row

FLOAT = 8  # bytes of a slot


class Read(NamedTuple):
    """What was read.

    Attributes:
        rows: The rows, but for those of another version and those beyond the slots.
        end: How many slots all of them take.
        size: How many bytes.
    """

    rows: list[Row]
    end: int
    size: int


def line(key: Key) -> bytes:
    """A series as a line; its width too, for those who do not know its metric, and the labels that the catalog has not."""
    more = key.metric.labels[len(BY_NAME[key.metric.name].labels) :]
    return f"{json.dumps([key.metric.name, key.labels, key.edges, key.width, *([more] if more else [])])}\n".encode()


def read(lines: bytes, first: int, slots: int) -> Read:
    """Lines from a place on, up to one that is torn: behind it places would be wrong.

    Args:
        lines: The lines.
        first: How many slots are before them.
        slots: How many slots there are.
    """
    found = lines.split(b"\n")
    keys = [*_whole(found[:-1])]  # behind the last line break is nothing, or what is half written
    ends = [*accumulate((width for _, width in keys), initial=first)]
    rows = [
        (key, start + HEAD)
        for (key, width), start in zip(keys, ends, strict=False)
        if key is not None and start + width <= slots
    ]
    size = sum(map(len, found[: len(keys)])) + len(keys)
    return Read(rows, ends[-1], size)


def _whole(lines: Iterable[bytes]) -> Iterator[tuple[Key | None, int]]:
    try:
        yield from map(_key, lines)
    except (ValueError, TypeError, RecursionError):
        return


@lru_cache(maxsize=10_000)
def _key(line: bytes) -> tuple[Key | None, int]:
    """A line's series, and how many slots it takes. Workers have the same, so each is parsed once for all of them."""
    name, labels, edges, width, *more = json.loads(line)
    if width < 1:
        raise ValueError("a series has a slot at least")
    metric = BY_NAME.get(name)
    if metric is not None and more:
        metric = metric.extended(*map(str, more[0]))
    if metric is None or len(labels) != len(metric.labels):
        return None, width + HEAD
    key = Key.of(metric, tuple(map(str, labels)), tuple(map(float, edges)))
    return key if key.width == width else None, width + HEAD
