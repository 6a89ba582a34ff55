"""Checks against a running Prometheus: what exists, what it costs, and when alerts would have fired.

Source: https://prometheus.io/docs/prometheus/latest/querying/api/.
"""

from __future__ import annotations

import math
import re
import time
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from alerts.promql import (
    Aggregation,
    BinaryOperation,
    Call,
    MatrixSelector,
    Node,
    NumberLiteral,
    PromqlError,
    Subquery,
    VectorSelector,
    bare,
    formatted,
    nodes,
)
from alerts.promql.durations import seconds_of
from alerts.promql.functions import COMPARISONS
from alerts.promql.tree import TooDeepError
from instrumentation.errors import SidelightError
from sidelight.checks import dashboard_files, rule_files
from sidelight.checks.documents import Kind
from sidelight.checks.finding import Check, Severity
from sidelight.checks.trees import parsed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

    from sidelight.checks.documents import Document
    from sidelight.checks.finding import Finding
    from sidelight.checks.known_series import KnownSeries
    from sidelight.checks.rule_files import Rule


def _check(name: str, finds: str, pint: str = "", severity: Severity = Severity.WARNING) -> Check:
    return Check(name=f"online/{name}", severity=severity, finds=f"{finds}; needs --prometheus", pint=pint)


METRIC = _check("metric", "a metric that this Prometheus has not had in the last week")
LABEL = _check("label", "a label that no series of the metric has")
EMPTY = _check("empty", "a selector that matches no series, although the metric exists")
EDGE = _check("edge", "a percentile compared with a number that is not a bucket edge of the histogram")
COST = _check("cost", "an expression that takes more than 1 s or reads more than 1,000,000 samples", "query/cost")
FAILS = _check("fails", "an expression that this Prometheus refuses or cannot evaluate", severity=Severity.ERROR)
HISTORY = _check(
    "history", "how often an alert would have fired; needs --history too", "alerts/count", severity=Severity.NOTE
)
RETENTION = _check(
    "retention",
    "a range or offset that is longer than this Prometheus keeps samples",
    "promql/range_query, promql/offset",
)
EXTERNAL_LABEL = _check(
    "external-label",
    "a template that reads an external label which this Prometheus does not have, or a rule that sets one",
    "alerts/external_labels, labels/conflict",
)
CHECKS = (METRIC, LABEL, EMPTY, EDGE, COST, FAILS, HISTORY, RETENTION, EXTERNAL_LABEL)

_LOOKBACK = 7 * 86_400  # seconds in which a series must have existed
_SLOW_SECONDS, _MANY_SAMPLES = 1.0, 1_000_000
_MOST_POINTS = 10_000  # Prometheus refuses ranges of more than 11,000 points
_EVERY_LABEL = {"le", "quantile"}
_EXTERNAL_LABEL = re.compile(r"(?:\$externalLabels|\.ExternalLabels)\.(\w+)")


class Prometheus:
    """The HTTP API of a Prometheus.

    Args:
        url: Its address, which may contain a user and a password.
        client: The HTTP client.
        now: Seconds since 1970.
    """

    def __init__(self, url: str, client: httpx.Client | None = None, now: Callable[[], float] = time.time) -> None:
        self.url = url.rstrip("/")
        self.now = now
        self._client = client or _client()
        self._answers: dict[tuple[str, str], Any] = {}

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def get(self, path: str, **parameters: str) -> Any:
        """The data of an answer, asked for once.

        Raises:
            SidelightError: ``prometheus_unreachable``.
            QueryError: Prometheus refuses the query.
        """
        key = path, str(sorted(parameters.items()))
        if key not in self._answers:
            self._answers[key] = self._get(path, parameters)
        answer = self._answers[key]
        if isinstance(answer, QueryError):
            raise answer
        return answer

    def _get(self, path: str, parameters: dict[str, str]) -> Any:
        import httpx  # noqa: PLC0415 - only needed online

        try:
            response = self._client.get(f"{self.url}/api/v1/{path}", params=parameters)
            body = response.json()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            reason = str(error) or type(error).__name__
            raise SidelightError(
                f"--prometheus: {self.url} gives no answer ({reason}); give the address of a Prometheus.",
                code="prometheus_unreachable",
            ) from None
        if isinstance(body, dict) and body.get("status") == "success":
            return body.get("data")
        refused = body.get("error") if isinstance(body, dict) else None
        if response.status_code in {400, 422, 503} and refused:
            return QueryError(str(refused))
        raise SidelightError(
            f"--prometheus: {self.url} answers {response.status_code}; give the address of a Prometheus.",
            code="prometheus_unreachable",
        )

    @cached_property
    def retention(self) -> tuple[str, float]:
        """For how long it keeps samples, as it writes that and in seconds; no time if it does not say."""
        text = str(self._of_status("runtimeinfo").get("storageRetention", "")).partition(" ")[0]
        seconds = seconds_of(text)
        return (text, seconds) if seconds else ("", math.inf)

    @cached_property
    def external_labels(self) -> frozenset[str] | None:
        """The names of its external labels; None if it does not show its configuration."""
        written = self._of_status("config").get("yaml")
        try:
            of = yaml.safe_load(written).get("global") if isinstance(written, str) else None
        except (yaml.YAMLError, AttributeError):
            return None
        return frozenset((of or {}).get("external_labels") or ()) if isinstance(written, str) else None

    def _of_status(self, path: str) -> dict[str, Any]:
        """A part of its status; empty if it has none, like other servers with the same API."""
        try:
            found = self.get(f"status/{path}")
        except (QueryError, SidelightError):
            return {}
        return found if isinstance(found, dict) else {}

    def exists(self, selector: str) -> bool:
        """Whether a selector has matched a series within the last week."""
        start = f"{self.now() - _LOOKBACK:.0f}"
        return bool(self.get("series", **{"match[]": selector, "start": start, "limit": "1"}))

    def labels(self, selector: str) -> frozenset[str]:
        """The label names of the series that a selector has matched within the last week."""
        start = f"{self.now() - _LOOKBACK:.0f}"
        return frozenset(self.get("labels", **{"match[]": selector, "start": start}))

    def edges(self, buckets: str) -> list[float]:
        """The bucket edges of a histogram."""
        values = self.get("label/le/values", **{"match[]": buckets})
        return sorted(float(value) for value in values if value not in {"+Inf", "Inf"})


def _client() -> httpx.Client:
    import httpx  # noqa: PLC0415 - only needed online

    return httpx.Client(timeout=60)


class QueryError(Exception):
    """A query that Prometheus refuses or cannot evaluate."""


class Asked(NamedTuple):
    """An expression to check.

    Attributes:
        tree: Its tree.
        text: The expression, if Prometheus can evaluate it; empty if it contains variables.
        finding: Creates a finding about a part of it.
    """

    tree: Node
    text: str
    finding: Callable[[Check, tuple[int, int], str, str], Finding]


def find(document: Document, known: KnownSeries, prometheus: Prometheus, history: float = 0) -> Iterator[Finding]:
    """What a Prometheus says about the expressions of a document.

    Args:
        document: The document.
        known: The known series; those that a rule of the files records need not exist yet.
        prometheus: The Prometheus.
        history: For how many seconds back alerts are evaluated; 0 for not at all.

    Raises:
        SidelightError: ``prometheus_unreachable``.
    """
    for asked in _expressions(document):
        yield from filter(document.suppressions.allow, _findings(asked, known, prometheus))
    for rule in rule_files.rules(document) if document.kind is Kind.RULES else ():
        for finding in _of_external_labels(rule, prometheus):
            if document.suppressions.allow(finding, *rule.span):
                yield finding
    if document.kind is Kind.RULES and history:
        for rule in rule_files.rules(document):
            if rule.is_alert and rule.tree is not None:
                yield from (
                    each
                    for each in _history(rule, prometheus, history)
                    if document.suppressions.allow(each, *rule.span)
                )


def _expressions(document: Document) -> Iterator[Asked]:
    if document.kind is Kind.RULES:
        for rule in rule_files.rules(document):
            if rule.tree is not None:
                yield Asked(rule.tree, str(rule.data["expr"]), _of_rule(rule))
    elif document.kind is Kind.DASHBOARD:
        for query in dashboard_files.read(document).queries:
            try:
                yield Asked(parsed(query.expr, variables=True), "" if "$" in query.expr else query.expr, query.finding)
            except (PromqlError, TooDeepError):
                continue


def _of_rule(rule: Rule) -> Callable[[Check, tuple[int, int], str, str], Finding]:
    def finding(check: Check, part: tuple[int, int], message: str, cure: str) -> Finding:
        return rule.finding_in(check, ("expr",), part, message, cure)

    return finding


def _findings(asked: Asked, known: KnownSeries, prometheus: Prometheus) -> Iterator[Finding]:
    missing = False
    for node, around in nodes(asked.tree):
        if isinstance(node, VectorSelector) and node.name and "$" not in node.name and node.name not in known.groups:
            for finding in _of_selector(asked, node, around, prometheus):
                missing = True
                yield finding
        elif isinstance(node, BinaryOperation):
            yield from _of_comparison(asked, node, prometheus)
        yield from _of_range(asked, node, prometheus)
    if asked.text and not missing:
        yield from _cost(asked, prometheus)


def _of_selector(
    asked: Asked, node: VectorSelector, around: tuple[Node, ...], prometheus: Prometheus
) -> Iterator[Finding]:
    part = node.start, node.end
    if not prometheus.exists(node.name):
        yield asked.finding(METRIC, part, f"reads {node.name}, which does not exist", "correct the name, or scrape it")
        return
    labels = prometheus.labels(node.name)
    fixed = [each for each in node.matchers if each.operator and "$" not in each.value + each.name]
    unknown = [each.name for each in fixed if each.name not in labels and each.name != "__name__"]
    for aggregation in around[-1:]:
        if isinstance(aggregation, Aggregation) and aggregation.labels and not aggregation.without:
            unknown += [
                label for label in aggregation.labels if "$" not in label and label not in labels | _EVERY_LABEL
            ]
    for label in dict.fromkeys(unknown):
        yield asked.finding(
            LABEL, part, f"uses the label {label}, which no series of {node.name} has", "correct the label"
        )
    if fixed and not unknown:
        only = VectorSelector(start=0, end=0, type=node.type, name=node.name, matchers=tuple(fixed))
        written = formatted(only)
        if not prometheus.exists(written):
            yield asked.finding(EMPTY, part, f"{written} matches no series", "correct a value")


def _of_range(asked: Asked, node: Node, prometheus: Prometheus) -> Iterator[Finding]:
    of_node = node.selector if isinstance(node, MatrixSelector) else node
    given = [node.range] if isinstance(node, MatrixSelector | Subquery) else []
    if isinstance(of_node, VectorSelector | Subquery) and of_node.offset is not None:
        given.append(of_node.offset)
    text, kept = prometheus.retention if given else ("", math.inf)
    seconds = sum(each.seconds or 0 for each in given)
    if seconds > kept:
        message = f"reads samples of the last {seconds / 86_400:g} days, and this Prometheus keeps them for {text}"
        yield asked.finding(RETENTION, (node.start, node.end), message, "record what is needed for longer")


def _of_external_labels(rule: Rule, prometheus: Prometheus) -> Iterator[Finding]:
    known = prometheus.external_labels
    if known is None:
        return
    for label in sorted(known & set(rule.texts("labels"))):
        message = f"sets the label {label}, which is an external label of this Prometheus"
        yield rule.finding(EXTERNAL_LABEL, ("labels", label), message, "rename it")
    for section in ("labels", "annotations") if rule.is_alert else ():
        for key, text in rule.texts(section).items():
            for label in dict.fromkeys(_EXTERNAL_LABEL.findall(text)):
                if label not in known:
                    message = f"{key} reads the external label {label}, which this Prometheus does not have"
                    yield rule.finding(EXTERNAL_LABEL, (section, key), message, "add it, or correct the name")


def _of_comparison(asked: Asked, node: BinaryOperation, prometheus: Prometheus) -> Iterator[Finding]:
    limit, left = bare(node.rhs), bare(node.lhs)
    if node.op not in COMPARISONS or not isinstance(limit, NumberLiteral) or not isinstance(left, Call):
        return
    if left.function != "histogram_quantile":
        return
    for each, _ in nodes(left):
        if isinstance(each, VectorSelector) and each.name.endswith("_bucket") and "$" not in each.name:
            edges = prometheus.edges(each.name)
            if edges and limit.value not in edges:
                near = " or ".join(f"{edge:g}" for edge in sorted(edges, key=lambda edge: abs(edge - limit.value))[:2])
                message = f"compares a percentile of {each.name} with {limit.value:g}, which is not a bucket edge"
                yield asked.finding(EDGE, (node.start, node.end), message, f"use an edge, such as {near}")


def _cost(asked: Asked, prometheus: Prometheus) -> Iterator[Finding]:
    part = asked.tree.start, asked.tree.end
    try:
        data = prometheus.get("query", query=asked.text, stats="all", time=f"{prometheus.now():.0f}")
    except QueryError as error:
        yield asked.finding(FAILS, part, f"cannot be evaluated: {error}", "correct the expression")
        return
    stats = data.get("stats") or {}
    seconds = float((stats.get("timings") or {}).get("evalTotalTime") or 0)
    samples = int((stats.get("samples") or {}).get("totalQueryableSamples") or 0)
    if seconds > _SLOW_SECONDS or samples > _MANY_SAMPLES:
        message = f"takes {seconds:.1f} s and reads {samples:,} samples at each evaluation"
        yield asked.finding(COST, part, message, "record parts of it, or read fewer series")


def _history(rule: Rule, prometheus: Prometheus, seconds: float) -> Iterator[Finding]:
    """How often an alert would have fired within the last seconds, and for how long."""
    end = prometheus.now()
    step = max(60.0, math.ceil(seconds / _MOST_POINTS))
    try:
        data = prometheus.get(
            "query_range",
            query=str(rule.data["expr"]),
            start=f"{end - seconds:.0f}",
            end=f"{end:.0f}",
            step=f"{step:.0f}",
        )
    except QueryError as error:
        yield rule.finding(FAILS, ("expr",), f"cannot be evaluated over the past: {error}", "correct the expression")
        return
    wait = seconds_of(str(rule.data.get("for") or "0")) or 0
    fired = [
        each for series in data.get("result") or () for each in firings(list(series.get("values") or ()), wait, step)
    ]
    over = f"{seconds / 86_400:g} days" if seconds >= 86_400 else f"{seconds / 3_600:g} hours"  # noqa: PLR2004 - a day
    if fired:
        times = f"{len(fired)} time{'s' * (len(fired) != 1)}"
        message = f"would have fired {times} in the last {over}, together for {sum(fired) / 60:.0f} minutes"
        yield rule.finding(HISTORY, ("expr",), message, "compare that with the incidents of this time")
    else:
        yield rule.finding(HISTORY, ("expr",), f"would not have fired in the last {over}", "compare that with the incidents of this time")  # fmt: skip


def firings(values: list[tuple[float, str]], wait: float, step: float) -> list[float]:
    """For how many seconds an alert fires each time, from the points at which its expression returns a series.

    >>> firings([(0, "1"), (60, "1"), (120, "1"), (600, "1")], wait=60, step=60)
    [120.0]

    Args:
        values: Time and value of each point.
        wait: The alert's ``for`` in seconds.
        step: Seconds between two points.
    """
    lengths: list[float] = []
    begin = last = -math.inf
    for moment, _ in [*values, (math.inf, "")]:
        if moment - last > step * 1.5:
            if last - begin >= wait and math.isfinite(begin):
                lengths.append(float(last - begin - wait + step))
            begin = moment
        last = moment
    return lengths
