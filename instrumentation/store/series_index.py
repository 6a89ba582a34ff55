"""The keys file: lines that describe which series the slots of a values file belong to, in the order of the slots."""

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
    """The result of reading lines.

    Attributes:
        rows: The rows, except those of another version and those beyond the slots.
        end: The number of slots described.
        size: The number of bytes read.
    """

    rows: list[Row]
    end: int
    size: int


def line(key: Key) -> bytes:
    """A series as a line, with its width for readers that do not know the metric, and labels not in the catalog."""
    more = key.metric.labels[len(BY_NAME[key.metric.name].labels) :]
    return f"{json.dumps([key.metric.name, key.labels, key.edges, key.width, *([more] if more else [])])}\n".encode()


def read(lines: bytes, first: int, slots: int) -> Read:
    """Read lines up to the first incomplete one, after which indexes would be wrong.

    Args:
        lines: The lines.
        first: The number of slots before them.
        slots: The total number of slots.
    """
    found = lines.split(b"\n")
    keys = [*_whole(found[:-1])]  # after the last line break there is nothing, or an incomplete line
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
    """The series of a line, and its number of slots. Workers share lines, so each line is parsed once for all of them."""
    name, labels, edges, width, *more = json.loads(line)
    if width < 1:
        raise ValueError("a series has at least one slot")
    metric = BY_NAME.get(name)
    if metric is not None and more:
        metric = metric.extended(*map(str, more[0]))
    if metric is None or len(labels) != len(metric.labels):
        return None, width + HEAD
    key = Key.of(metric, tuple(map(str, labels)), tuple(map(float, edges)))
    return key if key.width == width else None, width + HEAD
