"""Time ranges as Grafana writes them: ``now-1h``, ``now/d``, or milliseconds since 1970."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sidelight.view.errors import RequestError

LONGEST = timedelta(days=800)

_RELATIVE = re.compile(r"now(?P<steps>(?:[+-]\d{1,6}[smhdwMy])*)(?:/(?P<rounded>[smhdwMy]))?")
_STEP = re.compile(r"([+-]\d+)([smhdwMy])")
_LENGTHS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_PARTS = {"year": 1970, "month": 1, "day": 1, "hour": 0, "minute": 0, "second": 0, "microsecond": 0}
_KEPT = {"s": 6, "m": 5, "h": 4, "d": 3, "w": 3, "M": 2, "y": 1}
_ALLOWED = "give a time such as now-6h, now/d or milliseconds since 1970"


@dataclass(frozen=True, kw_only=True)
class Range:
    """A resolved time range.

    Attributes:
        start: Its start, in Unix seconds.
        end: Its end, in Unix seconds.
    """

    start: float
    end: float

    @property
    def seconds(self) -> float:
        """Its length in seconds."""
        return self.end - self.start


def zone(name: str) -> tzinfo:
    """The time zone of that name.

    Raises:
        RequestError: There is none on this machine.
    """
    if name in {"", "UTC", "Etc/UTC"}:
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        message = f"timezone: got {name[:60]!r}, which this machine's time zone database does not have; give UTC."
        raise RequestError(message, code="view_zone_unknown") from None


def resolved(start: str, end: str, now: datetime) -> Range:
    """The time range between two of Grafana's times.

    Args:
        start: Its start.
        end: Its end.
        now: The current time, in the time zone in which days begin.

    Raises:
        RequestError: A time is not understood, or the range is empty or too long.

    >>> noon = datetime(2026, 3, 5, 12, tzinfo=UTC)
    >>> resolved("now-6h", "now", noon).seconds, resolved("now/d", "now", noon).seconds
    (21600.0, 43200.0)
    """
    found = Range(start=_moment("from", start, now), end=_moment("to", end, now, up=True))
    if not 0 < found.seconds <= LONGEST.total_seconds():
        message = (
            f"from and to: got {start[:40]} to {end[:40]}; give a range of more than 0 and at most {LONGEST.days} days."
        )
        raise RequestError(message, code="view_range_invalid")
    return found


def since(start: str, now: datetime) -> Range:
    """The range from a panel's own start, such as ``now/d`` or ``1h``, until now.

    Raises:
        RequestError: It is not understood.
    """
    return resolved(start if start.startswith("now") else f"now-{start}", "now", now)


def _moment(name: str, text: str, now: datetime, *, up: bool = False) -> float:
    if re.fullmatch(r"\d{1,15}", text):
        return int(text) / 1000
    match = _RELATIVE.fullmatch(text)
    if not match:
        raise RequestError(f"{name}: got {text[:40]!r}; {_ALLOWED}.", code="view_time_invalid")
    try:
        at = now
        for number, unit in _STEP.findall(match["steps"]):
            at = _moved(at, int(number), unit)
        if rounded := match["rounded"]:
            at = _floor(at, rounded)
            at = _moved(at, 1, rounded) if up else at
        return at.timestamp()
    except (OverflowError, ValueError, OSError):
        raise RequestError(f"{name}: got {text[:40]!r}, which is out of range.", code="view_time_invalid") from None


def _moved(at: datetime, number: int, unit: str) -> datetime:
    if unit in {"s", "m", "h"}:  # real time, also when clocks change
        moved = at.astimezone(UTC) + timedelta(**{_LENGTHS[unit]: number})
        return moved.astimezone(at.tzinfo)
    if unit in _LENGTHS:
        return at + timedelta(**{_LENGTHS[unit]: number})
    months = at.year * 12 + at.month - 1 + number * (12 if unit == "y" else 1)
    year, month = divmod(months, 12)
    for day in (at.day, 30, 29, 28):
        try:
            return at.replace(year=year, month=month + 1, day=day)
        except ValueError:
            continue
    raise ValueError(year)


def _floor(at: datetime, unit: str) -> datetime:
    dropped = list(_PARTS)[_KEPT[unit] :]
    floor = at.replace(**{part: _PARTS[part] for part in dropped})  # type: ignore[arg-type]
    return floor - timedelta(days=floor.weekday()) if unit == "w" else floor
