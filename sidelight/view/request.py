"""The parameters of a request: a time range, the width of a graph, and values of variables."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from sidelight.view.errors import RequestError
from sidelight.view.ranges import Range, resolved, since, zone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

MOST_VALUES = 200  # of all variables together
LONGEST_VALUE = 1000  # characters
POINTS = (20, 4000)

_PREFIX = "var-"


@dataclass(frozen=True, kw_only=True)
class DataRequest:
    """A validated request.

    Attributes:
        window: The time range.
        now: The current time in the reader's time zone.
        points: How many points a graph can show.
        values: The chosen values by variable.
    """

    window: Range
    now: datetime
    points: int
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def range_of(self, time_from: str | None) -> Range:
        """The range of a panel, which may have its own start.

        Raises:
            RequestError: The start is not understood.
        """
        return since(time_from, self.now) if time_from else self.window


def parse_request(
    pairs: Iterable[tuple[str, str]], clock: Callable[[], float], default: tuple[str, str]
) -> DataRequest:
    """Validate the parameters of a request.

    Args:
        pairs: ``from``, ``to``, ``timezone``, ``points``, and ``var-<name>`` once for each value.
        clock: Returns the current time in Unix seconds.
        default: The time range if none is given.

    Raises:
        RequestError: A parameter is unknown or wrong.
    """
    given: dict[str, str] = {}
    values: dict[str, list[str]] = defaultdict(list)
    for name, value in pairs:
        if len(value) > LONGEST_VALUE:
            raise RequestError(
                f"{name[:60]}: got {len(value)} characters; give at most {LONGEST_VALUE}.", code="view_too_long"
            )
        if name.startswith(_PREFIX):
            values[name.removeprefix(_PREFIX)].append(value)
        elif name in {"from", "to", "timezone", "points"}:
            given[name] = value
        else:
            message = f"got the parameter {name[:60]!r}; give from, to, timezone, points and var-<variable>."
            raise RequestError(message, code="view_parameter_unknown")
    if (number := sum(map(len, values.values()))) > MOST_VALUES:
        raise RequestError(f"var-...: got {number} values; give at most {MOST_VALUES}.", code="view_too_many_values")
    now = datetime.fromtimestamp(clock(), zone(given.get("timezone", "")))
    window = resolved(given.get("from", default[0]), given.get("to", default[1]), now)
    chosen = {name: tuple(each) for name, each in values.items()}
    return DataRequest(window=window, now=now, points=_points(given.get("points", "600")), values=chosen)


def _points(text: str) -> int:
    least, most = POINTS
    if not text.isascii() or not text.isdigit() or not least <= int(text[:9]) <= most:
        raise RequestError(
            f"points: got {text[:20]!r}; give a number from {least} to {most}.", code="view_points_invalid"
        )
    return int(text)
