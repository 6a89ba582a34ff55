"""From what Prometheus and the webhook saw to what became of each alert; all times are seconds since the demo began."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Episodes: TypeAlias = Mapping["Key", Sequence["Episode"]]


class Key(NamedTuple):
    """Which alert, at which severity."""

    alert: str
    severity: str

    def __str__(self) -> str:
        return f"{self.alert} {self.severity}"


class State(StrEnum):
    """How far an alert has come."""

    INACTIVE = "inactive"
    PENDING = "pending"
    FIRING = "firing"
    DELIVERED = "delivered"
    RESOLVED = "resolved"


@dataclass(frozen=True, kw_only=True)
class Episode:
    """One time that an alert was active.

    Attributes:
        pending: When its condition began to hold.
        fired: When it had held for long enough.
        delivered: When the webhook heard of it.
        resolved: When Prometheus saw that it was over.
        cleared: When the webhook heard that it was over.
    """

    pending: float | None = None
    fired: float | None = None
    delivered: float | None = None
    resolved: float | None = None
    cleared: float | None = None

    @property
    def state(self) -> State:
        """How far it has come.

        >>> Episode(pending=12.0, fired=17.0).state
        <State.FIRING: 'firing'>
        """
        steps = {
            State.RESOLVED: self.resolved,
            State.DELIVERED: self.delivered,
            State.FIRING: self.fired,
            State.PENDING: self.pending,
        }
        return next((state for state, at in steps.items() if at is not None), State.INACTIVE)


NEVER = Episode()
"""The episode of an alert that was not active yet."""


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """One sample of Prometheus's own series ``ALERTS``."""

    key: Key
    firing: bool
    at: float


@dataclass(frozen=True, kw_only=True)
class Look:
    """What one look at Prometheus shows.

    Attributes:
        at: When it was.
        sightings: Every sample of the time before, so that nothing between two looks is missed; they may overlap.
        active: What is pending or firing right now.
    """

    at: float
    sightings: tuple[Sighting, ...] = ()
    active: frozenset[Key] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Message:
    """The webhook heard that an alert fires, or that it no longer does."""

    key: Key
    firing: bool
    at: float


def latest(episodes: Episodes, key: Key) -> Episode:
    """The latest episode of an alert; the empty one where there is none."""
    return (episodes.get(key) or [NEVER])[-1]


class Timeline:
    """The episodes of every alert, grown by one look or message at a time."""

    def __init__(self) -> None:
        self._episodes: dict[Key, list[Episode]] = {}
        self._seen: dict[Key, float] = {}

    @property
    def episodes(self) -> Episodes:
        """Every alert that was ever active, in order of its first time; one that was only pending, while it is."""
        return {key: tuple(episodes) for key, episodes in self._episodes.items() if episodes}

    def look(self, look: Look) -> None:
        """Learn what Prometheus shows."""
        for sighting in sorted(look.sightings, key=lambda sighting: sighting.at):
            if sighting.at > self._seen.get(sighting.key, -math.inf):
                self._seen[sighting.key] = sighting.at
                self._see(sighting)
        self._close(set(self._episodes) - look.active, look.at)

    def hear(self, message: Message) -> None:
        """Learn what the webhook heard."""
        if message.firing:
            self._note(message.key, delivered=message.at)
        else:
            self._note(message.key, cleared=message.at)

    def _see(self, sighting: Sighting) -> None:
        key = sighting.key
        if not sighting.firing and self._latest(key).fired is not None:
            self._close([key], sighting.at)  # firing never goes back to pending: it was over in between
        if self._latest(key).resolved is not None:
            self._episodes[key].append(NEVER)
        if sighting.firing:
            # Prometheus records nothing of a rule's first evaluations; what was delivered had fired before.
            self._note(key, fired=min(sighting.at, self._latest(key).delivered or math.inf))
        else:
            self._note(key, pending=sighting.at)

    def _latest(self, key: Key) -> Episode:
        return latest(self.episodes, key)

    def _note(self, key: Key, **times: float) -> None:
        """Fill in the times that the latest episode does not have yet."""
        episodes = self._episodes.setdefault(key, [])
        if not episodes:
            episodes.append(NEVER)
        new = {name: at for name, at in times.items() if getattr(episodes[-1], name) is None}
        episodes[-1] = replace(episodes[-1], **new)

    def _close(self, keys: Iterable[Key], at: float) -> None:
        for key in keys:
            if self._latest(key).fired is not None:
                self._note(key, resolved=at)
            elif self._latest(key).delivered is None and self._episodes[key]:
                self._episodes[key].pop()  # it never fired, so nothing happened
