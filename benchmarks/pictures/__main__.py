"""``python -m benchmarks.pictures``: runs the demo, then draws the dashboards and the page that shows them, for the documentation."""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from benchmarks.pictures.photographs import photograph
from dashboards import DASHBOARDS
from instrumentation.settings import parse_settings
from sidelight.demo.main import prepare
from sidelight.demo.panels import seen
from sidelight.demo.phases import PhaseRunner
from sidelight.demo.scenario import AFTERWARDS, PHASES
from sidelight.demo.services import running
from sidelight.demo.terminal import showing
from tests.support.console import say
from tests.support.pictures.drawing import asked, draw
from tests.support.pictures.history import DAY, day

if TYPE_CHECKING:
    from tests.support.pictures.drawing import Board

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
WIDTH = 1280
_TROUBLED = 15.0  # seconds during which the alert of the last phase is visible in the picture


def main() -> None:
    """Run the demo and draw, in about three minutes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pictures", description=__doc__)
    parser.add_argument(
        "--output", type=Path, default=FOLDER, help="the folder to write to (default: the documentation's)"
    )
    options = parser.parse_args()
    options.output.mkdir(exist_ok=True)
    prepare()
    with tempfile.TemporaryDirectory() as name:
        pictures, history = Path(name) / "pictures", Path(name) / "history"
        pictures.mkdir()
        history.mkdir()
        boards = {**_played(Path(name), options.output), "business": _business(history)}
        for board, faults in draw(boards, pictures, widths=(WIDTH,)).items():
            say("\n".join([f"{board}:", *(faults or ["everything is readable"])]))
        for picture in pictures.glob("*.png"):
            shutil.copyfile(picture, options.output / picture.name.replace(f"-{WIDTH}", ""))


def _business(folder: Path) -> Board:
    """Business after a whole day, because its steps are hours."""
    settings, end = parse_settings({"budget": {"daily_usd": 200.0}}), time.time()
    with day(folder, settings, end) as url:
        return asked(DASHBOARDS["business"](settings), url, end - DAY, end)


def _played(folder: Path, output: Path) -> dict[str, Board]:
    """Fleet and Operations after a complete demo, and pictures of the page in the output folder."""
    epoch = time.time()

    def clock() -> float:
        return time.time() - epoch

    with running(folder, epoch=epoch, clock=clock, check=lambda: None) as services:
        with showing(Console(), services.settings, clock) as view:
            PhaseRunner(services, view, clock=clock, pause=time.sleep).run(PHASES)
        list(services.begin(AFTERWARDS))
        say(str(seen(services.watch, services.settings)))
        time.sleep(_TROUBLED)
        photograph(services.addresses["dashboards"], output)
        url, end = services.prometheus.url, time.time()
        return {page: asked(DASHBOARDS[page](services.settings), url, epoch, end) for page in ("fleet", "operations")}


if __name__ == "__main__":
    main()
