"""What a rule and a rule group are, and how groups become a Prometheus rule file."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from instrumentation.catalog import Metric
    from instrumentation.settings import Duration

_JOB = "{{ $labels.job }}"
_PLACE = re.compile(r"\[\[(\w+)\]\]")


@dataclass(frozen=True, kw_only=True)
class RecordingRule:
    """A series computed ahead, named ``level:metric:operations``.

    Attributes:
        record: The name.
        expr: PromQL.
        shown: Whether a dashboard reads it, so that it is wanted also where no alert reads it.
    """

    record: str
    expr: str
    shown: bool = False

    def document(self) -> dict[str, object]:
        """The rule as Prometheus reads it."""
        return {"record": self.record, "expr": self.expr}


@dataclass(frozen=True, kw_only=True)
class AlertRule:
    """One alerting rule.

    Expression and description hold places such as ``[[threshold]]``; ``parameters`` has the number for each. So both
    read the same number, and the Helm chart can put another one in.

    Attributes:
        alert: The alert's name, one per condition.
        key: Which of the alert's rules this is: the severity, with the override's labels behind it where there is one.
        severity: The value of the label, as ``alerting.severities`` says it.
        expr: PromQL with places.
        for_: How long the condition must hold.
        keep_firing_for: How long the alert outlives its condition; None where it must not.
        summary: A sentence that is the same for every instance of the alert.
        description: A Prometheus template with places.
        parameters: Place to number.
        on_edge: Places whose number must be a bucket edge of the services, or the condition is no longer exact.
        edges: The numbers of which ``threshold`` must be one, if it is compared with a histogram of a team's own.
        is_signed: Whether its numbers may be 0 or below.
        labels: Further labels.
        identity: The labels that identify the service. Where the description has ``{{ $labels.job }}``, all of them are said.
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
    parameters: Mapping[str, float] = field(default_factory=dict)
    on_edge: tuple[str, ...] = ()
    edges: tuple[float, ...] = ()
    is_signed: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    identity: tuple[str, ...] = ("job",)
    urls: Mapping[str, str] = field(default_factory=dict)

    @property
    def level(self) -> str:
        """critical, warning, info or none, whatever the label says."""
        return self.key.partition("_")[0]

    @property
    def annotations(self) -> dict[str, str]:
        """The annotations, places still open."""
        description = self.description.replace(_JOB, named(self.identity))
        return {"summary": self.summary, "description": description, **self.urls}

    def filled(self, text: str) -> str:
        """A text with this rule's numbers in its places."""
        return _PLACE.sub(lambda place: number(self.parameters[place[1]]), text)

    def template(self) -> dict[str, object]:
        """The rule as Prometheus reads it, places still open."""
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
    """Rules that are evaluated one after the other, so that an alert reads what was recorded a moment before.

    Attributes:
        name: Its name.
        interval: How often it is evaluated.
        rules: Its rules, in order.
        metrics: The metrics that its rules read beside those of the catalog.
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
    """The name of a service in a sentence, such as ``eu/payments/shop``: those labels that it has, and its job last.

    A label that only the Prometheus adds when it sends, in ``external_labels``, is said too.

    >>> named(["job", "cluster"])
    '{{ with or $labels.cluster $externalLabels.cluster }}{{ . }}/{{ end }}{{ $labels.job }}'
    """
    others = (label for label in identity if label != "job")
    return (
        "".join(f"{{{{ with or $labels.{one} $externalLabels.{one} }}}}{{{{ . }}}}/{{{{ end }}}}" for one in others)
        + _JOB
    )


def number(value: float) -> str:
    """A number as PromQL, Go and Helm all write it.

    >>> number(1.0), number(0.05), number(3)
    ('1', '0.05', '3')
    """
    return repr(value).removesuffix(".0")


def to_rule_file(groups: Iterable[RuleGroup], *notes: str) -> str:
    """The text of a Prometheus rule file, with notes at its head."""
    late = "sidelight file/disable rule/dependency because the rules that read another group hold one evaluation later"
    return to_yaml({"groups": [group.document() for group in groups]}, late, *notes)


class _Dumper(yaml.SafeDumper):
    """YAML for people: an expression of several lines stays on several lines, and nothing is an alias."""

    def ignore_aliases(self, data: object) -> bool:
        del data
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def to_yaml(document: object, *notes: str) -> str:
    """A document as YAML text, keys in the order given, with the note that it is generated, and others."""
    text = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000)
    head = "Written by `sidelight build` from sidelight.yaml; change that file, not this one."
    return "".join(f"# {note}\n" for note in (head, *notes)) + text
