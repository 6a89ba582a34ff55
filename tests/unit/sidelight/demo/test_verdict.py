"""The demo succeeds only if every alert did everything in its phase, and no other alert did anything."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sidelight.demo.scenario import Phase
from sidelight.demo.timeline import Episode, Key
from sidelight.demo.verdict import Span, verdict, waits

ALIVE = Key("Watchdog", "none")
WARNING = Key("HighErrorRate", "warning")
CRITICAL = Key("HighErrorRate", "critical")
DEPLOYED = Key("DeploymentCompleted", "info")
DOWN = Key("ServiceDown", "critical")

CALM = Phase(name="calm", happens="Nothing.", fires=(ALIVE,))
WIND = Phase(name="wind", happens="Some errors.", fires=(WARNING,))
STORM = Phase(name="storm", happens="Many errors.", fires=(CRITICAL,))
AFTER = Phase(name="after", happens="No errors.", resolves=(CRITICAL, WARNING))
NEWS = Phase(name="news", happens="A version.", fires=(DEPLOYED,), resolves=(DEPLOYED,))
PHASES = (CALM, WIND, STORM, AFTER, NEWS)
SPANS = [Span(phase=phase, began=10 * number, ended=10 * number + 10) for number, phase in enumerate(PHASES)]

GOOD = {
    ALIVE: Episode(pending=1, fired=2, delivered=3),
    WARNING: Episode(pending=12, fired=15, delivered=17, resolved=37, cleared=38),
    CRITICAL: Episode(pending=22, fired=25, delivered=27, resolved=33, cleared=34),
    DEPLOYED: Episode(pending=42, fired=43, delivered=44, resolved=47),
}


def judged(changes: dict[Key, Episode | None]) -> list[str]:
    episodes = {key: (episode,) for key, episode in (GOOD | changes).items() if episode}
    return verdict(PHASES, SPANS, episodes)


def waiting(phase: Phase, key: Key, episode: Episode | None) -> list[str]:
    episodes = {key: (episode,)} if episode else {}
    return [str(wait) for wait in waits(phase, episodes) if wait.key == key]


def test_all_as_it_should_be_gives_no_fault() -> None:
    assert judged({}) == []


@pytest.mark.parametrize(
    ("phase", "key", "without", "expected"),
    [
        (WIND, WARNING, None, ["HighErrorRate warning to fire"]),
        (WIND, WARNING, {"fired", "delivered", "resolved", "cleared"}, ["HighErrorRate warning to fire"]),
        (WIND, WARNING, {"delivered", "resolved", "cleared"}, ["HighErrorRate warning to be delivered"]),
        (WIND, WARNING, {"resolved", "cleared"}, []),
        (AFTER, WARNING, {"resolved", "cleared"}, ["HighErrorRate warning to resolve"]),
        (AFTER, CRITICAL, {"cleared"}, ["HighErrorRate critical to be delivered as resolved"]),
        (AFTER, CRITICAL, set(), []),
        (NEWS, DEPLOYED, None, ["DeploymentCompleted info to fire"]),
        (NEWS, DEPLOYED, {"resolved"}, ["DeploymentCompleted info to resolve"]),
        (NEWS, DEPLOYED, set(), []),
        (CALM, ALIVE, set(), []),
    ],
)
def test_a_phase_waits_for_the_next_thing_each_alert_has_to_do(
    phase: Phase, key: Key, without: set[str] | None, expected: list[str]
) -> None:
    episode = None if without is None else replace(GOOD[key], **dict.fromkeys(without))
    assert waiting(phase, key, episode) == expected


@pytest.mark.parametrize("key", [WARNING, DEPLOYED])
def test_no_phase_waits_for_the_end_of_an_event_or_of_a_warning_that_critical_may_inhibit(key: Key) -> None:
    phase = next(phase for phase in PHASES if key in phase.resolves)
    assert waiting(phase, key, replace(GOOD[key], cleared=None)) == []


def test_a_phase_that_times_out_names_what_is_missing_and_later_phases_are_not_reported() -> None:
    late = Span(phase=WIND, began=10, ended=70, waits=("HighErrorRate warning to fire",))
    faults = verdict(PHASES, [SPANS[0], late], {ALIVE: (GOOD[ALIVE],)})
    assert faults == ["In 'wind', these did not happen within 60 s: HighErrorRate warning to fire."]


def test_an_unexpected_alert_is_a_fault() -> None:
    assert judged({DOWN: Episode(pending=21, fired=24.5)}) == [
        "ServiceDown critical fired at 24.5 s, in 'storm'; it should never."
    ]


def test_an_unexpected_alert_is_accepted_while_it_is_only_pending() -> None:
    assert judged({DOWN: Episode(pending=21)}) == []


def test_an_alert_that_was_delivered_but_never_seen_firing_is_a_fault() -> None:
    assert judged({DOWN: Episode(delivered=24.5)}) == ["ServiceDown critical was delivered, but never seen firing."]


def test_critical_in_the_phase_of_the_warning_is_a_fault() -> None:
    assert judged({CRITICAL: replace(GOOD[CRITICAL], pending=13, fired=16)}) == [
        "HighErrorRate critical fired at 16.0 s, in 'wind'; it should only in 'storm'."
    ]


def test_an_alert_that_resolves_before_its_phase_is_a_fault() -> None:
    assert judged({WARNING: replace(GOOD[WARNING], resolved=27)}) == [
        "HighErrorRate warning resolved at 27.0 s, in 'storm'; it should only in 'after'."
    ]


def test_the_watchdog_must_never_resolve() -> None:
    assert judged({ALIVE: replace(GOOD[ALIVE], resolved=27)}) == [
        "Watchdog none resolved at 27.0 s, in 'storm'; it should never."
    ]


def test_an_alert_that_fires_twice_is_a_fault() -> None:
    again = Episode(pending=17, fired=18, delivered=19, resolved=36, cleared=38)
    episodes = {key: (episode,) for key, episode in GOOD.items()}
    faults = verdict(PHASES, SPANS, {**episodes, WARNING: (replace(GOOD[WARNING], resolved=36), again)})
    assert faults == ["HighErrorRate warning fired 2 times."]


def test_an_alert_that_fires_at_once_is_a_fault() -> None:
    assert judged({WARNING: replace(GOOD[WARNING], pending=None)}) == ["HighErrorRate warning was never seen pending."]


def test_the_watchdog_may_fire_before_it_is_seen_pending() -> None:
    assert judged({ALIVE: replace(GOOD[ALIVE], pending=None)}) == []
