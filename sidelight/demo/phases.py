"""Plays one phase after the other, each until what it must cause was seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.demo.scenario import LIMIT, PHASE_LIMIT
from sidelight.demo.terminal import Scene
from sidelight.demo.timeline import Timeline
from sidelight.demo.verdict import Span, waits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sidelight.demo.scenario import Phase
    from sidelight.demo.services import Stage
    from sidelight.demo.terminal import View

POLL = 0.5  # seconds between two looks


class Director:
    """Makes phases happen on a stage, and notes what follows.

    Attributes:
        timeline: What became of the alerts so far.

    Args:
        stage: The parts.
        view: Shows every moment.
        clock: Gives the seconds since the demo began.
        pause: Waits some seconds.
    """

    def __init__(self, stage: Stage, view: View, *, clock: Callable[[], float], pause: Callable[[float], None]) -> None:
        self.timeline = Timeline()
        self._stage = stage
        self._view = view
        self._clock = clock
        self._pause = pause

    def play(self, phases: Sequence[Phase]) -> list[Span]:
        """Play phases; the first that is not over in time is the last.

        Raises:
            DemoError: A part ended or does not answer.
        """
        spans: list[Span] = []
        for number in range(len(phases)):
            began = spans[-1].ended if spans else 0.0
            spans.append(self._play(phases, number, began, min(LIMIT, self._clock() + PHASE_LIMIT)))
            if spans[-1].waits:
                break
        return spans

    def _play(self, phases: Sequence[Phase], number: int, began: float, deadline: float) -> Span:
        phase = phases[number]
        steps = self._stage.enact(phase)
        while True:
            step = next(steps, "")
            self._observe()
            episodes = self.timeline.episodes
            missing = [*filter(None, [step]), *map(str, waits(phase, episodes))]
            if self._clock() < began + phase.seconds:
                missing.append("a while of silence")
            measured = self._stage.watch.measure()
            scene = Scene(
                phases=phases, number=number, began=began, waits=missing, measured=measured, episodes=episodes
            )
            self._view.show(scene)
            now = self._clock()
            if not missing or now > deadline:
                return Span(phase=phase, began=began, ended=now, waits=tuple(missing))
            self._pause(POLL)

    def _observe(self) -> None:
        self._stage.check()
        heard = list(self._stage.webhook.take())  # before the look: what was delivered has been seen firing then
        self.timeline.look(self._stage.watch.look())
        for message in heard:
            self.timeline.hear(message)
