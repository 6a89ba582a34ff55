"""The messages of commits are checked, also where only the last commit is there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
GITLINT = Path(sys.executable).with_name("gitlint")
NAMED = ("-c", "user.name=a", "-c", "user.email=a@example.com")


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of depth 1, with the script as it is here."""
    folder = tmp_path_factory.mktemp("clone")
    subprocess.run(["git", "clone", "--quiet", "--depth", "1", ROOT.as_uri(), folder], check=True)
    for path in (".ci/commits", ".gitlint"):
        (folder / path).write_bytes((ROOT / path).read_bytes())
    return folder


def checked(clone: Path, message: str) -> str:
    """What the check prints about a commit; empty if nothing is wrong."""
    command = ["git", *NAMED, "commit", "--quiet", "--allow-empty", "--no-verify", "--message", message]
    subprocess.run(command, cwd=clone, check=True)
    ended = subprocess.run(["sh", ".ci/commits", GITLINT], cwd=clone, capture_output=True, text=True, check=False)
    assert bool(ended.returncode) == bool(ended.stderr)
    return ended.stderr


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        ("alerts: " + 64 * "x", ""),
        ("tests/unit: name the fixture\n\n" + 90 * "x", ""),
        ("alerts: " + 65 * "x", "T1 Title exceeds max length (73>72)"),
        ("Name the fixture", "T7 Title does not match regex"),
        ("alerts: WIP", "T5 Title contains the word 'WIP'"),
    ],
)
def test_the_subject_of_a_commit_is_short_and_names_its_area(clone: Path, message: str, fault: str) -> None:
    found = checked(clone, message)
    assert fault in found
    assert bool(fault) == bool(found)
