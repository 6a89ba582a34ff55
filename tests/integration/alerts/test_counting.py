"""N bad events are never read as more than N: random histories of services, read by Prometheus' own rule engine."""

from __future__ import annotations

import subprocess
from collections import Counter
from dataclasses import dataclass, field
from itertools import groupby
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from alerts import generated
from alerts.recording.services import recorded
from instrumentation.settings import parse_settings
from sidelight.toolchain import tool

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from instrumentation.settings import Settings

SCRAPE = 15  # seconds
STEPS = 2 * 3600 // SCRAPE  # scrapes in a history of two hours
SERVICES = 40
ACTIVE = range(
    STEPS // 20, STEPS - 20 * 60 // SCRAPE
)  # the rest is quiet, so that the last quarter of an hour is recorded
GOOD = ("200", "", 0.2)
"""Status, ``error_type`` and seconds of a request; there are four others that count against an objective."""
BAD = (("503", "503", 0.2), ("500", "500", 3.0), ("200", "response_aborted", 0.2), ("200", "", 3.0))
EDGES = ("0.5", "1.0", "+Inf")
SETTLED = 3 * 60 // SCRAPE  # scrapes without an event, before and after what would hide one


@dataclass
class Process:
    """What one process counts, scrape by scrape.

    Attributes:
        first: Its first scrape.
        last: The one after its last.
        before: What its counters begin with.
        start: When it says that it started, in seconds; None: it does not say.
        primed: Whether its series are there before their first event.
        events: Scrape to the requests that it sees for the first time.
    """

    first: int
    last: int
    before: int = 0
    start: int | None = None
    primed: bool = False
    events: dict[int, list[tuple[str, str, float]]] = field(default_factory=dict)


@dataclass
class Service:
    """Instances, each with processes one after the other, and the scrapes of each that fail.

    Attributes:
        job: Its name.
        lossless: Whether every event is seen by an evaluation, so that the count must be exact.
        copies: How many Prometheus keep their view of it in one store.
        instances: The processes of each instance.
        missed: What Prometheus stores, by instance and scrape: ``_`` for no sample, ``stale`` for a target without a response.
    """

    job: str
    lossless: bool
    copies: int
    instances: list[list[Process]]
    missed: dict[tuple[int, int], str]

    def bad(self, slo: str) -> int:
        """How many requests truly count against an objective."""
        requests = (
            one for processes in self.instances for each in processes for seen in each.events.values() for one in seen
        )
        return sum(bool(kind[1]) if slo == "availability" else kind[2] > float(EDGES[0]) for kind in requests)  # fmt: skip


def services(seed: int) -> Iterator[Service]:
    """Services that lose nothing, where the count must be exact, and others."""
    random = Random(seed)
    for number in range(SERVICES):
        lossless = number % 2 == 0
        make = _lossless if lossless else _lossy
        instances = [make(random) for _ in range(random.randint(1, 3))]
        missed = dict(_missed(random, len(instances), longest=4 if lossless else 60))
        service = Service(f"service {number}", lossless, random.choice((1, 1, 2)), instances, missed)
        _happen(random, service)
        yield service


def _lossless(random: Random) -> list[Process]:
    """One process: old, with all that it has counted before; young; or found late by Prometheus, and without a start."""
    kind = random.choice(("old", "young", "found"))
    first = 0 if kind == "old" else random.randint(1, STEPS // 2)
    last = random.choice((STEPS + 1, random.randint(first + STEPS // 4, STEPS)))
    before = 0 if kind == "young" else random.choice((0, 5, 700))
    start = {"old": random.choice((None, -90_000)), "young": first * SCRAPE - 7, "found": None}[kind]
    return [Process(first, last, before, start, primed=random.random() < 0.5)]


def _lossy(random: Random) -> list[Process]:
    """Processes that restart repeatedly; some report their start time."""
    starts = sorted(random.sample(range(STEPS), random.randint(1, 6)))
    says = random.random() < 0.5
    return [
        Process(first, last, start=first * SCRAPE - 7 if says else None, primed=random.random() < 0.5)
        for first, last in zip(starts, [*starts[1:], STEPS + 1], strict=True)
    ]


def _missed(random: Random, instances: int, longest: int) -> Iterator[tuple[tuple[int, int], str]]:
    for instance in range(instances):
        for _ in range(random.randint(0, 6)):
            begins, lasts, what = random.randrange(STEPS), random.randint(1, longest), random.choice(("_", "stale"))
            yield from (((instance, step), what) for step in range(begins, begins + lasts))


def _happen(random: Random, service: Service) -> None:
    """Requests: some good ones, and up to seven that are not."""
    bad = [random.choice(BAD) for _ in range(random.randint(0, 7))]
    for kind in [*bad, *[GOOD] * random.choice((0, 3, 400))]:
        processes = random.choice(service.instances)
        process, step = random.choice(processes), random.choice(ACTIVE)
        quiet = SETTLED if service.lossless else 0
        begins = process.first if process.start is not None and process.start > 0 else process.first + quiet
        if begins <= step < process.last - quiet:
            process.events.setdefault(step, []).append(kind)


# --- What Prometheus stores of it ------------------------------------------------------------------------------------


def series(service: Service) -> Iterator[tuple[str, dict[str, str], list[str]]]:
    """Name, labels and samples of everything that is scraped."""
    for instance, processes in enumerate(service.instances):
        shown: dict[tuple[str, str, float], list[str]] = {kind: ["_"] * (STEPS + 1) for kind in (GOOD, *BAD)}
        info, start = ["_"] * (STEPS + 1), ["_"] * (STEPS + 1)
        for process in processes:
            counts = Counter({kind: process.before for kind in shown if process.before or process.primed})
            for step in range(process.first, min(process.last, STEPS + 1)):
                counts.update(process.events.get(step, ()))
                info[step] = "1"
                start[step] = "_" if process.start is None else str(process.start)
                for kind, count in counts.items():
                    shown[kind][step] = str(count)
        labels = {"job": service.job, "instance": str(instance)}
        rows: list[tuple[str, dict[str, str], list[str]]] = [
            ("target_info", {}, info),
            ("process_start_time_seconds", {}, start),
        ]
        rows += [row for kind, values in shown.items() for row in _histogram(kind, values)]
        rows += [("workflow_executions_total", _outcome(kind), values) for kind, values in shown.items()]
        for name, own, values in rows:
            stored = [
                service.missed.get((instance, step), value) if value != "_" else _gone(values, step)
                for step, value in enumerate(values)
            ]
            for copy in range(service.copies):
                replica = {"prometheus_replica": str(copy)} if service.copies > 1 else {}
                # The second copy is scraped a little later, so what it shows is sometimes one scrape behind.
                yield name, {**labels, **own, **replica}, ["_"] * copy + stored[: len(stored) - copy]


def _histogram(kind: tuple[str, str, float], values: list[str]) -> Iterator[tuple[str, dict[str, str], list[str]]]:
    name, (status, error_type, seconds) = "http_server_request_duration_seconds", kind
    own = {"http_route": f"/{seconds}", "http_response_status_code": status, "error_type": error_type}
    yield f"{name}_count", own, values
    for edge in EDGES:
        within = seconds <= float(edge)
        yield (
            f"{name}_bucket",
            {**own, "le": edge},
            values if within else ["0" if one.isdigit() else one for one in values],
        )


def _outcome(kind: tuple[str, str, float]) -> dict[str, str]:
    return {"workflow": "import", "outcome": "failure" if kind[1] else "success", "queue": f"{kind}"}


def _gone(values: list[str], step: int) -> str:
    return "stale" if step and values[step - 1].isdigit() else "_"


# --- What the rules make of it ---------------------------------------------------------------------------------------


def replayed(seed: int, every: str, promtool: str, folder: Path) -> subprocess.CompletedProcess[str]:
    settings = parse_settings({"alerting": {"evaluation_interval": every}})
    of, made = recorded(settings), list(services(seed))
    rows = [row for service in made for row in series(service)]
    truth = [(service, slo) for service in made for slo in ("availability", "latency")]
    rows += [
        (
            "truth",
            {"job": service.job, "slo": slo, "lossless": str(service.lossless), "few": str(few(settings, service))},
            [str(service.bad(slo))] * (STEPS + 1),
        )
        for service, slo in truth
    ]
    bad = f"sum_over_time({of.new_bad}[6h])"
    quarters = f"sum_over_time({of.bad_by_quarter}[3d])"
    failures = f"sum_over_time({of.new_failures}[6h])"
    exact, of_failures = 'truth{lossless="True"}', 'truth{slo="availability"}'
    alert = 'ALERTS{alertname=~"HighErrorRate|HighLatencyP95|ErrorBudgetBurn|WorkflowFailures",alertstate="firing"}'
    nothing = [
        f"max_over_time({of.errors}[2h]) > on (job) {of_failures}",
        f"max_over_time({of.workflow_failures}[2h]) > on (job) {of_failures}",
        f"{bad} > on (job, slo) truth",
        f"{quarters} > on (job, slo) truth",
        f"{failures} > on (job) {of_failures}",
        f"{bad} != on (job, slo) {exact}",
        f"{quarters} != on (job, slo) {exact}",
        f'{failures} != on (job) truth{{slo="availability",lossless="True"}}',
        f'count_over_time({alert}[2h]) and on (job) truth{{few="True"}}',
    ]
    test: dict[str, Any] = {
        "interval": f"{SCRAPE}s",
        "input_series": [
            {"series": f"{name}{braced(labels)}", "values": packed(values)} for name, labels, values in rows
        ],
        "promql_expr_test": [{"expr": expr, "eval_time": f"{STEPS * SCRAPE}s", "exp_samples": []} for expr in nothing],
    }
    wanted = {"sidelight.http", "sidelight.workflows", "sidelight.deployment"}
    rules = yaml.safe_load(generated(settings)["rules.yaml"])
    rules["groups"] = [group for group in rules["groups"] if group["name"] in wanted]
    (folder / "rules.yaml").write_text(yaml.safe_dump(rules))
    document = {"rule_files": ["rules.yaml"], "evaluation_interval": every, "tests": [test]}
    (folder / "test.yaml").write_text(yaml.safe_dump(document, width=10**9))
    command = [str(tool(promtool)), "test", "rules", "test.yaml"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)


def few(settings: Settings, service: Service) -> bool:
    """Whether a service has too few bad requests for any alert."""
    return max(map(service.bad, ("availability", "latency"))) < settings.alerting.minimum_bad_events


def braced(labels: Mapping[str, str]) -> str:
    return "{" + ", ".join(f'{name}="{value}"' for name, value in labels.items()) + "}"


def packed(values: list[str]) -> str:
    """Samples in promtool's notation, with runs of equal samples written once."""
    runs = [(value, len(list(same))) for value, same in groupby(values)]
    return " ".join(_run(value, times) for value, times in runs)


def _run(value: str, times: int) -> str:
    if value == "stale":
        return " ".join([value] * times)
    return f"_x{times}" if value == "_" else f"{value}x{times - 1}"


@pytest.mark.parametrize(
    ("seed", "every", "promtool"),
    [(1, "30s", "promtool"), (2, "30s", "promtool-oldest"), (3, "1m", "promtool"), (4, "15s", "promtool")],
)
def test_bad_events_are_never_read_as_more_than_they_are(seed: int, every: str, promtool: str, tmp_path: Path) -> None:
    done = replayed(seed, every, promtool, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
