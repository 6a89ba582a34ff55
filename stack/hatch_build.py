"""Adds the packages to wheel and sdist: they are beside this folder in the repository, and inside it in an sdist.

Hatchling's own ``force-include`` cannot do this: its one path fits either the repository or the sdist (pypa/hatch#1305).
"""

# ruff: noqa: INP001  # hatchling loads this file by its path

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PLACES_IN_WHEEL = {
    "alerts": "alerts",
    "collector": "collector",
    "dashboards": "dashboards",
    "sidelight": "sidelight",
    "examples": "sidelight/share/examples",
    "helm": "sidelight/share/helm",
    "docs/runbooks": "sidelight/share/docs/runbooks",
}


class StackHook(BuildHookInterface[Any]):
    """Selects the files of wheel and sdist, and pins sidelight to this version."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Fill hatchling's ``build_data``. An editable install needs no files, because it reads the repository."""
        build_data["dependencies"].append(f"sidelight=={self.metadata.version}")
        if version == "editable":
            return
        for source, place in PLACES_IN_WHEEL.items():
            path = self._path(source)
            build_data["force_include"][str(path)] = place if self.target_name == "wheel" else source

    def _path(self, source: str) -> Path:
        here = Path(self.root)
        return here / source if (here / "PKG-INFO").is_file() else here.parent / source
