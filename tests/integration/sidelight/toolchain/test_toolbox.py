"""The real programs of the table run and have the version in their row."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sidelight.toolchain import RELEASES, Toolbox, ToolError, ensure, run_command, tool
from sidelight.toolchain.model import Program, Release
from sidelight.toolchain.sources import Debian, _write_scripts
from sidelight.toolchain.toolbox import _version

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[4]
PROGRAMS = [
    pytest.param(release, program, id=program.name)
    for release in RELEASES
    if not release.on_demand
    for program in release.programs
]


@pytest.fixture(scope="session", autouse=True)
def brought() -> None:
    ensure()


@pytest.mark.parametrize(("release", "program"), PROGRAMS)
def test_the_program_runs_and_has_a_version_that_serves(release: Release, program: Program) -> None:
    argv = (str(tool(program.name)), *program.version)
    oldest, first_too_new = map(_version, release.serves)
    assert oldest <= _version(Toolbox().command(*argv, timeout=60)) < first_too_new


def test_the_oldest_and_the_current_prometheus_are_two_programs() -> None:
    assert tool("promtool-oldest") != tool("promtool")


def test_a_full_cache_answers_at_once_and_runs_nothing() -> None:
    def run(argv: Sequence[str], **_: object) -> None:
        raise AssertionError(argv)

    cached = [release for release in RELEASES if Toolbox()._cached(release)]
    toolbox = Toolbox(releases=tuple(cached), run=run, say=lambda _: None)  # type: ignore[arg-type]
    begin = time.perf_counter()
    toolbox.ensure()
    assert time.perf_counter() - begin < 0.3


SCRIPT = """
import sys
from pathlib import Path
from sidelight.toolchain import Toolbox
from sidelight.toolchain.model import Program, Release

class Builder:
    def fetch(self, release, folder, toolbox):
        print("built")
        (folder / "bin").mkdir()
        program = folder / "bin" / "seven"
        program.write_text("#!/bin/sh\\necho 7.3.1\\n")
        program.chmod(0o755)

row = Release(name="seven", version="7.3.1", serves=("7", "8"), programs=(Program(name="seven", files=("seven",)),),
              sources=(Builder(),))
print(Toolbox(releases=(row,)).tool("seven"))
"""


def test_processes_that_want_the_same_at_once_build_it_once(tmp_path: Path) -> None:
    environ = {"SIDELIGHT_TOOLS_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"}
    argv = (sys.executable, "-c", SCRIPT)
    started = [
        subprocess.Popen(argv, cwd=ROOT, env=environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    lines = [line for process in started for line in process.communicate(timeout=60)[0].splitlines()]
    assert sorted(lines) == sorted(["built", *[str(tmp_path / "seven-7.3.1" / "bin" / "seven")] * 3])


def test_a_package_that_debian_does_not_have_leaves_nothing_and_says_so(tmp_path: Path) -> None:
    release = Release(
        name="none",
        version="7.3.1",
        serves=("7", "8"),
        programs=(Program(name="none", files=("none",)),),
        sources=(Debian(package="no-such-package"),),
    )
    toolbox = Toolbox(
        releases=(release,),
        environ={"SIDELIGHT_TOOLS_DIR": str(tmp_path / "cache"), "PATH": str(tmp_path)},
        say=lambda _: None,
    )
    with pytest.raises(ToolError, match=r"none 7\.3\.1 is not available: .* apt-get cannot be run: No such file"):
        toolbox.tool("none")
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".lock"]


def test_a_program_that_needs_libraries_of_its_own_finds_them_wherever_it_was_moved(tmp_path: Path) -> None:
    made, moved = tmp_path / "made", tmp_path / "moved here"
    libraries = made / "root" / "usr" / "lib" / "hammer-linux-gnu"
    libraries.mkdir(parents=True)
    _write_scripts(made / "bin", {"hammer": 'echo "$root:$LD_LIBRARY_PATH:$*"'})
    made.rename(moved)
    (tmp_path / "hammer").symlink_to(moved / "bin" / "hammer")
    environ = {"PATH": "/usr/bin:/bin", "LD_LIBRARY_PATH": "/own"}
    outcome = run_command((str(tmp_path / "hammer"), "7", "3"), timeout=7, cwd=None, environ=environ)
    root = moved / "root"
    assert outcome.output.startswith(f"{root}:{root}/usr/lib/hammer-linux-gnu:")
    assert outcome.output.endswith(":/own:7 3\n")


def test_a_command_that_takes_too_long_ends_with_its_children(tmp_path: Path) -> None:
    script = f"(sleep 300; touch {tmp_path}/late) & wait"
    begin = time.perf_counter()
    with pytest.raises(ToolError, match=r"sh was stopped after 0 s\."):
        run_command(("sh", "-c", script), timeout=0.1, cwd=None, environ={"PATH": "/usr/bin:/bin"})
    assert time.perf_counter() - begin < 30
