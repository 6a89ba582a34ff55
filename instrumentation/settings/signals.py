"""Section ``signals``: the metrics that a team declares for its own code."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, PlainValidator, model_validator
from pydantic_core import PydanticCustomError

from instrumentation import catalog
from instrumentation.catalog import Kind, Metric, Unit
from instrumentation.settings.dashboards import TeamPage
from instrumentation.settings.duration import Duration
from instrumentation.settings.faults import Allowed, fault, raise_all, shown
from instrumentation.settings.schedule import Schedule
from instrumentation.settings.signal_alerts import SignalAlert
from instrumentation.settings.types import LabelName, Location, PrometheusDuration, Section, Text

OTHER = "_OTHER"
"""The value of a label whose value was not declared."""

MOST_SERIES = 500
"""The maximum number of series of one signal that exist from the start."""

_NAME = "give lowercase letters, digits and _, starting with a letter, such as orders_placed"
_MOST_VALUES, _MOST_CLOSED, _LONGEST_VALUE = 1000, 100, 100
_VALUES = (
    f"give a list of 1 to {_MOST_CLOSED} texts, none starting with _, such as [web, app], or {{limit: 50}} for values that are "
    f"not known in advance, with a limit from 1 to {_MOST_VALUES}"
)
_EDGES_TEXT = "give 1 to 50 increasing numbers, each once, such as [0.1, 0.5, 1.0]"
_ADDED = ("_total", "_bucket", "_sum", "_count", "_created", "_info")  # by Prometheus' formats
# Names that Kubernetes, Prometheus, their exporters and Sidelight use for their own metrics.
_OF_PLATFORM = re.compile(
    r"(aggregator|alertmanager|apiserver|cadvisor|container|coredns|etcd|go|grafana|http|kube|kubelet|kubernetes|loki|machine"
    r"|node|otelcol|process|prometheus|promhttp|python|rest_client|scrape|sidelight|target|tempo|up|websocket|workqueue)(_.*)?"
)
# Labels of Prometheus, of Kubernetes' service discovery, of alerts and of histograms.
_RESERVED_LABELS = frozenset(
    {
        *("alertname", "alertstate", "override", "severity", "sidelight", "team"),
        *("cluster", "container", "endpoint", "namespace", "node", "pod", "service"),
        *("day", "environment", "instance", "job", "le", "prometheus_replica", "quantile", "replica"),
    }
)
_UNITS = {"seconds": Unit.SECONDS, "bytes": Unit.BYTES, "usd": Unit.USD, "ratio": Unit.RATIO}
_EDGES = {Unit.SECONDS: catalog.HTTP_SECONDS, Unit.BYTES: catalog.BODY_BYTES}


def _name(value: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,99}", value) or "__" in value:
        raise fault(_NAME)
    return value


def _values(given: object) -> tuple[str, ...] | int:
    """The values of a label, or how many it may have."""
    if isinstance(given, dict) and given.keys() == {"limit"} and type(given["limit"]) is int:
        if 1 <= given["limit"] <= _MOST_VALUES:
            return given["limit"]
    elif isinstance(given, list | tuple) and 1 <= len(given) <= _MOST_CLOSED and all(map(_is_value, given)):
        if len(set(given)) < len(given):
            raise fault("give each value once")
        return tuple(given)
    raise fault(_VALUES)


def _is_value(value: object) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= _LONGEST_VALUE and value.isprintable() and value[0] != "_"


def _increasing(edges: tuple[float, ...]) -> tuple[float, ...]:
    if sorted(set(edges)) != list(edges):
        raise fault(_EDGES_TEXT)
    return edges


_Edges = Annotated[
    tuple[Annotated[float, Field(allow_inf_nan=False), Allowed(text="give a finite number")], ...],
    Field(strict=False, min_length=1, max_length=50),
    AfterValidator(_increasing),
    Allowed(text=_EDGES_TEXT),
]
SignalName = Annotated[Text, AfterValidator(_name), Allowed(text=_NAME)]


_Values = Annotated[Any, PlainValidator(_values), Allowed(text=_VALUES)]


class Signal(Section):
    """A metric of the team's own: its name, its kind and its labels."""

    name: SignalName
    kind: Annotated[
        Literal["counter", "gauge", "histogram", "job"], Allowed(text="give counter, gauge, histogram or job")
    ]
    help: Text | None = None  # by default the name, in words
    labels: Annotated[dict[LabelName, _Values], Allowed(text="give labels with their values")] = Field(default={})
    combine: Annotated[Literal["sum", "max", "min"] | None, Allowed(text="give sum, max or min")] = None  # of a gauge
    buckets: _Edges | None = None  # of a histogram or of a job's duration
    every: PrometheusDuration | None = None  # how often a job is to succeed
    cron: Text | None = None  # or when: a cron expression such as "30 2 * * MON-FRI"
    time_zone: Location = "UTC"  # of the cron expression
    emitted_by: Annotated[Literal["sidelight", "other"], Allowed(text="give sidelight or other")] = "sidelight"
    dashboard: Annotated[Literal["business", "operations"], Allowed(text="give business or operations")] = "business"
    alerts: Annotated[tuple[SignalAlert, ...], Field(strict=False), Allowed(text="give a list of alerts")] = ()

    @property
    def text(self) -> str:
        """What it counts or measures, as one sentence."""
        return self.help or f"{self.name.replace('_', ' ').capitalize()}."

    @property
    def unit(self) -> Unit:
        """The unit of its value, by the last word of its name."""
        return Unit.SECONDS if self.kind == "job" else _UNITS.get(self.name.rpartition("_")[2], Unit.COUNT)

    @property
    def closed(self) -> dict[str, tuple[str, ...]]:
        """The labels whose values are declared, with these values."""
        return {name: values for name, values in self.labels.items() if isinstance(values, tuple)}

    @property
    def limits(self) -> dict[str, int]:
        """The other labels, with the number of values that each worker may use."""
        return {name: values for name, values in self.labels.items() if isinstance(values, int)}

    @property
    def edges(self) -> tuple[float, ...]:
        """The bucket edges of a histogram or of a job's duration, with every threshold of a quantile among them.

        A quantile is compared exactly with a value if and only if the value is an edge, but never with the last one.
        """
        declared = self.buckets or (
            catalog.WORKFLOW_DURATION.buckets if self.kind == "job" else _EDGES.get(self.unit, ())
        )
        judged = {threshold for alert in self.alerts if alert.quantile for threshold in _thresholds(alert)}
        edges = sorted({*declared, *judged})
        return (*edges, 2 * edges[-1]) if edges and edges[-1] in judged else tuple(edges)

    @property
    def schedule(self) -> Schedule | None:
        """When a job is to run, if it has a cron expression."""
        return None if self.cron is None else Schedule(self.cron, self.time_zone)

    @property
    def period(self) -> Duration | None:
        """The longest time between two runs of a job; None if it is not known."""
        return self.every if self.schedule is None else Duration.of(self.schedule.longest_gap)

    @property
    def own_labels(self) -> frozenset[str]:
        """The labels of what its alerts read."""
        return frozenset(self.labels or (("outcome",) if self.kind == "job" else ()))

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Its rows of the catalog: one, or the four of a job, and a fifth if it has a cron expression.

        >>> [metric.name for metric in Signal(name="orders_placed", kind="counter").metrics]
        ['orders_placed_total']
        """
        return tuple(_METRICS[self.kind](self))

    def problems(self) -> Iterator[PydanticCustomError]:
        """Everything that is wrong with it by itself."""
        yield from _named(self)
        for key, kinds in _ONLY.items():
            if getattr(self, key) and self.kind not in kinds:
                yield fault(
                    f"leave it out, or declare a {' or a '.join(kinds)}",
                    key=key,
                    problem=f"got a key that a {self.kind} does not have",
                )
        yield from _scheduled(self)
        if self.kind == "gauge" and self.combine is None:
            yield fault(
                "give sum, max or min: how the values of several workers and instances become one",
                key="combine",
                problem="got nothing",
            )
        if self.kind == "histogram" and not self.edges:
            yield fault(
                "give upper bucket edges, or a name that ends with _seconds or _bytes",
                key="buckets",
                problem="got nothing",
            )
        yield from _labelled(self)
        for index, alert in enumerate(self.alerts):
            yield from _alerting(self, alert, f"alerts.{index}")

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        raise_all(self.problems())
        return self


_ONLY: Mapping[str, tuple[str, ...]] = {
    "combine": ("gauge",),
    "buckets": ("histogram", "job"),
    "every": ("job",),
    "cron": ("job",),
    "labels": ("counter", "gauge", "histogram"),
}


def _named(signal: Signal) -> Iterator[PydanticCustomError]:
    added = next((suffix for suffix in _ADDED if signal.name.endswith(suffix)), None)
    if added:
        yield fault(
            f"give {shown(signal.name.removesuffix(added))}, because such endings are added to the name",
            key="name",
            problem=f"got {shown(signal.name)}",
        )
    if signal.emitted_by == "sidelight" and _OF_PLATFORM.fullmatch(signal.name):
        yield fault(
            "give a name that starts with a word of your own, such as shop_; exporters and Sidelight use this one",
            key="name",
            problem=f"got {shown(signal.name)}",
        )
    taken = [name for name in names_of(signal.metrics) if name in _TAKEN]
    if taken:
        yield fault("give another name", key="name", problem=f"got {shown(signal.name)}, and Sidelight has {taken[0]}")


def _scheduled(signal: Signal) -> Iterator[PydanticCustomError]:
    if signal.cron is None:
        if "time_zone" in signal.model_fields_set:
            yield fault("leave it out, or give cron", key="time_zone", problem="got a time zone without cron")
        return
    if signal.every is not None:
        yield fault("give one of them", key="cron", problem="got cron and every")
    try:
        Schedule(signal.cron, signal.time_zone).longest_gap  # noqa: B018 - it is refused here
    except ValueError as error:
        yield fault(
            'give minute, hour, day of the month, month and day of the week, such as "30 2 * * MON-FRI"',
            key="cron",
            problem=f"got {shown(signal.cron)} ({error})",
        )


def _labelled(signal: Signal) -> Iterator[PydanticCustomError]:
    for label in signal.labels:
        if label in _RESERVED_LABELS or label.startswith("__"):
            yield fault(
                "give another name, since Prometheus, Kubernetes and alerts use this label",
                key=f"labels.{label}",
                problem=f"got the label {shown(label)}",
            )
    series = prod(len(values) for values in signal.closed.values())
    if series > MOST_SERIES:
        yield fault(
            f"give labels whose values make at most {MOST_SERIES} series, or a limit in place of the values of one",
            key="labels",
            problem=f"got values that make {series} series",
        )


def _thresholds(alert: SignalAlert) -> Iterator[float]:
    for levels in (alert.levels, *alert.overrides):
        yield from levels.given.values()


_KINDS_OF_FORMS: Mapping[str, tuple[str, ...]] = {
    "rate": ("counter", "histogram", "job"),
    "ratio": ("counter", "histogram", "job"),
    "value": ("gauge",),
    "growth": ("gauge",),
    "age": ("gauge",),
    "quantile": ("histogram", "job"),
    "late": ("job",),
}


def _alerting(signal: Signal, alert: SignalAlert, key: str) -> Iterator[PydanticCustomError]:
    kinds = _KINDS_OF_FORMS.get(alert.form, (signal.kind,))
    if signal.kind not in kinds:
        yield fault(
            f"give one of {', '.join(form for form, fit in _KINDS_OF_FORMS.items() if signal.kind in fit)}, absent or expr",
            key=f"{key}.{alert.form}",
            problem=f"got a form that does not fit a {signal.kind}",
        )
    if alert.late is not None and signal.every is None and signal.cron is None:
        yield fault("give every, the time between two runs, or cron", key="every", problem="got nothing")
    selected = alert.ratio.of if alert.ratio else {}
    for label, values in selected.items():
        allowed = signal.closed.get(label, catalog.OUTCOMES if signal.kind == "job" else ())
        if label not in signal.own_labels:
            yield _unknown_label(signal, f"{key}.ratio.of", label)
        elif label not in signal.limits and not {*as_tuple(values)} <= {*allowed, OTHER}:
            yield fault(
                f"give some of {', '.join(allowed)}", key=f"{key}.ratio.of.{label}", problem=f"got {shown(values)}"
            )
    for index, label in enumerate(alert.by):
        if label not in signal.own_labels | {"instance"}:
            yield _unknown_label(signal, f"{key}.by.{index}", label, "instance")


def as_tuple(values: str | tuple[str, ...]) -> tuple[str, ...]:
    """One value or several, as several."""
    return (values,) if isinstance(values, str) else values


def _unknown_label(signal: Signal, key: str, label: str, *more: str) -> PydanticCustomError:
    labels = ", ".join([*sorted(signal.own_labels), *more])
    return fault(
        f"give one of {labels}" if labels else "leave it out, because the signal has no labels",
        key=key,
        problem=f"got {shown(label)}",
    )


def _counter(signal: Signal) -> Iterator[Metric]:
    yield _row(signal, f"{signal.name}_total", Kind.COUNTER)


def _gauge(signal: Signal) -> Iterator[Metric]:
    yield _row(signal, signal.name, Kind.GAUGE, combine=signal.combine or "sum")


def _histogram(signal: Signal) -> Iterator[Metric]:
    yield _row(signal, signal.name, Kind.HISTOGRAM, buckets=signal.edges)


def _job(signal: Signal) -> Iterator[Metric]:
    def row(name: str, kind: Kind, text: str, unit: Unit = Unit.SECONDS, **more: object) -> Metric:
        return Metric(name=f"{signal.name}_{name}", kind=kind, unit=unit, help=text, **more)  # type: ignore[arg-type]

    yield row(
        "runs_total", Kind.COUNTER, f"{signal.text} Runs that ended, by outcome.", Unit.COUNT, labels=("outcome",)
    )
    yield row(
        "duration_seconds",
        Kind.HISTOGRAM,
        f"{signal.text} Duration of runs.",
        labels=("outcome",),
        buckets=signal.edges,
    )
    for event in ("start", "success"):
        yield row(
            f"last_{event}_timestamp_seconds",
            Kind.GAUGE,
            f"{signal.text} Time of the last {event}, in seconds since 1970; 0 before the first.",
            combine="max",
            outlives_worker=True,
        )
    if signal.cron is not None:
        yield row(
            "due_timestamp_seconds",
            Kind.GAUGE,
            f"{signal.text} Time at which the run after the last success is due, in seconds since 1970; 0 before the first.",
            combine="max",
            outlives_worker=True,
        )


def _row(signal: Signal, name: str, kind: Kind, **more: object) -> Metric:
    return Metric(
        name=name,
        kind=kind,
        unit=signal.unit,
        help=signal.text,
        labels=tuple(signal.labels),
        folded=tuple(signal.limits),
        **more,  # type: ignore[arg-type]
    )


_METRICS = {"counter": _counter, "gauge": _gauge, "histogram": _histogram, "job": _job}


def names_of(metrics: Sequence[Metric]) -> Iterator[str]:
    """The names of series and of metrics in all formats."""
    for metric in metrics:
        yield from dict.fromkeys((metric.name, metric.name.removesuffix("_total"), *metric.series))


_TAKEN = frozenset(names_of(catalog.METRICS))


def check_together(signals: Sequence[Signal], group_by: Sequence[str], pages: Sequence[TeamPage]) -> None:
    """Refuse signals with the same series, labels that Prometheus adds to every target, and panels without a signal.

    Raises:
        ValidationError: With every fault.
    """
    raise_all((*_problems_together(signals, group_by), *_problems_of_pages(signals, pages)))


def _problems_of_pages(signals: Sequence[Signal], pages: Sequence[TeamPage]) -> Iterator[PydanticCustomError]:
    known = {signal.name: signal for signal in signals}
    for index, page in enumerate(pages):
        key = f"dashboards.pages.{index}"
        if page.slug in [other.slug for other in pages[:index]]:
            yield fault("give each page another title", key=f"{key}.title", problem=f"got {shown(page.title)} again")
        for place, panel in enumerate(page.panels):
            signal = known.get(panel.signal)
            if signal is None:
                allowed = f"give one of {', '.join(known)}" if known else "declare it under signals"
                yield fault(allowed, key=f"{key}.panels.{place}", problem=f"got {shown(panel.signal)}")
            else:
                for label in panel.by or ():
                    if label not in signal.own_labels:
                        yield _unknown_label(signal, f"{key}.panels.{place}.by", label)


def _problems_together(signals: Sequence[Signal], group_by: Sequence[str]) -> Iterator[PydanticCustomError]:
    owners: dict[str, str] = {}
    alerts: dict[str, str] = {}
    names = Counter(signal.name for signal in signals)
    for index, signal in enumerate(signals):
        key = f"signals.{index}"
        clash = next((name for name in names_of(signal.metrics) if name in owners), None)
        if clash:
            what = "declared twice" if names[signal.name] > 1 else f"and {owners[clash]} has {clash} too"
            yield fault("give each signal another name", key=f"{key}.name", problem=f"got {shown(signal.name)}, {what}")
        owners.update(dict.fromkeys(names_of(signal.metrics), signal.name))
        yield from _alerts_together(signals, index, group_by, alerts)
        for label in signal.labels:
            if label in group_by:
                yield fault(
                    "give another name, since alerting.group_by has this label of targets",
                    key=f"{key}.labels.{label}",
                    problem=f"got the label {shown(label)}",
                )


def _alerts_together(
    signals: Sequence[Signal], index: int, group_by: Sequence[str], seen: dict[str, str]
) -> Iterator[PydanticCustomError]:
    for number, alert in enumerate(signals[index].alerts):
        key = f"signals.{index}.alerts.{number}"
        if alert.slug in seen:
            problem = f"got {shown(alert.alert)} and {seen[alert.slug]}"
            yield fault("give each alert another name", key=f"{key}.alert", problem=problem)
        seen[alert.slug] = alert.alert
        yield from _to_another(signals, alert, key)
        yield from _texts(alert, key, [*group_by, *alert.by])
        yield from _overrides(alert, key, [*group_by, *alert.by])


def _to_another(signals: Sequence[Signal], alert: SignalAlert, key: str) -> Iterator[PydanticCustomError]:
    """A ratio to another counter, which must exist and have the labels that the alert keeps."""
    counters = {signal.name: signal for signal in signals if signal.kind == "counter"}
    to = alert.ratio.to if alert.ratio else None
    if to is not None and to not in counters:
        allowed = f"give the name of a counter: {', '.join(counters) or 'none is declared'}"
        yield fault(allowed, key=f"{key}.ratio.to", problem=f"got {shown(to)}")
    elif to is not None and not set(alert.by) <= counters[to].own_labels | {"instance"}:
        yield fault(f"give labels that {to} has too", key=f"{key}.by", problem=f"got {shown(alert.by)}")


def _texts(alert: SignalAlert, key: str, kept: Sequence[str]) -> Iterator[PydanticCustomError]:
    for text in ("summary", "description") if alert.expr is None else ():
        for label in re.findall(r"\$labels\.(\w+)", getattr(alert, text) or ""):
            if label not in kept:
                problem = f"got $labels.{label}, which the alert does not keep"
                yield fault(f"give one of {', '.join(kept)}, or add it to by", key=f"{key}.{text}", problem=problem)


def _overrides(alert: SignalAlert, key: str, kept: Sequence[str]) -> Iterator[PydanticCustomError]:
    matches = [override.match for override in alert.overrides]
    for place, match in enumerate(matches):
        own = f"{key}.overrides.{place}.match"
        for label in match:
            if label not in kept:
                problem = "got a label that the alert does not keep"
                yield fault(f"give one of {', '.join(kept)}, or add it to by", key=f"{own}.{label}", problem=problem)
        if match in matches[:place]:
            yield fault("give each match once, since the first counts", key=own, problem=f"got {shown(match)} again")
