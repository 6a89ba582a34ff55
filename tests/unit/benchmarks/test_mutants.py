"""The score of mutation tests counts every mutant that a test found, and each survivor needs an explanation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import mutants
from benchmarks.mutants import AREAS, ROOT, Mutant
from benchmarks.mutants.__main__ import page, score

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

STORE = AREAS[0]


def test_every_area_has_sources_and_tests() -> None:
    for area in AREAS:
        assert all(list(ROOT.glob(source)) for source in area.sources), area.name
        assert all((ROOT / test).exists() for test in area.tests), area.name


def test_the_name_of_a_mutant_becomes_that_of_its_function() -> None:
    method = Mutant("instrumentation.store.shared_store.xǁSharedStoreǁ_fold__mutmut_13", "killed")
    function = Mutant("instrumentation.store.archive.x__signed__mutmut_1", "killed")
    assert method.function == "instrumentation.store.shared_store.SharedStore._fold"
    assert function.function == "instrumentation.store.archive._signed"


def test_the_page_counts_and_explains_survivors(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    explanations = tmp_path / "survivors.yaml"
    explanations.write_text("- {pattern: '_signed: .*< => ', because: equivalent}\n")
    monkeypatch.setattr("benchmarks.mutants.__main__._EXPLANATIONS", explanations)
    monkeypatch.setattr("benchmarks.mutants.__main__.change", lambda _, mutant: f"if a < b: => {mutant.name[-1]} | b")
    named = [
        (f"instrumentation.store.archive.x__signed__mutmut_{number}", status)
        for number, status in enumerate(("killed", "timeout", "survived", "no tests"), 1)
    ]
    found = score(STORE, [Mutant(*each) for each in named], "*")
    assert (found.tested, [one.because() for one in found.survivors]) == (4, ["", ""])
    explanations.write_text("- {pattern: '_signed: if a < b: => 3', because: equivalent}\n")
    assert [one.because() for one in found.survivors] == ["equivalent", ""]
    text = page({"store": found})
    assert "| store | " in text
    assert "| all | 4 | 2 | 2 | 50% |" in text
    assert "| not tested yet |" in text
    assert "`if a < b: => 3 \\| b`" in text


def test_the_change_of_a_mutant_is_read_from_its_diff(monkeypatch: pytest.MonkeyPatch) -> None:
    class Shown:
        stdout = "# a.x_f__mutmut_1: survived\n--- a.py\n+++ a.py\n@@ -1 +1 @@\n def f():\n-    return a > b\n+    return a >= b\n"

    monkeypatch.setattr(mutants, "_mutmut", lambda *_: Shown)
    assert mutants.change(STORE, Mutant("a.x_f__mutmut_1", "survived")) == "return a > b => return a >= b"
