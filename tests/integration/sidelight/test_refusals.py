"""promtool and ``sidelight check`` refuse the same small files, but for differences that have a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.precision.refusals import DIFFERENCES, judged

if TYPE_CHECKING:
    from pathlib import Path


def test_promtool_refuses_what_sidelight_refuses(tmp_path: Path) -> None:
    found = judged(tmp_path)
    assert {case.shown for case, theirs, ours in found if theirs != ours} == set(DIFFERENCES)
    assert sum(theirs for _, theirs, _ in found) > 50
    assert sum(not theirs for _, theirs, _ in found) > 50
