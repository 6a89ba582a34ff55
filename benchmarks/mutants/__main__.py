"""``make mutants``: tests mutants and writes docs/reference/mutants.md.

It fails if a mutant survives that ``survivors.yaml`` does not explain.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import NamedTuple

import yaml

from benchmarks.mutants import AREAS, ROOT, Area, Mutant, change, run

PAGE = ROOT / "docs" / "reference" / "mutants.md"
_EXPLANATIONS = Path(__file__).with_name("survivors.yaml")
_SAMPLE = "*__mutmut_1"
_FOUND = {"killed", "timeout", "segfault", "suspicious"}


class Survivor(NamedTuple):
    """A mutant that no test found.

    Attributes:
        function: The function that it changes.
        change: What it changes.
        because: Why that is accepted; empty if it is not.
    """

    function: str
    change: str
    because: str


class Score(NamedTuple):
    """The result of an area.

    Attributes:
        area: The area.
        tested: The number of mutants tested.
        survivors: Those that no test found.
    """

    area: Area
    tested: int
    survivors: tuple[Survivor, ...]


def score(area: Area, mutants: list[Mutant]) -> Score:
    """The score of an area, with its survivors explained."""
    explanations: list[dict[str, str]] = yaml.safe_load(_EXPLANATIONS.read_text("utf-8"))

    def survivor(mutant: Mutant) -> Survivor:
        text = change(area, mutant)
        whole = f"{mutant.function}: {text}"
        because = next((each["because"] for each in explanations if re.search(each["pattern"], whole)), "")
        return Survivor(mutant.function, text, because)

    survivors = tuple(survivor(mutant) for mutant in mutants if mutant.status not in _FOUND)
    return Score(area, len(mutants), survivors)


def page(scores: list[Score], chosen: str) -> str:
    """The reference page."""
    every = chosen == "*"
    which = (
        "All mutants were tested."
        if every
        else "The first mutant of each function was tested. `make mutants ARGS=--every` tests all, which takes hours."
    )
    what = (
        "[mutmut](https://mutmut.readthedocs.io) changes the code in one place, such as `>` to `>=`, and runs the unit tests of that "
        f"part. A change that no test finds is a survivor. {which}"
    )
    why = (
        "Each survivor is either a fault that no unit test can see, or is found by other tests than those that run here. "
        "The explanations are in `benchmarks/mutants/survivors.yaml`; the command fails if one is missing."
    )
    parts = [
        "# Mutation tests",
        "<!-- Written by `make mutants`; change the code, the tests or survivors.yaml, not this page. -->",
        what,
        _table(scores),
        "## Survivors",
        why,
        *(_survivors(each) for each in scores if each.survivors),
    ]
    return "\n\n".join(parts) + "\n"


def _table(scores: list[Score]) -> str:
    lines = ["| part | files | tested | found | survivors | score |", "| --- | --- | ---: | ---: | ---: | ---: |"]
    for each in scores:
        found = each.tested - len(each.survivors)
        files = ", ".join(f"`{source}`" for source in each.area.sources)
        share = f"{found / each.tested:.0%}" if each.tested else ""
        lines.append(f"| {each.area.name} | {files} | {each.tested} | {found} | {len(each.survivors)} | {share} |")
    return "\n".join(lines)


def _survivors(each: Score) -> str:
    lines = [f"### {each.area.name.capitalize()}", "", "| function | change | why it survives |", "| --- | --- | --- |"]
    for one in each.survivors:
        text = one.change.replace("|", "\\|").replace("`", "'")
        lines.append(f"| `{one.function}` | `{text}` | {one.because} |")
    return "\n".join(lines)


def main() -> int:
    """Test the mutants, write the page; 1 if a survivor has no explanation."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument(
        "--area", action="append", choices=[area.name for area in AREAS], help="only this part; prints, writes no page"
    )
    parser.add_argument("--every", action="store_true", help="test all mutants, not a sample")
    parser.add_argument("--jobs", type=int, default=2, help="mutants tested at the same time")
    options = parser.parse_args()
    chosen = "*" if options.every else _SAMPLE
    areas = [area for area in AREAS if not options.area or area.name in options.area]
    scores = [score(area, run(area, chosen, options.jobs)) for area in areas]
    text = page(scores, chosen)
    if options.area:
        print(text)  # noqa: T201 - a command
    else:
        PAGE.write_text(text, "utf-8")
    missing = [one for each in scores for one in each.survivors if not one.because]
    for one in missing:
        print(f"{one.function}: not explained: {one.change}", file=sys.stderr)  # noqa: T201 - a command
    return int(bool(missing))


if __name__ == "__main__":
    sys.exit(main())
