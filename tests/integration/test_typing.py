"""Type checkers see the public names with their types, and report every other name."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sidelight.toolchain import tool

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
SERVICE = ROOT / "tests/typing/service.py"
WRONG = {number for number, line in enumerate(SERVICE.read_text().splitlines(), 1) if line.endswith("# error")}


def run(*argv: object) -> str:
    """The output of a type checker, which exits with 1 because it finds errors."""
    ended = subprocess.run(list(map(str, argv)), cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    return ended.stdout


def by_mypy() -> set[int]:
    lines = run(sys.executable, "-m", "mypy", "--strict", "--output=json", "--no-incremental", SERVICE).splitlines()
    found = [json.loads(line) for line in lines]
    return {each["line"] for each in found if each["severity"] == "error"}


def by_pyright() -> set[int]:
    found = json.loads(run(tool("pyright"), "--outputjson", "--pythonpath", sys.executable, SERVICE))
    return {each["range"]["start"]["line"] + 1 for each in found["generalDiagnostics"] if each["severity"] == "error"}


def by_pyrefly() -> set[int]:
    pyrefly = Path(sys.executable).with_name("pyrefly")
    found = json.loads(
        run(pyrefly, "check", "--output-format=json", "--python-interpreter-path", sys.executable, SERVICE)
    )
    return {each["line"] for each in found["errors"] if each["severity"] == "error"}


@pytest.mark.parametrize("checker", [by_mypy, by_pyright, by_pyrefly])
def test_a_type_checker_reports_exactly_what_is_wrong(checker: Callable[[], set[int]]) -> None:
    assert checker() == WRONG
