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
from sidelight.demo.phases import POLL, PhaseRunner
from sidelight.demo.scenario import AFTERWARDS, PHASES
from sidelight.demo.services import running
from sidelight.demo.terminal import Ending, report, showing
from sidelight.demo.verdict import verdict
from sidelight.toolchain import ensure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.demo.interrupts import Interrupts
    from sidelight.demo.services import Services


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
            return _run(folder, interrupts, console, keep=keep)
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


def _run(folder: Path, interrupts: Interrupts, console: Console, *, keep: bool) -> int:
    epoch = time.time()

    def clock() -> float:
        return time.time() - epoch

    console.print("Starting the shop, Prometheus and Alertmanager ...", highlight=False)
    with running(folder, epoch=epoch, clock=clock, check=interrupts.check) as services:
        _print_addresses(console, services)
        with showing(console, services.settings, clock) as view:
            runner = PhaseRunner(services, view, clock=clock, pause=interrupts.pause)
            spans = runner.run(PHASES)
        episodes = runner.timeline.episodes
        faults = verdict(PHASES, spans, episodes)
        if not faults:
            list(services.begin(AFTERWARDS))
            panels = seen(services.watch, services.settings, pause=interrupts.pause)
            faults = panels.faults
        ending = Ending(faults=faults, seconds=clock(), made=services.load.made, lost=services.load.lost)
        report(console, PHASES, episodes, ending)
        console.print("One request, followed through all outputs; its secrets appear in none of them:", highlight=False)
        console.print(str(services.follow()), soft_wrap=True, markup=False, highlight=False)
        if not faults:
            console.print(str(panels), soft_wrap=True, markup=False, highlight=False)
        if keep:
            _stay(console, services, interrupts)
    return 1 if faults else 0


def _stay(console: Console, services: Services, interrupts: Interrupts) -> None:
    console.print(f"Everything keeps running until you press Ctrl-C. {AFTERWARDS.happens}")
    _print_addresses(console, services)
    with suppress(Interrupted):  # after the verdict, this is the normal end
        while True:
            services.check()
            interrupts.pause(POLL)


def _print_addresses(console: Console, services: Services) -> None:
    for name, address in services.addresses.items():
        console.print(f"  {name:15} {address}", soft_wrap=True, markup=False, highlight=False)
