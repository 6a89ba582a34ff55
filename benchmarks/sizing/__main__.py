"""``python -m benchmarks.sizing``: measures, computes and writes the documentation page."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import machine
from benchmarks.sizing.measured import USERS, bytes_per_series, page
from instrumentation.settings import Settings
from tests.support.console import say
from tests.support.tables import Column, Table

if TYPE_CHECKING:
    from benchmarks.sizing.measured import Page
    from tests.support.tables import Row

PAGE = Path(__file__).parents[2] / "docs/reference/sizing.md"
PODS = (10, 100, 1000, 10_000)
BYTES_PER_SAMPLE = 1.5  # on disk; Prometheus' documentation says 1 to 2
DAYS = 15  # Prometheus' own retention
HEAD = """\
# Sizes for 10 to 10,000 pods

<!-- Written by `python -m benchmarks.sizing`; change the code it is made from, not this page. -->

Use these numbers before [scaling out](../how-to/scale-out.md). The pods run the example shop; the number of workers does not
matter, because they share one page. A service with more routes has more series, up to
[the series limit](settings.md#metrics)."""


def main() -> None:
    """Measure, in about two minutes; without ``--output``, the documentation page is replaced."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sizing", description=__doc__)
    parser.add_argument("--output", type=Path, default=PAGE, help="the page to write; by default the documentation's")
    options = parser.parse_args()
    settings = Settings()
    of_pod, of_series = page(), bytes_per_series()
    table = sizes(settings, of_pod, of_series)
    say(f"{table.as_text()}\n")
    parts = [
        HEAD,
        table.as_markdown(),
        f"## Assumed and measured\n\n{_basis(settings, of_pod, of_series)}",
        machine.section(),
    ]
    options.output.write_text("\n\n".join(parts) + "\n")


def sizes(settings: Settings, of_pod: Page, of_series: float) -> Table:
    """The table; all its values are measured values multiplied by the number of pods."""
    interval = settings.metrics.scrape_interval.seconds
    rows: list[Row] = []
    for pods in PODS:
        series, samples = pods * of_pod.series, pods * of_pod.series / interval
        rows.append(
            {
                "pods": pods,
                "series": series,
                "samples": samples,
                "network": pods * of_pod.packed / interval / 1e6,
                "memory": series * of_series / 2**30,
                "disk": samples * 86_400 * DAYS * BYTES_PER_SAMPLE / 2**30,
            }
        )
    return Table(
        name="sizes",
        title="Series, samples, memory and disk",
        columns=(
            Column(key="pods", title="pods", digits=0),
            Column(key="series", title="series", digits=0),
            Column(key="samples", title="samples/s", digits=0),
            Column(key="network", title="MB/s scraped", digits=3),
            Column(key="memory", title="GiB of memory", digits=1),
            Column(key="disk", title=f"GiB of disk, {DAYS} days", digits=1),
        ),
        rows=tuple(rows),
    )


def _basis(settings: Settings, of_pod: Page, of_series: float) -> str:
    return "\n".join(
        (
            (
                f"- Measured: the shop shows {of_pod.series:,} series after requests to its routes and {USERS} users, "
                f"{of_pod.plain:,} bytes as text and {of_pod.packed:,} with gzip."
            ),
            (
                f"- Measured: a series in the head of Prometheus takes {of_series:,.0f} bytes of resident memory, as the difference "
                "between a Prometheus of 20,000 series and one of 120,000. Double it for queries, compaction and pods that are replaced."
            ),
            (
                f"- Assumed: a scrape every {settings.metrics.scrape_interval}; {BYTES_PER_SAMPLE} bytes a sample on disk "
                "([Prometheus: storage](https://prometheus.io/docs/prometheus/latest/storage/) says 1 to 2)."
            ),
            "- Not included: series of the recording rules, which do not depend on the number of pods.",
        )
    )


if __name__ == "__main__":
    main()
