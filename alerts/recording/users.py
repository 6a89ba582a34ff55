"""Recording rules of active users, estimated from HyperLogLog registers at a cost independent of the number of pods.

The estimator is the improved raw one of O. Ertl, "New cardinality estimation algorithms for HyperLogLog sketches" (2017),
algorithm 6. It uses one formula for all sizes, so it does not have the original's bias where formulas change. Measurements are
in docs/decisions/0009-users.md.
"""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING

from alerts.model import RecordingRule
from alerts.recording.services import recorded
from instrumentation import catalog

if TYPE_CHECKING:
    from alerts.recording.services import Recorded
    from instrumentation.settings import Settings

DAY = "1d"

_REGISTER = catalog.ACTIVE_USER_REGISTER.name


def active_users(settings: Settings) -> str:
    """The series with the number of distinct users within ``alerting.window``, a whole number."""
    return _estimate(recorded(settings), settings.alerting.window)


def daily_active_users(settings: Settings) -> str:
    """The series with the number of distinct users within a day."""
    return _estimate(recorded(settings), DAY)


def users_rules(settings: Settings) -> list[RecordingRule]:
    """The registers of a service, their largest ranks within each window, and the estimated number of users."""
    of = recorded(settings)
    # The series of a pod that stops disappear immediately; what it exported since the last evaluation still counts.
    seen = settings.users_window.seconds + settings.metrics.scrape_interval.seconds
    registers = RecordingRule(
        record=_registers(of),
        expr=f"max by ({of.by}, register) (max_over_time({_REGISTER}[{seen}s]))",
    )
    ranges = {settings.alerting.window: f"{lookback(settings)}s", DAY: DAY}
    return [registers, *(rule for window, back in ranges.items() for rule in _counted(settings, of, window, back))]


def _counted(settings: Settings, of: Recorded, window: str, back: str) -> list[RecordingRule]:
    size = settings.users.registers
    largest, unset = f"{_registers(of)}{window}", f"{of.level}:{_REGISTER}_unset:ratio{window}"
    ranks = f"(sum by ({of.by}) (2 ^ -{largest}) - sum by ({of.by}) ({largest} == bool 0)) / {size}"
    return [
        RecordingRule(record=largest, expr=f"max_over_time({_registers(of)}[{back}])"),
        RecordingRule(record=unset, expr=f"1 - sum by ({of.by}) ({largest} > bool 0) / {size}"),
        RecordingRule(
            record=_estimate(of, window),
            expr=f"round({size / (2 * log(2)):.6g} / (\n  {ranks}\n  + {_sigma(unset, size)}\n))",
            shown=True,
        ),
    ]


def _sigma(unset: str, size: int) -> str:
    """The sum of x and of 2^(k-1) * x^(2^k) for k = 1, 2, ..., without the terms that are too small to matter.

    The last k is chosen so that one user is estimated as 1.00 and no user as 0.09, which is rounded to 0.
    """
    terms = [unset, f"{unset} ^ 2"]
    terms += [f"{2**k} * {unset} ^ {2 ** (k + 1)}" for k in range(1, size.bit_length() + 2)]
    return "\n  + ".join(terms)


def lookback(settings: Settings) -> int:
    """How far back recorded registers are read, in seconds. A service itself already exports each user for one window."""
    scrape = settings.metrics.scrape_interval.seconds
    return max(settings.alerting.window.seconds - settings.users_window.seconds, scrape)


def _registers(of: Recorded) -> str:
    return f"{of.level}:{_REGISTER}:max"


def _estimate(of: Recorded, window: str) -> str:
    return f"{of.level}:active_users:estimate{window}"
