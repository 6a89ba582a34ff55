"""Changed rules beside their tests: which changes do the tests notice? One run of promtool answers for many."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import yaml

from sidelight.toolchain import tool

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


def passing(folder: Path, rules: Mapping[str, Mapping[str, Any]], tests: Iterable[Mapping[str, Any]]) -> list[str]:
    """The names of the rules that pass all tests.

    promtool needs a second of CPU to start and to read Sidelight's files, so it is started once. JSON is YAML that is read and written
    faster.

    Args:
        folder: An empty folder.
        rules: Name to rule file, as data.
        tests: Test files, as data; their rule files are replaced.
    """
    tests, files = list(tests), {}
    for number, (name, document) in enumerate(rules.items()):
        (folder / f"rules-{number}.json").write_text(json.dumps(document))
        for place, test in enumerate(tests):
            file = f"test-{number}-{place}.json"
            (folder / file).write_text(json.dumps({**test, "rule_files": [f"rules-{number}.json"]}))
            files[file] = name
    report = folder / "report.xml"
    command = [str(tool("promtool")), "test", "rules", f"--junit={report}", *files]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    suites = {suite.get("name", ""): suite for suite in ET.parse(report).iter("testsuite")}  # noqa: S314 - promtool wrote it
    assert set(suites) == set(files), ended.stdout + ended.stderr
    broken = {files[file] for file, suite in suites.items() if suite.get("errors") != "0"}
    assert not broken, f"promtool cannot read {broken}: {ended.stderr}"
    failed = {files[file] for file, suite in suites.items() if suite.get("failures") != "0"}
    return [name for name in rules if name not in failed]


def read(text: str) -> dict[str, Any]:
    """YAML as data, by libyaml, which is ten times as fast."""
    document: dict[str, Any] = yaml.load(text, Loader=yaml.CSafeLoader)
    return document
