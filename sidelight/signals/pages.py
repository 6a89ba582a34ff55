"""Pages about a team's own signals: a reference of all of them, and a runbook for each alert."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from alerts.rule_tests.promtool import rendered
from alerts.signals import FORMS, subjects
from instrumentation.errors import SidelightError
from sidelight.signals.handles import handles_module

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from alerts.model import AlertRule
    from alerts.signals.subject import Subject
    from instrumentation.settings import Settings
    from instrumentation.settings.signals import Signal

_SAID = {"job": "a service"}
_NOTE = "<!-- Written by `sidelight build` from sidelight.yaml; change that file, not this page. -->"


def signal_pages(settings: Settings) -> dict[str, str]:
    """Path below the output folder to text; nothing without signals.

    Raises:
        SidelightError: ``runbook_unreadable``.
    """
    if not settings.signals:
        return {}
    runbooks = {f"signals/runbooks/{subject.alert.alert}.md": _runbook(subject) for subject in subjects(settings)}
    module = handles_module(settings)
    handles = {"signals/handles.py": module} if module else {}
    return {"signals/README.md": _reference(settings), **handles, **runbooks}


def _reference(settings: Settings) -> str:
    metrics = [_row(signal, index) for signal in settings.signals for index in range(len(signal.metrics))]
    alerts = [_alert_row(rule) for subject in subjects(settings) for rule in _rules(subject)]
    blocks = ["# Signals", _NOTE, _table(("metric", "type", "unit", "labels", "meaning"), metrics)]
    if alerts:
        blocks += ["## Alerts", _table(("alert", "severity", "for", "means"), alerts)]
    return "\n\n".join(blocks) + "\n"


def _row(signal: Signal, index: int) -> tuple[str, ...]:
    metric = signal.metrics[index]
    labels = ", ".join(_label(signal, label) for label in metric.labels)
    return f"`{metric.name}`", metric.kind, metric.unit, labels, metric.help


def _label(signal: Signal, label: str) -> str:
    if label in signal.closed:
        return f"`{label}` ({', '.join(signal.closed[label])})"
    return f"`{label}` (up to {signal.limits[label]} values)" if label in signal.limits else f"`{label}`"


def _alert_row(rule: AlertRule) -> tuple[str, ...]:
    name = f"[{rule.alert}](runbooks/{rule.alert}.md)"
    where = f", {rule.labels['override']}" if "override" in rule.labels else ""
    return name, f"{rule.severity}{where}", str(rule.for_), _plain(rule)


def _runbook(subject: Subject) -> str:
    rules = _rules(subject)
    levels = [
        (
            rule.severity,
            rule.labels.get("override", "all"),
            *(str(each.value) for each in rule.parameters.values()),
            str(rule.for_),
        )
        for rule in rules
    ]
    head = ("severity", "for which", *(name.replace("_", " ") for name in rules[0].parameters), "after")
    expressions = "\n\n".join(f"```promql\n{rule.filled(rule.expr)}\n```" for rule in rules)
    return (
        "\n\n".join(
            (
                f"# {subject.alert.alert}",
                _NOTE,
                rules[0].summary,
                "## Meaning",
                _plain(rules[0]),
                _table(head, levels),
                f"It is about `{subject.signal.name}`: {subject.signal.text}",
                "## Diagnosis",
                f"Open `dashboard_url` of the alert. The rules read:\n\n{expressions}",
                "## What to do",
                _what_to_do(subject),
            )
        )
        + "\n"
    )


def _what_to_do(subject: Subject) -> str:
    runbook = subject.alert.runbook
    if runbook is None:
        return "Nothing is written down yet: name a file with the steps as `runbook` of this alert in sidelight.yaml."
    if runbook.startswith(("http://", "https://")):
        return f"See {runbook}."
    try:
        return Path(runbook).read_text("utf-8").strip()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise SidelightError(
            f"signals: alert {subject.alert.alert}: runbook {runbook}: cannot be read ({reason}); give a file that exists, "
            "relative to the working directory, or an address.",
            code="runbook_unreadable",
            details={"alert": subject.alert.alert, "runbook": runbook},
        ) from None


def _rules(subject: Subject) -> list[AlertRule]:
    return FORMS[subject.alert.form].rules(subject)


def _plain(rule: AlertRule) -> str:
    """The description of a rule as a sentence about any service, with the limits in place."""
    text = re.sub(r"\{\{ *\$value[^}]*\}\}", "N", rule.filled(rule.description))
    text = re.sub(r"\{\{ *\$labels\.(\w+) *\}\}", lambda label: _SAID.get(label[1], f"its {label[1]}"), text)
    return rendered(text, {}, 0)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)
