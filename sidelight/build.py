"""Every generated file: all texts first, then the writing, each file in one move."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import alerts
import collector
import dashboards
from instrumentation.errors import SidelightError
from sidelight.chart import chart_files, dashboard_files
from sidelight.chart.sidecar import sidecar_chart_files
from sidelight.data_files import chart_folder, sidecar_chart_folder
from sidelight.reference.pages import reference_pages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from instrumentation.settings import Settings

    Files = Mapping[str, str]

_CHART, _SIDECAR = "helm/sidelight", "helm/sidelight-sidecar"


@dataclass(frozen=True, kw_only=True)
class Part:
    """One thing that can be built.

    Attributes:
        files: Settings to file texts, by path below the output folder.
        owned: Folders in which nothing but these files may stand.
    """

    files: Callable[[Settings], Files]
    owned: tuple[str, ...] = ()


def _below(folder: str, files: Files) -> dict[str, str]:
    return {f"{folder}/{name}": text for name, text in files.items()}


def _chart(settings: Settings) -> Files:
    panels = dashboard_files(dashboards.generated(settings))
    return {
        **_below(_CHART, {**_static(chart_folder()), **chart_files(settings), **panels}),
        **_below(_SIDECAR, {**_static(sidecar_chart_folder()), **sidecar_chart_files(settings)}),
    }


def _static(root: Path) -> Files:
    """What of a chart is written by hand, so that a chart built elsewhere is whole."""
    tops = ("Chart.yaml", ".helmignore", "UPGRADING.md", "README.md")
    paths = [*(root / name for name in tops), *sorted(root.glob("templates/**/*"))]
    return {path.relative_to(root).as_posix(): path.read_text("utf-8") for path in paths if path.is_file()}


PARTS: Mapping[str, Part] = {
    "alerts": Part(
        files=lambda settings: _below("alerts/generated", alerts.generated(settings)), owned=("alerts/generated",)
    ),
    "dashboards": Part(
        files=lambda settings: _below("dashboards/generated", dashboards.generated(settings)),
        owned=("dashboards/generated",),
    ),
    "collector": Part(
        files=lambda settings: _below("collector/generated", collector.generated(settings)),
        owned=("collector/generated",),
    ),
    "chart": Part(files=_chart, owned=(f"{_CHART}/files",)),
    "docs": Part(files=lambda settings: _below("docs", reference_pages(settings))),
}
"""What can be built, by name; ``docs`` are this project's own pages and are built only where they are named."""

DEFAULT_PARTS = ("alerts", "dashboards", "collector", "chart")


@dataclass(frozen=True, kw_only=True)
class Change:
    """What became of one file: ``written``, ``removed`` or ``unchanged``."""

    path: str
    verdict: str


def build(settings: Settings, output: Path, parts: Iterable[str] = DEFAULT_PARTS) -> list[Change]:
    """Write the files of some parts below a folder; nothing is written unless all of it could be made.

    Raises:
        SidelightError: ``part_unknown``; ``output_unwritable``.
    """
    chosen = [_part(name) for name in parts]
    made = [part.files(settings) for part in chosen]
    try:
        written = [_put(output, path, text) for files in made for path, text in sorted(files.items())]
        removed = [change for part, files in zip(chosen, made, strict=True) for change in _clear(output, part, files)]
    except OSError as error:
        raise SidelightError(
            f"{error.filename}: cannot be written ({error.strerror}); give another --output.", code="output_unwritable"
        ) from None
    return written + removed


def _part(name: str) -> Part:
    if name not in PARTS:
        raise SidelightError(f"build: got {name!r}; give one of {', '.join(PARTS)}.", code="part_unknown")
    return PARTS[name]


def _put(output: Path, path: str, text: str) -> Change:
    target = output / path
    data = text.encode("utf-8")
    if target.is_file() and target.read_bytes() == data:
        return Change(path=path, verdict="unchanged")
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        shutil.copymode(target, temporary) if target.exists() else Path(temporary).chmod(0o644)
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return Change(path=path, verdict="written")


def _clear(output: Path, part: Part, files: Files) -> Iterator[Change]:
    """Remove what an earlier build wrote and this one does not, such as the dashboard of a metric that is gone."""
    for folder in part.owned:
        for found in sorted((output / folder).rglob("*")):
            path = found.relative_to(output).as_posix()
            if found.is_file() and path not in files:
                found.unlink()
                yield Change(path=path, verdict="removed")
