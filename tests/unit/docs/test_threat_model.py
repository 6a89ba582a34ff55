"""Every limit in the threat model has a test that exists, and every fuzz target is listed."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.fuzz import PARTS

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/reference/threat-model.md").read_text("utf-8")
PROOFS = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)


@cache
def names_in(file: str) -> frozenset[str]:
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize(("file", "name"), PROOFS)
def test_a_test_that_is_named_exists(file: str, name: str) -> None:
    assert name in names_in(file)


def test_every_row_of_a_limit_names_its_test() -> None:
    rows = re.findall(r"^\| could try to \|.*\n\|.*\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    limits = [row for table in rows for row in table.splitlines()]
    assert len(limits) == len(PROOFS) > 30
    assert all(re.search(r"`tests/[\w/]+\.py::test_\w+` \|$", row) for row in limits)


def test_every_fuzz_target_is_listed() -> None:
    listed = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", PAGE.partition("## Fuzzing")[2], re.MULTILINE)
    assert [name for cell in listed for name in re.findall(r"\w+", cell)] == list(PARTS)
