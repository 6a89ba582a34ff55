"""Every check reports its own example and no other check does; the corrected example has no findings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from instrumentation.settings import Settings
from sidelight.checks import CHECKS, find
from sidelight.checks.examples import EXAMPLES

if TYPE_CHECKING:
    from pathlib import Path


def found(folder: Path, text: str) -> list[tuple[str, str]]:
    path = folder / ("example.json" if text.startswith("{") else "example.yaml")
    path.write_text(text)
    report = find([path], Settings())
    assert report.left == []
    return [(finding.check.name, finding.sentence) for finding in report.findings]


def test_every_check_has_its_example() -> None:
    assert [check.name for check in CHECKS] == list(dict.fromkeys(check.name for check in CHECKS))
    online = {
        check.name for check in CHECKS if check.name.startswith("online/")
    }  # tests/integration has their examples
    assert set(EXAMPLES) == {check.name for check in CHECKS} - online


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_found_by_its_check_alone(name: str, tmp_path: Path) -> None:
    findings = found(tmp_path, EXAMPLES[name].wrong)
    assert {check for check, _ in findings} == {name}
    assert any(EXAMPLES[name].says in sentence for _, sentence in findings), findings


@pytest.mark.parametrize("name", EXAMPLES)
def test_nothing_is_found_in_the_cured_example(name: str, tmp_path: Path) -> None:
    assert found(tmp_path, EXAMPLES[name].right) == []
