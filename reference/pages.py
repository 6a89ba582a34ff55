"""The reference pages: tables of metrics, settings, rules, checks and behaviours, generated from code and tests."""

from __future__ import annotations

from difflib import unified_diff
from typing import TYPE_CHECKING, Any, get_origin

from alerts import every_alert, groups
from alerts.model import AlertRule, RecordingRule
from instrumentation.catalog import METRICS
from instrumentation.redaction.patterns import (
    COUNTED,
    FEW,
    HARMLESS,
    KEYS,
    NUMBERED,
    NUMBERS,
    PATTERNS,
    STATEMENTS,
    TOKENS,
)
from instrumentation.redaction.query_strings import KEYS as QUERY_KEYS
from instrumentation.redaction.query_strings import URL_QUERY
from instrumentation.settings import MuteTime, ObjectivesOverride, Override, Receiver, Section, Settings, Team
from instrumentation.settings.faults import allowed_text, is_mapping, section_of
from instrumentation.settings.opentelemetry import VARIABLES
from instrumentation.settings.signal_alerts import Example, SignalAlert, SignalOverride
from reference.behaviours import GROUPS, behaviours
from reference.compatibility import compatibility
from sidelight.checks import CHECKS
from sidelight.checks.examples import EXAMPLES
from sidelight.checks.other_linters import LEFT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pydantic import BaseModel

    from alerts import Alert, RuleGroup
    from instrumentation.catalog import Metric
    from reference.behaviours import Behaviour
    from reference.compatibility import Compatibility
    from sidelight.checks import Check

_KEY_HEAD = ("key", "default", "allowed")
_LISTED = (Override, ObjectivesOverride, Team, MuteTime, SignalAlert, SignalOverride, Example)
_NOTE = "<!-- Written by `make build`; change the code it is made from, not this page. -->"


def reference_pages(settings: Settings, made: Iterable[RuleGroup] | None = None) -> dict[str, str]:
    """Path below ``docs/`` to text.

    Args:
        settings: The settings.
        made: Their rule groups, if they have been made already.
    """
    return {
        "reference/metrics.md": _metrics_page(),
        "reference/settings.md": _settings_page(),
        "reference/environment-variables.md": _variables_page(),
        "reference/rules.md": _rules_page(groups(settings) if made is None else made),
        "reference/redaction.md": _redaction_page(),
        "reference/checks.md": _checks_page(),
        "reference/check-examples.md": _check_examples_page(),
        "reference/behaviours.md": _behaviours_page(behaviours()),
        "reference/compatibility.md": _compatibility_page(compatibility()),
        "runbooks/README.md": _runbooks_page(settings),
    }


def _metrics_page() -> str:
    head = ("metric", "type", "unit", "labels", "meaning")
    return _page(
        "Metrics",
        "All metrics of a service. Prometheus adds the labels `job` and `instance`. In OpenMetrics, which Prometheus "
        "requests, counters and histograms also have a series `..._created`: their start time in seconds since 1970.",
        _table(head, [_metric_row(metric) for metric in METRICS]),
    )


def _metric_row(metric: Metric) -> tuple[str, ...]:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return (f"`{metric.name}`", metric.kind, metric.unit, labels, metric.help)


def _settings_page() -> str:
    sections = {name: field for name, field in Settings.model_fields.items() if section_of(field.annotation)}
    keys = [_key(name, field) for name, field in Settings.model_fields.items() if name not in sections]
    return _page(
        "Settings",
        "All keys of `sidelight.yaml`; every key is optional. The file is `sidelight.yaml` in the working directory, or "
        "the one named by `SIDELIGHT_CONFIG`. [Environment variables](environment-variables.md) take precedence over it. "
        "A service with faults in its settings does not start; `sidelight check` reports the same faults.",
        _table(_KEY_HEAD, keys),
        *(block for name, field in sections.items() for block in _section(name, field)),
    )


OWN_VARIABLES = {
    "SIDELIGHT_CONFIG": "the settings file, in place of `sidelight.yaml` in the working directory",
    "SIDELIGHT_STORE_DIR": "the folder that the workers of one service share; by default they find each other",
    "SIDELIGHT_METRICS_TOKEN": "the token that readers of the metrics page need",
    "SIDELIGHT_METRICS_TOKEN_FILE": "or a file that contains it; both take precedence over `metrics.token_file`",
    "SIDELIGHT_USERS_KEY": "the secret for counting users",
    "SIDELIGHT_USERS_KEY_FILE": "or a file that contains it; both take precedence over `users.key_file`",
    "SIDELIGHT_AUDIT_KEY": "the secret that seals the audit trail",
    "SIDELIGHT_AUDIT_KEY_FILE": "or a file that contains it; both take precedence over `audit.key_file`",
    "SIDELIGHT_TOOLS_DIR": "the folder in which `make tools` stores programs",
    "SIDELIGHT_VIEW_TOKEN": "the token of the page of `sidelight view`; by default a random one",
    "GRAFANA_URL": "the Grafana to which `sidelight publish` publishes the dashboards",
    "GRAFANA_TOKEN": "its token",
    "GRAFANA_TOKEN_FILE": "or a file that contains it",
    "GRAFANA_USER": "or a user of Grafana",
    "GRAFANA_PASSWORD": "and their password",
    "GRAFANA_PASSWORD_FILE": "or a file that contains it",
    "PROMETHEUS_MULTIPROC_DIR": "the folder of prometheus_client's multiprocess mode, which sums its metrics over workers",
}
"""The variables that are not OpenTelemetry's, and what each is."""


def _variables_page() -> str:
    supported, unsupported = (
        [(f"`{row.name}`", row.does) for row in VARIABLES if row.is_supported is is_supported and row.name != "OTEL_*"]
        for is_supported in (True, False)
    )
    head = ("variable", "does")
    return _page(
        "Environment variables",
        "A variable takes precedence over `sidelight.yaml`, and a variable for traces over the one for all signals. Settings "
        "that the code passes to `instrument()` do not change.",
        "## OpenTelemetry's",
        "An empty value counts as not set. An invalid value is ignored and logged in one line, and the service starts. A name "
        "that ends with `*` means all variables with this prefix. If the service has configured OpenTelemetry itself, and the "
        "endpoint is only in the environment, only the service's own exporter sends the spans.",
        _table(head, supported),
        "## OpenTelemetry's, not supported",
        "At the start, one log line lists the variables that are set, with what to use instead. Values that match what "
        "Sidelight does, such as `OTEL_METRICS_EXPORTER=prometheus` or `none`, are not listed. Variables with the prefix "
        "`OTEL_` that are in neither table are listed too.",
        _table(("variable", "instead"), unsupported),
        "## Sidelight's",
        _table(head, [(f"`{name}`", does) for name, does in OWN_VARIABLES.items()]),
    )


def _section(name: str, field: Any) -> Iterator[str]:
    section = section_of(field.annotation) or Section
    several = section is not field.annotation  # a list of them
    yield f"## {name}\n\n{_first_line(section)}"
    yield _table(_KEY_HEAD, _keys(section, f"{name}[]." if several else f"{name}."))


def _first_line(section: type[BaseModel]) -> str:
    return (section.__doc__ or "").partition("\n")[0]


def _keys(section: type[BaseModel], prefix: str) -> Iterator[tuple[str, ...]]:
    for name, field in section.model_fields.items():
        key, inner = f"{prefix}{field.alias or name}", section_of(field.annotation)
        if inner is None or inner is not field.annotation:
            yield _key(key, field, inner)
        if inner in _LISTED:
            yield from _keys(inner, f"{key}[].")
        elif inner is not None and is_mapping(field.annotation):
            yield from _keys(inner, f"{key}.<name>.")
        elif inner is not None and inner is not Receiver:
            yield from _keys(inner, f"{key}.")
        elif key == "alerting.receivers.default":
            yield from _keys(Receiver, f"{key}.")


def _key(key: str, field: Any, inner: type[BaseModel] | None = None) -> tuple[str, ...]:
    return f"`{key}`", _default(field), _allowed(field, inner)


def _default(field: Any) -> str:
    if field.is_required():
        return "required"
    return f"`{_yaml(field.get_default(call_default_factory=True))}`"


def _allowed(field: Any, inner: type[BaseModel] | None) -> str:
    if inner is Receiver:
        return "the keys of `alerting.receivers.default`, or null: the default receiver (for Watchdog: none)"
    several = "a list of these, " if _takes_a_list(field.annotation) else ""
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


def _rules_page(made: Iterable[RuleGroup]) -> str:
    rules = [rule for group in made for rule in group.rules]
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
    rows = [
        (f"[{alert.name}]({alert.name}.md)", _severities(alert, settings), alert.meaning)
        for alert in every_alert(settings)
    ]
    return _page(
        "Runbooks", "One page per alert: what it means, what to look at, and what to do.",
        _table(("alert", "severity", "meaning"), rows),
    )  # fmt: skip


def _checks_page() -> str:
    rows = [
        (_linked(check), check.severity, check.finds, _peers(check.pint), _peers(check.dashboard_linter))
        for check in CHECKS
    ]
    return _page(
        "Checks",
        "What `sidelight check` finds in rule files, dashboards and collector configurations; "
        "[Check your files](../how-to/check-your-files.md) describes how to run it. The last two columns name the checks of "
        "[pint](https://cloudflare.github.io/pint/) and "
        "[dashboard-linter](https://github.com/grafana/dashboard-linter) that find the same faults.",
        _table(("check", "severity", "finds", "pint", "dashboard-linter"), rows),
        "## Checks of other linters that are not included",
        _table(
            ("check", "linter", "reason"),
            [(f"`{name}`", peer, why) for peer, left in LEFT.items() for name, why in left.items()],
        ),
    )


def _linked(check: Check) -> str:
    """A check's name, with a link to its example."""
    anchor = check.name.replace("/", "")
    return f"[`{check.name}`](check-examples.md#{anchor})" if check.name in EXAMPLES else f"`{check.name}`"


def _check_examples_page() -> str:
    return _page(
        "Examples of the checks",
        "For each check, lines that it reports, and how to write them. To disable a check for a rule or a file, add a comment "
        "such as `# sidelight disable promql/regexp` or `# sidelight file/disable promql/regexp` ([how to]"
        "(../how-to/check-your-files.md#disable-a-check)); for JSON files, use `--disable`. The checks of a running "
        "Prometheus, `online/...`, have no examples here.",
        *(block for check in CHECKS if check.name in EXAMPLES for block in _check_example(check)),
    )


def _check_example(check: Check) -> Iterator[str]:
    wrong, right, says = EXAMPLES[check.name]
    changed = [
        line if len(line) <= _LONGEST_EXAMPLE else f"{line[:_LONGEST_EXAMPLE]} ..."
        for line in unified_diff(wrong.splitlines(), right.splitlines(), n=0, lineterm="")
        if not line.startswith(("---", "+++", "@@"))
    ]
    yield f"## {check.name}"
    yield f'It finds {check.finds} ({check.severity}): "{says}".'
    yield "\n".join(["```diff", *(changed[:_MOST_LINES]), *(["..."] if len(changed) > _MOST_LINES else []), "```"])


_LONGEST_EXAMPLE, _MOST_LINES = 160, 14  # characters, lines


def _peers(names: str) -> str:
    return _names(filter(None, names.split(", ")))


def _redaction_page() -> str:
    patterns = [pattern for table in (PATTERNS, NUMBERS, TOKENS) for pattern in table]
    return _page(
        "Redaction",
        "What is masked in logs. [Keep secrets out of logs](../how-to/keep-secrets-out-of-logs.md) "
        "describes how to change it.",
        "## By key\n\nThe value of a key with one of these names is masked. A blank means any separator or none, and `*` "
        "means any letters before or after; case and camelCase do not matter.",
        _names(KEYS),
        "A key that ends in one of these words, such as `token_count`, is not masked:",
        _names(HARMLESS),
        "Empty values and booleans are not masked. With these keys, numbers are not masked either:",
        _names(COUNTED),
        "Under these keys, a number of at most three digits is not a secret:",
        _names(FEW),
        "Texts such as log messages also use these names in sentences. After a key of the first list, a colon and a blank, "
        "three or more ordinary words are not masked (`session: opened for user 7`). After any key, words that begin with "
        "one of the second list are not masked (`password: must have 12 characters`). Letters alone are not masked after a "
        "key of the third list. An ordinary word consists of letters only; a word that mixes letters and digits is masked, "
        "and with it the whole sentence.",
        _names(COUNTED),
        _names(STATEMENTS),
        _names(NUMBERED),
        "## By pattern\n\nMasked anywhere: in text, keys, numbers and bytes:",
        _table(("pattern", "what is masked"), [(f"`{pattern.name}`", pattern.hides) for pattern in patterns]),
        f"In log lines, `{URL_QUERY}` also masks the query string of every URL and path, and the values of the keys "
        f"{_names(QUERY_KEYS)}.",
    )


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _behaviours_page(rows: Sequence[Behaviour]) -> str:
    return _page(
        "Behaviours",
        "How each kind of request is counted: its labels as `METHOD route status`, and its `error_type` if it is an error. "
        '`""` means that no route matched. *Everywhere* means that the test runs on FastAPI, on Starlette without FastAPI, '
        "and on a plain ASGI app, which has no routes. For every request in `test_behaviours.py`, the tests also prove that "
        "server, app and client see the same messages and exceptions as without Sidelight, and that each handler runs once; "
        "only the `x-correlation-id` header is added, unless `logging.correlation_id` is false. "
        "Older versions of FastAPI and Starlette differ in the cases of `test_newer_fastapi.py`; everything else applies "
        "to FastAPI 0.115 and newer.",
        *(block for group in GROUPS for block in _group(group, rows)),
    )


def _compatibility_page(tried: Compatibility) -> str:
    return _page(
        "Compatibility",
        "The frameworks, servers and applications that Sidelight was tested with. Other versions may work; these were "
        "run. The lists are `requirements/frameworks.toml`, whose tests in `tests/integration/instrumentation/frameworks` "
        "install each framework in an environment of its own, and `requirements/compat.json`, which `make compat` writes.",
        "## Frameworks\n\nEach service answers requests that match a route, a nested route and no route, that use the wrong "
        "method, that fail, that raise an `AppError` and that stream. Each request is counted once, with the status that was "
        "sent, under the template that the framework itself uses.",
        _table(("framework", "oldest and newest version", "interface", "a template", "a websocket"), tried.frameworks),
        "## Servers\n\nSeveral requests or several workers at once; the page has the exact sum.",
        _table(("server", "version", "interface"), tried.servers),
        "## Task queues\n\nTasks that succeed, fail, are retried, delayed, too late or killed, on Redis; each ends once.",
        _table(("library", "version"), tried.task_queues),
        "## Tests of other projects\n\n`make compat` runs the tests of the source distributions of these projects: plain, and "
        "with Sidelight in every Starlette and FastAPI app, or in every app that uvicorn serves, with log lines, correlation "
        "ids, traces and body sizes on. Some tests fail plain too: the "
        "source distribution lacks their files, they need a service, or they must not run as root. "
        "`problem_documents()` is not used, because it changes the bodies of errors on purpose.",
        _table(
            ("project", "version", "plain", "with Python", "with the compiled layer", "differences", "date"),
            tried.suites,
        ),
        "A difference is a test that passes plain and fails with Sidelight, in the whole run and when the tests that differ run "
        "again. *Flaky* tests passed in one plain run and failed in another, so they are not compared.",
        _table(("project", "tests", "reason"), tried.differences),
        "## Applications\n\n`make compat` serves each application from PyPI with Sidelight, sends it requests, and compares its "
        "metrics page with the responses. A path that no route matched, or of an application without templates, has the "
        'route `""`.',
        _table(
            ("application", "version", "interface", "responses", "routes on the page", "concrete paths", "date"),
            tried.driven,
        ),
        "Tried by hand:",
        _table(("application", "version", "result"), tried.applications),
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
