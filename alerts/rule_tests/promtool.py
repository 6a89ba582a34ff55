"""promtool tests as data: input series, the alerts that must fire at a time, and their texts."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote_plus

from alerts.model import number, to_yaml
from instrumentation.settings import Duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from alerts.model import AlertRule
    from instrumentation.settings import Settings

_FORGOTTEN = 300  # seconds after which Prometheus no longer returns the last sample of a series
_POINTS = 180
_RANGE = re.compile(
    r'\{\{ range \$name, \$value := \$labels \}\}\{\{ if ne \$name "__name__" \}\}(.*?)\{\{ end \}\}\{\{ end \}\}'
)
_WITH = re.compile(r"\{\{ with (?:or )?\$labels\.(\w+)(?: \$externalLabels\.\w+)? \}\}(.*?)\{\{ end \}\}")
_ACTION = re.compile(r"\{\{ *(.*?) *\}\}")


@dataclass(frozen=True, kw_only=True)
class Series:
    """One input series with one sample per scrape interval.

    Attributes:
        name: The series' name.
        labels: Its labels.
        values: promtool's notation, such as ``0+5x20 100x40``.
    """

    name: str
    labels: Mapping[str, str]
    values: str

    @classmethod
    def written(cls, series: str, values: str) -> Series:
        """A series that is already written as text, including its labels in braces."""
        return cls(name=series, labels={}, values=values)

    def document(self) -> dict[str, str]:
        """The series as promtool reads it."""
        labels = ", ".join(f'{name}="{value}"' for name, value in self.labels.items())
        return {"series": f"{self.name}{{{labels}}}" if labels else self.name, "values": self.values}


@dataclass(frozen=True, kw_only=True)
class Firing:
    """One alert that fires.

    Attributes:
        rule: The rule that fires.
        labels: The labels of the series it fires for.
        value: ``$value``.
    """

    rule: AlertRule
    labels: Mapping[str, str]
    value: float

    def document(self, settings: Settings) -> dict[str, object]:
        """The alert as promtool expects it, with rendered annotations."""
        labels = {**self.labels, "severity": self.rule.severity, **settings.alerting.labels, **self.rule.labels}
        annotations = {
            name: rendered(self.rule.filled(text), self.labels, self.value)
            for name, text in self.rule.annotations.items()
        }
        return {"exp_labels": labels, "exp_annotations": annotations}


@dataclass(frozen=True, kw_only=True)
class At:
    """Which instances of one alert must fire at a time, in seconds from the start. If ``firing`` is empty, none may fire."""

    seconds: int
    alert: str
    firing: tuple[Firing, ...] = ()

    def document(self, settings: Settings) -> dict[str, object]:
        """The check as promtool reads it."""
        expected = [firing.document(settings) for firing in self.firing]
        return {"eval_time": f"{self.seconds}s", "alertname": self.alert, "exp_alerts": expected}


@dataclass(frozen=True, kw_only=True)
class Value:
    """The value that an expression must have at a time; None if it must be absent."""

    seconds: int
    expr: str
    labels: Mapping[str, str]
    value: float | None

    def document(self) -> dict[str, object]:
        """The check as promtool reads it.

        promtool 2.42 compares floats exactly, so the expression itself compares with a tolerance.
        """
        moment = f"{self.seconds}s"
        if self.value is None:
            return {"expr": self.expr, "eval_time": moment, "exp_samples": []}
        labels = ", ".join(f'{name}="{value}"' for name, value in self.labels.items())
        near = f"abs({self.expr} - {number(self.value)}) < bool 1e-6"
        return {"expr": near, "eval_time": moment, "exp_samples": [{"labels": f"{{{labels}}}", "value": 1}]}


@dataclass(frozen=True, kw_only=True)
class RuleTest:
    """One test: input series, and what must be true for them.

    Attributes:
        name: Describes what is tested.
        series: The input series.
        alerts: Which alerts fire when.
        values: The values of expressions.
        interval: The time between two samples; by default ``metrics.scrape_interval``.
    """

    name: str
    series: tuple[Series, ...]
    alerts: tuple[At, ...] = ()
    values: tuple[Value, ...] = ()
    interval: Duration | None = None

    def document(self, settings: Settings) -> dict[str, object]:
        """The test as promtool reads it."""
        checks: dict[str, object] = {}
        if self.alerts:
            checks["alert_rule_test"] = [check.document(settings) for check in self.alerts]
        if self.values:
            checks["promql_expr_test"] = [check.document() for check in self.values]
        return {
            "name": self.name,
            "interval": str(self.interval or settings.metrics.scrape_interval),
            "input_series": [series.document() for series in self.series],
            **checks,
        }


@dataclass(frozen=True, kw_only=True)
class Clock:
    """The times of a test, in seconds: a condition holds from the start until every rule must fire, and then ends.

    Attributes:
        settings: The settings from which the rules were made.
        longest_for: The longest ``for`` of the rules.
        range_: How far back, in seconds, the rules read before they fire.
        memory: For how many seconds the rules still read samples from before the end of the condition.
    """

    settings: Settings
    longest_for: int
    range_: int
    memory: int

    @property
    def step(self) -> int:
        """Seconds between two samples."""
        return self.settings.metrics.scrape_interval.seconds

    @property
    def grace(self) -> int:
        """The maximum delay of a sample and an evaluation together, in seconds."""
        return 2 * self.settings.alerting.evaluation_interval.seconds + 2 * self.step

    @property
    def fires(self) -> int:
        """When every rule fires whose condition held from the start: its range contains samples throughout."""
        return self.range_ + self.longest_for + self.grace

    @property
    def resolved(self) -> int:
        """When all alerts have resolved, if the condition ended just after ``fires``."""
        alerting = self.settings.alerting
        return self.fires + self.memory + alerting.keep_firing_for.seconds + 2 * self.grace

    def counter(self, busy: float, after: float) -> str:
        """A counter that grows by ``busy`` per sample until the alert fires, then by ``after`` per sample."""
        first, second = self.fires // self.step + 1, self.resolved // self.step
        return f"0+{number(busy)}x{first} {number(busy * first + after)}+{number(after)}x{second}"

    def gauge(self, busy: float, after: float) -> str:
        """A gauge that is ``busy`` until the alert fires, then ``after``; `NaN stands for no sample."""
        first, second = self.fires // self.step + 1, self.resolved // self.step
        return f"{_constant(busy, first)} {_constant(after, second)}"


def clock(
    settings: Settings, rules: Iterable[AlertRule], *, range_: int | None = None, memory: int | None = None
) -> Clock:
    """The clock for some rules. Range and memory default to ``alerting.window``."""
    window = settings.alerting.window.seconds
    longest_for = max(rule.for_.seconds for rule in rules)
    return Clock(settings=settings, longest_for=longest_for, range_=range_ or window, memory=memory or window)


def slowed(settings: Settings) -> Settings:
    """The same settings with fewer scrapes and evaluations, so that a trend over hours has a few hundred points.

    The range of a rate holds too few samples then, so tests of counters give an interval of their own. A gauge is
    forgotten after 5 minutes.
    """
    points = settings.alerting.trend.disk_window.seconds // _POINTS
    pace = Duration.of(min(max(settings.alerting.evaluation_interval.seconds, points), _FORGOTTEN - 60))
    return settings.model_copy(
        update={
            "metrics": settings.metrics.model_copy(update={"scrape_interval": pace}),
            "alerting": settings.alerting.model_copy(update={"evaluation_interval": pace}),
        }
    )


def _constant(value: float, times: int) -> str:
    return f"_x{times}" if value != value else f"{number(value)}x{times}"  # noqa: PLR0124 - NaN: no sample


def rendered(template: str, labels: Mapping[str, str], value: float) -> str:
    """A template as Prometheus renders it, for the few actions that our texts use.

    >>> rendered('{{ $labels.job }}: {{ $value | humanizePercentage }}', {"job": "shop"}, 0.0625)
    'shop: 6.25%'
    >>> named = "{{ with or $labels.zone $externalLabels.zone }}{{ . }}/{{ end }}{{ $labels.job }}"
    >>> rendered(named, {"job": "shop", "zone": "a"}, 0), rendered(named, {"job": "shop"}, 0)
    ('a/shop', 'shop')
    >>> from alerts.links import LABELS
    >>> rendered(LABELS, {"job": "a b"}, 0)
    'job=a+b&'
    """
    template = _RANGE.sub(
        lambda found: "".join(
            found[1].replace("{{ $name }}", name).replace("{{ $value", f'{{{{ "{text}"')
            for name, text in sorted(labels.items())
        ),
        template,
    )
    template = _WITH.sub(
        lambda found: found[2].replace("{{ .", f'{{{{ "{labels[found[1]]}"') if found[1] in labels else "", template
    )
    return _ACTION.sub(lambda action: _render(action[1], labels, value), template)


def _render(action: str, labels: Mapping[str, str], value: float) -> str:
    operand, *functions = (part.strip() for part in action.split("|"))
    text = labels.get(operand.removeprefix("$labels."), "") if operand.startswith("$labels.") else operand.strip('"')
    if operand == "$value":
        text = number(value)
    for function in functions:
        text = _FUNCTIONS[function](text)
    return text


def _humanize_duration(text: str) -> str:
    seconds = float(text)
    if 0 < seconds < 1:
        return f"{seconds * 1000:.4g}ms"
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{seconds:.4g}s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = ((days, "d"), (hours, "h"), (minutes, "m"), (rest, "s"))
    largest = next(place for place, (number, _) in enumerate(parts) if number)
    return " ".join(f"{number}{unit}" for number, unit in parts[largest:])


def _humanize(value: float) -> str:
    """A number with an SI prefix."""
    size = abs(value)
    if size == 0 or not math.isfinite(size):
        return f"{value:.4g}"
    power = min(int(math.log10(size) // 3), 8) if size >= 1 else max(int(math.log10(size) // 3), -8)
    if size >= 1 and size >= 1000 ** (power + 1):
        power += 1
    prefix = {-1: "m", -2: "u", -3: "n", 1: "k", 2: "M", 3: "G", 4: "T"}.get(power, "")
    return f"{value / 1000**power:.4g}{prefix}"


_FUNCTIONS: Mapping[str, Callable[[str], str]] = {
    "urlquery": quote_plus,
    "humanizePercentage": lambda text: f"{float(text) * 100:.4g}%",
    "humanizeDuration": _humanize_duration,
    "humanize": lambda text: _humanize(float(text)),
    'printf "%.0f"': lambda text: f"{float(text):.0f}",
    'printf "%.1f"': lambda text: f"{float(text):.1f}",
    'printf "%.2f"': lambda text: f"{float(text):.2f}",
}


def to_test_file(tests: Iterable[RuleTest], settings: Settings, rule_file: str, order: Sequence[str] = ()) -> str:
    """The text of a promtool test file.

    Args:
        tests: The tests.
        settings: The settings, whose evaluation interval applies.
        rule_file: The file with the rules.
        order: The groups in the order in which promtool evaluates them. Without it, the order differs from run to run.
    """
    return to_yaml(
        {
            "rule_files": [rule_file],
            "evaluation_interval": str(settings.alerting.evaluation_interval),
            **({"group_eval_order": list(order)} if order else {}),
            "tests": [test.document(settings) for test in tests],
        }
    )
