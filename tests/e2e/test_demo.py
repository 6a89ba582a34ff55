"""`sidelight demo`, the main job, ends well within four minutes and leaves nothing behind, however it ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
MARK = "SIDELIGHT_DEMO_TEST"
FOUR_MINUTES = 240.0  # seconds
SIDELIGHT = (sys.executable, "-c", "from sidelight.cli import main; main()")


@dataclass(frozen=True, kw_only=True)
class Demo:
    """A running demo; it and every process that descends from it carry a mark in their environment."""

    popen: subprocess.Popen[str]
    folder: Path
    mark: str

    def reads(self, part: str) -> list[str]:
        """Its lines up to the first with a part, or all."""
        lines = []
        for line in self.popen.stdout or ():
            lines.append(line.rstrip())
            if part in line:
                break
        return lines

    def processes(self) -> dict[str, int]:
        """Name to id of every process that carries the mark, but for those that only wait to be reaped."""
        found = {}
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if f"{MARK}={self.mark}".encode() in (process / "environ").read_bytes().split(b"\0"):
                    found[(process / "comm").read_text().strip()] = int(process.name)
        return found

    def leaves_nothing(self) -> bool:
        """Whether neither a process nor a file of it is there any more."""
        return self.processes() == {} and list(self.folder.iterdir()) == []


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    mark = uuid.uuid4().hex
    popen = subprocess.Popen(
        (*SIDELIGHT, "demo"),
        cwd=tmp_path.parent,
        env={**os.environ, MARK: mark, "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    timer = Timer(FOUR_MINUTES, popen.terminate)
    with popen:
        timer.start()
        yield Demo(popen=popen, folder=tmp_path, mark=mark)
        timer.cancel()
        popen.terminate()


def test_every_alert_fires_is_delivered_and_resolves_and_no_other_does(demo: Demo) -> None:
    lines = demo.reads("the demo says no such thing")
    assert demo.popen.wait() == 0, "\n".join(lines)
    end = next(number for number, line in enumerate(lines) if line.startswith("Passed: "))
    assert lines[end].startswith(
        "Passed: every expected alert fired, was delivered and resolved, and no other alert fired."
    )
    said, *followed, shown = lines[end + 1 :]
    assert shown.startswith("All panels have data")
    assert said == "One request, followed through all outputs; its secrets appear in none of them:"
    assert [line.split("  ")[1] for line in followed] == ["answer", "problem document", "log", "trace"]
    assert len({re.search(r"correlation[_-]id\W+([0-9a-f]{32})", line)[1] for line in followed}) == 1  # type: ignore[index]
    assert len(set(re.findall(r"trace_id\W+([0-9a-f]{32})", "\n".join(followed)))) == 1
    rows = [line.split()[:3] for line in lines[lines.index(next(line for line in lines if "Alert  " in line)) :]]
    assert [row for row in rows if row[2:] in (["delivered"], ["resolved"])] == [
        ["Watchdog", "none", "delivered"],
        ["HighErrorRate", "warning", "resolved"],
        ["HighErrorRate", "critical", "resolved"],
        ["HighLatencyP95", "warning", "resolved"],
        ["HighLatencyP95", "critical", "resolved"],
        ["PaymentsDeclined", "warning", "resolved"],
        ["DeploymentCompleted", "info", "resolved"],
    ]
    assert demo.leaves_nothing()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_in_the_middle_leaves_nothing_behind(demo: Demo, number: signal.Signals, status: int) -> None:
    demo.reads("Watchdog none: delivered")
    assert {"prometheus", "alertmanager"} <= set(demo.processes())
    demo.popen.send_signal(number)
    assert demo.popen.wait(FOUR_MINUTES) == status
    assert demo.leaves_nothing()


def test_a_part_that_dies_is_named_and_nothing_is_left(demo: Demo) -> None:
    demo.reads("Watchdog none: delivered")
    os.kill(demo.processes()["prometheus"], signal.SIGKILL)
    last = demo.reads("the demo says no such thing")
    assert demo.popen.wait(FOUR_MINUTES) == 1
    assert any(line.startswith("Prometheus stopped during the demo; the end of its log:") for line in last)
    assert demo.leaves_nothing()
