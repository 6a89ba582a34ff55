"""promtool and ``sidelight check`` refuse the same small files, but for differences that have a reason."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from instrumentation.settings import Settings
from sidelight.checks import find
from sidelight.toolchain import tool
from tests.support.refusals import DIFFERENCES, judged

if TYPE_CHECKING:
    from pathlib import Path


def test_promtool_refuses_what_sidelight_refuses(tmp_path: Path) -> None:
    found = judged(tmp_path)
    assert {case.shown for case, theirs, ours in found if theirs != ours} == set(DIFFERENCES)
    assert sum(theirs for _, theirs, _ in found) > 50
    assert sum(not theirs for _, theirs, _ in found) > 50


@pytest.mark.parametrize(
    "expr",
    [
        "sum(rate(x_total{b='2', a=`1`}[5m]))by(job)>bool 3",
        "x  AND on( job)Y or -z",
        "(a+b)*c^2 / ignoring(d)group_left sum without(e)(f)",
    ],
)
def test_an_expression_is_formatted_like_promtool_does(expr: str, tmp_path: Path) -> None:
    path = tmp_path / "rules.json"
    path.write_text(json.dumps({"groups": [{"name": "g", "rules": [{"record": "a:b:c", "expr": expr}]}]}))
    (fix,) = (each.fix for each in find([path], Settings()).findings if each.check.name == "promql/format")
    done = subprocess.run(
        [tool("promtool"), "--experimental", "promql", "format", expr], capture_output=True, text=True, check=True
    )
    assert fix == done.stdout.strip()
