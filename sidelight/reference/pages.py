"""The reference pages: metrics, settings, alerts and behaviours as tables, made from what the code and the tests say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_origin

from alerts import ALERTS, groups
from alerts.model import AlertRule, RecordingRule
from instrumentation.catalog import METRICS
from instrumentation.redaction.patterns import COUNTED, FEW, HARMLESS, KEYS, NUMBERS, PATTERNS, TOKENS
from instrumentation.redaction.queries import KEYS as QUERY_KEYS
from instrumentation.redaction.queries import URL_QUERY
from instrumentation.settings import MuteTime, ObjectivesOverride, Override, Receiver, Section, Settings, Team
from instrumentation.settings.faults import allowed_text, section_of
from sidelight.checks import CHECKS
from sidelight.checks.other_linters import LEFT
from sidelight.reference.behaviours import GROUPS, behaviours

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pydantic import BaseModel

    from alerts import Alert
    from instrumentation.catalog import Metric
    from sidelight.reference.behaviours import Behaviour

_NOTE = "<!-- Written by `make build`; change the code it is made from, not this page. -->"


def reference_pages(settings: Settings) -> dict[str, str]:
    """Path below ``docs/`` to text."""
    return {
        "reference/metrics.md": _metrics_page(),
        "reference/settings.md": _settings_page(),
        "reference/rules.md": _rules_page(settings),
        "reference/redaction.md": _redaction_page(),
        "reference/checks.md": _checks_page(),
        "reference/behaviours.md": _behaviours_page(behaviours()),
        "runbooks/README.md": _runbooks_page(settings),
    }


def _metrics_page() -> str:
    head = ("metric", "type", "unit", "labels", "meaning")
    return _page(
        "Metrics",
        "Every metric a service emits; `job` and `instance` are added by Prometheus. In OpenMetrics, which Prometheus asks "
        "for, counters and histograms also have a series `..._created`: when they began, in seconds since 1970.",
        _table(head, [_metric_row(metric) for metric in METRICS]),
    )


def _metric_row(metric: Metric) -> tuple[str, ...]:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return (f"`{metric.name}`", metric.kind, metric.unit, labels, metric.help)


def _settings_page() -> str:
    return _page(
        "Settings",
        "Every key of `sidelight.yaml`; all are optional. The file is `sidelight.yaml` in the working directory, or "
        "the one that `SIDELIGHT_CONFIG` names. `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` win over "
        "`service`. A fault stops start-up; `sidelight check` finds the same.",
        *(block for name, field in Settings.model_fields.items() for block in _section(name, field)),
    )


def _section(name: str, field: Any) -> Iterator[str]:
    yield f"## {name}\n\n{_first_line(field.annotation)}"
    yield _table(("key", "default", "allowed"), _keys(field.annotation, f"{name}."))


def _first_line(section: type[BaseModel]) -> str:
    return (section.__doc__ or "").partition("\n")[0]


def _keys(section: type[BaseModel], prefix: str) -> Iterator[tuple[str, ...]]:
    for name, field in section.model_fields.items():
        key, inner = f"{prefix}{field.alias or name}", section_of(field.annotation)
        if inner is None or inner is not field.annotation:
            yield f"`{key}`", _default(field), _allowed(field, inner)
        if inner in (Override, ObjectivesOverride, Team, MuteTime):
            yield from _keys(inner, f"{key}[].")
        elif inner is not None and inner is not Receiver:
            yield from _keys(inner, f"{key}.")
        elif key == "alerting.receivers.default":
            yield from _keys(Receiver, f"{key}.")


def _default(field: Any) -> str:
    if field.is_required():
        return "required"
    return f"`{_yaml(field.get_default(call_default_factory=True))}`"


def _allowed(field: Any, inner: type[BaseModel] | None) -> str:
    if inner is Receiver:
        return "the keys of `alerting.receivers.default`, or null: the default hears it, and nobody Watchdog"
    several = "a list of such, " if _takes_a_list(field.annotation) else ""
    below = f"the keys below, {several}or null. {_first_line(inner or Section)}"
    return (allowed_text(field) or below).removeprefix("give ")


def _takes_a_list(annotation: Any) -> bool:
    return get_origin(annotation) is tuple or any(map(_takes_a_list, getattr(annotation, "__args__", ())))


def _yaml(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, tuple):
        return f"[{', '.join(map(_yaml, value))}]"
    return "{}" if isinstance(value, Section) else str(value)


def _rules_page(settings: Settings) -> str:
    rules = [rule for group in groups(settings) for rule in group.rules]
    recorded = [(f"`{rule.record}`", _code(rule.expr)) for rule in rules if isinstance(rule, RecordingRule)]
    firing = [_alert_row(rule) for rule in rules if isinstance(rule, AlertRule)]
    return _page(
        "Rules",
        "The recording and alerting rules, with the thresholds of this repository's `sidelight.yaml`.",
        "## Recording rules",
        _table(("series", "expression"), recorded),
        "## Alerting rules",
        _table(("alert", "severity", "for", "expression"), firing),
    )


def _alert_row(rule: AlertRule) -> tuple[str, ...]:
    name = f"[{rule.alert}](../runbooks/{rule.alert}.md)"
    return name, rule.severity, str(rule.for_), _code(rule.filled(rule.expr))


def _runbooks_page(settings: Settings) -> str:
    rows = [(f"[{alert.name}]({alert.name}.md)", _severities(alert, settings), alert.meaning) for alert in ALERTS]
    return _page(
        "Runbooks", "One page for every alert: what it means, what to look at, what to do.",
        _table(("alert", "severity", "meaning"), rows),
    )  # fmt: skip


def _checks_page() -> str:
    rows = [
        (f"`{check.name}`", check.severity, check.finds, _peers(check.pint), _peers(check.dashboard_linter))
        for check in CHECKS
    ]
    return _page(
        "Checks",
        "What `sidelight check` finds in rule files, dashboards and collector configurations; "
        "[Check your files](../how-to/check-your-files.md) says how to run it. Beside each stand the checks of "
        "[pint](https://cloudflare.github.io/pint/) and of "
        "[dashboard-linter](https://github.com/grafana/dashboard-linter) that find the same.",
        _table(("check", "severity", "finds", "pint", "dashboard-linter"), rows),
        "## What the others find besides",
        _table(
            ("check", "of", "here"),
            [(f"`{name}`", peer, why) for peer, left in LEFT.items() for name, why in left.items()],
        ),
    )


def _peers(names: str) -> str:
    return _names(filter(None, names.split(", ")))


def _redaction_page() -> str:
    patterns = [pattern for table in (PATTERNS, NUMBERS, TOKENS) for pattern in table]
    return _page(
        "Redaction",
        "What is masked in logs; [Keep secrets out of logs](../how-to/keep-secrets-out-of-logs.md) "
        "says how to change it.",
        "## By key\n\nThe value of a key with one of these names is masked, whatever it holds. A blank stands for any "
        "separator or none, `*` for letters before or behind it; case and camelCase do not matter.",
        _names(KEYS),
        "Not where the key ends in one of these words, such as `token_count`:",
        _names(HARMLESS),
        "Nothing, yes and no are no secrets. Under these keys a number is none either:",
        _names(COUNTED),
        "Under these, a number of at most three digits is none:",
        _names(FEW),
        "## By form\n\nWherever it stands, in a text, a key, a number or bytes:",
        _table(("pattern", "what is masked"), [(f"`{pattern.name}`", pattern.hides) for pattern in patterns]),
        f"In log lines, `{URL_QUERY}` also masks the query of every URL and path, whatever it holds, and what stands under the "
        f"keys {_names(QUERY_KEYS)}.",
    )


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _behaviours_page(rows: Sequence[Behaviour]) -> str:
    return _page(
        "Behaviours",
        "What becomes of a request: the labels it is counted with, as `METHOD route status`, and its `error_type` where it "
        'is an error. `""` is a request that no route matched. *Everywhere* is proved on FastAPI, on Starlette alone and on '
        "a bare ASGI app, which has no routes. For every request of `test_behaviours.py` it is proved too that server, "
        "app and client see what they see without Sidelight: the same messages and exceptions, each handler run once. Older "
        "versions of FastAPI and Starlette answer what stands in `test_newer_fastapi.py` otherwise; the rest holds from "
        "FastAPI 0.115 on.",
        *(block for group in GROUPS for block in _group(group, rows)),
    )


def _group(group: str, rows: Iterable[Behaviour]) -> tuple[str, str]:
    head = ("case", "what is recorded", "proved by")
    return f"## {group}", _table(head, [_behaviour_row(row) for row in rows if row.group == group])


def _behaviour_row(row: Behaviour) -> tuple[str, ...]:
    proof = f"[{row.proof}](../../tests/unit/instrumentation/{row.proof})"
    return row.case, row.recorded, proof + (", everywhere" if row.everywhere else "")


def _severities(alert: Alert, settings: Settings) -> str:
    return ", ".join(rule.severity for rule in alert.rules(settings)) or "off in these settings"


def _code(expression: str) -> str:
    return f"`{' '.join(expression.split())}`"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def _page(title: str, *blocks: str) -> str:
    return "\n\n".join((f"# {title}", _NOTE, *blocks)) + "\n"
