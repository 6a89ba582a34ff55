"""The keys file: lines that describe which series the slots of a values file belong to, in the order of the slots."""

from __future__ import annotations

import json
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple

from instrumentation.catalog import BY_NAME, Kind, Metric, Unit
from instrumentation.store.table import HEAD, Key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

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
    """A series as a line, with its width for readers that do not know the metric, and what the catalog does not have of it."""
    known = BY_NAME.get(key.metric.name)
    more = _definition(key.metric) if known is None else key.metric.labels[len(known.labels) :]
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
    metric = _metric(name, *more)
    if metric is None or len(labels) != len(metric.labels):
        return None, width + HEAD
    key = Key.of(metric, tuple(map(str, labels)), tuple(map(float, edges)))
    return key if key.width == width else None, width + HEAD


def _metric(name: str, more: Sequence[Any] | Mapping[str, Any] = ()) -> Metric | None:
    """The metric of a series: of the catalog with further labels, or declared by a team; None if another version wrote it."""
    known = BY_NAME.get(name)
    if known is not None:
        return known.extended(*map(str, more))
    try:
        metric = _defined(name, **dict(more))
        metric.merge  # noqa: B018 - a later version may combine in other ways
    except (LookupError, ValueError, TypeError):
        return None
    return metric


def _definition(metric: Metric) -> dict[str, object]:
    """A metric that a team has declared; other workers may have started with an older declaration, or with none."""
    return {
        "kind": metric.kind,
        "unit": metric.unit,
        "help": metric.help,
        "labels": metric.labels,
        "combine": metric.combine,
        "outlives_worker": metric.outlives_worker,
    }


def _defined(name: str, *, kind: str, unit: str, labels: Sequence[str], **more: Any) -> Metric:
    return Metric(name=name, kind=Kind(kind), unit=Unit(unit), labels=tuple(map(str, labels)), **more)
