"""Known series: those of the catalog, and those that the checked files record."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from alerts import groups as our_groups
from alerts.checking.promql import AllBut, Labels, catalog_series
from alerts.model import RecordingRule
from alerts.promql import Aggregation, PromqlError, VectorSelector, formatted, nodes
from alerts.promql.tree import TooDeepError
from instrumentation import catalog
from instrumentation.catalog import METRICS, Kind
from sidelight.checks.documents import Kind as DocumentKind
from sidelight.checks.trees import parsed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from alerts.promql import Node
    from instrumentation.settings import Settings
    from sidelight.checks.documents import Document
    from sidelight.checks.reading import Place

_COUNTER_SUFFIXES = ("_total", "_bucket")
_GAUGES_LIKE_COUNTERS = {"django_migrations_applied_total", "django_migrations_unapplied_total"}  # of django-prometheus
Frame = tuple[str, ...]
SHORTEST_WORD = 3  # letters; short words such as rss and vms are alike by chance
_OF_HISTOGRAMS = ("_count", "_sum")


@dataclass(frozen=True, kw_only=True)
class KnownSeries:
    """What checks know beyond the file that they check.

    Attributes:
        settings: The settings.
        recorded: Series name to the expressions that record it, in all files and in Sidelight's rules.
        groups: Series name to the groups that record it, in all files.
        edges: Name of a histogram's bucket series to its edges, if they are known.
        kinds: Series name to its kind, of the catalog and of the signals that a team has declared.
        histograms: Names of histograms and summaries, without suffixes, as far as the files show that they are some.
        has_rules: Whether the files contain recording rules.
        meant: The known series that is meant by each name that has been looked up.
        recorded_as: Expression to the series that records it.
    """

    settings: Settings
    recorded: dict[str, list[str]]
    groups: dict[str, set[str]]
    edges: dict[str, tuple[float, ...]]
    kinds: dict[str, Kind]
    histograms: frozenset[str] = frozenset()
    has_rules: bool = False
    meant: dict[str, str] = field(default_factory=dict)
    recorded_as: dict[str, str] = field(default_factory=dict)

    @cached_property
    def aggregations(self) -> set[tuple[str, tuple[str, ...] | None]]:
        """Operator and labels of the aggregations that are recorded."""
        trees = filter(None, map(tree_of, self.recorded_as))
        return {(tree.op, tree.labels) for tree in trees if isinstance(tree, Aggregation)}

    @cached_property
    def frames(self) -> dict[Frame, dict[str, str]]:
        """For what is around a word of a known series: the words that may be there, with the series."""
        found: dict[Frame, dict[str, str]] = {}
        for name in sorted(SERIES | set(self.kinds)):
            for frame, word in frames_of(name):
                if len(word) > SHORTEST_WORD:
                    found.setdefault(frame, {})[word] = name
        return found

    def is_known(self, name: str) -> bool:
        """Whether a series is in the catalog, declared, recorded or made by Prometheus."""
        return name in SERIES or name in self.kinds or name in self.recorded

    def is_counter(self, name: str) -> bool:
        """Whether a series is a counter, according to the catalog, otherwise to its name."""
        known = self.kinds.get(name)
        if known is not None:
            return known is not Kind.GAUGE
        if name.endswith(_OF_HISTOGRAMS):
            return name.rpartition("_")[0] in self.histograms
        return ":" not in name and name.endswith(_COUNTER_SUFFIXES) and name not in _GAUGES_LIKE_COUNTERS

    def is_gauge(self, name: str) -> bool:
        """Whether a series is known to be a gauge."""
        return self.kinds.get(name) is Kind.GAUGE


def frames_of(name: str) -> Iterator[tuple[Frame, str]]:
    """What is around each word of a name, and the word."""
    words = name.split("_")
    for index, word in enumerate(words):
        yield (*words[:index], "", *words[index + 1 :]), word


class AnyLabels(dict[str, Labels]):
    """Series name to labels, for series that may have any label."""

    def get(self, name: str | None, default: Labels | None = None) -> Labels:  # type: ignore[override]
        """All labels, because the labels added by a scrape are not known."""
        del name, default
        return AllBut()


SERIES = frozenset(catalog_series())
"""Series of the catalog, and those that Prometheus itself creates."""


def known_series(documents: Iterable[Document], settings: Settings) -> KnownSeries:
    """The known series of all files together."""
    recorded: dict[str, list[str]] = {}
    groups: dict[str, set[str]] = {}
    for group in our_groups(settings):
        for rule in group.rules:
            if isinstance(rule, RecordingRule):
                recorded.setdefault(rule.record, []).append(str(normal(rule.expr)))
    read: set[str] = set()
    for document in documents:
        if document.kind is DocumentKind.RULES:
            for _, group_data, _, rule_data in rules_of(document):
                expr = rule_data.get("expr")
                name, tree = rule_data.get("record"), tree_of(expr)
                if tree is not None:
                    read |= {node.name for node, _ in nodes(tree) if isinstance(node, VectorSelector)}
                if isinstance(name, str):
                    recorded.setdefault(name, []).extend([] if tree is None else [str(normal(expr))])
                    groups.setdefault(name, set()).add(str(group_data.get("name")))
    metrics = (*METRICS, *(metric for signal in settings.signals for metric in signal.metrics))
    edges = {f"{metric.name}_bucket": metric.buckets for metric in metrics if metric.buckets}
    edges[f"{catalog.HTTP_SERVER_REQUEST_DURATION.name}_bucket"] = settings.duration_edges
    kinds = {series: metric.kind for metric in metrics for series in metric.series}
    histograms = frozenset(
        base for name in read if (base := name.removesuffix("_sum")) != name and f"{base}_count" in read
    ) | frozenset(name.removesuffix("_bucket") for name in read if name.endswith("_bucket"))
    return KnownSeries(
        settings=settings,
        recorded=recorded,
        groups=groups,
        edges=edges,
        kinds=kinds,
        histograms=histograms,
        has_rules=bool(groups),
        recorded_as={text: name for name, texts in recorded.items() for text in texts},
    )


def rules_of(document: Document) -> Iterator[tuple[Place, dict[str, Any], Place, dict[str, Any]]]:
    """Each rule of a rule file or a resource: position and content of its group, and of the rule."""
    groups = document.data.get("groups")
    for number, group in enumerate(groups if isinstance(groups, list) else ()):
        rules = group.get("rules") if isinstance(group, dict) else None
        for index, rule in enumerate(rules if isinstance(rules, list) else ()):
            if isinstance(rule, dict):
                yield ("groups", number), group, ("groups", number, "rules", index), rule


def normal(expression: object) -> str | None:
    """An expression on one line in one format; None if it is invalid."""
    return _normal(str(expression)) if _is_expression(expression) else None


@lru_cache(20_000)
def _normal(expression: str) -> str | None:
    tree = tree_of(expression)
    return None if tree is None else formatted(tree, width=sys.maxsize)


def _is_expression(value: object) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def tree_of(expression: object) -> Node | None:
    """The tree of an expression; None if it is invalid."""
    if not _is_expression(expression):
        return None
    try:
        return parsed(str(expression))
    except (PromqlError, TooDeepError):
        return None
