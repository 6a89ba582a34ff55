"""Observations of Prometheus and the webhook become the episodes of each alert."""

from __future__ import annotations

import pytest

from sidelight.demo.timeline import NEVER, Episode, Key, Look, Message, Sighting, State, Timeline

ERRORS = Key("HighErrorRate", "warning")
DOWN = Key("ServiceDown", "critical")


def pending(*moments: float, key: Key = ERRORS) -> tuple[Sighting, ...]:
    return tuple(Sighting(key=key, firing=False, at=at) for at in moments)


def firing(*moments: float, key: Key = ERRORS) -> tuple[Sighting, ...]:
    return tuple(Sighting(key=key, firing=True, at=at) for at in moments)


def look(at: float, *sightings: Sighting, active: bool = True) -> Look:
    return Look(at=at, sightings=sightings, active=frozenset(s.key for s in sightings) if active else frozenset())


def told(*steps: Look | Message) -> Timeline:
    timeline = Timeline()
    for step in steps:
        if isinstance(step, Look):
            timeline.look(step)
        else:
            timeline.hear(step)
    return timeline


def heard(at: float, *, key: Key = ERRORS, firing: bool = True) -> Message:
    return Message(key=key, firing=firing, at=at)


def test_an_alert_is_pending_then_firing_then_delivered_then_resolved() -> None:
    timeline = Timeline()
    states = []
    for step in (
        look(7, *pending(7)),
        look(8, *pending(7, 8)),
        look(10, *pending(7, 8), *firing(9, 10)),
        heard(11),
        look(13, *firing(9, 10, 11, 12), active=False),
        heard(14, firing=False),
    ):
        timeline.look(step) if isinstance(step, Look) else timeline.hear(step)
        states.append(timeline.episodes[ERRORS][0].state)
    assert states == [State.PENDING, State.PENDING, State.FIRING, State.DELIVERED, State.RESOLVED, State.RESOLVED]
    assert timeline.episodes == {ERRORS: (Episode(pending=7, fired=9, delivered=11, resolved=13, cleared=14),)}


def test_what_happened_between_two_looks_is_not_missed() -> None:
    timeline = told(look(60, *pending(7, 8), *firing(9, 10), active=False))
    assert timeline.episodes[ERRORS] == (Episode(pending=7, fired=9, resolved=60),)


def test_an_alert_that_was_only_pending_leaves_no_trace() -> None:
    assert told(look(7, *pending(7)), look(9, *pending(7, 8), active=False)).episodes == {}


def test_the_pending_time_is_that_of_the_time_it_fired() -> None:
    timeline = told(
        look(7, *pending(7)),
        look(9, *pending(7), active=False),
        look(30, *pending(7, 28, 29), *firing(30)),
    )
    assert timeline.episodes[ERRORS] == (Episode(pending=28, fired=30),)


def test_a_second_time_is_a_second_episode() -> None:
    timeline = told(
        look(10, *pending(7), *firing(9)),
        heard(11),
        look(13, *firing(9), active=False),
        look(30, *firing(9), *pending(28)),
    )
    assert timeline.episodes[ERRORS] == (Episode(pending=7, fired=9, delivered=11, resolved=13), Episode(pending=28))


def test_a_second_time_between_two_looks_is_a_second_episode_too() -> None:
    timeline = told(look(10, *pending(7), *firing(9)), look(40, *pending(7, 20), *firing(9, 23)))
    assert timeline.episodes[ERRORS] == (Episode(pending=7, fired=9, resolved=20), Episode(pending=20, fired=23))


def test_looks_may_overlap() -> None:
    once = told(look(10, *pending(7), *firing(9)), look(13, *firing(9), active=False))
    again = told(look(10, *pending(7), *firing(9)), *[look(13, *pending(7), *firing(9), active=False)] * 3)
    assert once.episodes == again.episodes


def test_a_delivery_repeated_counts_at_its_first_time() -> None:
    timeline = told(look(10, *pending(7), *firing(9)), heard(11), heard(17))
    assert timeline.episodes[ERRORS][0].delivered == 11


@pytest.mark.parametrize("first", ["delivered", "seen"])
def test_a_delivery_may_come_before_the_look(first: str) -> None:
    steps: list[Look | Message] = [heard(11), look(12, *pending(7), *firing(9))]
    timeline = told(*(steps if first == "delivered" else reversed(steps)))
    assert timeline.episodes[ERRORS] == (Episode(pending=7, fired=9, delivered=11),)


def test_an_alert_fired_at_the_latest_when_it_was_delivered() -> None:
    assert told(heard(8), look(12, *firing(9, 10))).episodes[ERRORS] == (Episode(fired=8, delivered=8),)


def test_a_delivery_that_prometheus_never_saw_is_kept() -> None:
    assert told(heard(11), look(12)).episodes == {ERRORS: (Episode(delivered=11),)}


def test_alerts_do_not_mix() -> None:
    timeline = told(look(10, *pending(7), *firing(9, key=DOWN)), heard(11, key=DOWN))
    assert timeline.episodes == {ERRORS: (Episode(pending=7),), DOWN: (Episode(fired=9, delivered=11),)}


def test_an_alert_that_never_was_is_inactive() -> None:
    assert NEVER.state is State.INACTIVE
