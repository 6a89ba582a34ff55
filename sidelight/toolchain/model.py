"""Programs, releases and sources of releases."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sidelight.toolchain.progress import Step


class Shell(Protocol):
    """What a source may use on the machine; implemented by the toolbox."""

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment of commands."""

    @property
    def say(self) -> Callable[[str], None]:
        """Print one line of progress."""

    @property
    def step(self) -> Step:
        """Show a step while it runs."""

    @property
    def now(self) -> Callable[[], float]:
        """Seconds of a clock that never goes back."""

    def tool(self, name: str) -> Path:
        """Return the path of another program, and get it first if necessary."""

    def command(
        self, *argv: str, timeout: float, cwd: Path | None = None, environ: Mapping[str, str] | None = None
    ) -> str:
        """Run a command and return its output."""

    def network(
        self, *argv: str, timeout: float, cwd: Path | None = None, environ: Mapping[str, str] | None = None
    ) -> str:
        """Run a command that uses the network and may be retried."""


class Source(Protocol):
    """One way to get a release."""

    def fetch(self, release: Release, folder: Path, shell: Shell) -> None:
        """Put every program of the release into ``folder/bin``.

        Raises:
            ToolError: The release is not available from this source.
        """


@dataclass(frozen=True, kw_only=True)
class Program:
    """One executable.

    Attributes:
        name: The name that callers use.
        files: Its possible file names; the first is its name in the cache.
        version: The arguments that make it print its version.
    """

    name: str
    files: tuple[str, ...]
    version: tuple[str, ...] = ("--version",)


@dataclass(frozen=True, kw_only=True)
class Release:
    """The pinned version of a project, and its programs.

    Attributes:
        name: The project; together with the version it names the folder in the cache.
        version: The version to get.
        serves: The oldest version on `PATH` that fits, and the first newer one that does not.
        programs: Its programs; all of them come from one source.
        sources: Where to get it, in order of preference.
        on_demand: Whether to get it only when another release's source or a test needs it.
        edition: Increased when the same version is built differently, so that cached copies are replaced.
        instead: Names of releases whose copy in the cache serves as well.
    """

    name: str
    version: str
    serves: tuple[str, str]
    programs: tuple[Program, ...]
    sources: tuple[Source, ...]
    on_demand: bool = False
    edition: int = 1
    instead: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{', '.join(program.files[0] for program in self.programs)} {self.version}"


def which(program: Program, path: str) -> Path | None:
    """The path of a program in a search path, under any of its file names."""
    found = (shutil.which(file, path=path) for file in program.files)
    return next(map(Path, filter(None, found)), None)
