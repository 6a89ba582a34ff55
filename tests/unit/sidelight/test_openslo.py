"""OpenSLO documents become the section ``slo``, or one sentence explains why not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml
from typer.testing import CliRunner

from instrumentation.errors import SettingsError
from instrumentation.settings import parse_settings
from sidelight.cli import app
from sidelight.openslo import OpenSloError, imported

if TYPE_CHECKING:
    from pathlib import Path

CHECKOUT = """\
apiVersion: openslo/v1
kind: SLO
metadata: {name: checkout-works}
spec:
  service: checkout
  indicatorRef: {name: checkout-requests}
  timeWindow: [{duration: 4w, isRolling: true}]
  budgetingMethod: Occurrences
  objectives:
    - {displayName: answered, targetPercent: 99.5}
    - {displayName: fast, op: lte, value: 0.3, target: 0.95}
"""
SERVICE = "apiVersion: openslo/v1\nkind: Service\nmetadata: {name: checkout}\nspec: {description: pays}\n"


def written(folder: Path, *texts: str) -> list[Path]:
    paths = [folder / f"{number}.yaml" for number, _ in enumerate(texts)]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text)
    return paths


def test_availability_and_latency_of_a_service_become_its_override(tmp_path: Path) -> None:
    found = yaml.safe_load(imported(written(tmp_path, f"{SERVICE}---\n{CHECKOUT}")))
    assert found == {
        "slo": {
            "overrides": [
                {"match": {"job": "checkout"}, "availability": 0.995, "latency": {"ratio": 0.95, "seconds": 0.3}}
            ],
            "period": "28d",
        }
    }
    assert parse_settings(found).slo.period == "28d"


def test_several_files_are_one_section(tmp_path: Path) -> None:
    other = CHECKOUT.replace("checkout", "search").replace("duration: 4w", "duration: 28d")
    slo = yaml.safe_load(imported(written(tmp_path, CHECKOUT, other)))["slo"]
    assert [override["match"]["job"] for override in slo["overrides"]] == ["checkout", "search"]


def test_objectives_of_one_service_in_two_documents_are_one_override(tmp_path: Path) -> None:
    works = CHECKOUT.replace("    - {displayName: fast, op: lte, value: 0.3, target: 0.95}\n", "")
    fast = CHECKOUT.replace("    - {displayName: answered, targetPercent: 99.5}\n", "")
    assert imported(written(tmp_path, works, fast)) == imported(written(tmp_path, CHECKOUT))


@pytest.mark.parametrize(
    ("was", "becomes", "sentence"),
    [
        ("openslo/v1", "openslo/v1alpha", "checkout-works: apiVersion: got 'openslo/v1alpha'; give openslo/v1."),
        ("Occurrences", "Timeslices", "spec.budgetingMethod: got 'Timeslices'; give Occurrences"),
        (
            "isRolling: true",
            "isRolling: false",
            "spec.timeWindow: got [{'duration': '4w', 'isRolling': False}]; give one rolling window",
        ),
        ("4w", "1M", "spec.timeWindow[0].duration: got '1M'; give days or weeks, such as 28d or 4w."),
        ("targetPercent: 99.5", "targetPercent: 100", "targetPercent: got 100; give a number between 0 and 100."),
        ("target: 0.95", "target: 95", "spec.objectives[1].target: got 95; give a number between 0 and 1."),
        ("target: 0.95", "target: true", "spec.objectives[1].target: got True; give a number"),
        ("lte", "gt", "spec.objectives[1].op: got 'gt'; give lt or lte"),
        ("value: 0.3", "value: -1", "spec.objectives[1].value: got -1; give seconds as a number above 0."),
        ("op: lte, value: 0.3, ", "", "got 0.95; checkout already has an objective for availability; give only one."),
        ("service: checkout", "service: ''", "spec.service: got ''; give the service's name, which becomes its job."),
        ("kind: SLO", "kind: SLI", "spec.timeWindow: got ''; give at least one document of kind SLO and openslo/v1."),
    ],
)
def test_what_cannot_be_converted_is_reported_in_one_sentence(
    tmp_path: Path, was: str, becomes: str, sentence: str
) -> None:
    assert was in CHECKOUT
    with pytest.raises(OpenSloError) as raised:
        imported(written(tmp_path, CHECKOUT.replace(was, becomes)))
    assert sentence in raised.value.message


def test_periods_that_differ_are_named(tmp_path: Path) -> None:
    other = CHECKOUT.replace("checkout", "search").replace("4w", "30d")
    with pytest.raises(
        OpenSloError,
        match=r"checkout-works and .*search-works: spec.timeWindow: got '28d, 30d'; use the same period for every",
    ):
        imported(written(tmp_path, CHECKOUT, other))


def test_a_period_that_objectives_may_not_have_is_a_fault_of_the_settings(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"slo\.period: got \"1d\""):
        imported(written(tmp_path, CHECKOUT.replace("4w", "1d")))


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"a: [", b"x" * (2 << 20)], ids=["binary", "broken", "large"])
def test_a_file_that_is_not_openslo_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.yaml").write_bytes(content)
    with pytest.raises(OpenSloError, match=r"x\.yaml: the file: got"):
        imported([tmp_path / "x.yaml"])


def test_the_command_prints_the_section_and_nothing_for_a_missing_file(tmp_path: Path) -> None:
    (path,) = written(tmp_path, CHECKOUT)
    assert CliRunner().invoke(app, ["slo", "import", str(path)]).stdout == imported([path])
    missing = CliRunner().invoke(app, ["slo", "import", str(path), str(tmp_path / "missing.yaml")])
    assert isinstance(missing.exception, OpenSloError)
    assert missing.stdout == ""
