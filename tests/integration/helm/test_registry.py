"""Both charts are packaged, pushed to a real OCI registry, and installed from there."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from sidelight.toolchain import processes, tool

if TYPE_CHECKING:
    from collections.abc import Iterator

HELM = Path(__file__).parents[3] / "helm"
CHARTS = {"sidelight": "application", "sidelight-sidecar": "library"}


def helm(*arguments: str | Path) -> str:
    command = [str(argument) for argument in (tool("helm"), *arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packages")
    helm("package", *(HELM / name for name in CHARTS), "--destination", folder)
    return folder


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a registry."""
    folder = tmp_path_factory.mktemp("registry")
    address = f"{processes.LOOPBACK}:{processes.free_port()}"
    config = {
        "version": 0.1,
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "store")}},
        "http": {"addr": address},
    }
    (folder / "config.yml").write_text(yaml.safe_dump(config))
    with processes.start(
        [tool("docker-registry"), "serve", folder / "config.yml"], log=folder / "log", ready=f"http://{address}/v2/"
    ):
        yield address


def test_a_chart_from_a_registry_renders_as_the_one_in_the_repository(packages: Path, registry: str) -> None:
    for package in sorted(packages.iterdir()):
        helm("push", package, f"oci://{registry}/charts", "--plain-http")
    version = yaml.safe_load((HELM / "sidelight" / "Chart.yaml").read_text())["version"]
    shown = ("template", "obs", "--namespace", "monitoring")
    ours = helm(*shown, HELM / "sidelight")
    assert helm(*shown, f"oci://{registry}/charts/sidelight", "--version", version, "--plain-http") == ours


def test_a_team_depends_on_the_sidecar_in_the_registry(packages: Path, registry: str, tmp_path: Path) -> None:
    helm("push", next(packages.glob("sidelight-sidecar-*.tgz")), f"oci://{registry}/charts", "--plain-http")
    team = tmp_path / "team"
    shutil.copytree(HELM.parent / "examples" / "chart", team, ignore=shutil.ignore_patterns("charts", "Chart.lock"))
    own = yaml.safe_load((team / "Chart.yaml").read_text())
    (dependency,) = own["dependencies"]
    dependency["repository"] = f"oci://{registry}/charts"
    (team / "Chart.yaml").write_text(json.dumps(own))
    helm("dependency", "update", team, "--plain-http")
    kinds = [one["kind"] for one in yaml.safe_load_all(helm("template", "shop", team)) if one]
    assert "Deployment" in kinds


def test_packages_make_a_repository(packages: Path) -> None:
    helm("repo", "index", packages)
    entries = yaml.safe_load((packages / "index.yaml").read_text())["entries"]
    assert {name: versions[0]["type"] for name, versions in entries.items()} == CHARTS
