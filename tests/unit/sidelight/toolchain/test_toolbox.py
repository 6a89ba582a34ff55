"""How a program is found, installed and refused; without network or real programs."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sidelight.toolchain import RELEASES, Toolbox, ToolError, ensure, tool
from sidelight.toolchain.commands import Outcome
from sidelight.toolchain.model import Program, Release, Source
from sidelight.toolchain.sources import Collector, Go
from sidelight.toolchain.toolbox import _version

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

HAMMER = Program(name="hammer", files=("hammer", "debian-hammer"))
NAILS = Program(name="nails", files=("nails",))


@dataclass
class Commands:
    """Answers commands by the name of the program; what it does not know fails."""

    answers: dict[str, list[Outcome]] = field(default_factory=dict)
    seen: list[tuple[str, ...]] = field(default_factory=list)

    def __call__(
        self,
        argv: Sequence[str],
        *,
        timeout: float,  # noqa: ARG002
        cwd: Path | None,  # noqa: ARG002
        environ: Mapping[str, str],  # noqa: ARG002
    ) -> Outcome:
        self.seen.append(tuple(argv))
        answers = self.answers.get(Path(argv[0]).name, [])
        return answers.pop(0) if len(answers) > 1 else next(iter(answers), Outcome(status=127, output="no such thing"))

    def prints(self, name: str, *versions: str) -> None:
        self.answers[name] = [Outcome(status=0, output=f"{name}, version {version}+ds") for version in versions]


@dataclass
class Smith:
    """A source that makes every program; `during` runs when half is made."""

    during: Callable[[], object] = lambda: None
    made: int = 0

    def fetch(self, release: Release, folder: Path, toolbox: Toolbox) -> None:  # noqa: ARG002
        self.made += 1
        (folder / "bin").mkdir()
        self.during()
        for program in release.programs:
            executable(folder / "bin" / program.files[0])

    def __str__(self) -> str:
        return "a smith"


@dataclass
class Closed:
    """A source that has nothing."""

    why: str = "The shop is closed."

    def fetch(self, release: Release, folder: Path, toolbox: Toolbox) -> None:  # noqa: ARG002
        (folder / "half").touch()
        raise ToolError(self.why, code="tool_closed")


def executable(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o755)
    return path


@dataclass
class Bench:
    """A toolbox with a table of one release, and everything it says and does."""

    folder: Path
    sources: tuple[Source, ...]
    commands: Commands = field(default_factory=Commands)
    said: list[str] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.commands.prints("hammer", "7.3.1")
        self.commands.prints("nails", "7.3.1")

    @property
    def toolbox(self) -> Toolbox:
        release = Release(
            name="forge", version="7.3.1", serves=("7.2", "8"), programs=(HAMMER, NAILS), sources=self.sources
        )
        environ = {"SIDELIGHT_TOOLS_DIR": str(self.folder / "cache"), "PATH": str(self.folder / "path")}
        return Toolbox(
            releases=(release,),
            environ=environ,
            run=self.commands,
            say=self.said.append,
            sleep=self.pauses.append,
            now=iter(range(0, 10_000, 90)).__next__,
        )

    @property
    def cached(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "cache").iterdir() if path.suffix != ".lock")


@pytest.fixture
def smith() -> Smith:
    return Smith()


@pytest.fixture
def bench(tmp_path: Path, smith: Smith) -> Bench:
    return Bench(folder=tmp_path, sources=(smith,))


def test_a_missing_program_is_made_and_comes_with_the_others_of_its_release(bench: Bench, smith: Smith) -> None:
    hammer = tool("hammer", toolbox=bench.toolbox)
    nails = tool("nails", toolbox=bench.toolbox)
    assert (hammer.name, nails.name, smith.made) == ("hammer", "nails", 1)
    assert hammer == bench.folder / "cache" / "forge-7.3.1" / "bin" / "hammer"


def test_a_program_built_with_go_has_the_name_of_its_row_and_keeps_the_files_that_it_needs(tmp_path: Path) -> None:
    module = tmp_path / "module"
    for name in ("crd/rules.yaml", "crd/readme.md", "other/more.yaml"):
        (module / name).parent.mkdir(parents=True, exist_ok=True)
        (module / name).write_text(name)

    def run(argv: Sequence[str], *, timeout: float, cwd: Path | None, environ: Mapping[str, str]) -> Outcome:
        del timeout, environ
        if "build" in argv:
            assert cwd is not None
            for package in ("operator", "second"):  # Go names a program by the last part of its package
                executable(cwd.parent / "bin" / package)
        return Outcome(status=0, output=f"{module}\n" if "list" in argv else "go version go7.3.1")

    path = tmp_path / "path"
    executable(path / "go")
    source = Go(
        module="m.example/m", version="v7", packages=("cmd/operator", "second"), shares=("crd/*.yaml",), takes="no time"
    )
    programs = (Program(name="own-operator", files=("own-operator",)), Program(name="second", files=("second",)))
    built = Release(name="operator", version="7.3.1", serves=("7", "8"), programs=programs, sources=(source,))
    go = Release(
        name="go", version="7.3.1", serves=("7", "8"), programs=(Program(name="go", files=("go",)),), sources=()
    )
    environ = {"SIDELIGHT_TOOLS_DIR": str(tmp_path / "cache"), "PATH": str(path)}
    found = Toolbox(releases=(built, go), environ=environ, run=run, say=lambda _: None).tool("own-operator")
    assert found.name == "own-operator"
    assert sorted(each.name for each in found.parent.iterdir()) == ["own-operator", "second"]
    assert [each.read_text() for each in (found.parents[1] / "share").iterdir()] == ["crd/rules.yaml"]


@pytest.mark.parametrize("has_contrib", [False, True])
def test_a_built_collector_tells_its_size_and_start_beside_contribs(tmp_path: Path, *, has_contrib: bool) -> None:
    def run(argv: Sequence[str], *, timeout: float, cwd: Path | None, environ: Mapping[str, str]) -> Outcome:
        del timeout, environ
        if Path(argv[0]).name == "builder":
            assert cwd is not None
            executable(cwd.parent / "bin" / "otelcol-sidelight").write_bytes(bytes(7_300_000))
            (cwd.parent / "bin" / "go.mod").touch()
        return Outcome(status=0, output="version 7.3.1")

    path = tmp_path / "path"
    executable(path / "go")
    if has_contrib:
        executable(path / "otelcol-contrib")
    own = Program(name="otelcol", files=("otelcol-sidelight",))
    collector, go = (
        Release(name=program.name, version="7.3.1", serves=("7", "8"), programs=(program,), sources=sources)
        for program, sources in ((own, (Collector(takes="no time"),)), (Program(name="go", files=("go",)), ()))
    )
    said: list[str] = []
    environ = {"SIDELIGHT_TOOLS_DIR": str(tmp_path / "cache"), "PATH": str(path)}
    Toolbox(releases=(collector, go), environ=environ, run=run, say=said.append).tool("otelcol")
    measured = [re.sub(r"after \d+ ms", "after 7 ms", line) for line in said if " MB, " in line]
    assert measured == [
        "otelcol-sidelight: 7.3 MB, prints its version after 7 ms",
        *(["otelcol-contrib: 0.0 MB, prints its version after 7 ms"] if has_contrib else []),
    ]


def test_what_is_in_the_cache_is_used_without_running_anything(bench: Bench) -> None:
    ensure(toolbox=bench.toolbox)
    bench.commands.seen.clear()
    assert set(ensure(toolbox=bench.toolbox)) == {"hammer", "nails"}
    assert bench.commands.seen == []


def test_each_release_says_what_is_done_and_how_long_it_took(bench: Bench) -> None:
    ensure(toolbox=bench.toolbox)
    ensure(toolbox=bench.toolbox)
    assert bench.said == [
        "hammer, nails 7.3.1: getting it from a smith",
        "hammer, nails 7.3.1: got it from a smith in 90 s",
        "hammer, nails 7.3.1: in the cache",
    ]


@pytest.mark.parametrize("file", HAMMER.files)
def test_a_suitable_version_on_the_path_is_used(bench: Bench, smith: Smith, file: str) -> None:
    bench.commands.prints(file, "7.2.0")
    on_path = executable(bench.folder / "path" / file)
    executable(bench.folder / "path" / "nails")
    assert tool("hammer", toolbox=bench.toolbox) == on_path
    assert smith.made == 0


@pytest.mark.parametrize("version", ["7.1.9", "8.0.0", "0.7.3"])
def test_an_unsuitable_version_on_the_path_is_skipped(bench: Bench, smith: Smith, version: str) -> None:
    bench.commands.prints("debian-hammer", version)
    executable(bench.folder / "path" / "debian-hammer")
    executable(bench.folder / "path" / "nails")
    assert "cache" in tool("hammer", toolbox=bench.toolbox).parts
    assert smith.made == 1
    assert bench.said[0] == (
        f"{bench.folder}/path/debian-hammer: on PATH, but not used: "
        f"its version is {version}; 7.2 or newer, but older than 8, is needed"
    )


def test_the_copy_of_a_release_that_serves_instead_is_used(bench: Bench, smith: Smith) -> None:
    toolbox = bench.toolbox
    (forge,) = toolbox.releases
    anvil = replace(forge, name="any-forge", programs=(Program(name="any", files=("hammer",)),), instead=("forge",))
    both = replace(toolbox, releases=(forge, anvil))
    assert tool("any", toolbox=both).parts[-3:] == ("any-forge-7.3.1", "bin", "hammer")
    both.clean()
    assert tool("nails", toolbox=both) == tool("any", toolbox=both).with_name("nails")
    assert smith.made == 2


def test_the_cache_lists_sources_and_sizes_until_it_is_emptied(bench: Bench) -> None:
    toolbox = bench.toolbox
    ensure(toolbox=toolbox)
    (toolbox.tool("hammer")).write_bytes(b"x" * 100_000)
    (release,) = toolbox.contents()
    assert (release.folder.name, release.source) == ("forge-7.3.1", "a smith")
    assert 100_000 <= release.size <= 130_000
    assert toolbox.clean() >= release.size
    assert toolbox.contents() == []
    assert not toolbox.cache.exists()
    assert toolbox.clean() == 0


def test_a_broken_program_on_the_path_is_skipped(bench: Bench, smith: Smith) -> None:
    executable(bench.folder / "path" / "debian-hammer")
    tool("hammer", toolbox=bench.toolbox)
    assert smith.made == 1


def test_programs_of_one_release_are_not_mixed_from_two_places(bench: Bench, smith: Smith) -> None:
    executable(bench.folder / "path" / "hammer")
    tool("hammer", toolbox=bench.toolbox)
    assert smith.made == 1


def test_the_next_source_is_tried_if_one_has_nothing(bench: Bench, smith: Smith) -> None:
    bench.sources = (Closed(), smith)
    assert tool("nails", toolbox=bench.toolbox).is_file()
    assert bench.cached == ["forge-7.3.1"]


def test_when_no_source_has_it_the_error_names_every_reason_and_nothing_is_left(bench: Bench) -> None:
    bench.sources = (Closed(), Closed(why="No iron."))
    with pytest.raises(ToolError) as caught:
        tool("hammer", toolbox=bench.toolbox)
    sentence = "hammer, nails 7.3.1 is not available: no version on PATH fits. The shop is closed. No iron."
    assert (str(caught.value), caught.value.code) == (sentence, "tool_unavailable")
    assert bench.cached == []


def test_an_interrupted_build_leaves_nothing_half_written(bench: Bench, smith: Smith) -> None:
    def ctrl_c() -> None:
        raise KeyboardInterrupt

    smith.during = ctrl_c
    with pytest.raises(KeyboardInterrupt):
        tool("hammer", toolbox=bench.toolbox)
    assert bench.cached == []


def test_what_a_killed_build_left_is_cleared_by_the_next(bench: Bench) -> None:
    (bench.folder / "cache" / ".forge-7.3.1.dead" / "bin").mkdir(parents=True)
    tool("hammer", toolbox=bench.toolbox)
    assert bench.cached == ["forge-7.3.1"]


@pytest.mark.parametrize("printed", ["7.1.9", "8.3.1", "unknown"])
def test_a_program_of_another_version_does_not_enter_the_cache(bench: Bench, printed: str) -> None:
    bench.commands.prints("nails", printed)
    with pytest.raises(ToolError, match=r"nails: its version is .*; 7\.2 or newer, but older than 8, is needed"):
        tool("nails", toolbox=bench.toolbox)
    assert bench.cached == []


def test_two_that_want_the_same_at_once_build_it_once(bench: Bench, smith: Smith) -> None:
    second_waits = threading.Event()
    first_builds = threading.Event()

    def build() -> None:
        first_builds.set()
        assert second_waits.wait(timeout=30)

    def second() -> Path:
        assert first_builds.wait(timeout=30)
        return tool("hammer", toolbox=bench.toolbox)

    smith.during = build
    bench.said = Listener(heard=second_waits, word="waiting")
    with ThreadPoolExecutor() as pool:
        paths = {pool.submit(tool, "hammer", toolbox=bench.toolbox), pool.submit(second)}
        assert len({path.result(timeout=60) for path in paths}) == 1
    assert smith.made == 1


class Listener(list[str]):
    """A list that sets an event when a line holds a word."""

    def __init__(self, *, heard: threading.Event, word: str) -> None:
        super().__init__()
        self.heard = heard
        self.word = word

    def append(self, line: str) -> None:
        super().append(line)
        if self.word in line:
            self.heard.set()


@pytest.mark.parametrize(
    "output", ["dial tcp: i/o timeout", "502 Bad Gateway", "Temporary failure resolving", "Read timed out."]
)
def test_a_fault_of_the_network_is_tried_three_times_with_growing_pauses(bench: Bench, output: str) -> None:
    bench.commands.answers["fetch"] = [Outcome(status=1, output=output)]
    with pytest.raises(ToolError, match="fetch failed with status 1"):
        bench.toolbox.network("fetch", timeout=7)
    assert (len(bench.commands.seen), bench.pauses) == (3, [2.0, 4.0])


def test_a_network_that_recovers_is_no_failure(bench: Bench) -> None:
    bench.commands.answers["fetch"] = [
        Outcome(status=1, output="connection reset by peer"),
        Outcome(status=0, output="7"),
    ]
    assert bench.toolbox.network("fetch", timeout=7) == "7"


@pytest.mark.parametrize("output", ["404 Not Found", "403 Forbidden", "checksum mismatch", ""])
def test_a_permanent_fault_is_not_tried_again(bench: Bench, output: str) -> None:
    bench.commands.answers["fetch"] = [Outcome(status=1, output=output)]
    with pytest.raises(ToolError):
        bench.toolbox.network("fetch", timeout=7)
    assert bench.pauses == []


def test_an_unknown_name_is_answered_with_the_known_ones(bench: Bench) -> None:
    with pytest.raises(ToolError, match=r"There is no tool 'saw'; choose one of hammer, nails\."):
        tool("saw", toolbox=bench.toolbox)


def test_a_cache_that_cannot_be_written_says_what_to_set(bench: Bench) -> None:
    (bench.folder / "cache").touch()
    with pytest.raises(ToolError, match="set SIDELIGHT_TOOLS_DIR to another folder"):
        tool("hammer", toolbox=bench.toolbox)


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"HOME": "/h", "XDG_CACHE_HOME": "/x", "SIDELIGHT_TOOLS_DIR": "/s"}, "/s"),
        ({"HOME": "/h", "XDG_CACHE_HOME": "/x"}, "/x/sidelight/tools"),
        ({"HOME": "/h"}, "/h/.cache/sidelight/tools"),
    ],
)
def test_the_cache_is_where_the_environment_says(environ: dict[str, str], folder: str) -> None:
    assert Toolbox(environ=environ).cache == Path(folder)


@pytest.mark.parametrize(
    ("printed", "version"),
    [
        ("prometheus, version 2.42.0+ds (branch: debian/sid)", (2, 42, 0)),
        ("v4.3.1", (4, 3, 1)),
        ("go version go1.26.6 linux/amd64", (1, 26, 6)),
        ("prometheus, version  (branch: , revision: unknown)", ()),
    ],
)
def test_a_version_is_read_from_what_a_program_prints(printed: str, version: tuple[int, ...]) -> None:
    assert _version(printed) == version


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.name)
def test_the_pinned_version_is_suitable_itself(release: Release) -> None:
    oldest, first_too_new = map(_version, release.serves)
    assert oldest <= _version(release.version) < first_too_new


def test_no_two_rows_share_a_name() -> None:
    names = [program.name for release in RELEASES for program in release.programs]
    assert len(names) == len(set(names))
