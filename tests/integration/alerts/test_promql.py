"""promtool accepts and refuses the same expressions and templates as our own parsers."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING

from alerts.promql import PromqlError, parse
from sidelight.checks.templates import read
from sidelight.toolchain import tool
from tests.unit.alerts.promql.test_parser import REFUSED, WRITTEN
from tests.unit.sidelight.checks.test_templates import ACCEPTED as TEMPLATES
from tests.unit.sidelight.checks.test_templates import AT_EVALUATION
from tests.unit.sidelight.checks.test_templates import REFUSED as REFUSED_TEMPLATES

if TYPE_CHECKING:
    from pathlib import Path

FEATURES = (
    "promql-experimental-functions,promql-duration-expr,promql-extended-range-selectors,promql-binop-fill-modifiers"
)


def refused(folder: Path, rules: list[dict[str, object]]) -> list[bool]:
    """Whether promtool refuses each rule, each in a file of its own."""
    for number, rule in enumerate(rules):
        groups = [{"name": "g", "rules": [rule]}]
        (folder / f"{number:03}.yaml").write_text(json.dumps({"groups": groups}))
    names = [f"{number:03}.yaml" for number in range(len(rules))]
    ended = subprocess.run(
        [tool("promtool"), "check", "rules", f"--enable-feature={FEATURES}", *names],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    parts = re.split(r"Checking (\d{3}\.yaml)\n", ended.stdout + ended.stderr)
    return ["SUCCESS" not in said for said in parts[2::2]]


def test_promtool_accepts_and_refuses_the_same_expressions(tmp_path: Path) -> None:
    expressions = [*WRITTEN, *WRITTEN.values(), *(expression for expression in REFUSED if expression)]
    ours = []
    for expression in expressions:
        try:
            parse(expression)
            ours.append(False)
        except PromqlError:
            ours.append(True)
    theirs = refused(tmp_path, [{"alert": "A", "expr": expression} for expression in expressions])
    assert dict(zip(expressions, theirs, strict=True)) == dict(zip(expressions, ours, strict=True))


def test_promtool_accepts_and_refuses_the_same_templates(tmp_path: Path) -> None:
    texts = [*TEMPLATES, *REFUSED_TEMPLATES, *AT_EVALUATION]
    ours = [bool(read(text).faults) and text not in AT_EVALUATION for text in texts]
    theirs = refused(tmp_path, [{"alert": "A", "expr": "up", "annotations": {"a": text}} for text in texts])
    assert dict(zip(texts, theirs, strict=True)) == dict(zip(texts, ours, strict=True))
