"""``python -m benchmarks``: measures, prints the tables and writes them to a folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks import machine, results
from benchmarks.effort import FULL, QUICK
from benchmarks.sections import IN_QUICK, SECTIONS
from benchmarks.variants import VARIANTS, WITH_LOGS, WITH_TRACES
from tests.support.console import say

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Run the selected measurements; only a full run replaces the committed results, unless a folder is given."""
    options = _options()
    names = options.case or (IN_QUICK if options.quick else tuple(SECTIONS))
    tables = []
    for name in names:
        tables.append(SECTIONS[name](QUICK if options.quick else FULL))
        say(f"{tables[-1].as_text()}\n")
    facts = machine.facts(name for variant in (*VARIANTS, *WITH_LOGS, *WITH_TRACES) for name in variant.distributions)
    say("\n".join(f"{name}: {value}" for name, value in facts.items()))
    is_full = len(tables) == len(SECTIONS) and not options.quick
    folder = options.output or (RESULTS if is_full else None)
    if folder:
        results.write(folder, tables, facts)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short run of a few cases, less than a minute")
    parser.add_argument("--case", action="append", choices=SECTIONS, help="measure only this; repeatable")
    parser.add_argument(
        "--output", type=Path, help="the folder to write to (default for a full run: benchmarks/results)"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
