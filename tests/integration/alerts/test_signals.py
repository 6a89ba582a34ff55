"""Alerts on a team's signals: every form passes its own tests, and each change to a rule is noticed by them."""

from __future__ import annotations

import json
import re
import subprocess
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from alerts import generated
from alerts.signals import FORMS, subjects
from instrumentation.settings import parse_settings
from sidelight.toolchain import tool
from tests.support.mutants import passing, read
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


TESTS = ("rules_test.yaml", "rules_slow_test.yaml")


def chosen_rules(rules: dict[str, Any], *names: str) -> dict[str, Any]:
    """The groups of some alerts."""
    return {
        "groups": [group for group in rules["groups"] if any(rule.get("alert") in names for rule in group["rules"])]
    }


def chosen_tests(file: dict[str, Any], *names: str) -> dict[str, Any]:
    """The tests of some alerts."""
    tests = [test for test in file["tests"] if re.match(r"\w+", test["name"])[0] in names]  # type: ignore[index]
    return {**{key: value for key, value in file.items() if key != "group_eval_order"}, "tests": tests}


def files(folder: Path, settings: Any, *names: str) -> list[str]:
    """Write the rules of some alerts and their tests, and give the names of the test files."""
    written = generated(settings)
    (folder / "rules.yaml").write_text(json.dumps(chosen_rules(read(written["rules.yaml"]), *names)))
    chosen = {name: chosen_tests(read(written[name]), *names) for name in TESTS}
    for name, file in chosen.items():
        (folder / name).write_text(json.dumps(file))
    return [name for name, file in chosen.items() if file["tests"]]


def files_of_each(folder: Path, settings: Any, *names: str) -> list[str]:
    """The same, with each alert's rules in a file of their own: promtool evaluates all rules of a file for each test."""
    written = generated(settings)
    rules, tests = read(written["rules.yaml"]), {name: read(written[name]) for name in TESTS}
    made = []
    for alert in names:
        (folder / f"{alert}.json").write_text(json.dumps(chosen_rules(rules, alert)))
        for name, file in tests.items():
            chosen = chosen_tests(file, alert)
            if chosen["tests"]:
                made.append(f"{alert}-{name}")
                (folder / made[-1]).write_text(json.dumps({**chosen, "rule_files": [f"{alert}.json"]}))
    return made


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
    files(tmp_path, settings, *NAMES)
    checked = promtool(tmp_path, "check", "rules", "--lint=all", "--lint-fatal", "rules.yaml", program=program)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    tests = files_of_each(tmp_path, settings, *NAMES)
    assert {test.split("-")[0] for test in tests} == set(NAMES)
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
        "only what succeeded once is late": r" or (min_over_time\(\S+\)|\(min_over_time\(\S+\) \+ \d+\))(?=\))",
        "the first run is due at once": r"(?<=\)) \+ \d+(?=\)\))",
        "a restart forgets the last success": r"(?:max|last)_over_time\((\S+:max)\[\w+\]\)",
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


@cache
def made() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The rules and the files of tests, as data."""
    files = generated(parse_settings({"signals": DECLARED}))
    return read(files["rules.yaml"]), [read(files[name]) for name in TESTS]


@pytest.mark.parametrize("name", WRONG)
def test_a_rule_that_is_wrong_fails_its_tests(name: str, tmp_path: Path) -> None:
    (form,) = (
        subject.alert.form for subject in subjects(parse_settings({"signals": DECLARED})) if subject.alert.alert == name
    )
    rules, tests = made()
    right = _in_lines(chosen_rules(rules, name))
    mutants = {
        change: read(text)
        for change, text in changes(right, form)
        if text != right and change not in HARMLESS.get(name, ())
    }
    assert len(mutants) >= 4
    chosen = [file for one in tests if (file := chosen_tests(one, name))["tests"]]
    assert passing(tmp_path, {"as it is": read(right), **mutants}, chosen) == ["as it is"]


def _in_lines(rules: dict[str, Any]) -> str:
    """The rules as Sidelight writes them, each condition on a line of its own."""

    class Dumper(yaml.SafeDumper):
        pass

    Dumper.add_representer(
        str,
        lambda dumper, text: dumper.represent_scalar(
            "tag:yaml.org,2002:str", text, style="|" if "\n" in text else None
        ),
    )
    return str(yaml.dump(rules, Dumper=Dumper, sort_keys=False, width=10_000))
