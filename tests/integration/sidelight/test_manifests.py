"""``sidelight build manifests``: the chart's objects without Helm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from instrumentation.errors import SidelightError
from instrumentation.settings import Settings, parse_settings
from sidelight.build import build_manifests

if TYPE_CHECKING:
    from pathlib import Path

SHOP = parse_settings({"service": {"name": "shop"}})
MONITOR = {"podMonitor": {"enabled": True, "selector": {"matchLabels": {"app": "shop"}}}, "test": {"enabled": True}}


def built(folder: Path, values: dict[str, Any] | None = None, settings: Settings = SHOP) -> dict[str, dict[str, Any]]:
    """File name to object."""
    given = folder / "values.yaml"
    given.write_text(yaml.safe_dump(values or {}))
    build_manifests(settings, folder, "observability", [given])
    return {file.name: yaml.safe_load(file.read_text()) for file in sorted((folder / "manifests").iterdir())}


def test_each_object_has_a_file_that_the_kustomization_lists(tmp_path: Path) -> None:
    files = built(tmp_path, MONITOR)
    kustomization = files.pop("kustomization.yaml")
    assert kustomization["resources"] == list(files)
    assert kustomization["namespace"] == "observability"
    assert {one["kind"] for one in files.values()} == {"ConfigMap", "PrometheusRule", "PodMonitor"}
    assert {one["metadata"]["namespace"] for one in files.values()} == {"observability"}
    assert not any("app.kubernetes.io/managed-by" in one["metadata"]["labels"] for one in files.values())


def test_a_build_without_a_change_writes_nothing_and_a_smaller_one_removes(tmp_path: Path) -> None:
    built(tmp_path, MONITOR)
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(MONITOR))
    again = build_manifests(SHOP, tmp_path, "observability", [tmp_path / "values.yaml"])
    assert {change.verdict for change in again} == {"unchanged"}
    removed = build_manifests(SHOP, tmp_path, "observability", [])
    assert [change.path for change in removed if change.verdict == "removed"] == ["manifests/podmonitor-sidelight.yaml"]


def test_values_that_the_chart_refuses_leave_the_files_as_they_are(tmp_path: Path) -> None:
    before = built(tmp_path, MONITOR)
    with pytest.raises(SidelightError) as caught:
        built(tmp_path, {"podMonitor": {"enabled": True}})
    assert str(caught.value).startswith("build manifests: podMonitor.selector: got none, which would scrape every pod;")
    assert "--debug" not in str(caught.value)
    assert {file.name for file in (tmp_path / "manifests").iterdir()} == set(before)


def test_a_file_of_values_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(SidelightError, match=r"--values: got .*none\.yaml, which is not a file"):
        build_manifests(SHOP, tmp_path, "observability", [tmp_path / "none.yaml"])
