"""Checks what alerts still have to do, and finally whether every alert did exactly what was expected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sidelight.demo.timeline import latest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sidelight.demo.scenario import Phase
    from sidelight.demo.timeline import Episode, Episodes, Key


@dataclass(frozen=True, kw_only=True)
class Wait:
    """The next step expected of an alert."""

    key: Key
    verb: str

    def __str__(self) -> str:
        return f"{self.key} to {self.verb}"


@dataclass(frozen=True, kw_only=True)
class Span:
    """The time span of a phase.

    Attributes:
        phase: The phase.
        began: Its start, in seconds since the demo began.
        ended: Its end, in seconds since the demo began.
        waits: What had not happened when its time was up; empty if all had.
    """

    phase: Phase
    began: float
    ended: float
    waits: tuple[str, ...] = ()

    def holds(self, at: float) -> bool:
        """Whether a time is within it."""
        return self.began <= at < self.ended


def waits(phase: Phase, episodes: Episodes) -> list[Wait]:
    """The next expected step of each alert in a phase; empty when the phase is complete."""
    keys = dict.fromkeys((*phase.fires, *phase.resolves))
    verbs = {key: _verb(phase, key, latest(episodes, key)) for key in keys}
    return [Wait(key=key, verb=verb) for key, verb in verbs.items() if verb]


def _verb(phase: Phase, key: Key, episode: Episode) -> str:
    steps = []
    if key in phase.fires:
        steps += [("fire", episode.fired), ("be delivered", episode.delivered)]
    if key in phase.resolves:
        steps += [("resolve", episode.resolved)]
        steps += [("be delivered as resolved", episode.cleared)] if _tells(key) else []
    return next((verb for verb, at in steps if at is None), "")


def _tells(key: Key) -> bool:
    """Whether the webhook must receive the resolved alert: not for events, nor for warnings inhibited by critical."""
    return key.severity == "critical"


def verdict(phases: Sequence[Phase], spans: Sequence[Span], episodes: Episodes) -> list[str]:
    """All faults of a demo, one sentence each; empty if everything went as expected.

    Args:
        phases: All phases.
        spans: The phases that were run; nothing is expected of the others.
        episodes: The episodes of the alerts.
    """
    unfinished = [
        f"In {span.phase.name!r}, these did not happen within {span.ended - span.began:.0f} s: {', '.join(span.waits)}."
        for span in spans
        if span.waits
    ]
    stray = [sentence for key in episodes for sentence in _stray(key, phases, spans, episodes[key])]
    return unfinished + stray


def _stray(key: Key, phases: Sequence[Phase], spans: Sequence[Span], episodes: Sequence[Episode]) -> Iterator[str]:
    """What an alert did too often, at the wrong time or in the wrong order."""
    fires = [phase.name for phase in phases if key in phase.fires]
    resolves = [phase.name for phase in phases if key in phase.resolves]
    fired = [episode for episode in episodes if episode.fired is not None]
    if len(fired) > 1:
        yield f"{key} fired {len(fired)} times."
    if not fired and any(episode.delivered is not None for episode in episodes):
        yield f"{key} was delivered, but never seen firing."
    for episode in fired:
        if episode.pending is None and resolves:  # Watchdog is pending before Prometheus records alerts
            yield f"{key} was never seen pending."
        yield from _misplaced(f"{key} fired", episode.fired, fires, spans)
        yield from _misplaced(f"{key} resolved", episode.resolved, resolves, spans)


def _misplaced(what: str, at: float | None, expected: Sequence[str], spans: Sequence[Span]) -> Iterator[str]:
    if at is None:
        return
    actual = next((span.phase.name for span in spans if span.holds(at)), "no phase")
    if actual not in expected:
        should = f"only in {' and '.join(map(repr, expected))}" if expected else "never"
        yield f"{what} at {at:.1f} s, in {actual!r}; it should {should}."
