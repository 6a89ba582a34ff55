"""Compares estimates with known numbers of users."""

from __future__ import annotations

import tempfile
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from instrumentation.catalog import ACTIVE_USER_REGISTER
from tests.support.prometheus_history import Prometheus, answer, layers, rules_of
from tests.support.tables import Column, Table
from tests.support.user_fleet import DAY, Scenario, history

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from instrumentation.settings import Settings
    from tests.support.tables import Row

END = 1_760_000_400  # seconds since 1970, a whole number of windows
TRIALS = {10: 10, 30: 10, 100: 10, 300: 10, 1000: 10, 2500: 10, 10_000: 5, 100_000: 3, 1_000_000: 2}


class Estimated(NamedTuple):
    """The result of a scenario.

    Attributes:
        scenario: The scenario.
        users: The number of users estimated by Prometheus.
    """

    scenario: Scenario
    users: float

    @property
    def error(self) -> float:
        """The error as a share of the true number of users."""
        return self.users / self.scenario.users - 1


def table(settings: Settings) -> Table:
    """Measure every number of users, with several services each."""
    spans = {"1d": DAY, str(settings.alerting.window): settings.alerting.window.seconds}
    scenarios = [
        Scenario(job=f"{span}-{users}-{trial}", users=users, seconds=seconds)
        for users, trials in TRIALS.items()
        for span, seconds in spans.items()
        for trial in range(trials)
    ]
    results = estimated(scenarios, settings)
    return Table(
        name="accuracy",
        title=f"Users and estimates, {settings.users.registers} registers",
        note=f"The standard error is {standard_error(settings.users.registers):.2%}, and slightly less with few users. "
        "If there are only a few users, two of them may share a register and then count as one: 9 instead of 10.",
        columns=(
            Column(key="users", title="users", digits=0),
            Column(key="span", title="within"),
            Column(key="estimated", title="estimated", digits=0),
            Column(key="error", title="error, %", digits=2),
            Column(key="services", title="services", digits=0),
            Column(key="mean", title="their mean error, %", digits=2),
            Column(key="largest", title="their largest, %", digits=2),
        ),
        rows=tuple(_rows(results, {seconds: span for span, seconds in spans.items()})),
    )


def _rows(results: Sequence[Estimated], spans: dict[int, str]) -> Iterator[Row]:
    """A row per number of users and span: its first service, and the results of all of them."""
    groups: dict[tuple[int, int], list[Estimated]] = {}
    for result in results:
        groups.setdefault((result.scenario.users, result.scenario.seconds), []).append(result)
    for (users, seconds), group in groups.items():
        errors = [100 * result.error for result in group]
        yield {
            "users": users,
            "span": spans[seconds],
            "estimated": group[0].users,
            "error": errors[0],
            "services": len(group),
            "mean": sum(errors) / len(errors),
            "largest": max(errors, key=abs),
        }


def standard_error(registers: int) -> float:
    """The standard error of a HyperLogLog estimate, as a share: 1.04 divided by the square root of the number of registers.

    >>> round(standard_error(1024), 4)
    0.0325
    """
    return 1.04 / sqrt(registers)


def estimated(scenarios: Sequence[Scenario], settings: Settings, version: str = "prometheus") -> list[Estimated]:
    """Write histories, evaluate the rules over them, and read the estimates.

    Args:
        scenarios: Services with different names, over spans of ``alerting.window`` or a day.
        settings: The settings of services and rules.
        version: The version of Prometheus.
    """
    window = settings.users_window.seconds
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        prometheus = Prometheus(root, version)
        lines = (line for scenario in scenarios for line in history(scenario, END, settings, root))
        prometheus.take(lines, ACTIVE_USER_REGISTER.name)
        first, *others = layers(rules_of(settings, "users"))
        prometheus.record(first, window, END - DAY - 10 * window, END + window)
        for layer in others:
            prometheus.record(layer, window, END, END + window)
        with prometheus.running() as client:
            found = {
                span: answer(client, f"job:active_users:estimate{name}", END + window)
                for span, name in ((settings.alerting.window.seconds, settings.alerting.window), (DAY, "1d"))
            }
    return [Estimated(scenario, found[scenario.seconds][scenario.job]) for scenario in scenarios]
