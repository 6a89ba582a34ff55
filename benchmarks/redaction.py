"""Overhead of redaction: an event, a long text, and hostile texts that should take long."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

from instrumentation.redaction import Redactor
from instrumentation.redaction.text import LONGEST_TEXT
from tests.support.tables import Column, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.effort import Effort
    from tests.support.tables import Row

MICROSECONDS = 1e6
EVENTS = 2_000
CHARACTERS = 200_000  # per text, in as many calls as needed
COLUMNS = (
    Column(key="what", title="what"),
    Column(key="characters", title="characters", digits=0),
    Column(key="low", title="fastest us", digits=1),
    Column(key="median", title="median us", digits=1),
)
PROSE = "The payment provider answered after the second attempt, and the order of the shop is on its way. "
JSON = '{"id": 7, "name": "shop", "route": "/orders/{order}", "when": "2026-11-22T08:28:14"}, '
SECRETS = "password=hunter2 from joe@example.com, card 4111 1111 1111 1111, Bearer abcdefgh12 "
HOSTILE = {
    "half of an e-mail address": "a.",
    "nothing but keys": "a=",
    "quotes that do not end": "token='",
    "addresses that do not end": "://a:b",
    "groups of digits": "4444 ",
    "beginnings of tokens": "eyJ-",
    "encoded three times": "%2525",
}


def event(number: int) -> dict[str, object]:
    """An ordinary event; two of its eight fields are new in each call."""
    return {
        "event": "order shipped",
        "order": number,
        "customer": f"c-{number}",
        "parcel": f"{number:08x}-0000-4000-8000-{number:012x}",
        "route": "/orders/{order}/ship",
        "method": "POST",
        "duration_ms": 12.7,
        "carrier": "post",
    }


def table(effort: Effort) -> Table:
    """Measure events and texts."""
    return Table(
        name="redaction",
        title="Redaction",
        note=f"CPU time of one event or text. At most {LONGEST_TEXT:,} characters of a text are processed; the rest is masked.",
        columns=COLUMNS,
        rows=tuple(_rows(effort)),
    )


def _rows(effort: Effort) -> Iterator[Row]:
    events = [event(number) for number in range(EVENTS)]
    yield _row("event of 8 fields", 0, effort, lambda redactor: [redactor.value(one) for one in events], EVENTS)
    yield _row("event seen before", 0, effort, lambda redactor: [redactor.value(events[0]) for _ in events], EVENTS)
    for title, words in (("prose", PROSE), ("JSON", JSON), ("secrets", SECRETS)):
        yield _text_row(title, _filled(words, 1_000), effort)
        yield _text_row(title, _filled(words, 100_000), effort)
    for title, words in HOSTILE.items():
        yield _text_row(f"hostile: {title}", f"@ {_filled(words, LONGEST_TEXT - 2)}", effort)


def _filled(words: str, size: int) -> str:
    return (words * (size // len(words) + 1))[:size]


def _text_row(title: str, text: str, effort: Effort) -> Row:
    times = CHARACTERS // len(text)
    return _row(title, len(text), effort, lambda redactor: [redactor.text(text) for _ in range(times)], times)


def _row(what: str, size: int, effort: Effort, work: Callable[[Redactor], object], times: int) -> Row:
    taken = [_microseconds(work) / times for _ in range(effort.repeats)]
    return {"what": what, "characters": size or None, "low": min(taken), "median": statistics.median(taken)}


def _microseconds(work: Callable[[Redactor], object]) -> float:
    redactor = Redactor()
    redactor.value(event(-1))  # from now on, the common parts of events are cached
    began = time.process_time()
    work(redactor)
    return (time.process_time() - began) * MICROSECONDS
