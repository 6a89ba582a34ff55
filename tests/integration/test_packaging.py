"""The distributions build, install into empty environments, and do not affect a service's own packages."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONSTRAINTS = ROOT / "requirements" / "constraints.txt"
STACK_PACKAGES = {"alerts", "collector", "dashboards", "sidelight"}
MINUTES = 60


def run(*argv: str | Path, cwd: Path, timeout: float = 5 * MINUTES) -> str:
    done = subprocess.run(
        argv, cwd=cwd, env=clean_environment(), capture_output=True, text=True, timeout=timeout, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def clean_environment() -> dict[str, str]:
    """The environment without what would show the repository to another Python."""
    return {key: value for key, value in os.environ.items() if key not in {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}}


@dataclass(frozen=True)
class Artefacts:
    folder: Path

    def wheel(self, name: str) -> Path:
        return next(self.folder.glob(f"{name}-*.whl"))

    def sdist(self, name: str) -> Path:
        return next(self.folder.glob(f"{name}-*.tar.gz"))

    def contents(self, name: str) -> set[str]:
        with zipfile.ZipFile(self.wheel(name)) as wheel:
            return set(wheel.namelist())


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Artefacts:
    """Wheels built from the sdists, as a package index's users build them."""
    folder = tmp_path_factory.mktemp("dist")
    for project in (ROOT, ROOT / "stack", ROOT / "speedups"):
        build = (sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, project)
        run("sh", ROOT / "requirements" / "compiler.sh", sys.prefix, *build, cwd=folder)
    return Artefacts(folder=folder)


@dataclass(frozen=True)
class Environment:
    folder: Path

    def install(self, *packages: str | Path) -> None:
        pip = (sys.executable, "-m", "pip", "--python", self.folder / "bin" / "python", "--disable-pip-version-check")
        run(*pip, "install", "--quiet", "--constraint", CONSTRAINTS, *packages, cwd=self.folder)
        run(*pip, "check", cwd=self.folder)

    def python(self, code: str, *, cwd: Path) -> str:
        return run(self.folder / "bin" / "python", "-c", code, cwd=cwd).strip()


def empty_environment(folder: Path) -> Environment:
    venv.create(folder, with_pip=False, symlinks=True)
    return Environment(folder=folder)


@pytest.fixture
def service(tmp_path: Path) -> Path:
    """A team's repository with packages that are called like ours."""
    for name in STACK_PACKAGES:
        (tmp_path / "service" / name).mkdir(parents=True)
        (tmp_path / "service" / name / "__init__.py").write_text('OWNER = "the team"\n')
    return tmp_path / "service"


def top_level(names: set[str]) -> set[str]:
    return {name.split("/")[0] for name in names if ".dist-info/" not in name}


def test_the_service_s_wheel_holds_instrumentation_alone(built: Artefacts) -> None:
    assert top_level(built.contents("sidelight")) == {"instrumentation"}
    assert "instrumentation/py.typed" in built.contents("sidelight")


def test_the_stack_s_wheel_holds_its_four_packages_with_example_and_chart(built: Artefacts) -> None:
    contents = built.contents("sidelight_stack")
    assert top_level(contents) == STACK_PACKAGES
    for name in STACK_PACKAGES:
        assert f"{name}/py.typed" in contents
    assert any(name.startswith("sidelight/share/helm/sidelight/") for name in contents)
    assert any(name.startswith("sidelight/share/examples/") for name in contents)
    assert any(name.startswith("sidelight/share/docs/runbooks/") for name in contents)
    assert {f"sidelight/view/built/{name}" for name in ("index.html", "view.js", "view.css")} <= contents


def test_what_runs_only_in_the_repository_is_in_no_wheel(built: Artefacts) -> None:
    contents = built.contents("sidelight_stack")
    assert not [name for name in contents if name.startswith("sidelight/view/page/") or name.endswith("/bundle.py")]
    with tarfile.open(built.sdist("sidelight_stack")) as sdist:
        assert any(name.endswith("/sidelight/view/page/main.ts") for name in sdist.getnames())


def test_the_speedups_wheel_holds_one_extension_module_and_its_types(built: Artefacts) -> None:
    stubs, extension = sorted(top_level(built.contents("sidelight_speedups")))
    assert stubs == "_sidelight_speedups-stubs"
    assert re.fullmatch(r"_sidelight_speedups\.cpython-.*\.so", extension)


@pytest.mark.parametrize("name", ["sidelight", "sidelight_stack", "sidelight_speedups"])
def test_no_wheel_or_sdist_holds_caches_or_tests(built: Artefacts, name: str) -> None:
    with tarfile.open(built.sdist(name)) as sdist:
        names = built.contents(name) | set(sdist.getnames())
    assert not [entry for entry in names if re.search(r"__pycache__|\.pyc$|(^|/)(tests|\.venv)/", entry)]


@pytest.mark.parametrize(("name", "project"), [("sidelight", ROOT), ("sidelight_stack", ROOT / "stack")])
def test_a_wheel_straight_from_the_repository_equals_the_one_from_the_sdist(
    built: Artefacts, name: str, project: Path, tmp_path: Path
) -> None:
    run(sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", tmp_path, project, cwd=tmp_path)
    assert Artefacts(folder=tmp_path).wheel(name).read_bytes() == built.wheel(name).read_bytes()


def test_the_stack_wants_the_service_s_half_of_its_own_version(built: Artefacts) -> None:
    version = built.wheel("sidelight_stack").name.split("-")[1]
    with zipfile.ZipFile(built.wheel("sidelight_stack")) as wheel:
        metadata = wheel.read(f"sidelight_stack-{version}.dist-info/METADATA").decode()
    assert f"Requires-Dist: sidelight=={version}\n" in metadata


def test_a_service_keeps_its_own_packages(built: Artefacts, service: Path, tmp_path: Path) -> None:
    environment = empty_environment(tmp_path / "environment")
    environment.install(built.wheel("sidelight"))
    code = f"""
import importlib, instrumentation
for name in {sorted(STACK_PACKAGES)}:
    assert importlib.import_module(name).OWNER == "the team", name
print(instrumentation.__file__)
"""
    assert environment.python(code, cwd=service).startswith(str(environment.folder))


def test_a_service_with_the_extra_is_measured_by_the_compiled_layer(built: Artefacts, tmp_path: Path) -> None:
    environment = empty_environment(tmp_path / "environment")
    environment.install(f"{built.wheel('sidelight')}[speedups]", built.wheel("sidelight_speedups"))
    code = """
from instrumentation.http.compiled import fastest

print(fastest().__module__)
"""
    assert environment.python(code, cwd=tmp_path) == "_sidelight_speedups"


def test_the_command_runs_beside_packages_that_are_called_like_ours(
    built: Artefacts, service: Path, tmp_path: Path
) -> None:
    environment = empty_environment(tmp_path / "environment")
    environment.install(built.wheel("sidelight"), built.wheel("sidelight_stack"))
    usage = run(environment.folder / "bin" / "sidelight", "--help", cwd=service)
    assert "build" in usage
    assert "demo" in usage


@pytest.mark.parametrize("folder", ["stack", "speedups"])
def test_the_licence_is_the_repository_s(folder: str) -> None:
    assert (ROOT / folder / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_the_constraints_pin_every_dependency_and_name_no_address_path_or_hash() -> None:
    lines = [line for line in CONSTRAINTS.read_text().splitlines() if not line.startswith("#")]
    pins = [re.fullmatch(r"([a-z0-9-]+)==[\w.]+( ; .+)?", line) for line in lines]
    assert lines
    assert [line for line, pin in zip(lines, pins, strict=True) if pin is None] == []
    pinned = {pin[1] for pin in pins if pin}
    ours = {"sidelight", "sidelight-speedups"}  # built from their folders
    assert {name for project in (ROOT, ROOT / "stack") for name in wanted(project)} - ours <= pinned


def wanted(project: Path) -> set[str]:
    table = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    extras = (requirement for extra in table["optional-dependencies"].values() for requirement in extra)
    return {re.split(r"[><=~!\[ ;]", requirement)[0].lower() for requirement in (*table["dependencies"], *extras)}
