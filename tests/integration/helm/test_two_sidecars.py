"""A chart that depends on the sidecar twice, under two aliases, for two Deployments."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.integration.helm.conftest import Chart

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]
ALIASES = ("web-sidecar", "worker-sidecar")
INCLUDES = ("configMap", "initContainers", "containers", "volumes")


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chart]:
    """The example's chart with its template for each alias."""
    folder = tmp_path_factory.mktemp("aliases")
    for name in ("examples/chart", "helm/sidelight-sidecar"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("charts", "Chart.lock"))
    path = folder / "examples" / "chart"
    meta = yaml.safe_load((path / "Chart.yaml").read_text())
    (dependency,) = meta["dependencies"]
    meta["dependencies"] = [dependency | {"alias": alias} for alias in ALIASES]
    (path / "Chart.yaml").write_text(json.dumps(meta))
    values = yaml.safe_load((path / "values.yaml").read_text())
    own = values.pop("sidelight-sidecar", {})
    (path / "values.yaml").write_text(json.dumps(values | dict.fromkeys(ALIASES, own)))
    for name in ("deployment", "collector"):
        template = path / "templates" / f"{name}.yaml"
        text = template.read_text()
        template.write_text("\n---\n".join(aliased(text, alias) for alias in ALIASES))
    chart = Chart(path=path)
    done = chart.helm("dependency", "build", path)
    assert done.returncode == 0, done.stderr
    return chart


def aliased(text: str, alias: str) -> str:
    text = text.replace(
        "name: {{ .Release.Name | quote }}\n", f'name: {{{{ printf "%s-{alias}" .Release.Name | quote }}}}\n', 1
    )
    for name in INCLUDES:
        text = text.replace(
            f'"sidelight-sidecar.{name}" .', f'"sidelight-sidecar.{name}" (dict "root" . "alias" "{alias}")'
        )
    return text


def collectors(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The sidecar by the name of its ConfigMap."""
    pods = [one["spec"]["template"]["spec"] for one in objects if one["kind"] == "Deployment"]
    return {pod["volumes"][0]["configMap"]["name"]: pod["initContainers"][0] for pod in pods}


def test_each_has_its_own_configuration_and_values(example: Chart) -> None:
    values = {"web-sidecar": {"memory": "256Mi"}, "worker-sidecar": {"memory": "1Gi", "serviceName": "worker"}}
    objects = example.rendered(values, "--kube-version", "1.33.2")
    found = collectors(objects)
    assert {name: one["resources"]["limits"]["memory"] for name, one in found.items()} == {
        "obs-web-sidecar": "256Mi",
        "obs-worker-sidecar": "1Gi",
    }
    assert {one["metadata"]["name"] for one in objects if one["kind"] == "ConfigMap"} == set(found)
    worker = {one["name"]: one.get("value") for one in found["obs-worker-sidecar"]["env"]}
    assert worker["OTEL_SERVICE_NAME"] == "worker"


def test_a_refusal_names_the_alias(example: Chart) -> None:
    assert 'worker-sidecar.memory: got "lots"' in example.refused({"worker-sidecar": {"memory": "lots"}})


def test_an_include_without_the_alias_says_how_to_give_it(example: Chart) -> None:
    template = example.path / "templates" / "collector.yaml"
    before = template.read_text()
    template.write_text(before + '\n---\n{{ include "sidelight-sidecar.containers" . }}\n')
    try:
        assert 'include with (dict "root" . "alias" "<alias>")' in example.refused({})
    finally:
        template.write_text(before)
