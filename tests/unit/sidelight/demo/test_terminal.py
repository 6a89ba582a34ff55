"""Every alert is shown with its times, in a terminal of 80 columns and 24 lines, and in a log."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from instrumentation.settings import Settings, parse_settings
from sidelight.demo.prometheus_queries import Measured
from sidelight.demo.scenario import ERRORS_CRITICAL, ERRORS_WARNING, PHASES
from sidelight.demo.terminal import Ending, LiveView, PlainView, Progress, alert_table, report, showing
from sidelight.demo.timeline import Episode, Key

DOWN = Key("ServiceDown", "critical")
FULL = {key: (Episode(pending=100.1, fired=101.2, delivered=102.3, resolved=103.4),) for p in PHASES for key in p.fires}
PROGRESS = Progress(
    phases=PHASES,
    number=2,
    began=21.0,
    waits=("HighErrorRate critical to fire",),
    measured=Measured(requests=49.7, error_ratio=0.0776, p95=0.0225),
    episodes=FULL,
)


def console(width: int = 80, encoding: str = "utf-8") -> Console:
    return Console(file=io.TextIOWrapper(io.BytesIO(), encoding=encoding), width=width)


def printed(console: Console) -> str:
    file = console.file
    assert isinstance(file, io.TextIOWrapper)
    file.flush()
    file.seek(0)
    return file.read()


def live(progress: Progress | None, width: int = 80, settings: Settings | None = None) -> list[str]:
    view = LiveView(settings or Settings(), lambda: 33.0)
    if progress:
        view.show(progress)
    screen = console(width)
    screen.print(view)
    return printed(screen).splitlines()


def plain(*steps: Progress) -> list[str]:
    lines: list[str] = []
    view = PlainView(lines.append)
    for progress in steps:
        view.show(progress)
    return lines


@pytest.mark.parametrize("width", [80, 120])
def test_the_live_picture_shows_phase_measurements_and_alerts_and_nothing_is_cut(width: int) -> None:
    lines = live(PROGRESS, width)
    text = "\n".join(lines)
    for part in (
        "Phase 3 of 9",
        "33 s",
        PHASES[2].happens,
        "12 s, waiting for HighErrorRate critical to fire",
        "50 requests/s",
        "7.76 % warning above 1 %, critical above 5 %",
        "22 ms warning above 500 ms, critical above 1 s",
        "100.1 s 101.2 s 102.3 s 103.4 s",
    ):
        assert part in " ".join(text.split()), part
    assert "…" not in text
    assert max(map(len, lines)) <= width
    assert len(lines) <= 20  # beside the five lines above it


def test_the_live_picture_shows_the_thresholds_of_the_settings() -> None:
    settings = parse_settings({"thresholds": {"error_ratio": {"warning": 0.03}}})
    assert "warning above 3 %, critical above 5 %" in "\n".join(live(PROGRESS, settings=settings))


def test_the_live_picture_marks_missing_data() -> None:
    assert "\n".join(live(replace(PROGRESS, measured=Measured()))).count("no data") == 3


def test_the_live_picture_has_something_to_show_before_the_first_phase() -> None:
    assert live(None) == ["Starting ..."]


def test_long_waits_are_cut_rather_than_wrapped() -> None:
    waits = ("Prometheus to forget version 1.0.0", "DeploymentCompleted info to fire", "HighErrorRate critical to fire")
    assert len(live(replace(PROGRESS, waits=waits))) == len(live(PROGRESS))


def test_a_log_has_a_line_for_everything_that_changes() -> None:
    calm = replace(PROGRESS, number=0, began=0.0, measured=Measured(), episodes={})
    wind = replace(calm, number=1, began=15.0, episodes={ERRORS_WARNING: (Episode(pending=16.0),)})
    later = replace(wind, episodes={ERRORS_WARNING: (Episode(pending=16.0, fired=21.0, delivered=22.5),)})
    assert plain(calm, calm, wind, wind, later, later) == [
        f"   0.0 s  phase 1 of 9: {PHASES[0].happens}",
        "  16.0 s  HighErrorRate warning: pending",
        "  15.0 s  measured: no data, error ratio no data, p95 no data",
        f"  15.0 s  phase 2 of 9: {PHASES[1].happens}",
        "  21.0 s  HighErrorRate warning: fired",
        "  22.5 s  HighErrorRate warning: delivered",
    ]


def test_a_log_ends_each_phase_with_what_was_measured() -> None:
    lines = plain(PROGRESS, replace(PROGRESS, number=3, began=30.0))
    assert "  30.0 s  measured: 50 requests/s, error ratio 7.76 %, p95 22 ms" in lines


def test_every_expected_alert_has_a_row_from_the_beginning_and_others_follow() -> None:
    screen = console()
    screen.print(alert_table(PHASES, {DOWN: (Episode(pending=7.0),)}))
    rows = [line.split() for line in printed(screen).splitlines()[3:] if line.strip()]
    assert [Key(*row[:2]) for row in rows] == [*(key for phase in PHASES for key in phase.fires), DOWN]
    assert [row[2] for row in rows] == ["inactive"] * 7 + ["pending"]
    assert rows[-1][3:] == ["7.0", "s"]


def test_the_row_of_an_alert_shows_its_latest_episode() -> None:
    screen = console()
    twice = (Episode(pending=1.0, fired=2.0, resolved=3.0), Episode(pending=7.0))
    screen.print(alert_table(PHASES, {ERRORS_CRITICAL: twice}))
    assert "HighErrorRate critical pending 7.0 s" in " ".join(printed(screen).split())


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_the_report_prints_the_table_and_a_sentence_in_any_encoding(encoding: str) -> None:
    screen = console(encoding=encoding)
    report(screen, PHASES, FULL, Ending(faults=(), seconds=103.7, made=5051, lost=3))
    assert printed(screen).splitlines()[-1] == (
        "Passed: every expected alert fired, was delivered and resolved, and no other alert fired. "
        "104 s, 5051 requests, 3 without a response."
    )


def test_the_report_names_every_fault() -> None:
    screen = console()
    report(screen, PHASES, FULL, Ending(faults=("This.", "That."), seconds=103.7, made=5051, lost=0))
    *_, first, second, last = printed(screen).splitlines()
    assert (first, second) == ("This.", "That.")
    assert last.startswith("Failed for the reasons above;")


def test_without_a_terminal_the_view_is_plain() -> None:
    screen = console()
    with showing(screen, Settings(), lambda: 33.0) as view:
        view.show(PROGRESS)
    assert isinstance(view, PlainView)
    assert f"  21.0 s  phase 3 of 9: {PHASES[2].happens}" in printed(screen).splitlines()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_in_a_terminal_the_view_is_live_and_leaves_nothing_behind() -> None:
    screen = Console(file=Terminal(), width=80, force_terminal=True, _environ={"TERM": "xterm"})
    with showing(screen, Settings(), lambda: 33.0) as view:
        view.show(PROGRESS)
    assert isinstance(view, LiveView)


def test_a_dumb_terminal_gets_plain_lines() -> None:
    screen = Console(file=Terminal(), width=80, _environ={"TERM": "dumb"})
    with showing(screen, Settings(), lambda: 33.0) as view:
        assert isinstance(view, PlainView)
