"""Troubles that rules on ratios miss or exaggerate: few requests, young and sleeping services, flapping, hanging requests, neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from instrumentation.catalog import (
    HTTP_SERVER_ACTIVE_REQUESTS,
    HTTP_SERVER_REQUEST_DURATION,
    PROCESS_START_TIME,
    TARGET_INFO,
)
from tests.support.histories import HOUR, MINUTE, SCRAPE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Rows = dict[str, Sequence[float | None]]

_COUNT = f"{HTTP_SERVER_REQUEST_DURATION.name}_count"


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """A service and what happens to it.

    Attributes:
        job: What happens, in words.
        right: What someone on call wants: ``critical``, ``warning``, ``never`` or ``no critical``.
        start: Seconds from the start of the history to the start of the trouble.
        seconds: The length of the history.
        rows: Series to samples; None stands for no sample.
    """

    job: str
    right: str
    start: int
    seconds: int
    rows: Mapping[str, Sequence[float | None]]
    steady = 0

    def series(self) -> Iterator[dict[str, str]]:
        """Its series in the format of promtool's tests; what ends is marked as stale, as Prometheus does."""
        for name, samples in self.rows.items():
            shown, before = [], None
            for value in samples:
                shown.append(f"{value:g}" if value is not None else "_" if before is None else "stale")
                before = value
            yield {"series": name.replace("{", f'{{job="{self.job}", ', 1), "values": " ".join(shown)}


def troubles() -> list[Trouble]:
    """All of them; the values of the series do not depend on chance."""
    return [
        _one_failure_of_a_young_service(),
        _one_failure_of_a_sleeping_service(),
        _rare_failures(),
        _burst_of_a_young_instance(),
        _flapping(),
        _hanging(),
        _hanging_instance(),
        _small_cluster(),
        _slow_start(),
    ]


def _times(seconds: int) -> range:
    return range(0, seconds, SCRAPE)


def _counted(status: str, more: str = "") -> str:
    error = status if status.startswith("5") else ""
    return f'{_COUNT}{{instance="a", http_route="/", http_response_status_code="{status}", error_type="{error}"{more}}}'


def _present(name: str, more: str = "") -> str:
    return f'{name}{{instance="a"{more}}}'


def _one_failure_of_a_young_service() -> Trouble:
    """Twelve requests an hour since two hours ago; after one hour, one fails."""
    seconds, born, start = 4 * HOUR, 2 * HOUR, 3 * HOUR
    here = [second >= born for second in _times(seconds)]
    good = [(second - born) // 300 if is_here else None for second, is_here in zip(_times(seconds), here, strict=True)]
    bad = [(second >= start) if is_here else None for second, is_here in zip(_times(seconds), here, strict=True)]
    info = [1 if is_here else None for is_here in here]
    rows: Rows = {_counted("200"): good, _counted("500"): bad, _present(TARGET_INFO.name): info}
    return Trouble(job="one failure of a young service", right="never", start=start, seconds=seconds, rows=rows)


def _one_failure_of_a_sleeping_service() -> Trouble:
    """Two hours of every twelve, one instance after another; one request fails on the second day."""
    seconds, start, job = 26 * HOUR, 25 * HOUR, "one failure of a sleeping service"
    rows: Rows = {}
    for day in range(3):
        begin = day * 12 * HOUR
        here = [begin <= second < begin + 2 * HOUR for second in _times(seconds)]
        times = list(zip(_times(seconds), here, strict=True))
        place = f', pod="{day}"'
        rows[_counted("200", place)] = [(second - begin) // 300 if is_here else None for second, is_here in times]
        rows[_counted("500", place)] = [(second >= start) if is_here else None for second, is_here in times]
        rows[_present(TARGET_INFO.name, place)] = [1 if is_here else None for is_here in here]
    rows[f'kube_deployment_spec_replicas{{instance="b", deployment="{job}"}}'] = [
        second % (12 * HOUR) < 2 * HOUR for second in _times(seconds)
    ]
    return Trouble(job=job, right="never", start=start, seconds=seconds, rows=rows)


def _rare_failures() -> Trouble:
    """One request an hour; from some hour on, every one fails."""
    seconds, start = 30 * HOUR, 18 * HOUR
    bad = [max(0, (second - start) // HOUR + 1) if second >= start else 0 for second in _times(seconds)]
    good = [min(second, start) // HOUR for second in _times(seconds)]
    rows: Rows = {_counted("200"): good, _counted("500"): bad, _present(TARGET_INFO.name): [1] * len(good)}
    return Trouble(job="one request an hour, and all fail", right="critical", start=start, seconds=seconds, rows=rows)


def _burst_of_a_young_instance() -> Trouble:
    """A service is new, and a third of its first requests fail with 503, whose series did not exist."""
    seconds, start = 2 * HOUR, 1 * HOUR
    after = [second - start for second in _times(seconds)]
    rows: Rows = {
        _counted("200"): [200 if second >= 0 else None for second in after],
        _counted("503"): [100 if second >= 0 else None for second in after],
        _present(TARGET_INFO.name): [1 if second >= 0 else None for second in after],
        _present(PROCESS_START_TIME.name): [start - 10 if second >= 0 else None for second in after],
    }
    return Trouble(
        job="a burst of 503 as the first requests", right="critical", start=start, seconds=seconds, rows=rows
    )


def _flapping() -> Trouble:
    """From some hour on, an instance of two is up for 90 s, then down for 120 s."""
    seconds, start = 6 * HOUR, 2 * HOUR
    up = [second < start or (second - start) % 210 < 90 for second in _times(seconds)]
    rows: Rows = {
        _counted("200"): [second if is_up else None for second, is_up in zip(_times(seconds), up, strict=True)],
        _present(TARGET_INFO.name): [1 if is_up else None for is_up in up],
        _present("up"): up,
        'up{instance="b"}': [1] * len(up),
    }
    return Trouble(job="an instance that flaps", right="warning", start=start, seconds=seconds, rows=rows)


def _hanging() -> Trouble:
    """From some hour on, requests begin and none ends."""
    seconds, start = 3 * HOUR, 1 * HOUR
    rows: Rows = {
        _counted("200"): [min(second, start) for second in _times(seconds)],
        _present(TARGET_INFO.name): [1] * len(_times(seconds)),
        _present(HTTP_SERVER_ACTIVE_REQUESTS.name): [40 if second >= start else 0 for second in _times(seconds)],
    }
    return Trouble(job="every request hangs", right="critical", start=start, seconds=seconds, rows=rows)


def _hanging_instance() -> Trouble:
    """From some hour on, requests to one of two instances begin and none ends."""
    one = _hanging()
    rows: Rows = {**one.rows, _counted("200").replace('instance="a"', 'instance="b"'): [*_times(one.seconds)]}
    return Trouble(
        job="every request to one instance hangs", right="warning", start=one.start, seconds=one.seconds, rows=rows
    )


def _small_cluster() -> Trouble:
    """Everything fails in a cluster with little traffic, beside a healthy one with ten thousand times as much."""
    seconds, start = 3 * HOUR, 1 * HOUR
    rows: Rows = {
        _counted("200", ', cluster="us"'): [1000 * second for second in _times(seconds)],
        _counted("200", ', cluster="eu"'): [min(second, start) / 10 for second in _times(seconds)],
        _counted("500", ', cluster="eu"'): [max(0, second - start) / 10 for second in _times(seconds)],
        _present(TARGET_INFO.name, ', cluster="us"'): [1] * len(_times(seconds)),
        _present(TARGET_INFO.name, ', cluster="eu"'): [1] * len(_times(seconds)),
    }
    return Trouble(job="a small cluster beside a large one", right="critical", start=start, seconds=seconds, rows=rows)


def _slow_start() -> Trouble:
    """All instances restart together, and for two minutes all requests take two seconds."""
    seconds, start = 3 * HOUR, 2 * HOUR
    rows: Rows = {}
    for edge in ("0.1", "0.5", "1.0", "2.5", "+Inf"):
        fast = float(edge) < 2
        own = f', le="{edge}"'
        after = [max(0, second - start - (2 * MINUTE if fast else 0)) for second in _times(seconds)]
        name = _counted("200", own).replace("_count{", "_bucket{")
        rows[name] = [
            10 * (second if second < start else late) for second, late in zip(_times(seconds), after, strict=True)
        ]
    rows[_counted("200")] = [10 * (second if second < start else second - start) for second in _times(seconds)]
    rows[_present(TARGET_INFO.name)] = [1] * len(_times(seconds))
    rows[_present(PROCESS_START_TIME.name)] = [start - 5 if second >= start else -100_000 for second in _times(seconds)]
    return Trouble(
        job="two slow minutes after a restart of all", right="no critical", start=start, seconds=seconds, rows=rows
    )
