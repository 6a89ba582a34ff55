"""Alerts on a team's signals: every form passes its own tests, and each change to a rule is noticed by them."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from alerts import generated
from alerts.signals import FORMS, subjects
from instrumentation.settings import parse_settings
from sidelight.toolchain import tool
from tests.support.signals import DECLARED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SETTINGS: dict[str, dict[str, Any]] = {
    "the defaults": {},
    "other times and labels": {
        "metrics": {"scrape_interval": "30s"},
        "alerting": {
            "group_by": ["job", "region"],
            "evaluation_interval": "20s",
            "window": "3m",
            "minimum_bad_events": 7,
            "keep_firing_for": "30s",
            "for": {"critical": "1m", "warning": "4m", "info": "3m"},
        },
    },
}
NAMES = [subject.alert.alert for subject in subjects(parse_settings({"signals": DECLARED}))]


def files(folder: Path, settings: Any, *names: str) -> list[str]:
    """Write the rules of some alerts and their tests, and give the names of the test files."""
    made = generated(settings)
    rules = yaml.safe_load(made["rules.yaml"])
    rules["groups"] = [group for group in rules["groups"] if any(rule.get("alert") in names for rule in group["rules"])]
    (folder / "rules.yaml").write_text(yaml.safe_dump(rules, sort_keys=False))
    written = []
    for name in ("rules_test.yaml", "rules_slow_test.yaml"):
        tests = yaml.safe_load(made[name])
        tests["tests"] = [test for test in tests["tests"] if re.match(r"\w+", test["name"])[0] in names]  # type: ignore[index]
        if tests["tests"]:
            (folder / name).write_text(yaml.safe_dump(tests, sort_keys=False))
            written.append(name)
    return written


def promtool(folder: Path, *argv: str, program: str = "promtool") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(tool(program)), *argv], cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )


def test_the_declaration_has_every_form() -> None:
    found = {subject.alert.form for subject in subjects(parse_settings({"signals": DECLARED}))}
    assert found == set(FORMS)


@pytest.mark.parametrize(
    ("program", "name"), [("promtool", name) for name in SETTINGS] + [("promtool-oldest", "the defaults")]
)
def test_every_form_fires_and_is_silent_as_its_tests_say(program: str, name: str, tmp_path: Path) -> None:
    settings = parse_settings({"signals": DECLARED, **SETTINGS[name]})
    tests = files(tmp_path, settings, *NAMES)
    checked = promtool(tmp_path, "check", "rules", "--lint=all", "--lint-fatal", "rules.yaml", program=program)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    ended = promtool(tmp_path, "test", "rules", *tests, program=program)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def changes(rules: str, form: str) -> Iterator[tuple[str, str]]:
    """Ways in which the rules of an alert may be wrong, as name and text."""
    yield "it never ends", re.sub(r"keep_firing_for: \S+", "keep_firing_for: 10h", rules)
    shift = 0.4 if form in {"age", "late", "absent"} else 0.004
    compared = re.compile(r"( [<>] )(-?[\d.]+)(?=\n)")
    for name, factor in (("higher", 1 + shift), ("lower", 1 - shift)):
        changed = compared.sub(lambda found: f"{found[1]}{_shifted(float(found[2]), factor)}", rules)  # noqa: B023
        yield f"the thresholds are {name}", changed
    yield "comparisons turn round", compared.sub(lambda found: f" {'<' if '>' in found[1] else '>'} {found[2]}", rules)
    yield "one event is enough", re.sub(r">= (\d+)\n", ">= 1\n", rules) if form in ("ratio", "quantile") else rules
    yield "one event more is needed", _more(rules) if form == "ratio" else rules
    for name, was in {
        "what an old process shows for the first time counts": r" and on \([^)]*\) process_start_time_seconds > time\(\) - \d+",
        "what was not observed counts as nothing": r"and \S+:seconds\w+ >= [\d.]+\n",
        "a gap counts as nothing": r" / \(\S+:seconds\w+ / \d+\)",
        "nothing is chosen before the first event": r"or 0 \* \S+:sum$",
        "only what succeeded once is late": r" or min_over_time\(\S+\)(?=\))",
        "a restart forgets the last success": r"max_over_time\((\S+:max)\[\w+\]\)",
        "what is down is absent": r"unless on \([^)]*\) sum by \([^)]*\) \(up\) == 0\n",
        "a short peak is growth": r"min_over_time\((\S+)\[\d+ms\]\) -",
        "one instance is all": r"(?<=expr: )sum by(?= \([^)]*\) \(max by)",
    }.items():
        becomes = {
            "a restart forgets the last success": r"\1",
            "a short peak is growth": r"\1 -",
            "one instance is all": "max by",
        }
        yield name, re.sub(was, becomes.get(name, ""), rules, flags=re.MULTILINE)


def _shifted(value: float, factor: float) -> str:
    return f"{value * factor:.10g}" if value else f"{factor - 1:.10g}"


def _more(rules: str) -> str:
    return re.sub(r">= (\d+)\n", lambda found: f">= {int(found[1]) + 1}\n", rules)


WRONG = [name for name in NAMES if name != "BackupOdd"]  # an expression has the tests that its author gives it


HARMLESS = {
    # More events than there were make no alert on too few. A small gap is within what the tests of both sides allow.
    "OrdersStopped": ("what an old process shows for the first time counts", "a gap counts as nothing"),
    # What happens at once has left the window when a warning has waited.
    "QuotesSlowOfTenant": ("what an old process shows for the first time counts",),
    "ImportSlow": ("one event is enough", "what an old process shows for the first time counts"),
    "PoolOdd": ("one instance is all",),  # it keeps instances apart
}
"""Changes that do not make the rules of an alert wrong."""


@pytest.mark.parametrize("name", WRONG)
def test_a_rule_that_is_wrong_fails_its_tests(name: str, tmp_path: Path) -> None:
    settings = parse_settings({"signals": DECLARED})
    (form,) = (subject.alert.form for subject in subjects(settings) if subject.alert.alert == name)
    tests = files(tmp_path, settings, name)
    right = _in_lines((tmp_path / "rules.yaml").read_text())
    tried = {}
    for change, text in changes(right, form):
        if text != right and change not in HARMLESS.get(name, ()):
            (tmp_path / "rules.yaml").write_text(text)
            tried[change] = promtool(tmp_path, "test", "rules", *tests)
    assert len(tried) >= 4
    assert [
        change
        for change, ended in tried.items()
        if ended.returncode != 1 or "FAILED" not in ended.stdout + ended.stderr
    ] == []


def _in_lines(rules: str) -> str:
    """The rules as Sidelight writes them, each condition on a line of its own."""

    class Dumper(yaml.SafeDumper):
        pass

    Dumper.add_representer(
        str,
        lambda dumper, text: dumper.represent_scalar(
            "tag:yaml.org,2002:str", text, style="|" if "\n" in text else None
        ),
    )
    return str(yaml.dump(yaml.safe_load(rules), Dumper=Dumper, sort_keys=False, width=10_000))
