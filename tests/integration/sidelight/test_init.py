"""``sidelight init`` in five layouts of projects: each pipeline runs to its end in a clone, as the CI service would run it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from sidelight.project_files import init
from sidelight.toolchain import tool

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[3]
BIN = Path(sys.executable).parent
SIDELIGHT = {"SIDELIGHT": str(BIN / "sidelight")}  # the environment that tests run in, instead of one for each layout


def run(*argv: str | Path, cwd: Path, more: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")} | (more or {})
    return subprocess.run(argv, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False)


def git(folder: Path, *argv: str) -> None:
    who = ("-c", "user.name=shop", "-c", "user.email=shop@shop.example", "-c", "commit.gpgsign=false")
    done = run("git", *who, *argv, cwd=folder)
    assert done.returncode == 0, done.stderr


def written(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def src(root: Path) -> Path:
    written(
        root,
        **{"pyproject.toml": '[project]\nname = "shop"\nversion = "1.4.0"\n', "src__shop__main.py": "app = None\n"},
    )
    return root


def flat(root: Path) -> Path:
    written(root, **{"setup.py": "from setuptools import setup\nsetup(name='shop')\n", "shop__main.py": "app = None\n"})
    return root


def monorepo(root: Path) -> Path:
    for name in ("shop", "mail"):
        written(root, **{f"services__{name}__pyproject.toml": f'[project]\nname = "{name}"\nversion = "2"\n'})
    return root / "services" / "shop"


def uv(root: Path) -> Path:
    done = run(BIN / "uv", "init", "--package", "--no-readme", "--offline", "--name", "shop", cwd=root)
    assert done.returncode == 0, done.stderr
    return root


def poetry(root: Path) -> Path:
    written(root, **{"pyproject.toml": '[tool.poetry]\nname = "shop"\nversion = "3.1"\n', "shop____init__.py": ""})
    return root


def committed(root: Path, service: Path) -> None:
    """What the output of ``sidelight init`` says: generate, and commit all files."""
    done = run("make", "-f", "sidelight.mk", "observability", cwd=service, more=SIDELIGHT)
    assert done.returncode == 0, done.stdout + done.stderr
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", "observability")


def pipeline(root: Path, to: Path, more: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Clone, and run the commands of the pipeline in the clone."""
    git(to.parent, "clone", "--quiet", str(root), str(to))
    (file,) = [*to.glob(".github/workflows/*.yml"), *to.glob(".gitlab/*.yml")]
    document: Any = yaml.safe_load(file.read_text())
    if ".gitlab" in file.parts:
        (job,) = document.values()
        script = job["script"]
    else:
        script = [step["run"] for step in document["jobs"]["observability"]["steps"] if "run" in step]
        linted = run(tool("actionlint"), file, cwd=to)
        assert linted.returncode == 0, linted.stdout
    return run("bash", "-euo", "pipefail", "-c", "\n".join(script), cwd=to, more=more)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    root.mkdir()
    git(root, "init", "--quiet", "--initial-branch", "main")
    return root


PIPELINES = [
    *((layout, "github") for layout in (src, flat, monorepo, uv, poetry)),
    (src, "gitlab"),
    (monorepo, "gitlab"),
]


@pytest.mark.parametrize(("layout", "service"), PIPELINES)
def test_the_pipeline_passes_in_a_clone(
    layout: Callable[[Path], Path], service: str, repository: Path, tmp_path: Path
) -> None:
    folder = layout(repository)
    if service == "gitlab":
        (repository / ".gitlab-ci.yml").write_text("stages: [test]\n")
    init(folder)
    committed(repository, folder)
    done = pipeline(repository, tmp_path / "clone", SIDELIGHT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "clone" / folder.relative_to(repository) / "observability" / "alerts").is_dir()


@pytest.mark.parametrize("how", ["forgotten", "ignored", "changed"])
def test_the_pipeline_fails_unless_the_generated_files_are_committed(
    how: str, repository: Path, tmp_path: Path
) -> None:
    init(src(repository))
    if how == "ignored":
        (repository / ".gitignore").write_text("observability/\n")
    if how == "changed":
        committed(repository, repository)
        settings = repository / "sidelight.yaml"
        settings.write_text(settings.read_text().replace("critical: 0.05", "critical: 0.06"))
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "--message", "settings")
    done = pipeline(repository, tmp_path / "clone", SIDELIGHT)
    assert done.returncode != 0
    assert "observability/ is not committed as it was generated" in done.stderr


def test_make_installs_what_sidelight_txt_names(repository: Path, tmp_path: Path) -> None:
    """From folders, as a team would that has a copy of Sidelight."""
    folder = monorepo(repository)
    init(folder, [str(ROOT), str(ROOT / "stack")])
    more = {"PATH": "/usr/bin:/bin", "SIDELIGHT_PYTHON": sys.executable}
    done = run("make", "-f", folder / "sidelight.mk", "observability", cwd=tmp_path, more=more)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (folder / "observability" / "alerts" / "generated" / "rules.yaml").exists()
    status = subprocess.run(
        ["git", "status", "--porcelain", "--untracked-files=all"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ".sidelight/" not in status.stdout
