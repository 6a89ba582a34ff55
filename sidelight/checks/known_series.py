"""Known series: those of the catalog, and those that the checked files record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import promql_parser as promql

from alerts import groups as our_groups
from alerts.checking.promql import AllBut, Labels, catalog_series
from alerts.model import RecordingRule
from instrumentation import catalog
from instrumentation.catalog import METRICS, Kind
from sidelight.checks.documents import Kind as DocumentKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from instrumentation.settings import Settings
    from sidelight.checks.documents import Document, Place

_COUNTER_SUFFIXES = ("_total", "_bucket", "_count", "_sum")


@dataclass(frozen=True, kw_only=True)
class World:
    """What checks know beyond the file that they check.

    Attributes:
        settings: The settings.
        recorded: Series name to the expressions that record it, in all files and in Sidelight's rules.
        groups: Series name to the groups that record it, in all files.
        edges: Name of a histogram's bucket series to its edges, if they are known.
        kinds: Series name to its kind, of the catalog and of the signals that a team has declared.
    """

    settings: Settings
    recorded: dict[str, list[str]]
    groups: dict[str, set[str]]
    edges: dict[str, tuple[float, ...]]
    kinds: dict[str, Kind]

    def is_known(self, name: str) -> bool:
        """Whether a series is in the catalog, declared, recorded or made by Prometheus."""
        return name in SERIES or name in self.kinds or name in self.recorded

    def is_counter(self, name: str) -> bool:
        """Whether a series is a counter, according to the catalog, otherwise to its name."""
        known = self.kinds.get(name)
        if known is not None:
            return known is not Kind.GAUGE
        return ":" not in name and name.endswith(_COUNTER_SUFFIXES)

    def is_gauge(self, name: str) -> bool:
        """Whether a series is known to be a gauge."""
        return self.kinds.get(name) is Kind.GAUGE


class OpenWorld(dict[str, Labels]):
    """Series name to labels, for series that may have any label."""

    def get(self, name: str | None, default: Labels | None = None) -> Labels:  # type: ignore[override]
        """All labels, because the labels added by a scrape are not known."""
        del name, default
        return AllBut()


SERIES = frozenset(catalog_series())
"""Series of the catalog, and those that Prometheus itself creates."""


def world(documents: Iterable[Document], settings: Settings) -> World:
    """The known series of all files together."""
    recorded: dict[str, list[str]] = {}
    groups: dict[str, set[str]] = {}
    for group in our_groups(settings):
        for rule in group.rules:
            if isinstance(rule, RecordingRule):
                recorded.setdefault(rule.record, []).append(str(normal(rule.expr)))
    for document in documents:
        if document.kind is DocumentKind.RULES:
            for _, group_data, _, rule_data in rules_of(document):
                name, expr = rule_data.get("record"), normal(rule_data.get("expr"))
                if isinstance(name, str):
                    recorded.setdefault(name, []).extend([expr] if expr else [])
                    groups.setdefault(name, set()).add(str(group_data.get("name")))
    metrics = (*METRICS, *(metric for signal in settings.signals for metric in signal.metrics))
    edges = {f"{metric.name}_bucket": metric.buckets for metric in metrics if metric.buckets}
    edges[f"{catalog.HTTP_SERVER_REQUEST_DURATION.name}_bucket"] = settings.duration_edges
    kinds = {series: metric.kind for metric in metrics for series in metric.series}
    return World(settings=settings, recorded=recorded, groups=groups, edges=edges, kinds=kinds)


def rules_of(document: Document) -> Iterator[tuple[Place, dict[str, Any], Place, dict[str, Any]]]:
    """Each rule of a rule file or a PrometheusRule: position and content of its group, and of the rule."""
    is_resource = "spec" in document.data
    root: Place = ("spec", "groups") if is_resource else ("groups",)
    spec = document.data.get("spec") if is_resource else document.data
    groups = spec.get("groups") if isinstance(spec, dict) else None
    for number, group in enumerate(groups if isinstance(groups, list) else ()):
        rules = group.get("rules") if isinstance(group, dict) else None
        for index, rule in enumerate(rules if isinstance(rules, list) else ()):
            if isinstance(rule, dict):
                yield (*root, number), group, (*root, number, "rules", index), rule


def normal(expression: object) -> str | None:
    """An expression in Prometheus' own format; None if it is invalid."""
    try:
        return str(promql.parse(expression).prettify()) if isinstance(expression, str) else None
    except ValueError:
        return None
