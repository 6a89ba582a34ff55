"""Quantities are read as in Kubernetes, and the collector's limits follow its memory."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

import collector
from instrumentation.settings import Settings
from sidelight.chart.quantity import quantity_templates
from sidelight.toolchain import tool
from tests.integration.helm.conftest import Chart
from tests.integration.helm.test_schemas import shop  # noqa: F401 - a fixture

if TYPE_CHECKING:
    from pathlib import Path

MIB = {  # a container's memory, and four fifths of it in whole MiB
    "128Mi": 102,
    "1.5Gi": 1228,
    "0.5Gi": 409,
    ".5Gi": 409,
    "512M": 390,
    "1G": 762,
    "500Mi": 400,
    "131072Ki": 102,
    "1e9": 762,
    "1E9": 762,
    "12e+8": 915,
    "1073741824": 819,
    "128974848000m": 98,  # as Kubernetes' own documentation has it
    "0.002Ti": 1677,
    1073741824: 819,
    1.0e9: 762,
}


def templates(folder: Path, template: str) -> Chart:
    """A chart of nothing but the templates of quantities and one that uses them."""
    (folder / "templates").mkdir()
    (folder / "Chart.yaml").write_text("{apiVersion: v2, name: own, version: 1.0.0}")
    (folder / "templates" / "_quantity.tpl").write_text(quantity_templates("own"))
    (folder / "templates" / "used.yaml").write_text(template)
    return Chart(path=folder)


def test_four_fifths_of_every_way_to_write_a_memory(tmp_path: Path) -> None:
    each = 'mib: {{ range .Values.given }}\n- {{ include "own.mebibytes" (dict "path" "memory" "given" . "fifths" 4) }}{{ end }}'
    (tmp_path / "own").mkdir()
    done = templates(tmp_path / "own", each).template({"given": list(MIB)})
    assert yaml.safe_load(done.stdout) == {"mib": list(MIB.values())}, done.stderr


@pytest.mark.parametrize("given", ["1.5GB", "1,5Gi", "lots", "512 Mi", "-1Gi", "1Kb", "1.5.5Gi", "1e", "Gi", ".", ""])
def test_what_kubernetes_does_not_read_is_refused_in_a_sentence(given: str, chart: Chart) -> None:
    sentence = f'got "{given}"; give a quantity as Kubernetes writes it, such as 512Mi, 1.5Gi, 1G or 500m.'
    refusal = chart.refused({"gateway": {"resources": {"memory": given}}})
    assert f"gateway.resources.memory: {sentence}" in refusal


@pytest.mark.parametrize(("section", "key"), [("resources", "cpuRequest"), ("queue", "size")])
def test_every_quantity_of_the_gateway_is_read(section: str, key: str, chart: Chart) -> None:
    assert f'gateway.{section}.{key}: got "2 GB";' in chart.refused({"gateway": {section: {key: "2 GB"}}})


@pytest.mark.parametrize(("given", "bytes_"), [(128, 128), ("31Mi", 32505856), ("100m", 0.1)])
def test_too_little_memory_is_refused_with_what_it_is(given: object, bytes_: float, chart: Chart) -> None:
    refusal = chart.refused({"gateway": {"resources": {"memory": given}}})
    assert f"gateway.resources.memory: got {given}, which is {bytes_} bytes; give at least 32Mi" in refusal


def limits(container: dict[str, Any]) -> tuple[str, dict[str, str]]:
    names = ("GOMEMLIMIT", "SIDELIGHT_MEMORY_LIMIT_MIB", "SIDELIGHT_MEMORY_SPIKE_MIB")
    return container["resources"]["limits"]["memory"], {
        one["name"]: one["value"] for one in container["env"] if one["name"] in names
    }


EXPECTED = (
    "1.5Gi",
    {"GOMEMLIMIT": "1228MiB", "SIDELIGHT_MEMORY_LIMIT_MIB": "1228", "SIDELIGHT_MEMORY_SPIKE_MIB": "307"},
)


@pytest.mark.parametrize("kind", ["Deployment", "OpenTelemetryCollector"])
def test_the_gateway_s_limits_follow_its_memory(kind: str, chart: Chart) -> None:
    objects = chart.rendered({"gateway": {"enabled": True, "kind": kind, "resources": {"memory": "1.5Gi"}}})
    (one,) = (one for one in objects if one["kind"] == kind)
    spec = one["spec"] if kind != "Deployment" else one["spec"]["template"]["spec"]["containers"][0]
    assert limits(spec) == EXPECTED


def test_the_sidecar_s_limits_follow_its_memory(shop: Chart) -> None:  # noqa: F811
    objects = shop.rendered({"sidelight-sidecar": {"memory": "1.5Gi"}}, "--kube-version", "1.28.0")
    (pod,) = (one["spec"]["template"]["spec"] for one in objects if one["kind"] == "Deployment")
    assert limits(pod["containers"][1]) == EXPECTED
    refusal = shop.refused({"sidelight-sidecar": {"queueSizeLimit": "lots"}})
    assert 'sidelight-sidecar.queueSizeLimit: got "lots"; give a quantity' in refusal


@pytest.mark.parametrize(("spike", "sound"), [("307", True), ("1300", False)])
def test_the_collector_reads_its_limits_as_numbers(spike: str, sound: bool, tmp_path: Path) -> None:  # noqa: FBT001
    """A spike above the limit is refused, so both are read."""
    (tmp_path / "gateway.yaml").write_text(collector.generated(Settings())["gateway.yaml"])
    argv = [tool("otelcol"), "validate", "--config", str(tmp_path / "gateway.yaml")]
    env = {**os.environ, "SIDELIGHT_MEMORY_LIMIT_MIB": "1228", "SIDELIGHT_MEMORY_SPIKE_MIB": spike}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode == 0) is sound, done.stderr
