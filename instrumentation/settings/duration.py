"""A Prometheus duration."""

from __future__ import annotations

import re

_DURATION = re.compile(r"(?:([0-9]+)d)?(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?")


class Duration(str):
    """A Prometheus duration in whole seconds or more, such as ``5m`` or ``1h30m``."""

    __slots__ = ()

    @property
    def seconds(self) -> int:
        """The length in seconds.

        >>> Duration("1h30m").seconds
        5400
        """
        match = _DURATION.fullmatch(self)
        days, hours, minutes, seconds = (int(part or 0) for part in match.groups()) if match else (0, 0, 0, 0)
        return ((days * 24 + hours) * 60 + minutes) * 60 + seconds

    @classmethod
    def of(cls, seconds: int) -> Duration:
        """The shortest form of some seconds.

        >>> Duration.of(5400), Duration.of(90), Duration.of(86400)
        ('1h30m', '1m30s', '1d')
        """
        parts = ((seconds // 86400, "d"), (seconds // 3600 % 24, "h"), (seconds // 60 % 60, "m"), (seconds % 60, "s"))
        return cls("".join(f"{number}{unit}" for number, unit in parts if number))
