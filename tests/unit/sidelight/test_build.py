"""Generated files are current, follow the settings, and are written completely or not at all."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from instrumentation.errors import SidelightError
from instrumentation.settings import Settings, load_settings, parse_settings
from sidelight.build import PARTS, build

ROOT = Path(__file__).parents[3]
GENERATED_FOLDERS = ("alerts/generated", "dashboards/generated", "collector/generated", "helm/sidelight/files")


def files(settings: Settings) -> dict[str, str]:
    """What the repository has; the runbooks' pages are made from docs/runbooks, which it has too."""
    parts = [part for name, part in PARTS.items() if name != "runbooks"]
    return {path: text for part in parts for path, text in part.files(settings).items()}


def repository_settings() -> Settings:
    return load_settings(ROOT / "sidelight.yaml", {})


MADE = files(repository_settings())


@pytest.mark.parametrize("path", MADE)
def test_a_generated_file_in_the_repository_is_current(path: str) -> None:
    assert (ROOT / path).read_text() == MADE[path], f"{path} is stale: run `make build`"


def test_no_generated_folder_holds_a_file_that_is_no_longer_made() -> None:
    standing = {
        found.relative_to(ROOT).as_posix()
        for folder in GENERATED_FOLDERS
        for found in (ROOT / folder).rglob("*")
        if found.is_file()
    }
    assert standing <= set(MADE)


def test_the_repositorys_own_settings_are_the_defaults() -> None:
    assert repository_settings() == Settings()


def rule(made: dict[str, str], severity: str) -> dict[str, Any]:
    groups = yaml.safe_load(made["alerts/generated/rules.yaml"])["groups"]
    return next(
        rule
        for group in groups
        for rule in group["rules"]
        if rule.get("alert") == "HighLatencyP95" and rule["labels"]["severity"] == severity
    )


def expected_sentences(made: dict[str, str]) -> set[str]:
    return set(re.findall(r"\(limit (\S+)\)", made["alerts/generated/rules_test.yaml"]))


def threshold_lines(made: dict[str, str]) -> list[float]:
    panels = json.loads(made["dashboards/generated/operations.json"])["panels"]
    latency = next(panel for panel in panels if panel["title"] == "Latency")
    return [step["value"] for step in latency["fieldConfig"]["defaults"]["thresholds"]["steps"]]


def test_one_threshold_changes_rule_sentence_test_line_chart_and_buckets() -> None:
    settings = parse_settings({"thresholds": {"latency_p95_seconds": {"critical": 0.8}}})
    was, now = files(Settings()), files(settings)
    chart_was, chart_now = (yaml.safe_load(made["helm/sidelight/values.yaml"]) for made in (was, now))

    assert "> 1\n" in rule(was, "critical")["expr"]
    assert "> 0.8\n" in rule(now, "critical")["expr"]
    assert '"0.8" | humanizeDuration' in rule(now, "critical")["annotations"]["description"]
    assert expected_sentences(was) - expected_sentences(now) == {"1s"}
    assert expected_sentences(now) - expected_sentences(was) == {"800ms"}
    assert threshold_lines(was) == [None, 0.5, 1.0]
    assert threshold_lines(now) == [None, 0.5, 0.8]
    assert chart_was["alerts"]["HighLatencyP95"]["critical"]["threshold"] == 1.0
    assert chart_now["alerts"]["HighLatencyP95"]["critical"]["threshold"] == 0.8
    assert 0.8 not in Settings().duration_edges
    assert 0.8 in settings.duration_edges
    assert rule(now, "warning") == rule(was, "warning")


def test_a_build_into_another_folder_is_complete(tmp_path: Path) -> None:
    build(Settings(), tmp_path)
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {path for part in PARTS.values() for path in part.files(Settings())}
    assert "helm/sidelight/Chart.yaml" in written
    assert "helm/sidelight/templates/prometheusrule.yaml" in written


def test_a_second_build_writes_nothing(tmp_path: Path) -> None:
    build(Settings(), tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert {change.verdict for change in build(Settings(), tmp_path)} == {"unchanged"}
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_file_that_is_no_longer_made_is_removed_and_others_stay(tmp_path: Path) -> None:
    build(Settings(), tmp_path)
    old = tmp_path / "dashboards/generated/old.json"
    own = tmp_path / "dashboards/mine.json"
    old.write_text("{}")
    own.write_text("{}")
    changes = build(Settings(), tmp_path)
    assert [change.path for change in changes if change.verdict == "removed"] == ["dashboards/generated/old.json"]
    assert not old.exists()
    assert own.exists()


def test_a_file_that_changes_keeps_its_mode(tmp_path: Path) -> None:
    build(Settings(), tmp_path, ["collector"])
    target = tmp_path / "collector/generated/sidecar.yaml"
    target.write_text("old")
    target.chmod(0o600)
    build(Settings(), tmp_path, ["collector"])
    assert target.stat().st_mode & 0o777 == 0o600


def test_an_unknown_part_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(SidelightError, match="build: got 'alarms'; give one of alerts, dashboards, collector, chart"):
        build(Settings(), tmp_path, ["alerts", "alarms"])
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_half_written_when_a_move_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(Settings(), tmp_path, ["collector"])
    target = tmp_path / "collector/generated/sidecar.yaml"
    target.write_text("old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(SidelightError, match="No space left on device") as error:
        build(Settings(), tmp_path, ["collector"])
    assert error.value.code == "output_unwritable"
    assert target.read_text() == "old"
    assert sorted(path.name for path in target.parent.iterdir()) == ["builder.yaml", "gateway.yaml", "sidecar.yaml"]


def test_an_output_that_is_a_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "alerts").write_text("a file")
    with pytest.raises(SidelightError, match="cannot be written"):
        build(Settings(), tmp_path, ["alerts"])
