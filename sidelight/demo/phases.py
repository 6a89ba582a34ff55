"""Runs the phases in order, each until its expected alerts were seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.demo.scenario import LIMIT, PHASE_LIMIT
from sidelight.demo.terminal import Progress
from sidelight.demo.timeline import Timeline
from sidelight.demo.verdict import Span, waits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sidelight.demo.scenario import Phase
    from sidelight.demo.services import Services
    from sidelight.demo.terminal import View

POLL = 0.5  # seconds between two polls


class PhaseRunner:
    """Runs phases with the parts of the demo and records what happens.

    Attributes:
        timeline: The episodes of the alerts so far.

    Args:
        services: The running parts.
        view: Shows the progress.
        clock: Returns the seconds since the demo began.
        pause: Sleeps for some seconds.
    """

    def __init__(
        self, services: Services, view: View, *, clock: Callable[[], float], pause: Callable[[float], None]
    ) -> None:
        self.timeline = Timeline()
        self._services = services
        self._view = view
        self._clock = clock
        self._pause = pause

    def run(self, phases: Sequence[Phase]) -> list[Span]:
        """Run phases in order, and stop after the first that does not finish in time.

        Raises:
            DemoError: A part stopped or does not answer.
        """
        spans: list[Span] = []
        for number in range(len(phases)):
            began = spans[-1].ended if spans else 0.0
            spans.append(self._run(phases, number, began, min(LIMIT, self._clock() + PHASE_LIMIT)))
            if spans[-1].waits:
                break
        return spans

    def _run(self, phases: Sequence[Phase], number: int, began: float, deadline: float) -> Span:
        phase = phases[number]
        steps = self._services.begin(phase)
        while True:
            step = next(steps, "")
            self._observe()
            episodes = self.timeline.episodes
            missing = [*filter(None, [step]), *map(str, waits(phase, episodes))]
            if self._clock() < began + phase.seconds:
                missing.append("a quiet period")
            measured = self._services.watch.measure()
            progress = Progress(
                phases=phases, number=number, began=began, waits=missing, measured=measured, episodes=episodes
            )
            self._view.show(progress)
            now = self._clock()
            if not missing or now > deadline:
                return Span(phase=phase, began=began, ended=now, waits=tuple(missing))
            self._pause(POLL)

    def _observe(self) -> None:
        self._services.check()
        heard = list(
            self._services.webhook.take()
        )  # before polling Prometheus, so that delivered alerts have been seen firing
        self.timeline.look(self._services.watch.look())
        for message in heard:
            self.timeline.hear(message)
