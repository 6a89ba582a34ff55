"""Panels of a team's own signals: one for each signal, and one for each alert that judges something else than it shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from alerts.signals import judged_series, subjects
from alerts.signals.subject import seconds_between_runs
from dashboards import expressions as promql
from dashboards.expressions import RATE, legend, total
from dashboards.model import Coloring, Page, Panel, Query, Row, Unit, graph
from instrumentation import catalog
from instrumentation.catalog import Kind
from instrumentation.settings import Duration

if TYPE_CHECKING:
    from collections.abc import Callable

    from alerts.signals.subject import Subject
    from instrumentation.settings import Settings
    from instrumentation.settings.dashboards import TeamPage
    from instrumentation.settings.signal_alerts import SignalAlert
    from instrumentation.settings.signals import Signal

_HOUR = 3600
_QUANTILES = (0.5, 0.95)
_UNITS = {
    catalog.Unit.SECONDS: Unit.SECONDS,
    catalog.Unit.BYTES: Unit.BYTES,
    catalog.Unit.USD: Unit.USD,
    catalog.Unit.RATIO: Unit.RATIO,
}
# Alerts whose value the panel of their signal shows, with their lines; the others have a panel of their own.
_IN_PANEL_OF_SIGNAL = {"value", "quantile", "late"}
_WITHOUT_PANEL = {"expr", "absent"}


def signal_rows(settings: Settings, dashboard: str) -> tuple[Row, ...]:
    """The row of one of our dashboards, with the signals that are on no page of the team's own."""
    elsewhere = {panel.signal for page in settings.dashboards.pages for panel in page.panels}
    panels = [
        panel
        for signal in settings.signals
        if signal.dashboard == dashboard and signal.name not in elsewhere
        for panel in _panels(settings, signal, promql.select)
    ]
    return (Row(title="Signals", panels=tuple(panels), collapsed=True),) if panels else ()


def own_pages(settings: Settings) -> tuple[Page, ...]:
    """The team's own dashboards."""
    return tuple(_page(page) for page in settings.dashboards.pages)


def _page(page: TeamPage) -> Page:
    def rows(settings: Settings) -> tuple[Row, ...]:
        signals = {signal.name: signal for signal in settings.signals}
        panels = [
            panel
            for shown in page.panels
            for panel in _panels(settings, signals[shown.signal], promql.recorded, shown.by)
        ]
        return (Row(title=page.title, panels=tuple(panels)),)

    return Page(
        slug=page.slug,
        title=page.title,
        description="Signals that the team has declared in sidelight.yaml.",
        since="now-24h",
        variables=("job",),
        rows=rows,
    )


def _panels(
    settings: Settings, signal: Signal, select: Callable[[str], str], by: tuple[str, ...] | None = None
) -> list[Panel]:
    """The panels of a signal; ``select`` limits its series to what the variables of the page choose."""
    labels = tuple(signal.labels) if by is None else by
    base = _BASE[signal.kind](settings, signal, select, labels)
    alerts = [subject for subject in subjects(settings) if subject.signal is signal]
    own = [subject for subject in alerts if subject.alert.form not in _IN_PANEL_OF_SIGNAL | _WITHOUT_PANEL]
    return [base, *map(_of_alert, own)]


def _counter(settings: Settings, signal: Signal, select: Callable[[str], str], by: tuple[str, ...]) -> Panel:
    del settings
    rate = f"rate({select(signal.metrics[0].name)}[{RATE}])"
    if signal.dashboard == "operations":
        expr, per, unit = total(rate, *by), "second", Unit.PER_SECOND
    else:
        expr, per, unit = f"{_HOUR} * {total(rate, *by)}", "hour", _unit(signal.unit)
    return graph(
        title=f"{signal.name} per {per}",
        description=signal.text,
        unit=unit,
        queries=(Query(expr=expr, legend=legend(*by) or signal.name),),
        stacked=bool(by),
    )


def _gauge(settings: Settings, signal: Signal, select: Callable[[str], str], by: tuple[str, ...]) -> Panel:
    keep = (*promql.service(settings), *by)
    expr = f"{signal.combine or 'max'} by ({', '.join(keep)}) ({select(signal.name)})"
    return graph(
        title=signal.name,
        description=signal.text,
        unit=_unit(signal.unit),
        queries=(Query(expr=expr, legend=legend(*keep)),),
        coloring=_lines_of(settings, signal, "value"),
    )


def _histogram(settings: Settings, signal: Signal, select: Callable[[str], str], by: tuple[str, ...]) -> Panel:
    keep = (*promql.service(settings), *by)
    quantiles = sorted({*_QUANTILES, *(alert.quantile.q for alert in signal.alerts if alert.quantile)})
    durations = f"rate({select(promql.bucket(signal.metrics[0]))}[{RATE}])"
    return graph(
        title=signal.name,
        description=signal.text,
        unit=_unit(signal.unit),
        queries=tuple(
            Query(expr=promql.quantile(q, durations, *keep), legend=f"{legend(*keep)} p{q * 100:g}") for q in quantiles
        ),
        coloring=_lines_of(settings, signal, "quantile"),
    )


def _job(settings: Settings, signal: Signal, select: Callable[[str], str], by: tuple[str, ...]) -> Panel:
    keep = promql.service(settings)
    late = _subject(settings, signal, "late")
    succeeded = [metric for metric in signal.metrics if metric.kind is Kind.GAUGE][1]
    since = f"time() - (max by ({', '.join(keep)}) ({select(succeeded.name)}) > 0)"
    del by
    runs, what, shown = f" It runs every {signal.every}." if signal.every else "", "time since the last success", since
    if late:
        shown = promql.recorded(judged_series(late))
    if late and signal.schedule:
        runs, what = f" Its schedule is {signal.cron} ({signal.time_zone}).", "lateness"
        shown = f"clamp_min({shown}, 0)"  # before it is due
    return graph(
        title=f"{signal.name}: {what}",
        description=f"{signal.text}{runs}",
        unit=Unit.SECONDS,
        queries=(Query(expr=shown, legend=legend(*keep)),),
        coloring=_lines_of(settings, signal, "late"),
    )


_BASE = {"counter": _counter, "gauge": _gauge, "histogram": _histogram, "job": _job}


def _of_alert(subject: Subject) -> Panel:
    keep = (*subject.settings.alerting.group_by, *subject.parts)
    summary = subject.alert.summary or f"What {subject.alert.alert} judges."
    return graph(
        title=f"{subject.alert.alert}: {_what(subject.alert, subject.signal)}",
        description=f"{summary} The lines are the limits of the alert.",
        unit=_unit(subject.unit),
        queries=(Query(expr=promql.recorded(judged_series(subject)), legend=legend(*keep)),),
        coloring=_lines(subject),
    )


def _what(alert: SignalAlert, signal: Signal) -> str:
    if alert.rate is not None:
        return f"{signal.name} within {alert.rate.per}"
    if alert.growth is not None:
        return f"growth of {signal.name} within {alert.growth.per}"
    return f"share of {signal.name}" if alert.ratio is not None else f"age of {signal.name}"


def _subject(settings: Settings, signal: Signal, form: str) -> Subject | None:
    return next((one for one in subjects(settings) if one.signal is signal and one.alert.form == form), None)


def _lines_of(settings: Settings, signal: Signal, form: str) -> Coloring:
    subject = _subject(settings, signal, form)
    return _lines(subject) if subject else Coloring()


def _lines(subject: Subject) -> Coloring:
    """The limits of an alert as lines: green where it is silent, yellow for a warning, red for critical."""
    given = {severity: _number(subject, level) for severity, level in subject.alert.levels.given.items()}
    if subject.alert.direction == "above":
        return Coloring(base="green", above=_colored(given, {"warning": "yellow", "critical": "red"}))
    if subject.alert.direction == "below":
        first = "red" if "critical" in given else "yellow"
        after = {"critical": "yellow" if "warning" in given else "green", "warning": "green"}
        return Coloring(base=first, above=_colored(given, after))
    lows = {severity: pair[0] for severity, pair in given.items()}
    highs = {severity: pair[1] for severity, pair in given.items()}
    after = {"critical": "yellow" if "warning" in given else "green", "warning": "green"}
    above = {**_colored(lows, after), **_colored(highs, {"warning": "yellow", "critical": "red"})}
    return Coloring(base="red" if "critical" in given else "yellow", above=above)


def _colored(given: dict[str, Any], colors: dict[str, str]) -> dict[float, str]:
    return {number: colors[severity] for severity, number in given.items()}


def _number(subject: Subject, level: Any) -> Any:
    if not isinstance(level, Duration):
        return level
    return float(level.seconds + seconds_between_runs(subject.signal, subject.alert))


def _unit(unit: catalog.Unit) -> Unit:
    return _UNITS.get(unit, Unit.COUNT)
