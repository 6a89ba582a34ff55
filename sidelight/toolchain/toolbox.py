"""Gets the pinned programs used by build, tests and demo into a cache outside the repository.

For each release it tries, in this order: the cache; `PATH`, if the version fits; the release's sources, such as the
project's release archive, Debian's package unpacked without root, and a build with Go.
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
from sidelight.toolchain.progress import on_terminal
from sidelight.toolchain.releases import RELEASES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from sidelight.toolchain.commands import Run
    from sidelight.toolchain.model import Program, Release, Source
    from sidelight.toolchain.progress import Step

MINUTE = 60.0  # seconds
ATTEMPTS = 3
FIRST_PAUSE = 2.0  # seconds before the second attempt; doubles
SOURCE = "source.txt"  # in each release's folder: where it came from


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201  # progress is for people, on stderr


def _cache(environ: Mapping[str, str]) -> Path:
    if given := environ.get("SIDELIGHT_TOOLS_DIR"):
        return Path(given).absolute()
    home = environ.get("XDG_CACHE_HOME") or Path(environ.get("HOME") or Path.home(), ".cache")
    return Path(home, "sidelight", "tools").absolute()


@dataclass(frozen=True, kw_only=True)
class Cached:
    """A release in the cache.

    Attributes:
        folder: Its folder.
        source: Where it came from.
        size: Its size in bytes.
    """

    folder: Path
    source: str
    size: int


@dataclass(frozen=True, kw_only=True)
class Toolbox:
    """Finds programs, and gets missing ones.

    Attributes:
        releases: The table of releases.
        environ: The environment; `PATH`, `SIDELIGHT_TOOLS_DIR`, `XDG_CACHE_HOME` and `HOME` are read, commands get all.
        run: Runs a command.
        say: Prints one line of progress.
        step: Shows a step while it runs.
        now: Seconds of a clock that never goes back.
        sleep: Sleeps for some seconds before a network command is retried.
    """

    releases: tuple[Release, ...] = RELEASES
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)
    run: Run = run_command
    say: Callable[[str], None] = _say
    step: Step = on_terminal
    now: Callable[[], float] = time.monotonic
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
        with self.step(short(argv)):
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

    def contents(self) -> list[Cached]:
        """Return the releases in the cache, ordered by name."""
        folders = sorted(path for path in self.cache.glob("*") if path.is_dir() and not path.name.startswith("."))
        return [Cached(folder=folder, source=_source(folder), size=_size(folder)) for folder in folders]

    def clean(self) -> int:
        """Empty the cache and return the number of bytes freed.

        Raises:
            ToolError: A file cannot be deleted.
        """
        freed = _size(self.cache)
        try:
            shutil.rmtree(self.cache)
        except FileNotFoundError:
            return 0
        except OSError as error:
            message = f"{error.filename}: cannot be deleted ({error.strerror})."
            raise ToolError(message, code="tool_cache_unwritable") from error
        return freed

    def _cached(self, release: Release) -> dict[str, Path]:
        """The programs of the release, or of one that serves instead, in the cache.

        A release's folder is created atomically, so its existence means that it is complete.
        """
        instead = [other for other in self.releases if other.name in release.instead]
        folders = map(self._folder, (release, *instead))
        return next((_programs(release, folder) for folder in folders if folder.is_dir()), {})

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
            if path is None:
                return {}
            if reason := self._unsuitable(program, path, release.serves):
                self.say(f"{path}: on PATH, but not used: {reason}")
                return {}
            found[program.name] = path
        return found

    def _unsuitable(self, program: Program, path: Path, serves: tuple[str, str]) -> str:
        """Why a program cannot be used; empty if it can."""
        oldest, first_too_new = serves
        try:
            version = self._printed_version(program, path)
        except ToolError as error:
            return str(error)
        if _version(oldest) <= version < _version(first_too_new):
            return ""
        return f"its version is {_text(version)}; {oldest} or newer, but older than {first_too_new}, is needed"

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
            self.say(f"{release}: getting it from {source}")
            began = self.now()
            try:
                programs = self._fetch(release, source)
            except ToolError as error:
                self.say(f"{release}: not from {source}: {error}")
                faults.append(error)
                continue
            self.say(f"{release}: got it from {source} in {self.now() - began:.0f} s")
            return programs
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
            (partial / SOURCE).write_text(f"{source}\n")
            partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return _programs(release, folder)

    def _check(self, release: Release, folder: Path) -> None:
        """Accept a program into the cache only if it runs and its version fits.

        Raises:
            ToolError: It does not run, or is another version.
        """
        for program in release.programs:
            if reason := self._unsuitable(program, folder / "bin" / program.files[0], release.serves):
                raise ToolError(f"{program.files[0]}: {reason}", code="tool_wrong_version")


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


def _source(folder: Path) -> str:
    file = folder / SOURCE
    return file.read_text().strip() if file.exists() else "unknown"


def _size(folder: Path) -> int:
    """The bytes that the files in a folder occupy on disk; a hard-linked file counts once."""
    found = {(s.st_dev, s.st_ino): 512 * s.st_blocks for s in (path.lstat() for path in folder.rglob("*"))}
    return sum(found.values())


def _version(text: str) -> tuple[int, ...]:
    """Read the first dotted version in a text: ``prometheus, version 2.42.0+ds`` gives (2, 42, 0), no version ()."""
    found = re.search(r"\d+(\.\d+)+|^\d+$", text)
    return tuple(map(int, found[0].split("."))) if found else ()


def _text(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version)) or "none"
