"""Combines what Prometheus and the webhook saw into episodes of each alert. Times are seconds since the demo began."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Episodes: TypeAlias = Mapping["Key", Sequence["Episode"]]


class Key(NamedTuple):
    """An alert at one severity."""

    alert: str
    severity: str

    def __str__(self) -> str:
        return f"{self.alert} {self.severity}"


class State(StrEnum):
    """The state of an alert."""

    INACTIVE = "inactive"
    PENDING = "pending"
    FIRING = "firing"
    DELIVERED = "delivered"
    RESOLVED = "resolved"


@dataclass(frozen=True, kw_only=True)
class Episode:
    """One period in which an alert was active.

    Attributes:
        pending: When its condition became true.
        fired: When the condition had been true for long enough.
        delivered: When the webhook received the firing alert.
        resolved: When Prometheus resolved it.
        cleared: When the webhook received the resolved alert.
    """

    pending: float | None = None
    fired: float | None = None
    delivered: float | None = None
    resolved: float | None = None
    cleared: float | None = None

    @property
    def state(self) -> State:
        """Its state.

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
"""The episode of an alert that has not been active yet."""


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """One sample of Prometheus's own series ``ALERTS``."""

    key: Key
    firing: bool
    at: float


@dataclass(frozen=True, kw_only=True)
class Look:
    """The result of polling Prometheus once.

    Attributes:
        at: The time of the poll.
        sightings: All samples since before the previous poll, so that nothing is missed; they may overlap.
        active: The alerts that are pending or firing now.
    """

    at: float
    sightings: tuple[Sighting, ...] = ()
    active: frozenset[Key] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Message:
    """The webhook received a firing or a resolved alert."""

    key: Key
    firing: bool
    at: float


def latest(episodes: Episodes, key: Key) -> Episode:
    """The latest episode of an alert; an empty one if there is none."""
    return (episodes.get(key) or [NEVER])[-1]


class Timeline:
    """The episodes of all alerts, updated with each poll and message."""

    def __init__(self) -> None:
        self._episodes: dict[Key, list[Episode]] = {}
        self._seen: dict[Key, float] = {}

    @property
    def episodes(self) -> Episodes:
        """All alerts that were active, in order of their first episode; those only pending, while they are."""
        return {key: tuple(episodes) for key, episodes in self._episodes.items() if episodes}

    def look(self, look: Look) -> None:
        """Add the result of a poll."""
        for sighting in sorted(look.sightings, key=lambda sighting: sighting.at):
            if sighting.at > self._seen.get(sighting.key, -math.inf):
                self._seen[sighting.key] = sighting.at
                self._see(sighting)
        self._close(set(self._episodes) - look.active, look.at)

    def hear(self, message: Message) -> None:
        """Add a message of the webhook."""
        if message.firing:
            self._note(message.key, delivered=message.at)
        else:
            self._note(message.key, cleared=message.at)

    def _see(self, sighting: Sighting) -> None:
        key = sighting.key
        if not sighting.firing and self._latest(key).fired is not None:
            self._close([key], sighting.at)  # firing never returns to pending, so it resolved in between
        if self._latest(key).resolved is not None:
            self._episodes[key].append(NEVER)
        if sighting.firing:
            # Prometheus records nothing for the first evaluations of a rule; a delivered alert must have fired before.
            self._note(key, fired=min(sighting.at, self._latest(key).delivered or math.inf))
        else:
            self._note(key, pending=sighting.at)

    def _latest(self, key: Key) -> Episode:
        return latest(self.episodes, key)

    def _note(self, key: Key, **times: float) -> None:
        """Set the times that the latest episode does not have yet."""
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
                self._episodes[key].pop()  # it never fired, so it is not an episode
