"""Runs the tests of another project, plain and with Sidelight in every app, and finds the tests that differ."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.compat.environments import CACHE, environment, link_ours, locked, run

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

HERE = Path(__file__).parent
PLAIN, LAYERS = "plain", ("python", "compiled")
SECONDS = 3600


@dataclass(frozen=True, kw_only=True)
class Expected:
    """Why some tests differ.

    Attributes:
        tests: A regular expression that is found in their ids.
        reason: A sentence.
        without: Sections of the settings that replace those of the run. With them the tests run again, and the reason holds only
            for those that pass then.
    """

    tests: str
    reason: str
    without: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Suite:
    """The tests of a project, as ``suites.toml`` has them.

    Attributes:
        name: The name of the project.
        package: Its name on PyPI.
        version: The version whose source distribution is run.
        needs: The packages of the test environment.
        tests: Files and folders with tests in the source distribution; none if it has no tests.
        extra: The extra of the package that is installed.
        fast: Those of them that `make test` runs.
        expected: Why some tests differ.
    """

    name: str
    package: str
    version: str
    needs: tuple[str, ...]
    tests: tuple[str, ...]
    extra: str = ""
    fast: tuple[str, ...] = ()
    expected: tuple[Expected, ...] = ()

    @property
    def requirement(self) -> str:
        """The package as pip expects it."""
        return f"{self.package}{f'[{self.extra}]' if self.extra else ''}=={self.version}"

    def reason(self, test: str) -> Expected | None:
        """Why a test differs; None if nobody knows."""
        return next((each for each in self.expected if re.search(each.tests, test)), None)


@dataclass(frozen=True, kw_only=True)
class Outcomes:
    """What became of each test of one run.

    Attributes:
        outcomes: The id of a test to ``passed``, ``failed``, ``skipped`` or ``xfailed``.
        failures: The id of a failed test to the first line of its error.
    """

    outcomes: dict[str, str]
    failures: dict[str, str]

    def counts(self) -> dict[str, int]:
        """The number of tests by outcome."""
        return dict(sorted(Counter(self.outcomes.values()).items()))


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A test that passes plain and fails with a layer, or does not run at all with it.

    Attributes:
        test: Its id.
        layers: The layers with which it differs.
        failure: The first line of the error.
        expected: Why; None if nobody knows.
    """

    test: str
    layers: tuple[str, ...]
    failure: str
    expected: Expected | None

    @property
    def reason(self) -> str:
        """The sentence; empty if nobody knows."""
        return "" if self.expected is None else self.expected.reason


def suites() -> list[Suite]:
    """Every suite of ``suites.toml``."""
    return [
        Suite(
            **{
                **row,
                "needs": tuple(row["needs"]),
                "tests": tuple(row["tests"]),
                "fast": tuple(row.get("fast", ())),
                "expected": tuple(Expected(**each) for each in row.get("expected", ())),
            }
        )
        for row in tomllib.loads((HERE / "suites.toml").read_text("utf-8"))["suites"]
    ]


def differences(suite: Suite, runs: dict[str, Outcomes]) -> list[Difference]:
    """The tests that pass plain but do not with a layer."""
    passed = [test for test, outcome in runs[PLAIN].outcomes.items() if outcome == "passed"]
    found = []
    for test in passed:
        layers = tuple(layer for layer in runs if layer != PLAIN and runs[layer].outcomes.get(test) != "passed")
        if layers:
            failure = runs[layers[0]].failures.get(test) or f"is {runs[layers[0]].outcomes.get(test, 'not run')}"
            found.append(Difference(test=test, layers=layers, failure=failure, expected=suite.reason(test)))
    return found


class Workshop:
    """The source distribution and the environment of a suite, both in the cache outside the repository.

    Args:
        suite: The suite.
    """

    def __init__(self, suite: Suite) -> None:
        self.suite = suite

    def run(self, layer: str, tests: Sequence[str] = (), settings: Mapping[str, Any] | None = None) -> Outcomes:
        """Run tests.

        Args:
            layer: ``plain``, ``python`` or ``compiled``.
            tests: Files, or ids of tests; by default all of the suite.
            settings: Sections of the settings that replace those of the plugin.
        """
        source = self._source()
        programs = environment(self.suite.package, (self.suite.requirement, *self.suite.needs))
        with tempfile.TemporaryDirectory() as folder:
            outcomes = Path(folder, "outcomes.json")
            link_ours(Path(folder))
            ids = Path(folder, "tests")
            ids.write_text("\n".join(tests or self.suite.tests), "utf-8")
            env = {
                **{name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ},
                "PYTHONPATH": os.pathsep.join((str(HERE / "plugin"), folder)),
                "SIDELIGHT_COMPAT_OUTCOMES": str(outcomes),
                "SIDELIGHT_COMPAT_SUITE": self.suite.package,
                "SIDELIGHT_COMPAT_SETTINGS": json.dumps(settings or {}),
                **({} if layer == PLAIN else {"SIDELIGHT_COMPAT_LAYER": layer}),
            }
            argv = [
                *(str(programs / "python"), "-m", "pytest", "-q", "-p", "sidelight_compat", "-p", "no:cacheprovider"),
                *("-o", "addopts=", "--continue-on-collection-errors", f"@{ids}"),
            ]
            ended = subprocess.run(
                argv, cwd=source, env=env, capture_output=True, text=True, timeout=SECONDS, check=False
            )
            if not outcomes.exists():
                raise RuntimeError(f"{self.suite.name}, {layer}: {ended.stdout[-2000:]}{ended.stderr[-2000:]}")
            return Outcomes(**json.loads(outcomes.read_text("utf-8")))

    def compare(self, tests: Sequence[str] = (), layers: Iterable[str] = LAYERS) -> dict[str, Outcomes]:
        """Run tests plain and with each layer; those that differ run again, so that no failure by chance counts."""
        runs = {layer: self.run(layer, tests) for layer in (PLAIN, *layers)}
        again = [found.test for found in differences(self.suite, runs) if "::" in found.test]
        for layer, first in runs.items() if again else ():
            second = self.run(layer, again)
            if layer == PLAIN:
                first.outcomes.update({test: "flaky" for test in again if second.outcomes.get(test) != "passed"})
            else:
                first.outcomes.update(second.outcomes)
        return runs

    def checked(self, found: Sequence[Difference]) -> list[Difference]:
        """The differences, without the reasons that do not hold: the test fails also without what they name."""
        refuted = set()
        for expected in self.suite.expected:
            tests = [each.test for each in found if each.expected is expected and expected.without is not None]
            outcomes = self.run(LAYERS[0], tests, expected.without).outcomes if tests else {}
            refuted |= {test for test in tests if outcomes.get(test) != "passed"}
        return [replace(each, expected=None) if each.test in refuted else each for each in found]

    def _source(self) -> Path:
        package, version = self.suite.package, self.suite.version
        folder = CACHE / f"{package}-{version}"
        with locked(folder):
            if not folder.exists():
                with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
                    pip = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", package)
                    run(*pip, "--dest", scratch, f"{package}=={version}")
                    (archive,) = Path(scratch).glob("*.tar.gz")
                    with tarfile.open(archive) as tar:
                        tar.extractall(scratch, filter="data")
                    (unpacked,) = (path for path in Path(scratch).iterdir() if path.is_dir())
                    unpacked.rename(folder)
        return folder
