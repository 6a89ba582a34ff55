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
from sidelight.project_files import _line, init

HERE = Path(sys.executable).parent / "sidelight"
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
    assert first.output.count("written ") == second.output.count("kept ") == len(texts) == 5


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
    command = ["make", "-f", "sidelight.mk", "observability-check", f"SIDELIGHT={HERE}"]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert find([repository / "observability"], load_settings(repository / "sidelight.yaml")).findings == []
    assert (repository / "observability" / "helm" / "sidelight" / "README.md").exists()
    assert yaml.safe_load((repository / "sidelight-values.yaml").read_text()) == {
        "commonLabels": {},
        "podMonitor": {"enabled": False},
        "collectorMonitor": {"enabled": False},
    }


def test_a_name_that_anyone_could_register_is_refused(repository: Path) -> None:
    done = CliRunner().invoke(app, ["init", str(repository), "--from", "sidelight-stack"])
    assert done.exit_code != 0
    with pytest.raises(SidelightError, match=r"anyone could register.*sidelight-stack==0\.1\.0"):
        init(repository, ["sidelight-stack"])
    assert list(repository.iterdir()) == []


def test_what_pip_installs_stands_in_one_file(repository: Path) -> None:
    CliRunner().invoke(
        app, ["init", str(repository), "--from", "sidelight-stack==0.1.0", "--index", "https://pypi.example/simple"]
    )
    lines = (repository / "sidelight.txt").read_text().splitlines()[1:]
    assert lines == ["--index-url https://pypi.example/simple", "sidelight-stack==0.1.0"]


DIRECT = [
    ({"url": "file:///vendored/stack", "dir_info": {}}, None),
    ({"url": "file://{root}/vendored/stack", "dir_info": {"editable": True}}, "../../vendored/stack"),
    ({"url": "file://{root}/services/shop/stack", "dir_info": {}}, "./stack"),
    (
        {
            "url": "https://git.example/x.git",
            "vcs_info": {"vcs": "git", "commit_id": "c0ffee"},
            "subdirectory": "stack",
        },
        "sidelight-stack @ git+https://git.example/x.git@c0ffee#subdirectory=stack",
    ),
    (
        {"url": "https://files.example/s.whl", "archive_info": {"hashes": {"sha256": "ab"}}},
        "sidelight-stack @ https://files.example/s.whl#sha256=ab",
    ),
]


@pytest.mark.parametrize(("direct", "line"), DIRECT)
def test_where_pip_installed_the_running_sidelight_from(
    direct: dict[str, Any], line: str | None, tmp_path: Path
) -> None:
    given = direct | {"url": direct["url"].format(root=tmp_path)}
    assert _line("sidelight-stack", given, tmp_path / "services" / "shop", tmp_path) == line


def test_without_a_source_make_says_what_is_missing(repository: Path) -> None:
    said = CliRunner().invoke(app, ["init", str(repository)]).output
    assert "CI cannot know where to install Sidelight from" in said
    assert "SIDELIGHT=/" in said
    command = ["make", "-f", "sidelight.mk", "observability"]
    away = {"PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, cwd=repository, env=away, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert "sidelight: not found; name its source in sidelight.txt" in done.stderr


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
