"""The Business dashboard: what services are used for, whether they succeed, and what they cost."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from alerts.recording.services import recorded
from alerts.recording.users import daily_active_users
from dashboards import expressions as promql
from dashboards.expressions import FAILURE, MATCHED, RANGE, SUCCESS, increase, legend, select, total
from dashboards.model import Coloring, Page, Panel, Query, Row, Unit, bars, graph, said, stat, traffic_light
from dashboards.pages.signals import signal_rows
from instrumentation import catalog

if TYPE_CHECKING:
    from instrumentation.settings import Settings

_SECONDS = 3600  # of an hour
_QUANTILES = (0.5, 0.95)
_LISTED = 10
_QUARTER = "15m"
_HOUR = "1h"  # with smaller steps, rare events are only noise
_SINCE_MIDNIGHT = "since midnight UTC of the day on which the time range ends."
_WITHIN = "within the hour before, or longer if the time range is so long that the steps are longer."
_OUTCOME_COLORS = {"success": "green", "failure": "red", "cancelled": "yellow"}
_NO_WORKFLOWS = "no workflows"


def _rows(settings: Settings) -> tuple[Row, ...]:
    return (
        Row(title="Today", panels=_today(settings), per_line=6, height=4),
        Row(title="In the time range shown", panels=_in_range(), per_line=5, height=4),
        Row(title="Workflows", panels=_workflows(settings)),
        Row(title="Top workflows and routes", panels=_rankings(), height=12),
        *signal_rows(settings, "business"),
    )


PAGE = Page(
    slug="business",
    title="Business",
    description="For product owners: what the services are used for, whether they succeed, and what they cost.",
    since="now-24h",
    variables=("job", "instance"),
    rows=_rows,
)


def _today(settings: Settings) -> tuple[Panel, ...]:
    of = recorded(settings)
    # What the budget's rules record is used if they are there, so that cost, budget and forecast agree.
    cost = promql.recorded(of.cost_today) if settings.has_budget else promql.today(_costs(settings), settings)
    return (
        _so_far("Requests today", "Requests", Unit.COUNT, promql.today(select(of.request_totals), settings)),
        _so_far(
            "Workflows today", "Workflow executions", Unit.COUNT, promql.today(select(of.execution_totals), settings)
        ),
        _so_far("Cost today", "Cost of workflows", Unit.USD, cost),
        *(_budget(settings) if settings.has_budget else ()),
        stat(
            title="Daily active users",
            description="Distinct users of each service within 24 hours, over all instances. Estimated to about 3 %.",
            unit=Unit.COUNT,
            queries=(Query(expr=total(promql.recorded(daily_active_users(settings)))),),
            empty="no users are counted",
        ),
    )


def _so_far(title: str, what: str, unit: Unit, expr: str) -> Panel:
    return _sum_of(title, f"{what} {_SINCE_MIDNIGHT}", unit, expr)


def _costs(settings: Settings) -> str:
    return total(select(catalog.WORKFLOW_COST.name), *promql.service(settings), "instance")


def _budget(settings: Settings) -> tuple[Panel, ...]:
    of, levels = recorded(settings), settings.budget.spent_ratio
    return (
        stat(
            title="Budget spent today",
            description=(
                f"Share of the daily budget spent since midnight UTC, for the service with the largest share. {said(levels)}"
            ),
            unit=Unit.RATIO,
            queries=(Query(expr=promql.largest(promql.recorded(of.budget_spent))),),
            coloring=traffic_light(levels),
            empty="no budget",
        ),
        stat(
            title="Forecast for today",
            description="Cost of today until midnight UTC if the rest of the day costs as much as it did yesterday.",
            unit=Unit.USD,
            queries=(Query(expr=total(promql.recorded(of.cost_forecast))),),
        ),
    )


def _in_range() -> tuple[Panel, ...]:
    succeeded = promql.share(_executed(RANGE, SUCCESS), _executed(RANGE))
    return (
        _sum_of("Workflows created", "Workflows created in the time range shown.", Unit.COUNT, _created(RANGE)),
        _sum_of("Workflows executed", "Executions completed in the time range shown.", Unit.COUNT, _executed(RANGE)),
        stat(
            title="Success rate",
            description="Share of successful executions; the rest failed or were cancelled.",
            unit=Unit.RATIO,
            queries=(Query(expr=succeeded, instant=True),),
            empty=_NO_WORKFLOWS,
        ),
        _sum_of("Cost", "Cost of workflows in the time range shown.", Unit.USD, _cost(RANGE)),
        stat(
            title="Cost per execution",
            description="Cost divided by executions, both over the time range shown.",
            unit=Unit.USD,
            queries=(Query(expr=promql.per(_cost(RANGE), _executed(RANGE)), instant=True),),
            empty="none",
        ),
    )


def _workflows(settings: Settings) -> tuple[Panel, ...]:
    failed = settings.thresholds.workflow_failure_ratio
    durations = promql.rate(promql.bucket(catalog.WORKFLOW_DURATION))
    waits = promql.rate(promql.bucket(catalog.WORKFLOW_WAIT))
    executed = partial(promql.rate, catalog.WORKFLOW_EXECUTIONS.name)
    costs = promql.rate(catalog.WORKFLOW_COST.name)
    return (
        _hourly("Workflows created per hour", Unit.COUNT, catalog.WORKFLOWS_CREATED.name),
        graph(
            title="Workflow outcomes per hour",
            description="Completed executions, by outcome.",
            unit=Unit.COUNT,
            queries=(_hour(_per_hour(catalog.WORKFLOW_EXECUTIONS.name, "outcome"), legend("outcome")),),
            stacked=True,
            in_steps=True,
            colors=_OUTCOME_COLORS,
            empty=_NO_WORKFLOWS,
        ),
        graph(
            title="Success rate by workflow",
            description=f"Share of successful executions {_WITHIN} A gap means that none completed.",
            unit=Unit.RATIO,
            queries=(_smooth(promql.share(executed(SUCCESS), executed(), "workflow"), legend("workflow")),),
            empty=_NO_WORKFLOWS,
        ),
        graph(
            title="Failed share by workflow",
            description=f"Share of failed executions {_WITHIN} A gap means that none completed. {said(failed)}",
            unit=Unit.RATIO,
            queries=(_smooth(promql.share(executed(FAILURE), executed(), "workflow"), legend("workflow")),),
            coloring=traffic_light(failed),
            empty=_NO_WORKFLOWS,
        ),
        graph(
            title="Workflow duration",
            description=f"Median and p95 of the duration of executions {_WITHIN}",
            unit=Unit.SECONDS,
            queries=tuple(
                _smooth(promql.quantile(ratio, durations, "workflow"), f"{legend('workflow')} p{ratio * 100:g}")
                for ratio in _QUANTILES
            ),
            empty=_NO_WORKFLOWS,
        ),
        graph(
            title="Workflow waiting time",
            description=f"p95 of the time between the creation of a workflow and the start of its execution {_WITHIN}",
            unit=Unit.SECONDS,
            queries=(_smooth(promql.quantile(0.95, waits, "workflow"), legend("workflow")),),
            empty="none",
        ),
        graph(
            title="Cost per execution by workflow",
            description=f"Cost divided by executions {_WITHIN}",
            unit=Unit.USD,
            queries=(_smooth(promql.per(costs, executed(), "workflow"), legend("workflow")),),
            empty=_NO_WORKFLOWS,
        ),
        _hourly("Cost per hour", Unit.USD, catalog.WORKFLOW_COST.name),
    )


def _rankings() -> tuple[Panel, ...]:
    return (
        _ranking("Top workflows", "executions", Unit.COUNT, _executed(RANGE), "workflow"),
        _ranking("Cost by workflow", "cost", Unit.USD, _cost(RANGE), "workflow"),
        _ranking("Most used routes", "requests", Unit.COUNT, _requests(RANGE, MATCHED), "http_route"),
    )


def _sum_of(title: str, description: str, unit: Unit, expr: str) -> Panel:
    return stat(title=title, description=description, unit=unit, queries=(Query(expr=total(expr), instant=True),))


def _hourly(title: str, unit: Unit, counter: str) -> Panel:
    return graph(
        title=title,
        description="By workflow.",
        unit=unit,
        queries=(_hour(_per_hour(counter, "workflow"), legend("workflow")),),
        stacked=True,
        in_steps=True,
        empty=_NO_WORKFLOWS,
    )


def _per_hour(counter: str, *by: str) -> str:
    """A rate, so that it stays one if the time range is so long that Grafana's steps are longer than an hour."""
    return f"{_SECONDS} * {total(promql.rate_within_step(counter), *by)}"


def _hour(expr: str, name: str) -> Query:
    return Query(expr=expr, legend=name, min_step=_HOUR)


def _smooth(expr: str, name: str) -> Query:
    # Grafana's $__rate_interval is at least four times the least step, so the rates are about an hour or longer.
    return Query(expr=expr, legend=name, min_step=_QUARTER)


def _ranking(title: str, of: str, unit: Unit, expr: str, label: str) -> Panel:
    highest = promql.top(_LISTED, f"{total(expr, label)} > 0")
    return bars(
        title=title,
        description=f"Top {_LISTED} by {of} in the time range shown.",
        unit=unit,
        queries=(Query(expr=highest, legend=legend(label), instant=True),),
        coloring=Coloring(base="blue"),
    )


def _requests(window: str, *matchers: str) -> str:
    return increase(promql.count(catalog.HTTP_SERVER_REQUEST_DURATION), window, *matchers)


def _created(window: str) -> str:
    return increase(catalog.WORKFLOWS_CREATED.name, window)


def _executed(window: str, *matchers: str) -> str:
    return increase(catalog.WORKFLOW_EXECUTIONS.name, window, *matchers)


def _cost(window: str) -> str:
    return increase(catalog.WORKFLOW_COST.name, window)
