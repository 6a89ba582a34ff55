"""Runs the demo from beginning to end and reports whether it went as expected."""

from __future__ import annotations

import tempfile
import time
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from sidelight.data_files import examples_folder
from sidelight.demo.errors import DemoError
from sidelight.demo.interrupts import Interrupted, noticed
from sidelight.demo.panels import seen
from sidelight.demo.phases import POLL, Director
from sidelight.demo.scenario import AFTERWARDS, PHASES
from sidelight.demo.services import running
from sidelight.demo.terminal import Ending, report, showing
from sidelight.demo.verdict import verdict
from sidelight.toolchain import ensure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.demo.interrupts import Interrupts
    from sidelight.demo.services import Stage


def run(*, keep: bool = False) -> int:
    """Run the demo and return the exit status.

    Args:
        keep: Leave everything running after the last phase until a signal arrives, and keep the files.

    Returns:
        0 if every alert behaved as expected and no other alert did anything, otherwise 1; 128 + n if signal n ended it.

    Raises:
        DemoError: Something that the demo needs is missing or stopped unexpectedly.
        ToolError: Prometheus or Alertmanager is not available.
        ProcessError: A process does not start.
    """
    prepare()
    console = Console()
    try:
        with noticed() as interrupts, _folder(keep=keep) as folder:
            return _play(folder, interrupts, console, keep=keep)
    except Interrupted as signal:
        console.print(f"{signal}: stopped early; nothing is left running.", highlight=False)
        return signal.status


def prepare() -> None:
    """Check that everything is available before anything is started.

    Raises:
        DemoError: Something is missing.
        ToolError: Prometheus or Alertmanager is not available.
    """
    for package in ("fastapi", "uvicorn", "websockets"):
        if find_spec(package) is None:
            message = (
                f"The demo's shop needs {package}, which is not installed; run pip install 'sidelight-stack[demo]'."
            )
            raise DemoError(message, code="demo_package_missing", details={"package": package})
    if not (examples_folder() / "shop").is_dir():
        message = f"{examples_folder() / 'shop'} is missing; install sidelight-stack again."
        raise DemoError(message, code="demo_shop_missing")
    ensure(("any-prometheus", "any-alertmanager"))


@contextmanager
def _folder(*, keep: bool) -> Iterator[Path]:
    prefix = "sidelight-demo-"
    if keep:
        yield Path(tempfile.mkdtemp(prefix=prefix))
        return
    with tempfile.TemporaryDirectory(prefix=prefix) as folder:
        yield Path(folder)


def _play(folder: Path, interrupts: Interrupts, console: Console, *, keep: bool) -> int:
    epoch = time.time()

    def clock() -> float:
        return time.time() - epoch

    console.print("Starting the shop, Prometheus and Alertmanager ...", highlight=False)
    with running(folder, epoch=epoch, clock=clock, check=interrupts.check) as stage:
        _print_addresses(console, stage)
        with showing(console, stage.settings, clock) as view:
            director = Director(stage, view, clock=clock, pause=interrupts.pause)
            spans = director.play(PHASES)
        episodes = director.timeline.episodes
        faults = verdict(PHASES, spans, episodes)
        if not faults:
            list(stage.enact(AFTERWARDS))
            panels = seen(stage.watch, stage.settings, pause=interrupts.pause)
            faults = panels.faults
        ending = Ending(faults=faults, seconds=clock(), made=stage.load.made, lost=stage.load.lost)
        report(console, PHASES, episodes, ending)
        console.print("One request, followed through all outputs; its secrets appear in none of them:", highlight=False)
        console.print(str(stage.follow()), soft_wrap=True, markup=False, highlight=False)
        if not faults:
            console.print(str(panels), soft_wrap=True, markup=False, highlight=False)
        if keep:
            _stay(console, stage, interrupts)
    return 1 if faults else 0


def _stay(console: Console, stage: Stage, interrupts: Interrupts) -> None:
    console.print(f"Everything keeps running until you press Ctrl-C. {AFTERWARDS.happens}")
    _print_addresses(console, stage)
    with suppress(Interrupted):  # after the verdict, this is the normal end
        while True:
            stage.check()
            interrupts.pause(POLL)


def _print_addresses(console: Console, stage: Stage) -> None:
    for name, address in stage.addresses.items():
        console.print(f"  {name:15} {address}", soft_wrap=True, markup=False, highlight=False)
