"""Writes the generated files: makes all texts first, then replaces each file atomically."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import alerts
import collector
import dashboards
from instrumentation.errors import SidelightError
from sidelight.chart import chart_files, dashboard_files
from sidelight.chart.manifests import FOLDER as MANIFESTS
from sidelight.chart.manifests import manifests
from sidelight.chart.sidecar import sidecar_chart_files
from sidelight.data_files import chart_folder, sidecar_chart_folder
from sidelight.runbooks.pages import FOLDER, runbook_pages
from sidelight.signals.pages import signal_pages

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from alerts.model import RuleGroup
    from instrumentation.settings import Settings

    Files = Mapping[str, str]

_CHART, _SIDECAR = "helm/sidelight", "helm/sidelight-sidecar"


class MakeFiles(Protocol):
    """Makes the texts of files from the settings, by path below the output folder."""

    def __call__(self, settings: Settings, made: Sequence[RuleGroup] | None = None, /) -> Files:
        """The texts; ``made`` are the rule groups of these settings, if they have been made already."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """A group of files that are built together.

    Attributes:
        files: Makes the texts.
        owned: Folders that may contain only these files.
    """

    files: MakeFiles
    owned: tuple[str, ...] = ()


def _below(folder: str, files: Files) -> dict[str, str]:
    return {f"{folder}/{name}": text for name, text in files.items()}


def _chart(settings: Settings, made: Sequence[RuleGroup] | None = None) -> Files:
    panels = dashboard_files(dashboards.generated(settings))
    return {
        **_below(_CHART, {**_static(chart_folder()), **chart_files(settings, made), **panels}),
        **_below(_SIDECAR, {**_static(sidecar_chart_folder()), **sidecar_chart_files(settings)}),
    }


def _static(root: Path) -> Files:
    """The hand-written files of a chart, so that a chart built elsewhere is complete."""
    tops = ("Chart.yaml", ".helmignore", "UPGRADING.md", "README.md")
    paths = [*(root / name for name in tops), *sorted(root.glob("templates/**/*"))]
    return {path.relative_to(root).as_posix(): path.read_text("utf-8") for path in paths if path.is_file()}


PARTS: Mapping[str, Part] = {
    "alerts": Part(
        files=lambda settings, made=None: _below("alerts/generated", alerts.generated(settings, made)),
        owned=("alerts/generated",),
    ),
    "dashboards": Part(
        files=lambda settings, _=None: _below("dashboards/generated", dashboards.generated(settings)),
        owned=("dashboards/generated",),
    ),
    "collector": Part(
        files=lambda settings, _=None: _below("collector/generated", collector.generated(settings)),
        owned=("collector/generated",),
    ),
    "chart": Part(files=_chart, owned=(f"{_CHART}/files",)),
    "signals": Part(files=lambda settings, _=None: signal_pages(settings), owned=("signals",)),
    "runbooks": Part(files=lambda settings, _=None: runbook_pages(settings), owned=(FOLDER,)),
}
"""The parts by name."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """What happened to a file: ``written``, ``removed`` or ``unchanged``."""

    path: str
    verdict: str


def build_manifests(settings: Settings, output: Path, namespace: str, values: Sequence[Path]) -> list[Change]:
    """Write the chart's objects as plain manifests; those of an earlier build that are no longer there are removed.

    Raises:
        SidelightError: As ``manifests``, and ``output_unwritable``.
    """
    chart = {
        path.removeprefix(f"{_CHART}/"): text
        for path, text in _chart(settings).items()
        if path.startswith(f"{_CHART}/")
    }
    files = manifests(chart, namespace, values)
    written = write(files, output)
    with _writing():
        return [*written, *_clear(output, (MANIFESTS,), files)]


def build(settings: Settings, output: Path, parts: Iterable[str] = tuple(PARTS)) -> list[Change]:
    """Write the files of some parts to a folder; if any text cannot be made, nothing is written.

    Raises:
        SidelightError: ``part_unknown``; ``output_unwritable``.
    """
    chosen = [_part(name) for name in parts]
    rule_groups = alerts.groups(settings)
    made = [part.files(settings, rule_groups) for part in chosen]
    written = [change for files in made for change in write(files, output)]
    with _writing():
        removed = [
            change for part, files in zip(chosen, made, strict=True) for change in _clear(output, part.owned, files)
        ]
    return written + removed


def write(files: Files, output: Path) -> list[Change]:
    """Write files, given as path below the output folder to text; those that are equal are left alone.

    Raises:
        SidelightError: ``output_unwritable``.
    """
    with _writing():
        return [_put(output, path, text) for path, text in sorted(files.items())]


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SidelightError(
            f"{error.filename}: cannot be written ({error.strerror}); choose another --output.",
            code="output_unwritable",
        ) from None


def _part(name: str) -> Part:
    if name not in PARTS:
        raise SidelightError(f"build: got {name!r}; give one of {', '.join([*PARTS, MANIFESTS])}.", code="part_unknown")
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


def _clear(output: Path, owned: Iterable[str], files: Files) -> Iterator[Change]:
    """Remove files of an earlier build that this one did not write."""
    for folder in owned:
        for found in sorted((output / folder).rglob("*")):
            path = found.relative_to(output).as_posix()
            if found.is_file() and path not in files:
                found.unlink()
                yield Change(path=path, verdict="removed")
