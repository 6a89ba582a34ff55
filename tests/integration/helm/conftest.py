"""A chart built from settings in a temporary folder, and the real Helm to render it."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from instrumentation.settings import Settings
from sidelight.chart import chart_files, dashboard_files
from sidelight.toolchain import tool

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Values = Mapping[str, Any]

SOURCE = Path(__file__).parents[3] / "helm" / "sidelight"
GENERATED = shutil.ignore_patterns("files", "values.yaml", "values.schema.json")


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart on disk."""

    path: Path

    def helm(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [str(argument) for argument in (tool("helm"), *arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    def template(self, values: Values | None = None, *arguments: str) -> subprocess.CompletedProcess[str]:
        given = self.path.parent / "given.json"
        given.write_text(json.dumps(values or {}))
        return self.helm("template", "obs", self.path, "--namespace", "monitoring", "--values", given, *arguments)

    def rendered(self, values: Values | None = None, *arguments: str) -> list[dict[str, Any]]:
        done = self.template(values, *arguments)
        assert done.returncode == 0, done.stderr
        return [document for document in yaml.safe_load_all(done.stdout) if document]

    def refused(self, values: Values, *arguments: str) -> str:
        done = self.template(values, *arguments)
        assert done.returncode != 0, done.stdout
        return done.stderr

    def groups(self, values: Values | None = None) -> list[dict[str, Any]]:
        """The groups of the PrometheusRule; empty without such an object."""
        objects = [one for one in self.rendered(values) if one["kind"] == "PrometheusRule"]
        return [group for one in objects for group in one["spec"]["groups"]]

    def alerts(self, name: str, values: Values | None = None) -> dict[str, dict[str, Any]]:
        """The rules of one alert by severity."""
        rules = [rule for group in self.groups(values) for rule in group["rules"]]
        return {rule["labels"]["severity"]: rule for rule in rules if rule.get("alert") == name}


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., Chart]:
    def build(settings: Settings | None = None, dashboards: Mapping[str, str] | None = None) -> Chart:
        path = tmp_path / "chart" / "sidelight"
        shutil.copytree(SOURCE, path, ignore=GENERATED)
        for name, text in {**chart_files(settings or Settings()), **dashboard_files(dashboards or {})}.items():
            file = path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return Chart(path=path)

    return build


@pytest.fixture
def chart(build: Callable[..., Chart]) -> Chart:
    return build()
