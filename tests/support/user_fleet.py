"""The history of a service as scraped by Prometheus: pods with workers that count users, with a simulated clock."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

from instrumentation.catalog import ACTIVE_USER_REGISTER
from instrumentation.users.active import KEY_VARIABLE, ActiveUsers
from instrumentation.users.registers import Home

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from instrumentation.settings import Settings

PODS = 3
WORKERS = 2
DAY = 86_400
_EARLIER = 600  # seconds before the span, when other users came
_KEY = {KEY_VARIABLE: "a key for measurements and tests"}


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A service and its users.

    Attributes:
        job: Its name.
        users: The number of distinct users within the span. Half as many others came before it, and must not be counted.
        seconds: The length of the span.
        moments: The number of times at which users come; in between nobody comes.
    """

    job: str
    users: int
    seconds: int
    moments: int = 12


@dataclass
class _Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


class _Pod:
    """A pod whose workers share a folder, as with a real server."""

    def __init__(self, name: str, root: Path, settings: Settings, clock: Callable[[], float]) -> None:
        self.name = name
        self._root = root
        self._settings = settings
        self._clock = clock
        self.start()

    def start(self) -> None:
        """Start again, without any previous counts."""
        self._folder = Path(tempfile.mkdtemp(dir=self._root))
        self._started = 0
        self._alive: set[str] = set()
        self._workers = [self._worker() for _ in range(WORKERS)]

    def _worker(self) -> ActiveUsers:
        self._started += 1
        name = str(self._started)
        self._alive.add(name)
        users = ActiveUsers(partial(Home, self._folder, name, self._alive.__contains__), clock=self._clock)
        users.settle(self._settings, _KEY)
        return users

    def lose_a_worker(self) -> None:
        """Kill the oldest worker and start another one."""
        self._alive.remove(min(self._alive, key=int))
        self._workers = [*self._workers[1:], self._worker()]

    def serve(self, users: list[str]) -> None:
        """Count a user in the next worker; the workers take turns."""
        for worker, user in zip(cycle(self._workers), users, strict=False):
            worker.saw(user)

    def scraped(self) -> Iterator[tuple[str, float]]:
        """Register and rank as reported by one worker for all."""
        return ((series.labels[0], series.slots[0]) for series in self._workers[-1].collect())


def history(scenario: Scenario, end: int, settings: Settings, root: Path) -> Iterator[str]:
    """The lines of an OpenMetrics file, in order of time.

    A third of the users come twice, the second time to another pod. Workers are killed before they are scraped, and pods are
    replaced.
    """
    clock = _Clock()
    pods = [_Pod(f"pod-{number}", root, settings, clock) for number in range(PODS)]
    window, interval = settings.users_window.seconds, settings.metrics.scrape_interval.seconds
    visits = _visits(scenario, end, window)
    first_scrapes = {moment: moment - moment % interval + interval for moment in sorted(visits)}
    scrapes = {
        second
        for moment, first in first_scrapes.items()
        for second in range(first, moment + 2 * window + 2 * interval, interval)
    }
    killed = {moment: number % PODS for number, moment in enumerate(first_scrapes) if number % 3}
    replaced = {first: number % PODS for number, first in enumerate(first_scrapes.values()) if number % 5 == 1}
    for second in sorted(scrapes | visits.keys()):
        clock.now = float(second)
        for number, users in visits.get(second, {}).items():
            pods[number].serve(users)
        if second in killed:
            pods[killed[second]].lose_a_worker()
        if second in scrapes:
            for pod in pods:
                start = f'{ACTIVE_USER_REGISTER.name}{{job="{scenario.job}",instance="{pod.name}",register='
                yield from (f'{start}"{register}"}} {rank:.0f} {second}\n' for register, rank in pod.scraped())
            if second in replaced:
                pods[replaced[second]].start()


def _visits(scenario: Scenario, end: int, window: int) -> dict[int, dict[int, list[str]]]:
    """Time in seconds to pod to the users that come."""
    visits: dict[int, dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    # The rules are evaluated up to a window later, and drop the users of a replaced pod up to a window earlier.
    step = (scenario.seconds - 2 * window) / scenario.moments
    seconds = [end - int(number * step) for number in range(1, scenario.moments + 1)]
    for user in range(scenario.users):
        name = f"{scenario.job}-{user}"
        turn, pod = user % scenario.moments, user // scenario.moments % PODS
        visits[seconds[turn]][pod].append(name)
        if user % 3 == 0:
            visits[seconds[(turn + 1) % scenario.moments]][(pod + 1) % PODS].append(name)
    for user in range(scenario.users // 2):
        visits[end - scenario.seconds - _EARLIER][user % PODS].append(f"earlier-{user}")
    return visits
