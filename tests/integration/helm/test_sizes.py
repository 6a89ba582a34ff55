"""No object exceeds the size limits of the cluster, however many rules there are."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from sidelight.toolchain import tool
from tests.integration.helm.test_objects import by_kind, notes

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Chart

OPERATOR = 524288  # bytes of the YAML of a PrometheusRule's spec
ANNOTATION = 262144  # bytes of all annotations of an object; kubectl apply writes the object into one of them


@pytest.fixture
def large(chart: Chart) -> Chart:
    """A chart whose alerts have long descriptions: 40 of 15 kB, most of them in one group."""
    file = chart.path / "files" / "rules.yaml"
    rules = yaml.safe_load(file.read_text())
    for group in rules["groups"]:
        alerts = [rule for rule in group["rules"] if "alert" in rule]
        for rule in alerts * (8 if group["key"] == "http" else 1):
            rule["annotations"]["description"] += f" {'é' * 900}\n"
    (http,) = (group for group in rules["groups"] if group["key"] == "http")
    http["rules"] += [rule for rule in http["rules"] if "alert" in rule] * 5
    file.write_text(yaml.safe_dump(rules, sort_keys=False))
    return chart


def rule_objects(chart: Chart, kind: str) -> list[dict[str, Any]]:
    return by_kind(chart.rendered({"rules": {"kind": kind}, "dashboards": {"enabled": False}}), kind)


def groups_of(one: dict[str, Any]) -> list[dict[str, Any]]:
    found = one["spec"] if one["kind"] == "PrometheusRule" else yaml.safe_load(one["data"]["sidelight.rules.yaml"])
    groups: list[dict[str, Any]] = found["groups"]
    return groups


@pytest.mark.parametrize("kind", ["PrometheusRule", "ConfigMap"])
def test_rules_are_split_before_an_object_is_too_large_and_all_are_there_in_order(kind: str, large: Chart) -> None:
    objects = rule_objects(large, kind)
    assert len(objects) >= 3
    base = "obs-sidelight" if kind == "PrometheusRule" else "obs-sidelight-rules"
    numbers = range(2, len(objects) + 1)
    assert [one["metadata"]["name"] for one in objects] == [base, *(f"{base}-{number}" for number in numbers)]
    for one in objects:
        assert len(json.dumps(one, ensure_ascii=False).encode()) < ANNOTATION
        assert len(yaml.safe_dump({"groups": groups_of(one)}, allow_unicode=True).encode()) < OPERATOR
    groups = [group for one in objects for group in groups_of(one)]
    names = [group["name"] for group in groups]
    assert len(set(names)) == len(names)
    assert {"sidelight.http", "sidelight.http.2", "sidelight.meta"} <= set(names)
    expected = [
        rule["expr"] for group in large.groups({"rules": {"groups": {"http": True}}}) for rule in group["rules"]
    ]
    assert [rule["expr"] for group in groups for rule in group["rules"]] == expected
    (first, *_) = (group for group in groups if group["name"].startswith("sidelight.http"))
    assert "record" in first["rules"][0]  # what alerts read is recorded before them


def test_promtool_accepts_every_part(large: Chart, tmp_path: Path) -> None:
    for number, one in enumerate(rule_objects(large, "ConfigMap")):
        file = tmp_path / f"{number}.yaml"
        file.write_text(one["data"]["sidelight.rules.yaml"])
        done = subprocess.run([tool("promtool"), "check", "rules", "--lint=none", file], capture_output=True, text=True, check=False, timeout=60)  # fmt: skip
        assert done.returncode == 0, done.stderr


def test_notes_and_helm_test_know_every_part(large: Chart) -> None:
    count = len(rule_objects(large, "ConfigMap"))
    text = notes(large, "--set", "rules.kind=ConfigMap")
    assert text.count("configMap: obs-sidelight-rules") == count
    assert f"mountPath: /etc/sidelight-rules-{count}\n" in text
    (pod,) = by_kind(large.rendered({"test": {"enabled": True}}), "Pod")
    env = {row["name"]: row["value"] for row in pod["spec"]["containers"][0]["env"]}
    assert "sidelight.http sidelight.http.2" in env["GROUPS_WANTED"]


def test_few_rules_are_one_object_with_the_groups_as_they_are(chart: Chart) -> None:
    (one,) = rule_objects(chart, "PrometheusRule")
    assert not any(group["name"].endswith(".2") for group in groups_of(one))
