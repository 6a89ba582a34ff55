"""The demo's output: a live view in a terminal, timestamped lines otherwise, and a table at the end."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sidelight.demo.timeline import State, latest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import RenderableType

    from instrumentation.settings import Settings
    from sidelight.demo.prometheus_queries import Measured
    from sidelight.demo.scenario import Phase
    from sidelight.demo.timeline import Episode, Episodes, Key

STYLES = {
    State.INACTIVE: "dim",
    State.PENDING: "yellow",
    State.FIRING: "bold red",
    State.DELIVERED: "bold magenta",
    State.RESOLVED: "green",
}
TIMES = ("pending", "fired", "delivered", "resolved")


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The state of the demo at one moment.

    Attributes:
        phases: All phases.
        number: The index of the current phase, from 0.
        began: When the phase began, in seconds since the demo began.
        waits: What has not happened yet.
        measured: The values that the rules compare with their thresholds.
        episodes: The episodes of the alerts.
    """

    phases: Sequence[Phase]
    number: int
    began: float
    waits: Sequence[str]
    measured: Measured
    episodes: Episodes

    @property
    def phase(self) -> Phase:
        """The current phase."""
        return self.phases[self.number]


@dataclass(frozen=True, kw_only=True)
class Ending:
    """The result of the demo.

    Attributes:
        faults: One sentence per fault; empty if all went well.
        seconds: The duration of the demo.
        made: The number of requests sent.
        lost: The number of requests without a response.
    """

    faults: Sequence[str]
    seconds: float
    made: int
    lost: int

    @property
    def summary(self) -> str:
        """One sentence about the alerts, one about the requests."""
        sentence = (
            "Failed for the reasons above; use --keep to leave everything running for inspection."
            if self.faults
            else "Passed: every expected alert fired, was delivered and resolved, and no other alert fired."
        )
        return f"{sentence} {self.seconds:.0f} s, {self.made} requests, {self.lost} without a response."


class View(Protocol):
    """Shows the progress of the demo."""

    def show(self, progress: Progress) -> None:
        """Show the current state."""


# --- What both views and the end share -------------------------------------------------------------------------------


def alert_table(phases: Sequence[Phase], episodes: Episodes) -> Table:
    """A table of all alerts with their state and times, in seconds since the demo began; unexpected alerts come last."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for title in ("Alert", "Severity", "State"):
        table.add_column(title, no_wrap=True)
    for title in TIMES:
        table.add_column(title.capitalize(), justify="right", no_wrap=True)
    for key in dict.fromkeys((*(key for phase in phases for key in phase.fires), *episodes)):
        episode = latest(episodes, key)
        state = Text(episode.state, STYLES[episode.state])
        table.add_row(key.alert, key.severity, state, *(_seconds(getattr(episode, name)) for name in TIMES))
    return table


def _seconds(at: float | None) -> str:
    return "" if at is None else f"{at:.1f} s"


def _rate(per_second: float | None) -> str:
    return "no data" if per_second is None else f"{per_second:.0f} requests/s"


def _percent(ratio: float | None) -> str:
    return "no data" if ratio is None else f"{100 * ratio:.3g} %"


def _duration(seconds: float | None) -> str:
    """A duration for people.

    >>> _duration(0.0224), _duration(1.0), _duration(1.4625)
    ('22 ms', '1 s', '1.46 s')
    """
    if seconds is None:
        return "no data"
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1000 * seconds:.0f} ms"


# --- In a terminal ---------------------------------------------------------------------------------------------------


class LiveView:
    """A view that is updated in place.

    Args:
        settings: The settings, for the thresholds.
        clock: Returns the seconds since the demo began.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        self._thresholds = settings.thresholds
        self._clock = clock
        self._shown: Progress | None = None

    def show(self, progress: Progress) -> None:
        """Show a state at the next refresh."""
        self._shown = progress

    def __rich__(self) -> RenderableType:
        if self._shown is None:
            return Text("Starting ...")
        progress = self._shown
        return Padding(
            Group(
                self._progress(progress),
                Text(),
                self._phase(progress),
                Text(),
                self._measured(progress.measured),
                alert_table(progress.phases, progress.episodes),
            ),
            (1, 0, 0, 0),
        )

    def _progress(self, progress: Progress) -> Table:
        row = Table.grid(padding=(0, 2), expand=True)
        row.add_column(no_wrap=True)
        row.add_column(ratio=1)
        row.add_column(no_wrap=True, justify="right")
        total = len(progress.phases)
        bar = ProgressBar(total=total, completed=progress.number, complete_style="cyan")
        row.add_row(Text(f"Phase {progress.number + 1} of {total}", "bold"), bar, f"{self._clock():.0f} s")
        return row

    def _phase(self, progress: Progress) -> Group:
        rest = f"  {progress.phase.happens}"
        waits = ", ".join(progress.waits) or "nothing"
        seconds = self._clock() - progress.began
        return Group(
            Text.assemble((progress.phase.name, "bold cyan"), rest, no_wrap=True, overflow="ellipsis"),
            Text(f"{seconds:3.0f} s, waiting for {waits}", "dim", no_wrap=True, overflow="ellipsis"),
        )

    def _measured(self, measured: Measured) -> Table:
        ratio, p95 = self._thresholds.error_ratio, self._thresholds.latency_p95_seconds
        grid = Table.grid(padding=(0, 2))
        grid.add_row("load", _rate(measured.requests))
        grid.add_row(
            "error ratio",
            Text(_percent(measured.error_ratio), _colour(measured.error_ratio, ratio.warning, ratio.critical)),
            f"warning above {_percent(ratio.warning)}, critical above {_percent(ratio.critical)}",
        )
        grid.add_row(
            "p95",
            Text(_duration(measured.p95), _colour(measured.p95, p95.warning, p95.critical)),
            f"warning above {_duration(p95.warning)}, critical above {_duration(p95.critical)}",
        )
        return grid


def _colour(value: float | None, warning: float, critical: float) -> str:
    if value is None:
        return "dim"
    return "bold red" if value > critical else "yellow" if value > warning else "green"


# --- Elsewhere -------------------------------------------------------------------------------------------------------


class PlainView:
    """Prints a line for every change.

    Args:
        write: Writes a line.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._last: Progress | None = None

    def show(self, progress: Progress) -> None:
        """Write what has changed since the previous state."""
        before = self._last.episodes if self._last else {}
        for key in progress.episodes:
            self._changes(key, latest(before, key), latest(progress.episodes, key))
        if self._last is None or progress.number != self._last.number:
            if self._last:
                self._measured(progress.began, self._last.measured)
            self._line(
                progress.began, f"phase {progress.number + 1} of {len(progress.phases)}: {progress.phase.happens}"
            )
        self._last = progress

    def _measured(self, at: float, measured: Measured) -> None:
        ratio, p95 = _percent(measured.error_ratio), _duration(measured.p95)
        self._line(at, f"measured: {_rate(measured.requests)}, error ratio {ratio}, p95 {p95}")

    def _changes(self, key: Key, old: Episode, new: Episode) -> None:
        for name in TIMES:
            at = getattr(new, name)
            if at is not None and at != getattr(old, name):
                self._line(at, f"{key}: {name}")

    def _line(self, at: float, text: str) -> None:
        self._write(f"{at:6.1f} s  {text}")


# --- Which of them, and the end --------------------------------------------------------------------------------------


@contextmanager
def showing(console: Console, settings: Settings, clock: Callable[[], float]) -> Iterator[View]:
    """Show the progress on a console until the context ends: live in a terminal, otherwise as plain lines."""
    if not console.file.isatty() or console.is_dumb_terminal:
        yield PlainView(lambda line: console.print(line, soft_wrap=True, markup=False, highlight=False))
        return
    view = LiveView(settings, clock)
    with Live(view, console=console, refresh_per_second=4, transient=True):
        yield view


def report(console: Console, phases: Sequence[Phase], episodes: Episodes, ending: Ending) -> None:
    """Print the table of alerts, followed by all faults and the summary."""
    style = "bold red" if ending.faults else "bold green"
    console.print(alert_table(phases, episodes))
    for sentence in (*ending.faults, ending.summary):
        console.print(sentence, style=style, markup=False, highlight=False, soft_wrap=not console.is_terminal)
