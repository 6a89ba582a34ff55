"""``sidelight init`` detects what it can, writes files that work, and overwrites nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from instrumentation.errors import SettingsError, SidelightError
from instrumentation.settings import load_settings
from sidelight.checks import find
from sidelight.cli import app
from sidelight.project_files import init

PROJECTS = {
    "PEP 621": ('[project]\nname = "search-api"\nversion = "7.3.0"\n', ("search-api", "7.3.0")),
    "a version known later": ('[project]\nname = "search-api"\ndynamic = ["version"]\n', ("search-api", "0")),
    "Poetry": ('[tool.poetry]\nname = "agents"\nversion = "3"\n', ("agents", "3")),
    "no names": ("[tool.ruff]\n", ("repository", "0")),
    "no project": (None, ("repository", "0")),
}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("kind", PROJECTS)
def test_name_and_version_are_found_out(kind: str, repository: Path) -> None:
    text, service = PROJECTS[kind]
    if text is not None:
        (repository / "pyproject.toml").write_text(text)
    init(repository)
    found = load_settings(repository / "sidelight.yaml").service
    assert (found.name, found.version) == service


def test_a_second_time_changes_nothing_and_says_so(repository: Path) -> None:
    first = CliRunner().invoke(app, ["init", str(repository)])
    texts = {path: path.read_text() for path in repository.rglob("*") if path.is_file()}
    second = CliRunner().invoke(app, ["init", str(repository)])
    assert {path: path.read_text() for path in repository.rglob("*") if path.is_file()} == texts
    assert first.output.count("written ") == second.output.count("kept ") == len(texts) == 4


def test_a_file_of_the_teams_own_stays_as_it_is(repository: Path) -> None:
    (repository / "sidelight.mk").write_text("# ours\n")
    assert {made.path: made.verdict for made in init(repository)}["sidelight.mk"] == "kept"
    assert (repository / "sidelight.mk").read_text() == "# ours\n"


def test_gitlab_gets_a_file_to_include(repository: Path) -> None:
    (repository / ".gitlab-ci.yml").write_text("stages: [test]\n")
    assert ".gitlab/sidelight.yml" in {made.path for made in init(repository)}
    assert yaml.safe_load((repository / ".gitlab" / "sidelight.yml").read_text())["sidelight"]["script"]


def test_every_line_that_is_commented_out_is_a_setting(repository: Path) -> None:
    init(repository)
    path = repository / "sidelight.yaml"
    lines = path.read_text().splitlines()
    path.write_text(
        "\n".join(
            line.replace("# ", "", 1) if line.startswith(("# a", "# slo", "# b", "# t", "#  ")) else line
            for line in lines
        )
    )
    found = load_settings(path)
    assert (found.budget.daily_usd, found.tracing.endpoint) == (20, "http://localhost:4318")
    assert found.alerting.receivers.default.slack is not None


def test_the_fragment_generates_and_finds_nothing_wrong(repository: Path) -> None:
    init(repository)
    command = [
        "make",
        "-f",
        "sidelight.mk",
        "observability-check",
        f"SIDELIGHT={Path(sys.executable).parent / 'sidelight'}",
    ]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert find([repository / "observability"], load_settings(repository / "sidelight.yaml")).findings == []
    assert (repository / "observability" / "helm" / "sidelight" / "README.md").exists()


def test_the_workflow_runs_what_there_is(repository: Path) -> None:
    init(repository)
    workflow: Any = yaml.safe_load((repository / ".github" / "workflows" / "sidelight.yml").read_text())
    steps = [step.get("run", "") for step in workflow["jobs"]["observability"]["steps"]]
    assert "make -f sidelight.mk observability" in steps
    assert yaml.safe_load((repository / "sidelight-values.yaml").read_text()) == {
        "commonLabels": {},
        "podMonitor": {"enabled": False},
        "collectorMonitor": {"enabled": False},
    }


def test_an_invalid_project_file_is_reported(repository: Path) -> None:
    (repository / "pyproject.toml").write_text("[project\n")
    with pytest.raises(SidelightError, match=r"pyproject\.toml: cannot be read"):
        init(repository)
    assert list(repository.iterdir()) == [repository / "pyproject.toml"]


def test_an_invalid_name_is_reported_and_no_files_are_left(repository: Path) -> None:
    (repository / "pyproject.toml").write_text(f'[project]\nname = "{"a" * 300}"\n')
    with pytest.raises(SettingsError, match=r"service\.name"):
        init(repository)
    assert list(repository.iterdir()) == [repository / "pyproject.toml"]
