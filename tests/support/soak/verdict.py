"""Checks the result of a soak test: one row per condition."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.support.soak.load import CONNECTIONS, KINDS
from tests.support.tables import Column, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.support.soak.load import Kind
    from tests.support.soak.run import Observed

FILES_MORE = 4  # each of the four workers makes an archive with the first ended one that it folds
MEBIBYTES_MORE = 3.0
LISTED = 3  # how many of a kind are named
LEAST_A_SECOND = 10
COLUMNS = (
    Column(key="check", title="what must hold"),
    Column(key="seen", title="seen"),
    Column(key="verdict", title=""),
)


@dataclass(frozen=True, kw_only=True)
class Check:
    """One condition.

    Attributes:
        what: The condition.
        seen: The observation.
        holds: Whether the condition holds.
    """

    what: str
    seen: str
    holds: bool


def checks(observed: Observed, seconds: float) -> tuple[Check, ...]:
    """All conditions for a soak test of a number of seconds."""
    return (*_requests(observed, seconds), *_workers(observed), *_pages(observed), *_flat(observed))


def table(found: Sequence[Check]) -> Table:
    """The checks as a table."""
    return Table(
        name="soak",
        title="Soak",
        columns=COLUMNS,
        rows=tuple(
            {"check": check.what, "seen": check.seen, "verdict": "ok" if check.holds else "FAILED"} for check in found
        ),
    )


def _requests(observed: Observed, seconds: float) -> Iterator[Check]:
    tally, counted = observed.tally, observed.scrapes.counted()
    cut_off = {kind: sum(cut.kind == kind for cut in tally.cut) for kind in KINDS}
    for kind in KINDS:
        yield _accounted(kind, tally.answered[kind], cut_off[kind], counted.pop(kind, 0.0))
    yield Check(what="nothing else is counted", seen=_listed(map(str, counted.items())), holds=not counted)
    yield Check(what="every answer has its status", seen=_listed(tally.other), holds=not tally.other)
    short = _short(observed)
    yield Check(
        # There is no await between sending the last byte and counting, so a kill loses at most one request.
        what="answered and not counted: at most one a kill, in its last microseconds",
        seen=f"{short:g} of {len(observed.killed)} kills",
        holds=short <= len(observed.killed),
    )
    rate = tally.answered.total() / seconds
    yield Check(
        what=f"at least {LEAST_A_SECOND} a second are answered", seen=f"{rate:.0f}", holds=rate >= LEAST_A_SECOND
    )


def _accounted(kind: Kind, answered: int, cut: int, counted: float) -> Check:
    return Check(
        what=f"{kind.route} {kind.status}: counted no more than answered and cut off",
        seen=f"{answered} answered, {cut} cut off, {counted:g} counted",
        holds=0 < counted <= answered + cut,
    )


def _short(observed: Observed) -> float:
    """The number of requests that were answered but not counted."""
    counted = observed.scrapes.counted()
    return sum(max(0.0, observed.tally.answered[kind] - counted.get(kind, 0.0)) for kind in KINDS)


def _workers(observed: Observed) -> Iterator[Check]:
    cut, killed = observed.tally.cut, observed.killed
    strangers = [f"{one.kind.route} by {one.worker}: {one.reason}" for one in cut if one.worker not in {None, *killed}]
    late = [one.kind.route for one in cut if one.reason == "TimeoutError"]
    bound = CONNECTIONS * len(killed)
    if observed.kills:
        yield Check(what="workers are killed", seen=str(len(killed)), holds=bool(killed))
    yield Check(what="no other worker ends", seen=_listed(map(str, observed.lost)), holds=not observed.lost)
    yield Check(
        what=f"cut off: at most those in flight on a killed worker, {CONNECTIONS} a kill",
        seen=f"{len(cut)} of {bound}",
        holds=len(cut) <= bound,
    )
    yield Check(what="cut off only where the worker was killed", seen=_listed(strangers), holds=not strangers)
    yield Check(what="every request ends", seen=_listed(late), holds=not late)


def _pages(observed: Observed) -> Iterator[Check]:
    scrapes = observed.scrapes
    yield Check(
        what="no counter goes backwards or vanishes",
        seen=f"{scrapes.pages} pages; {_listed(sorted(set(scrapes.backwards)))}",
        holds=scrapes.pages > 1 and not scrapes.backwards,
    )
    yield Check(
        what="a page fails only where its worker is killed",
        seen=_listed(observed.failed),
        holds=len(observed.failed) <= len(observed.killed),
    )
    active = scrapes.active()
    yield Check(what="in the end no request is active", seen=f"{active:g}", holds=active == 0)


def _flat(observed: Observed) -> Iterator[Check]:
    folder = "found" if observed.folder else "none found"
    yield Check(what="the workers share a folder", seen=folder, holds=observed.folder is not None)
    yield _level("series", observed.series, 0)
    yield _level("files in the folder", observed.files, FILES_MORE)
    yield _level("MiB of a worker", observed.mebibytes, MEBIBYTES_MORE)


def _level(what: str, values: Sequence[float], more: float) -> Check:
    """Whether the last third is not higher than the first, except for a given margin."""
    third = max(1, len(values) // 3)
    if not values:
        return Check(what=f"{what}: flat", seen="nothing", holds=False)
    first, last = (statistics.median(part) for part in (values[:third], values[-third:]))
    return Check(
        what=f"{what}: flat, at most {more:g} more in the last third than in the first",
        seen=f"{first:g}, then {last:g}; {min(values):g} to {max(values):g}",
        holds=last - first <= more,
    )


def _listed(things: Iterator[str] | Sequence[str]) -> str:
    everything = list(things)
    more = f" and {len(everything) - LISTED} more" if len(everything) > LISTED else ""
    return (", ".join(everything[:LISTED]) + more) or "none"
