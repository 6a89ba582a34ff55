"""What a program, a release and a source of a release are."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Shell(Protocol):
    """What a source may use of the machine; the toolbox is one."""

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment that commands get."""

    @property
    def say(self) -> Callable[[str], None]:
        """Takes one line of progress."""

    def tool(self, name: str) -> Path:
        """Return another program's path; bring it first if it is nowhere."""

    def command(
        self, *argv: str, timeout: float, cwd: Path | None = None, environ: Mapping[str, str] | None = None
    ) -> str:
        """Run a command and return its output."""

    def network(
        self, *argv: str, timeout: float, cwd: Path | None = None, environ: Mapping[str, str] | None = None
    ) -> str:
        """Run a command that uses the network, which may be tried again."""


class Source(Protocol):
    """One way to get a release."""

    def fetch(self, release: Release, folder: Path, shell: Shell) -> None:
        """Leave every program of the release in ``folder/bin``.

        Raises:
            ToolError: It cannot be had this way.
        """


@dataclass(frozen=True, kw_only=True)
class Program:
    """One executable.

    Attributes:
        name: What callers ask for.
        files: What machines call it; the first is its name in the cache.
        version: The arguments that make it print its version.
    """

    name: str
    files: tuple[str, ...]
    version: tuple[str, ...] = ("--version",)


@dataclass(frozen=True, kw_only=True)
class Release:
    """The one pinned version of a project, and the programs that come with it.

    Attributes:
        name: The project; with the version it names the folder in the cache.
        version: The version that is fetched.
        serves: The oldest version on `PATH` that serves, and the first that does not.
        programs: What it brings; all of them come from one place.
        sources: Where to get it, in order of preference.
        on_demand: Whether it is brought only when somebody asks for it: another release's source, or a test.
        edition: Raised where the same version is made otherwise, so that what a cache holds of it is made anew.
    """

    name: str
    version: str
    serves: tuple[str, str]
    programs: tuple[Program, ...]
    sources: tuple[Source, ...]
    on_demand: bool = False
    edition: int = 1

    def __str__(self) -> str:
        return f"{', '.join(program.files[0] for program in self.programs)} {self.version}"


def which(program: Program, path: str) -> Path | None:
    """Where a program stands in a search path, under any of its file names."""
    found = (shutil.which(file, path=path) for file in program.files)
    return next(map(Path, filter(None, found)), None)
