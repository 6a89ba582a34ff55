"""What people see: a live picture in a terminal, plain lines with the time elsewhere, and the table at the end."""

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
class Scene:
    """One moment of the demo.

    Attributes:
        phases: All phases.
        number: Which of them is played, from 0.
        began: When it began, in seconds since the demo began.
        waits: What has not happened yet.
        measured: What the rules compare with their thresholds.
        episodes: What became of the alerts.
    """

    phases: Sequence[Phase]
    number: int
    began: float
    waits: Sequence[str]
    measured: Measured
    episodes: Episodes

    @property
    def phase(self) -> Phase:
        """The phase that is played."""
        return self.phases[self.number]


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How it went.

    Attributes:
        faults: Sentences; empty where all went well.
        seconds: How long the demo took.
        made: How many requests it made.
        lost: How many of them got no answer.
    """

    faults: Sequence[str]
    seconds: float
    made: int
    lost: int

    @property
    def summary(self) -> str:
        """One sentence on the alerts, one on the effort."""
        sentence = (
            "Not as it should be, for the reasons above; with --keep everything stays to be looked at."
            if self.faults
            else "As it should be: every alert fired, was delivered and resolved, and no other did."
        )
        return f"{sentence} {self.seconds:.0f} s, {self.made} requests, {self.lost} without an answer."


class View(Protocol):
    """Shows scenes as they come."""

    def show(self, scene: Scene) -> None:
        """Show the latest scene."""


# --- What both views and the end share -------------------------------------------------------------------------------


def alert_table(phases: Sequence[Phase], episodes: Episodes) -> Table:
    """How far each alert has come, and when, in seconds since the demo began; those nobody expects come last."""
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
    """A duration as people say it.

    >>> _duration(0.0224), _duration(1.0), _duration(1.4625)
    ('22 ms', '1 s', '1.46 s')
    """
    if seconds is None:
        return "no data"
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1000 * seconds:.0f} ms"


# --- In a terminal ---------------------------------------------------------------------------------------------------


class LiveView:
    """A picture that changes in place.

    Args:
        settings: For the thresholds.
        clock: Gives the seconds since the demo began.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        self._thresholds = settings.thresholds
        self._clock = clock
        self._scene: Scene | None = None

    def show(self, scene: Scene) -> None:
        """Show the latest scene at the next refresh."""
        self._scene = scene

    def __rich__(self) -> RenderableType:
        if self._scene is None:
            return Text("Starting ...")
        scene = self._scene
        return Padding(
            Group(
                self._progress(scene),
                Text(),
                self._phase(scene),
                Text(),
                self._measured(scene.measured),
                alert_table(scene.phases, scene.episodes),
            ),
            (1, 0, 0, 0),
        )

    def _progress(self, scene: Scene) -> Table:
        row = Table.grid(padding=(0, 2), expand=True)
        row.add_column(no_wrap=True)
        row.add_column(ratio=1)
        row.add_column(no_wrap=True, justify="right")
        total = len(scene.phases)
        bar = ProgressBar(total=total, completed=scene.number, complete_style="cyan")
        row.add_row(Text(f"Phase {scene.number + 1} of {total}", "bold"), bar, f"{self._clock():.0f} s")
        return row

    def _phase(self, scene: Scene) -> Group:
        rest = f"  {scene.phase.happens}"
        waits = ", ".join(scene.waits) or "nothing"
        seconds = self._clock() - scene.began
        return Group(
            Text.assemble((scene.phase.name, "bold cyan"), rest, no_wrap=True, overflow="ellipsis"),
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
    """A line for everything that changes.

    Args:
        write: Takes a line.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._last: Scene | None = None

    def show(self, scene: Scene) -> None:
        """Write what is new since the scene before."""
        before = self._last.episodes if self._last else {}
        for key in scene.episodes:
            self._changes(key, latest(before, key), latest(scene.episodes, key))
        if self._last is None or scene.number != self._last.number:
            if self._last:
                self._measured(scene.began, self._last.measured)
            self._line(scene.began, f"phase {scene.number + 1} of {len(scene.phases)}: {scene.phase.happens}")
        self._last = scene

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
    """Show scenes on a console until the context ends: live in a terminal, else in plain lines."""
    if not console.file.isatty() or console.is_dumb_terminal:
        yield PlainView(lambda line: console.print(line, soft_wrap=True, markup=False, highlight=False))
        return
    view = LiveView(settings, clock)
    with Live(view, console=console, refresh_per_second=4, transient=True):
        yield view


def report(console: Console, phases: Sequence[Phase], episodes: Episodes, ending: Ending) -> None:
    """Print the table of transitions, and then one sentence or every fault."""
    style = "bold red" if ending.faults else "bold green"
    console.print(alert_table(phases, episodes))
    for sentence in (*ending.faults, ending.summary):
        console.print(sentence, style=style, markup=False, highlight=False, soft_wrap=not console.is_terminal)
