"""``make mutants``: tests mutants and writes docs/reference/mutants.md.

It fails if a mutant survives that ``survivors.yaml`` does not explain.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from benchmarks.mutants import AREAS, ROOT, change, run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.mutants import Area, Mutant

PAGE = ROOT / "docs" / "reference" / "mutants.md"
_EXPLANATIONS = Path(__file__).with_name("survivors.yaml")
_RESULTS = Path(__file__).with_name("results.json")
_SAMPLE = "*__mutmut_1"
_FOUND = {"killed", "timeout", "segfault", "suspicious"}


class Survivor(NamedTuple):
    """A mutant that no test found.

    Attributes:
        function: The function that it changes.
        change: What it changes.
    """

    function: str
    change: str

    def because(self) -> str:
        """Why it is accepted; empty if it is not."""
        explanations: list[dict[str, str]] = yaml.safe_load(_EXPLANATIONS.read_text("utf-8"))
        whole = f"{self.function}: {self.change}"
        return next((each["because"] for each in explanations if re.search(each["pattern"], whole)), "")


class Score(NamedTuple):
    """The result of an area.

    Attributes:
        which: Which mutants were tested: those whose names match this pattern.
        tested: The number of mutants tested.
        survivors: Those that no test found.
    """

    which: str
    tested: int
    survivors: tuple[Survivor, ...]


def score(area: Area, mutants: list[Mutant], which: str) -> Score:
    """The score of an area."""
    left = [mutant for mutant in mutants if mutant.status not in _FOUND]
    return Score(which, len(mutants), tuple(Survivor(each.function, change(area, each)) for each in left))


def load() -> dict[str, Score]:
    """The last score of each area, by name."""
    found: dict[str, Any] = json.loads(_RESULTS.read_text("utf-8"))
    return {
        name: Score(which, tested, tuple(Survivor(*each) for each in survivors))
        for name, (which, tested, survivors) in found.items()
    }


def page(scores: Mapping[str, Score]) -> str:
    """The reference page."""
    what = (
        "[mutmut](https://mutmut.readthedocs.io) changes the code in one place, such as `>` to `>=`, and runs the unit tests of that "
        "part. A change that no test finds is a survivor. By default the first mutant of each function is tested; "
        "`make mutants ARGS=--every` tests all, which takes hours."
    )
    why = "Each survivor has a reason, which is in `benchmarks/mutants/survivors.yaml`. The command fails if one has none."
    parts = [
        "# Mutation tests",
        "<!-- Written by `make mutants`; change the code, the tests or survivors.yaml, not this page. -->",
        what,
        _table(scores),
        "## Survivors",
        why,
        *(_survivors(name, each) for name, each in scores.items() if each.survivors),
    ]
    return "\n\n".join(parts) + "\n"


def _table(scores: Mapping[str, Score]) -> str:
    lines = [
        "| part | files | mutants | tested | found | survivors | score |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for area in AREAS:
        files = ", ".join(f"`{source}`" for source in area.sources)
        if area.name not in scores:
            lines.append(f"| {area.name} | {files} | not tested yet | | | | |")
            continue
        which, tested, survivors = scores[area.name]
        found = tested - len(survivors)
        named = "all" if which == "*" else "the first of each function"
        lines.append(
            f"| {area.name} | {files} | {named} | {tested} | {found} | {len(survivors)} | {found / tested:.0%} |"
        )
    return "\n".join(lines)


def _survivors(name: str, each: Score) -> str:
    lines = [f"### {name.capitalize()}", "", "| function | change | why it survives |", "| --- | --- | --- |"]
    for one in each.survivors:
        text = one.change.replace("|", "\\|").replace("`", "'")
        lines.append(f"| `{one.function}` | `{text}` | {one.because()} |")
    return "\n".join(lines)


def main() -> int:
    """Test the mutants, keep the scores and write the page; 1 if a survivor has no explanation."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("--area", action="append", choices=[area.name for area in AREAS], help="only this part")
    parser.add_argument("--every", action="store_true", help="test all mutants, not a sample")
    parser.add_argument("--jobs", type=int, default=2, help="mutants tested at the same time")
    options = parser.parse_args()
    chosen = "*" if options.every else _SAMPLE
    for area in AREAS:
        if not options.area or area.name in options.area:
            keep(area, score(area, run(area, chosen, options.jobs), chosen))
    missing = [one for each in load().values() for one in each.survivors if not one.because()]
    for one in missing:
        print(f"{one.function}: not explained: {one.change}", file=sys.stderr)  # noqa: T201 - a command
    return int(bool(missing))


def keep(area: Area, found: Score) -> None:
    """Replace the score of an area, and write the page."""
    scores = {**load(), area.name: found}
    ordered = {each.name: scores[each.name] for each in AREAS if each.name in scores}
    _RESULTS.write_text(json.dumps(ordered, indent=1) + "\n", "utf-8")
    PAGE.write_text(page(ordered), "utf-8")


if __name__ == "__main__":
    sys.exit(main())
