"""Dashboards as files for those who do not publish through the API."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from typer.testing import CliRunner

from dashboards import DASHBOARDS, panels_of
from dashboards.export import FORMS, exported, left_out
from instrumentation.errors import SidelightError
from instrumentation.settings import parse_settings
from sidelight.cli import app

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = parse_settings({"dashboards": {"owner": "payments"}})
OWN = {"uid": "queues", "title": "Queues", "tags": [], "panels": []}


def with_own(*files: Path) -> Any:
    return parse_settings({"dashboards": {"own": [str(file) for file in files]}})


@pytest.fixture
def own(tmp_path: Path) -> Path:
    file = tmp_path / "Queues of EU.json"
    file.write_text(json.dumps(OWN))
    return file


def test_provisioning_names_the_folder_and_brings_every_dashboard(own: Path) -> None:
    files = exported(with_own(own), "provisioning")
    (provider,) = yaml.safe_load(files["provisioning/dashboards/sidelight.yaml"])["providers"]
    assert (provider["type"], provider["folder"], provider["allowUiUpdates"]) == ("file", "Sidelight", False)
    assert provider["options"]["path"].startswith("/")
    assert {name for name in files if name.startswith("dashboards/")} == {
        *(f"dashboards/{name}.json" for name in (*DASHBOARDS, "queues-of-eu"))
    }
    assert json.loads(files["dashboards/queues-of-eu.json"])["uid"] == "queues"


def test_exported_dashboards_carry_their_owner() -> None:
    for text in exported(SETTINGS, "provisioning").values():
        data = yaml.safe_load(text)
        if "uid" in data:
            assert data["tags"] == ["sidelight", "sidelight:payments"]
            assert data["uid"].startswith("sidelight-payments-")


def test_the_operator_gets_a_resource_for_each_dashboard() -> None:
    files = exported(SETTINGS, "operator")
    assert set(files) == {f"{name}.yaml" for name in DASHBOARDS}
    for text in files.values():
        data = yaml.safe_load(text)
        assert (data["apiVersion"], data["kind"]) == ("grafana.integreatly.org/v1beta1", "GrafanaDashboard")
        assert data["metadata"]["name"] == json.loads(data["spec"]["json"])["uid"]
        assert data["spec"]["folder"] == "payments: Sidelight"
        assert data["spec"]["instanceSelector"]["matchLabels"]


def test_terraform_reads_the_dashboards_from_files_that_are_there() -> None:
    files = exported(SETTINGS, "terraform")
    module = json.loads(files["main.tf.json"])
    dashboards = module["resource"]["grafana_dashboard"]
    assert set(dashboards) == set(DASHBOARDS)
    for name, arguments in dashboards.items():
        assert arguments == {
            "folder": "${grafana_folder.sidelight.uid}",
            "config_json": f'${{file("${{path.module}}/dashboards/{name}.json")}}',
        }
        assert f"dashboards/{name}.json" in files
    assert module["resource"]["grafana_folder"]["sidelight"] == {"title": "payments: Sidelight"}


@pytest.mark.parametrize("version", ["v2beta1", "v2"])
def test_the_second_schema_has_every_panel_and_row_of_the_first(version: str) -> None:
    for name, text in exported(SETTINGS, version).items():
        data, first = json.loads(text), DASHBOARDS[name.removesuffix(".json")](SETTINGS)
        old: Any = first
        assert (data["apiVersion"], data["metadata"]["name"]) == (f"dashboard.grafana.app/{version}", old["uid"])
        elements = data["spec"]["elements"]
        assert {one["spec"]["title"] for one in elements.values()} == {panel["title"] for panel in panels_of(old)}
        rows = data["spec"]["layout"]["spec"]["rows"]
        headings = [panel for panel in old["panels"] if panel["type"] == "row"]
        assert [(row["spec"]["title"], row["spec"]["collapse"]) for row in rows] == [
            (heading["title"], heading["collapsed"]) for heading in headings
        ]
        placed = [item["spec"] for row in rows for item in row["spec"]["layout"]["spec"]["items"]]
        assert sorted(item["element"]["name"] for item in placed) == sorted(elements)
        assert all(min(one["spec"]["y"] for one in row["spec"]["layout"]["spec"]["items"]) == 0 for row in rows)


def test_own_dashboards_that_are_left_out_are_named(own: Path) -> None:
    settings = with_own(own)
    assert "queues-of-eu.json" not in exported(settings, "v2")
    assert left_out(settings, "v2").startswith("dashboards.own is left out")
    assert left_out(settings, "terraform") == ""
    assert left_out(SETTINGS, "v2") == ""


def test_two_own_dashboards_of_the_same_name_are_refused(tmp_path: Path) -> None:
    files = [tmp_path / folder / "queues.json" for folder in "ab"]
    for file in files:
        file.parent.mkdir()
        file.write_text(json.dumps(OWN))
    with pytest.raises(SidelightError, match="would be the same file queues; rename one"):
        exported(with_own(*files), "operator")


def test_the_command_writes_the_files_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for verdict in ("written", "unchanged"):
        done = CliRunner().invoke(app, ["export", "operator", "--output", "out"])
        assert done.exit_code == 0, done.output
        assert f"{verdict} out/operations.yaml" in done.output.splitlines()
    assert yaml.safe_load((tmp_path / "out" / "fleet.yaml").read_text())["kind"] == "GrafanaDashboard"


def test_an_unknown_form_is_refused() -> None:
    with pytest.raises(SidelightError) as caught:
        exported(SETTINGS, "jsonnet")
    assert str(caught.value) == f"export: got 'jsonnet'; give one of {', '.join(FORMS)}, or alerts."
