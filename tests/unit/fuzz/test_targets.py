"""The fuzzer's targets hold for their seeds and for every input that once broke one, and the fuzzer finds faults."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from instrumentation.retry import seconds_of
from tests.fuzz import PARTS, targets
from tests.fuzz.findings import FINDINGS
from tests.fuzz.targets import TARGETS, BrokenPromiseError, seeds

ROOT = Path(__file__).parents[3]


def test_the_fuzzer_knows_the_modules_of_each_target() -> None:
    assert list(PARTS) == list(TARGETS)


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_holds_for_its_seeds_and_for_what_is_made_of_them(name: str) -> None:
    run = TARGETS[name].run
    run(b"")
    for seed in seeds(name):
        middle = len(seed) // 2
        for data in (seed, seed * 2, seed[:middle], seed[middle:], seed[:middle] + b"\xff\x00\\" + seed[middle:]):
            run(data)


@pytest.mark.parametrize(("name", "what"), [(name, what) for name, found in FINDINGS.items() for what in found])
def test_an_input_that_once_broke_a_promise_does_so_no_more(name: str, what: str) -> None:
    TARGETS[name].run(FINDINGS[name][what])


def test_a_broken_promise_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "seconds_of", lambda text, now: -seconds_of(text, now))  # type: ignore[operator]
    with pytest.raises(BrokenPromiseError):
        TARGETS["retry_after"].run(b"120")


@pytest.mark.skipif(find_spec("atheris") is None, reason="atheris has no wheel for this machine")
def test_the_fuzzer_runs_and_counts_its_inputs(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "tests.fuzz", "--seconds", "1", "--target", "correlation", "--corpus", str(tmp_path)]
    ended = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    name, count, *_ = ended.stdout.split()
    assert (name, int(count) > 1000) == ("correlation:", True)
    assert len(list((tmp_path / "correlation").iterdir())) > len(seeds("correlation"))
