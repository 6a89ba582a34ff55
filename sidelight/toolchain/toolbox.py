"""Gets the pinned programs used by build, tests and demo into a cache outside the repository.

For each release it tries, in this order: the cache; `PATH`, if the version fits; the release's sources, usually Debian's
package unpacked without root, and a build with Go. Needs only the standard library.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sidelight.toolchain.commands import failed, run_command, short
from sidelight.toolchain.errors import ToolError
from sidelight.toolchain.model import which
from sidelight.toolchain.releases import RELEASES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from sidelight.toolchain.commands import Run
    from sidelight.toolchain.model import Program, Release, Source

MINUTE = 60.0  # seconds
ATTEMPTS = 3
FIRST_PAUSE = 2.0  # seconds before the second attempt; doubles


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201  # progress is for people, on stderr


def _cache(environ: Mapping[str, str]) -> Path:
    if given := environ.get("SIDELIGHT_TOOLS_DIR"):
        return Path(given).absolute()
    home = environ.get("XDG_CACHE_HOME") or Path(environ.get("HOME") or Path.home(), ".cache")
    return Path(home, "sidelight", "tools").absolute()


@dataclass(frozen=True, kw_only=True)
class Toolbox:
    """Finds programs, and gets missing ones.

    Attributes:
        releases: The table of releases.
        environ: The environment; `PATH`, `SIDELIGHT_TOOLS_DIR`, `XDG_CACHE_HOME` and `HOME` are read, commands get all.
        run: Runs a command.
        say: Prints one line of progress.
        sleep: Sleeps for some seconds before a network command is retried.
    """

    releases: tuple[Release, ...] = RELEASES
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)
    run: Run = run_command
    say: Callable[[str], None] = _say
    sleep: Callable[[float], None] = time.sleep

    @property
    def cache(self) -> Path:
        """The folder that contains one folder per release."""
        return _cache(self.environ)

    @property
    def names(self) -> tuple[str, ...]:
        """All programs except those that are only installed on demand."""
        return tuple(program.name for release in self.releases if not release.on_demand for program in release.programs)

    def tool(self, name: str) -> Path:
        """Return the path of a program, and get it first if necessary.

        Raises:
            ToolError: The name is not in the table, or no source has it.
        """
        release = self._release(name)
        return self._cached(release).get(name) or self._found_or_brought(release)[name]

    def ensure(self, names: Iterable[str] | None = None) -> dict[str, Path]:
        """Get the named programs (default: all), with one line of progress per release.

        Raises:
            ToolError: As `tool`.
        """
        wanted = {name: self._release(name) for name in (self.names if names is None else names)}
        paths: dict[str, Path] = {}
        for release in self.releases:
            if release in wanted.values():
                paths |= self._announced(release)
        return {name: paths[name] for name in wanted}

    def command(
        self,
        *argv: str,
        timeout: float,
        cwd: Path | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> str:
        """Run a command with changes to the environment and return its output.

        Raises:
            ToolError: It does not exist, took too long, or its exit status is not 0.
        """
        merged = {**self.environ, "LC_ALL": "C.UTF-8", **(environ or {})}
        outcome = self.run(argv, timeout=timeout, cwd=cwd, environ=merged)
        if outcome.status != 0:
            raise failed(argv, outcome)
        return outcome.output

    def network(
        self,
        *argv: str,
        timeout: float,
        cwd: Path | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> str:
        """Run a command like `command` does, and retry it after a pause if the network failed.

        Raises:
            ToolError: As `command`; for network failures, only after the last attempt.
        """
        for attempt in range(1, ATTEMPTS):
            try:
                return self.command(*argv, timeout=timeout, cwd=cwd, environ=environ)
            except ToolError as error:
                if not error.details.get("transient"):
                    raise
                self.say(f"{short(argv)}: the network failed, attempt {attempt + 1} of {ATTEMPTS}")
                self.sleep(FIRST_PAUSE * 2 ** (attempt - 1))
        return self.command(*argv, timeout=timeout, cwd=cwd, environ=environ)

    def _release(self, name: str) -> Release:
        for release in self.releases:
            if any(program.name == name for program in release.programs):
                return release
        message = f"There is no tool {name!r}; choose one of {', '.join(self.names)}."
        raise ToolError(message, code="tool_unknown", details={"name": name})

    def _folder(self, release: Release) -> Path:
        edition = f"-{release.edition}" if release.edition > 1 else ""
        return self.cache / f"{release.name}-{release.version}{edition}"

    def _cached(self, release: Release) -> dict[str, Path]:
        """The release's folder in the cache. It is created atomically, so its existence means that it is complete."""
        folder = self._folder(release)
        return _programs(release, folder) if folder.is_dir() else {}

    def _announced(self, release: Release) -> dict[str, Path]:
        if cached := self._cached(release):
            self.say(f"{release}: in the cache")
            return cached
        return self._found_or_brought(release)

    def _found_or_brought(self, release: Release) -> dict[str, Path]:
        if found := self._on_path(release):
            self.say(f"{', '.join(map(str, found.values()))}: on PATH")
            return found
        with self._locked(release):
            return self._cached(release) or self._bring(release)

    def _on_path(self, release: Release) -> dict[str, Path]:
        found: dict[str, Path] = {}
        for program in release.programs:
            path = which(program, self.environ.get("PATH", ""))
            if path is None or not self._serves(program, path, release.serves):
                return {}
            found[program.name] = path
        return found

    def _serves(self, program: Program, path: Path, serves: tuple[str, str]) -> bool:
        oldest, first_too_new = map(_version, serves)
        try:
            return oldest <= self._printed_version(program, path) < first_too_new
        except ToolError:  # a broken program on PATH is ignored
            return False

    def _printed_version(self, program: Program, path: Path) -> tuple[int, ...]:
        return _version(self.command(str(path), *program.version, timeout=MINUTE, environ={"GOTOOLCHAIN": "local"}))

    @contextmanager
    def _locked(self, release: Release) -> Iterator[None]:
        """Hold the release's lock, which the system releases even if this process is killed.

        Raises:
            ToolError: The cache cannot be written.
        """
        folder = self._folder(release)
        try:
            self.cache.mkdir(parents=True, exist_ok=True)
            lock = folder.with_name(f"{folder.name}.lock").open("w")
        except OSError as error:
            message = f"{self.cache}: cannot be written ({error.strerror}); set SIDELIGHT_TOOLS_DIR to another folder."
            raise ToolError(message, code="tool_cache_unwritable") from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.say(f"{release}: waiting for another process that is getting it")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _bring(self, release: Release) -> dict[str, Path]:
        faults: list[ToolError] = []
        for source in release.sources:
            self.say(f"{release}: getting it with {source}")
            try:
                return self._fetch(release, source)
            except ToolError as error:
                faults.append(error)
        reasons = " ".join(str(fault) for fault in faults)
        message = f"{release} is not available: no version on PATH fits. {reasons}"
        raise ToolError(message, code="tool_unavailable", details={"faults": tuple(dict(f.details) for f in faults)})

    def _fetch(self, release: Release, source: Source) -> dict[str, Path]:
        folder = self._folder(release)
        for left_over in self.cache.glob(f".{folder.name}.*"):  # left by a killed process: we hold the lock
            shutil.rmtree(left_over, ignore_errors=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=self.cache))
        try:
            partial.chmod(0o755)
            source.fetch(release, partial, self)
            self._check(release, partial)
            partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return _programs(release, folder)

    def _check(self, release: Release, folder: Path) -> None:
        """Accept a program into the cache only if it runs and has the pinned minor version.

        Raises:
            ToolError: It does not run, or is another version.
        """
        pinned = _version(release.version)[:2]
        for program in release.programs:
            got = self._printed_version(program, folder / "bin" / program.files[0])
            if got[: len(pinned)] != pinned:
                message = f"{program.files[0]}: got version {_text(got)}, not {release.version}."
                raise ToolError(message, code="tool_wrong_version", details={"version": got})


def tool(name: str, *, toolbox: Toolbox | None = None) -> Path:
    """Return the path of the named program of `RELEASES`, and get it first if necessary.

    Raises:
        ToolError: The name is not in the table, or no source has it.
    """
    return (toolbox or Toolbox()).tool(name)


def node_modules() -> Path:
    """Return the folder of npm packages, and get them first if necessary.

    Raises:
        ToolError: As `tool`.
    """
    return tool("tsc").resolve().parent.parent / "root" / "node_modules"


def ensure(names: Iterable[str] | None = None, *, toolbox: Toolbox | None = None) -> dict[str, Path]:
    """Get the named programs of `RELEASES` (default: all) with progress on stderr, and return their paths.

    Raises:
        ToolError: As `tool`.
    """
    return (toolbox or Toolbox()).ensure(names)


def _programs(release: Release, folder: Path) -> dict[str, Path]:
    return {program.name: folder / "bin" / program.files[0] for program in release.programs}


def _version(text: str) -> tuple[int, ...]:
    """Read the first dotted version in a text: ``prometheus, version 2.42.0+ds`` gives (2, 42, 0), no version ()."""
    found = re.search(r"\d+(\.\d+)+|^\d+$", text)
    return tuple(map(int, found[0].split("."))) if found else ()


def _text(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version)) or "none"
