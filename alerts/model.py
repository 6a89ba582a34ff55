"""Rules and rule groups as data, and the Prometheus rule file made from them."""

from __future__ import annotations

import re
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING

import yaml

from instrumentation.catalog import Unit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from instrumentation.catalog import Metric
    from instrumentation.settings import Duration

_JOB = "{{ $labels.job }}"
_PLACE = re.compile(r"\[\[(\w+)\]\]")


@dataclass(frozen=True, kw_only=True)
class RecordingRule:
    """A precomputed series, named ``level:metric:operations``.

    Attributes:
        record: The name.
        expr: PromQL.
        shown: Whether a dashboard reads it. Such a rule is kept even if no alert reads it.
    """

    record: str
    expr: str
    shown: bool = False

    def document(self) -> dict[str, object]:
        """The rule as Prometheus reads it."""
        return {"record": self.record, "expr": self.expr}


@dataclass(frozen=True)
class Parameter:
    """A number in the expression and the texts of a rule. A value of the chart can replace it.

    Attributes:
        value: The number.
        unit: Its unit; None for a plain number, such as a burn rate.
        on_edge: Whether it must be a bucket edge of the services, because the condition is exact only then.
        edges: The allowed values, if it is compared with a histogram that a team declared.
        is_signed: Whether it may be zero or negative.
    """

    value: float
    unit: Unit | None = None
    _: KW_ONLY
    on_edge: bool = False
    edges: tuple[float, ...] = ()
    is_signed: bool = False


def event_count(value: int) -> Parameter:
    """A number of events or items."""
    return Parameter(value, Unit.COUNT)


@dataclass(frozen=True, kw_only=True)
class AlertRule:
    """One alerting rule.

    Expression and description contain places such as ``[[threshold]]``, and ``parameters`` has the number for each. So both
    use the same number, and the Helm chart can replace it.

    Attributes:
        alert: The alert's name, one per condition.
        key: Identifies the rule among those of its alert: the severity, followed by ``_overrides`` in the rule for overrides.
        severity: The value of the label ``severity``, by ``alerting.severities``.
        expr: PromQL with places.
        for_: How long the condition must hold before the alert fires.
        keep_firing_for: How long the alert keeps firing once the condition no longer holds; None if it must not.
        summary: A sentence that is the same for every instance of the alert.
        description: A Prometheus template with places.
        parameters: The numbers by place.
        labels: Additional labels.
        identity: The labels that identify the service. They all appear where the description has ``{{ $labels.job }}``.
        urls: runbook_url and dashboard_url.
    """

    alert: str
    key: str
    severity: str
    expr: str
    for_: Duration
    keep_firing_for: Duration | None
    summary: str
    description: str
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    identity: tuple[str, ...] = ("job",)
    urls: Mapping[str, str] = field(default_factory=dict)

    @property
    def level(self) -> str:
        """critical, warning, info or none, whatever the label says."""
        return self.key.partition("_")[0]

    @property
    def annotations(self) -> dict[str, str]:
        """The annotations, with places instead of numbers."""
        description = self.description.replace(_JOB, named(self.identity))
        return {"summary": self.summary, "description": description, **self.urls}

    def filled(self, text: str) -> str:
        """A text with the numbers of this rule in place of its places."""
        return _PLACE.sub(lambda place: number(self.parameters[place[1]].value), text)

    def template(self) -> dict[str, object]:
        """The rule as Prometheus reads it, with places instead of numbers."""
        keep = {"keep_firing_for": str(self.keep_firing_for)} if self.keep_firing_for else {}
        return {
            "alert": self.alert,
            "expr": self.expr,
            "for": str(self.for_),
            **keep,
            "labels": {"severity": self.severity, **self.labels},
            "annotations": self.annotations,
        }

    def document(self) -> dict[str, object]:
        """The rule as Prometheus reads it."""
        annotations = {name: self.filled(text) for name, text in self.annotations.items()}
        return {**self.template(), "expr": self.filled(self.expr), "annotations": annotations}


@dataclass(frozen=True, kw_only=True)
class RuleGroup:
    """Rules that are evaluated in order, so that an alert reads series recorded in the same evaluation.

    Attributes:
        name: Its name.
        interval: How often it is evaluated.
        rules: Its rules, in order.
        metrics: The metrics that its rules read in addition to those of the catalog.
    """

    name: str
    interval: Duration
    rules: tuple[RecordingRule | AlertRule, ...]
    metrics: tuple[Metric, ...] = ()

    def document(self) -> dict[str, object]:
        """The group as Prometheus reads it."""
        rules = [rule.document() for rule in self.rules]
        return {"name": self.name, "interval": str(self.interval), "rules": rules}


def named(identity: Iterable[str]) -> str:
    """The name of a service in a sentence, such as ``eu/payments/shop``: the labels that it has, with its job last.

    It includes labels that Prometheus adds only when it sends an alert, from ``external_labels``.

    >>> named(["job", "cluster"])
    '{{ with or $labels.cluster $externalLabels.cluster }}{{ . }}/{{ end }}{{ $labels.job }}'
    """
    others = (label for label in identity if label != "job")
    return (
        "".join(f"{{{{ with or $labels.{one} $externalLabels.{one} }}}}{{{{ . }}}}/{{{{ end }}}}" for one in others)
        + _JOB
    )


def number(value: float) -> str:
    """A number in the form that PromQL, Go and Helm share.

    >>> number(1.0), number(0.05), number(3)
    ('1', '0.05', '3')
    """
    return repr(value).removesuffix(".0")


def to_rule_file(groups: Iterable[RuleGroup], *notes: str) -> str:
    """The text of a Prometheus rule file, with notes at its head."""
    late = "sidelight file/disable rule/dependency because the rules that read another group hold one evaluation later"
    return to_yaml({"groups": [group.document() for group in groups]}, late, *notes)


class _Dumper(yaml.SafeDumper):
    """Readable YAML: multi-line expressions stay multi-line, and there are no aliases."""

    def ignore_aliases(self, data: object) -> bool:
        del data
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def to_yaml(document: object, *notes: str) -> str:
    """A document as YAML text with its keys in the given order, after a note that it is generated and further notes."""
    text = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000)
    head = "Written by `sidelight build` from sidelight.yaml; change that file, not this one."
    return "".join(f"# {note}\n" for note in (head, *notes)) + text
