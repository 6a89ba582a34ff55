"""Adds the packages to wheel and sdist: they are beside this folder in the repository, and inside it in an sdist.

Hatchling's own ``force-include`` cannot do this: its one path fits either the repository or the sdist (pypa/hatch#1305).
"""

# ruff: noqa: INP001  # hatchling loads this file by its path

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

if TYPE_CHECKING:
    from collections.abc import Iterator

PLACES_IN_WHEEL = {
    "alerts": "alerts",
    "collector": "collector",
    "dashboards": "dashboards",
    "sidelight": "sidelight",
    "examples": "sidelight/share/examples",
    "helm": "sidelight/share/helm",
    "docs/runbooks": "sidelight/share/docs/runbooks",
}
ONLY_IN_SDIST = ("sidelight/view/page", "sidelight/view/bundle.py")
"""The sources of the page of ``sidelight view``, and what builds it from them: the wheel has the page as built."""


class StackHook(BuildHookInterface[Any]):
    """Selects the files of wheel and sdist, and pins sidelight to this version."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Fill hatchling's ``build_data``. An editable install needs no files, because it reads the repository."""
        build_data["dependencies"].append(f"sidelight=={self.metadata.version}")
        if version == "editable":
            return
        for source, place in PLACES_IN_WHEEL.items():
            for path in self._paths(source) if self.target_name == "wheel" else (source,):
                target = path.replace(source, place, 1) if self.target_name == "wheel" else path
                build_data["force_include"][str(self._path(path))] = target

    def _paths(self, source: str) -> Iterator[str]:
        """A folder, or what is in it where some of it is left out."""
        if not any(path.startswith(f"{source}/") for path in ONLY_IN_SDIST):
            yield source
            return
        for child in sorted(self._path(source).iterdir()):
            path = f"{source}/{child.name}"
            if path not in ONLY_IN_SDIST and child.name != "__pycache__":
                yield from self._paths(path)

    def _path(self, source: str) -> Path:
        here = Path(self.root)
        return here / source if (here / "PKG-INFO").is_file() else here.parent / source
