"""One threshold of an alert on a signal: each level, also of an override, has a rule of its own."""

from __future__ import annotations

import re
from dataclasses import dataclass

from alerts.thresholds import Level, matchers


@dataclass(frozen=True, kw_only=True)
class SignalLevel(Level):
    """One threshold at one severity for some series."""

    @property
    def key(self) -> str:
        """The name of the level among those of its alert.

        >>> SignalLevel(severity="critical", threshold=2.0, match={"job": "search"}, before=()).key
        'critical_job_search'
        """
        parts = [self.severity, *(part for pair in self.match.items() for part in pair)]
        return re.sub(r"\W+", "_", "_".join(parts))

    @property
    def labels(self) -> dict[str, str]:
        """The labels that distinguish an override's alert from others with its name and severity.

        >>> SignalLevel(severity="critical", threshold=2.0, match={"job": "search"}, before=()).labels
        {'override': 'job=search'}
        """
        return {"override": ", ".join(f"{name}={value}" for name, value in self.match.items())} if self.match else {}

    def of(self, series: str) -> str:
        """The part of a series to which this level applies.

        >>> SignalLevel(severity="critical", threshold=1.0, match={}, before=({"job": "search"},)).of("a")
        '(a unless a{job="search"})'
        """
        if not self.before:
            return series + matchers(self.match)
        left_out = [f"unless {series}{matchers(match)}" for match in self.before]
        return f"({' '.join([series + matchers(self.match), *left_out])})"
