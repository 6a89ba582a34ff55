"""``python -m benchmarks.pictures``: runs the demo, then draws the dashboards and the page that shows them, for the documentation."""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from benchmarks.console import say
from benchmarks.pictures.drawing import asked, draw
from benchmarks.pictures.photographs import photograph
from dashboards import DASHBOARDS
from sidelight.demo.main import prepare
from sidelight.demo.panels import seen
from sidelight.demo.phases import Director
from sidelight.demo.scenario import AFTERWARDS, PHASES
from sidelight.demo.services import running
from sidelight.demo.terminal import showing

if TYPE_CHECKING:
    from benchmarks.pictures.drawing import Board

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
        pictures = Path(name) / "pictures"
        pictures.mkdir()
        for board, faults in draw(_played(Path(name), options.output), pictures, widths=(WIDTH,)).items():
            say("\n".join([f"{board}:", *(faults or ["everything is readable"])]))
        for picture in pictures.glob("*.png"):
            shutil.copyfile(picture, options.output / picture.name.replace(f"-{WIDTH}", ""))


def _played(folder: Path, output: Path) -> dict[str, Board]:
    """The dashboards after a complete demo, and pictures of the page in the output folder."""
    epoch = time.time()

    def clock() -> float:
        return time.time() - epoch

    with running(folder, epoch=epoch, clock=clock, check=lambda: None) as stage:
        with showing(Console(), stage.settings, clock) as view:
            Director(stage, view, clock=clock, pause=time.sleep).play(PHASES)
        list(stage.enact(AFTERWARDS))
        say(str(seen(stage.watch, stage.settings)))
        time.sleep(_TROUBLED)
        photograph(stage.addresses["dashboards"], output)
        url, end = stage.prometheus.url, time.time()
        return {page: asked(_begun(build(stage.settings)), url, epoch, end) for page, build in DASHBOARDS.items()}


def _begun(dashboard: Any) -> Any:
    """A dashboard up to its first heatmap, which is part of Grafana itself and not of its components."""
    end = min((panel["gridPos"]["y"] for panel in dashboard["panels"] if panel["type"] == "heatmap"), default=inf)
    return {**dashboard, "panels": [panel for panel in dashboard["panels"] if panel["gridPos"]["y"] < end]}


if __name__ == "__main__":
    main()
