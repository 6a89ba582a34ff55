"""The scenarios: each lets a component fail, counts accepted spans, and waits for those that arrive afterwards."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from alerts.conditions.collector_data import CAPACITY, DROPPING, FILLING, LOST, QUEUE
from sidelight.demo.spans import receiving
from sidelight.toolchain import processes
from tests.support.collectors import running, send, until
from tests.support.errors import MeasurementError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sidelight.demo.spans import Spans
    from tests.support.collectors import Collector

KEPT = 200_000  # spans
EACH = 50  # spans per request
_QUIET = 1.0  # seconds without further spans


@dataclass
class Outcome:
    """The result of a scenario.

    Attributes:
        sent: Spans that were sent.
        accepted: Spans that the sidecar accepted.
        arrived: Distinct spans that finally arrived.
        twice: Spans that arrived more than once.
        told: Spans that the sidecar refused and reported to the sender.
        counted: Spans that its metrics count as refused or dropped.
        fires: The alerts whose condition its metrics met.
    """

    sent: int = 0
    accepted: int = 0
    arrived: int = 0
    twice: int = 0
    counted: float = 0.0
    fires: set[str] = field(default_factory=set)

    @property
    def told(self) -> int:
        """Spans that were reported to the sender as not accepted, and may be sent again."""
        return self.sent - self.accepted

    @property
    def lost(self) -> int:
        """Spans that were accepted but did not arrive."""
        return self.accepted - self.arrived

    def send(self, sidecar: Collector, requests: int, seed: int, senders: int = 1) -> None:
        """Send from a number of threads concurrently."""
        with ThreadPoolExecutor(senders) as threads:
            taken = list(threads.map(lambda number: _sent(sidecar, seed + number), range(requests)))
        self.sent += requests * EACH
        self.accepted += sum(taken) * EACH

    def look(self, sidecar: Collector) -> None:
        """Read the metrics that the alerts use."""
        found = sidecar.metrics()
        self.counted = max(self.counted, *(found.get(name, 0.0) for name in LOST))
        if self.counted:
            self.fires.add(DROPPING)
        if found.get(QUEUE, 0.0) > 0.5 * found.get(CAPACITY, float("inf")):
            self.fires.add(FILLING)

    def settle(self, spans: Spans, seconds: float = 60.0) -> None:
        """Wait until all accepted spans have arrived, or no more arrive."""

        def complete() -> bool:
            return len({(span.trace_id, span.span_id) for span in spans}) >= self.accepted

        with suppress(MeasurementError):  # missing spans are part of the result
            until(complete, seconds)
        time.sleep(_QUIET)
        came = [(span.trace_id, span.span_id) for span in spans]
        self.arrived, self.twice = len(set(came)), len(came) - len(set(came))


def _sent(sidecar: Collector, seed: int) -> bool:
    try:
        return send(sidecar.http, EACH, seed=seed)
    except OSError:
        return False


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One fault.

    Attributes:
        name: What happens.
        play: Runs it in a folder for a number of seconds, and returns the result.
        fires: The alerts whose condition it must meet.
    """

    name: str
    play: Callable[[Path, float], Outcome]
    fires: frozenset[str] = frozenset()


def _down(folder: Path, seconds: float) -> Outcome:
    """The gateway is down, and comes back."""
    outcome, port = Outcome(), processes.free_port()
    with running("sidecar", folder, _at(port)) as sidecar:
        end, seed = time.monotonic() + seconds, 1000
        while time.monotonic() < end:
            outcome.send(sidecar, 2, seed)
            seed += 2
            time.sleep(0.1)
        outcome.look(sidecar)
        with receiving(port, kept=KEPT) as spans:
            outcome.settle(spans)
    return outcome


def _killed(folder: Path, seconds: float) -> Outcome:
    """The sidecar is killed while the gateway is down, and restarted."""
    outcome, port = Outcome(), processes.free_port()
    with running("sidecar", folder, _at(port)) as sidecar:
        outcome.send(sidecar, max(20, int(seconds)), 1000)
        until(lambda: sidecar.metrics().get(QUEUE, 0) > 0)
        os.kill(sidecar.process.pid, signal.SIGKILL)
        sidecar.process.wait(10)
    with receiving(port, kept=KEPT) as spans, running("sidecar", folder, _at(port)) as sidecar:
        outcome.send(sidecar, 4, 5000)
        outcome.settle(spans)
    return outcome


def _full(folder: Path, seconds: float) -> Outcome:
    """The disk of the queue is full, simulated by a limit on file sizes, while the gateway is down."""
    del seconds
    outcome, port = Outcome(), processes.free_port()
    limited = ("sh", "-c", 'ulimit -f 1024; exec "$@"', "sh")  # units of 512 bytes or 1 KiB, depending on the shell
    with ExitStack() as stack:
        sidecar = stack.enter_context(running("sidecar", folder, _at(port), before=limited))
        outcome.send(sidecar, 400, 1000)
        outcome.look(sidecar)
        spans = stack.enter_context(receiving(port, kept=KEPT))
        outcome.settle(spans, 20)
    return outcome


def _slow(folder: Path, seconds: float) -> Outcome:
    """Each response of the gateway takes two seconds."""
    outcome = Outcome()
    with (
        receiving(answers_after=min(2.0, seconds), kept=KEPT) as spans,
        running("sidecar", folder, spans.url) as sidecar,
    ):
        outcome.send(sidecar, 60, 1000, senders=4)
        outcome.look(sidecar)
        outcome.settle(spans)
    return outcome


def _busy(folder: Path, seconds: float) -> Outcome:
    """Ten senders send concurrently, as fast as they can."""
    outcome = Outcome()
    with receiving(kept=KEPT) as spans, running("sidecar", folder, spans.url) as sidecar:
        outcome.send(sidecar, max(200, int(50 * seconds)), 1000, senders=10)
        outcome.look(sidecar)
        outcome.settle(spans)
    return outcome


def _queue_full(folder: Path, seconds: float) -> Outcome:
    """The gateway is down for so long that the queue becomes full."""
    del seconds
    outcome, port = Outcome(), processes.free_port()
    with running("sidecar", folder, _at(port), settings={"collector": {"queue_size": 30}}) as sidecar:
        outcome.send(sidecar, 25, 1000)
        outcome.look(sidecar)
        outcome.send(sidecar, 75, 2000)
        outcome.look(sidecar)
        with receiving(port, kept=KEPT) as spans:
            outcome.settle(spans)
    return outcome


def _memory(folder: Path, seconds: float) -> Outcome:
    """The load needs more memory than is available."""
    outcome = Outcome()
    # The process itself needs more than this, so the limit is exceeded from the start.
    with (
        receiving(kept=KEPT) as spans,
        running("sidecar", folder, spans.url, settings={"collector": {"memory_limit_mib": 6}}) as sidecar,
    ):
        end, seed = time.monotonic() + min(seconds, 5.0), 1000
        while time.monotonic() < end:
            outcome.send(sidecar, 20, seed, senders=4)
            seed += 20
        outcome.look(sidecar)
        outcome.settle(spans)
    return outcome


SCENARIOS = (
    Scenario(name="the gateway is away", play=_down),
    Scenario(name="the sidecar is killed (kill -9) while the gateway is away, and started again", play=_killed),
    Scenario(name="the queue's disk is full", play=_full, fires=frozenset({DROPPING})),
    Scenario(name="each answer of the gateway takes two seconds", play=_slow),
    Scenario(name="ten senders at once, as fast as they can", play=_busy),
    Scenario(
        name="the gateway is away for longer than the queue holds",
        play=_queue_full,
        fires=frozenset({DROPPING, FILLING}),
    ),
    Scenario(name="the memory limit is reached", play=_memory, fires=frozenset({DROPPING})),
)


def _at(port: int) -> str:
    return f"http://{processes.LOOPBACK}:{port}"
