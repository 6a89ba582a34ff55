"""GitHub would run the workflows, and they hold no known weakness."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from sidelight.toolchain import tool

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def test_actionlint_finds_nothing() -> None:
    done = subprocess.run(
        [tool("actionlint"), *WORKFLOWS], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_zizmor_finds_nothing() -> None:
    zizmor = Path(sys.prefix, "bin", "zizmor")
    done = subprocess.run(
        [zizmor, "--offline", "--no-progress", *WORKFLOWS],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_action_is_pinned_to_a_commit_whose_version_is_said() -> None:
    used = [line for file in WORKFLOWS for line in file.read_text().splitlines() if "uses:" in line]
    assert used
    assert [line for line in used if not re.search(r"uses: [\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line)] == []


def test_every_python_that_is_claimed_is_tested_and_has_a_wheel() -> None:
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    named = {match[1] for text in classifiers if (match := re.fullmatch(r".*:: (3\.\d+)", text))}
    tested = set(re.findall(r"3\.\d+", (ROOT / ".github" / "workflows" / "test.yml").read_text()))
    speedups = tomllib.loads((ROOT / "speedups" / "pyproject.toml").read_text())
    built = {f"3.{minor}" for minor in re.findall(r"cp3(\d+)-", speedups["tool"]["cibuildwheel"]["build"])}
    assert named <= tested == built  # a classifier is added once a run on that Python has passed
