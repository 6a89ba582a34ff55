"""A phase ends as soon as its expected effects were seen, and fails when its time is over."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from sidelight.demo.errors import DemoError
from sidelight.demo.phases import POLL, PhaseRunner
from sidelight.demo.prometheus_queries import Measured
from sidelight.demo.scenario import LIMIT, PHASE_LIMIT, Phase
from sidelight.demo.timeline import Key, Look, Message, Sighting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.demo.terminal import Progress

WARNING = Key("HighErrorRate", "warning")
WIND = Phase(name="wind", happens="Some errors.", fires=(WARNING,))
CALM = Phase(name="calm", happens="No errors.", resolves=(WARNING,))
SILENCE = Phase(name="silence", happens="Nothing.", seconds=7.0)
ROLLOUT = Phase(name="rollout", happens="A version.", version="1.1.0")


class Demo:
    """Services, a clock and a screen: an alert fires as long as the phase has something that fires, and a little delayed.

    Args:
        delay: Seconds from the beginning of a phase to what it causes; None for never.
    """

    def __init__(self, delay: float | None = 3.0) -> None:
        self.now = 0.0
        self.shown: list[Progress] = []
        self.broken = False
        self._delay = delay
        self._began = 0.0
        self._firing = False
        self.watch = self.webhook = self

    def runner(self) -> PhaseRunner:
        services: Any = self
        return PhaseRunner(services, self, clock=lambda: self.now, pause=self.pause)

    def pause(self, seconds: float) -> None:
        self.now += seconds

    def show(self, progress: Progress) -> None:
        self.shown.append(progress)

    def begin(self, phase: Phase) -> Iterator[str]:
        self._began, self._firing = self.now, bool(phase.fires)
        for step in range(3 if phase.version else 0):
            yield f"step {step}"

    def check(self) -> None:
        if self.broken:
            raise DemoError("Prometheus ended.", code="demo_part_ended")

    def look(self) -> Look:
        if not self._happened or not self._firing:
            return Look(at=self.now)
        sightings = (
            Sighting(key=WARNING, firing=False, at=self._began),
            Sighting(key=WARNING, firing=True, at=self.now),
        )
        return Look(at=self.now, sightings=sightings, active=frozenset({WARNING}))

    def take(self) -> list[Message]:
        return [Message(key=WARNING, firing=self._firing, at=self.now)] if self._happened else []

    def measure(self) -> Measured:
        return Measured()

    @property
    def _happened(self) -> bool:
        return self._delay is not None and self.now >= self._began + self._delay


def test_a_phase_ends_as_soon_as_its_alerts_fired_and_were_delivered_and_the_next_begins() -> None:
    demo = Demo(delay=3.0)
    wind, calm = demo.runner().run([WIND, CALM])
    assert (wind.phase, wind.began, wind.ended, wind.waits) == (WIND, 0.0, 3.0, ())
    assert (calm.phase, calm.began, calm.waits) == (CALM, 3.0, ())


def test_a_phase_whose_time_is_up_is_the_last_and_says_what_it_waited_for() -> None:
    demo = Demo(delay=None)
    spans = demo.runner().run([WIND, CALM])
    assert [span.phase for span in spans] == [WIND]
    assert spans[0].waits == ("HighErrorRate warning to fire",)
    assert PHASE_LIMIT < spans[0].ended <= PHASE_LIMIT + 2 * POLL


def test_all_phases_together_have_a_limit_too() -> None:
    spans = Demo().runner().run([replace(SILENCE, seconds=PHASE_LIMIT - 7)] * 7)
    assert [bool(span.waits) for span in spans] == [False] * 4 + [True]
    assert spans[-1].ended <= LIMIT + 2 * POLL


def test_a_phase_may_ask_for_a_while_of_silence() -> None:
    demo = Demo()
    (span,) = demo.runner().run([SILENCE])
    assert span.ended == 7.0
    assert demo.shown[0].waits == ["a quiet period"]


def test_a_phase_takes_one_step_at_each_look_and_is_not_over_before_its_last() -> None:
    demo = Demo()
    demo.runner().run([ROLLOUT])
    assert [progress.waits for progress in demo.shown] == [["step 0"], ["step 1"], ["step 2"], []]


def test_a_part_that_ends_ends_the_demo() -> None:
    demo = Demo()
    demo.broken = True
    with pytest.raises(DemoError, match="Prometheus ended"):
        demo.runner().run([WIND])
