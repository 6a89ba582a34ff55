"""A folder that hides one of our packages is named in one sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sidelight.shadowing import hidden_packages

ROOT = Path(__file__).parents[3]


def test_nothing_is_hidden_here() -> None:
    assert hidden_packages() == ""


def help_beside(folder: Path) -> subprocess.CompletedProcess[str]:
    """``sidelight --help`` with a folder in front of this repository on the path."""
    path = os.pathsep.join((str(folder), str(ROOT)))
    argv = (sys.executable, "-m", "sidelight.cli", "--help")
    environ = {"PATH": os.defpath, "PYTHONPATH": path}
    return subprocess.run(argv, cwd=folder, env=environ, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("package", ["instrumentation", "alerts", "collector", "dashboards"])
def test_a_package_that_hides_ours_is_named(package: str, tmp_path: Path) -> None:
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").touch()
    ended = help_beside(tmp_path)
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert f"{package}: {tmp_path}/{package} hides Sidelight's package of the same name." in ended.stderr


def test_a_folder_that_is_no_package_hides_nothing(tmp_path: Path) -> None:
    (tmp_path / "alerts").mkdir()
    assert help_beside(tmp_path).returncode == 0
