"""Mutation tests of the parts in which a fault would be silent: which small faults in the code the unit tests find."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
_WORKSPACE = ROOT / "build" / "mutants"
_RESULT = re.compile(r"^ {4}(?P<name>\S+): (?P<status>.+)$", re.MULTILINE)
_NAME = re.compile(r"(?P<module>.+)\.x(?:ǁ(?P<kind>\w+)ǁ|_)(?P<function>\w+)__mutmut_\d+")


@dataclass(frozen=True, kw_only=True)
class Area:
    """Code that is mutated, and the tests that should fail.

    Attributes:
        name: The name for ``--area`` and in the table.
        sources: The files, as patterns.
        tests: Files and folders of tests.
    """

    name: str
    sources: tuple[str, ...]
    tests: tuple[str, ...]


_UNIT = "tests/unit/instrumentation"
AREAS = (
    Area(
        name="store",
        sources=tuple(
            f"instrumentation/store/{name}.py" for name in ("shared_store", "archive", "merge", "worker_files")
        ),
        tests=(f"{_UNIT}/test_shared_store.py",),
    ),
    Area(
        name="recorder",
        sources=("instrumentation/http/recorder.py",),
        tests=(f"{_UNIT}/test_recorder.py", f"{_UNIT}/test_http.py"),
    ),
    Area(
        name="rules",
        sources=("alerts/thresholds.py", "alerts/model.py", "alerts/recording/*.py"),
        tests=tuple(f"tests/unit/alerts/test_{name}.py" for name in ("approved_rules", "thresholds", "model")),
    ),
    Area(name="redaction", sources=("instrumentation/redaction/*.py",), tests=(f"{_UNIT}/test_redaction.py",)),
    Area(name="audit", sources=("instrumentation/auditing/*.py",), tests=(f"{_UNIT}/auditing",)),
)


class Mutant(NamedTuple):
    """A small fault in the code, and what the tests made of it.

    Attributes:
        name: mutmut's name.
        status: mutmut's status, such as ``killed``.
    """

    name: str
    status: str

    @property
    def function(self) -> str:
        """The mutated function with its module and class."""
        found = _NAME.fullmatch(self.name)
        if found is None:
            return self.name
        return ".".join(filter(None, (found["module"], found["kind"], found["function"])))


def run(area: Area, chosen: str, jobs: int) -> list[Mutant]:
    """The mutants of an area that were tested.

    Args:
        area: The area.
        chosen: The names of the mutants to test, as a pattern; mutmut numbers those of each function from 1.
        jobs: How many are tested at the same time.

    Raises:
        RuntimeError: mutmut failed, for example because a test fails without a fault.
    """
    folder = _prepare(area)
    ended = _mutmut(folder, "run", chosen, "--max-children", str(jobs))
    if "mutations/second" not in ended.stdout:
        raise RuntimeError(f"mutmut could not test {area.name}:\n{ended.stdout[-2000:]}\n{ended.stderr[:2000]}")
    return results(area)


def results(area: Area) -> list[Mutant]:
    """The mutants of an area that the last run tested."""
    results = _mutmut(_WORKSPACE / area.name, "results", "--all", "true").stdout
    found = [Mutant(match["name"], match["status"]) for match in _RESULT.finditer(results)]
    return [mutant for mutant in found if mutant.status != "not checked"]


def change(area: Area, mutant: Mutant) -> str:
    """What a mutant changes, such as ``if a > b: => if a >= b:``."""
    diff = _mutmut(_WORKSPACE / area.name, "show", mutant.name).stdout.splitlines()
    old, new = (
        " ".join(line[1:].strip() for line in diff if line.startswith(sign) and not line.startswith(sign * 3))
        for sign in "-+"
    )
    return f"{old} => {new}"


def _prepare(area: Area) -> Path:
    """A copy of the repository with mutmut's settings, because mutmut reads them from pyproject.toml in the current folder."""
    folder = _WORKSPACE / area.name
    shutil.rmtree(folder, ignore_errors=True)
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],  # noqa: S607 - git
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    paths = [path for path in listed.stdout.splitlines() if (ROOT / path).is_file()]
    for path in paths:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, target)
    package = area.sources[0].partition("/")[0]
    copied = sorted({path.partition("/")[0] for path in paths} - {package, "tests", "pyproject.toml"})
    settings = {
        "source_paths": [package],
        "only_mutate": list(area.sources),
        "also_copy": copied,
        "pytest_add_cli_args_test_selection": list(area.tests),
        "pytest_add_cli_args": ["-W", "ignore", "-p", "no:cacheprovider", "--timeout", "0"],
        "timeout_multiplier": 4.0,
    }
    with (folder / "pyproject.toml").open("a", encoding="utf-8") as stream:
        stream.write("\n[tool.mutmut]\n" + "".join(f"{key} = {value!r}\n" for key, value in settings.items()))
    return folder


def _mutmut(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mutmut", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603 - ours
