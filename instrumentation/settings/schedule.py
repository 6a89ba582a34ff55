"""Schedules of jobs: cron expressions in a time zone."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from itertools import islice, pairwise
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cronsim import CronSim

_MOST = 2000  # times that are compared for the longest gap: five weeks of every half an hour
_YEARS = timedelta(days=5 * 366)
_FROM = datetime(2024, 1, 1, tzinfo=ZoneInfo("UTC"))  # the longest gap is the same whenever it is computed


class Schedule(NamedTuple):
    """A cron expression as Debian's cron reads it, also when the clocks change.

    >>> Schedule("30 2 * * MON-FRI", "Europe/Berlin").next_after(1774576800.0)  # at three on a Friday in Berlin
    1774830600.0

    Attributes:
        cron: Minute, hour, day of the month, month and day of the week.
        time_zone: Such as Europe/Berlin.
    """

    cron: str
    time_zone: str = "UTC"

    def next_after(self, seconds: float) -> float:
        """The first time after a moment; both in seconds since 1970.

        Raises:
            ValueError: cron does not allow the expression, or there is no such time.
        """
        return self._after(datetime.fromtimestamp(seconds, self._zone)).timestamp()

    @property
    def longest_gap(self) -> int:
        """The longest time between two runs, in seconds.

        >>> Schedule("0 6 * * MON-FRI").longest_gap == 3 * 86400
        True

        Raises:
            ValueError: As ``next_after``.
        """
        return _longest_gap(self)

    @property
    def _zone(self) -> ZoneInfo:
        try:
            return ZoneInfo(self.time_zone)
        except ZoneInfoNotFoundError:
            raise ValueError(f"the time zone database has no {self.time_zone}") from None

    def _after(self, moment: datetime) -> datetime:
        try:
            return next(self._times(moment))
        except StopIteration:
            raise ValueError("it never comes") from None

    def _times(self, moment: datetime) -> CronSim:
        from cronsim import CronSim, CronSimError  # noqa: PLC0415 - most services have no schedules

        try:
            return CronSim(self.cron, moment)
        except CronSimError as error:
            raise ValueError(str(error)) from None

    def first_times(self) -> Iterator[datetime]:
        """The times of some years, in order."""
        for moment in islice(self._times(_FROM.astimezone(self._zone)), _MOST):
            if moment.astimezone(_FROM.tzinfo) - _FROM > _YEARS:
                return
            yield moment


@lru_cache(maxsize=256)
def _longest_gap(schedule: Schedule) -> int:
    seconds = [moment.timestamp() for moment in schedule.first_times()]
    if len(seconds) < 2:  # noqa: PLR2004 - a gap has two ends
        raise ValueError("it comes less than twice in five years")
    return int(max(later - earlier for earlier, later in pairwise(seconds)))
