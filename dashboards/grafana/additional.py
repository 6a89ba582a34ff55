"""Reads the team's own dashboards from the files named in ``dashboards.own``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from dashboards.grafana.client import PublishError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def own_dashboards(paths: Sequence[str]) -> dict[str, dict[str, object]]:
    """File name to Grafana's JSON.

    Args:
        paths: Files, and folders of which all ``.json`` files are read.

    Raises:
        PublishError: ``dashboard_unreadable``.
    """
    return {str(file): _read(file) for path in paths for file in _files(Path(path))}


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    files = sorted(path.glob("*.json"))
    if not files:
        raise _unreadable(path, "is a folder without .json files")
    yield from files


def _read(file: Path) -> dict[str, object]:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise _unreadable(file, f"cannot be read ({error.strerror})") from error
    except ValueError as error:  # of JSON and of UTF-8
        raise _unreadable(file, f"is not JSON ({error})") from error
    if not isinstance(data, dict):
        raise _unreadable(file, "contains no dashboard")
    if data.get("__inputs"):
        raise _unreadable(file, "was exported for sharing externally, so it has an input for its data source")
    return data


def _unreadable(path: Path, problem: str) -> PublishError:
    advice = "give dashboards in JSON, as shown on Grafana's page JSON Model"
    return PublishError(f"dashboards.own: {path} {problem}; {advice}.", code="dashboard_unreadable")
