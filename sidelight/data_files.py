"""Locations of data files: beside the packages in the repository, in ``share/`` in an installed wheel."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).parent


def chart_folder() -> Path:
    """The Helm chart."""
    return _shared("helm/sidelight")


def sidecar_chart_folder() -> Path:
    """The library chart for the sidecar."""
    return _shared("helm/sidelight-sidecar")


def examples_folder() -> Path:
    """The example service."""
    return _shared("examples")


def runbooks_folder() -> Path:
    """The runbooks, in Markdown."""
    return _shared("docs/runbooks")


def _shared(name: str) -> Path:
    installed = _HERE / "share" / name
    return installed if installed.exists() else _HERE.parent / name
