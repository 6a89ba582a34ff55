"""``python -m benchmarks.secrets``: measures the redaction, prints the tables and writes the documentation page."""

from __future__ import annotations

import argparse
import random
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import machine
from benchmarks.secrets.gitleaks import VERSION, vectors
from benchmarks.secrets.harmless import IDENTIFIERS, LINES
from instrumentation import Redactor
from tests.support.console import say
from tests.support.tables import Column, Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.secrets.gitleaks import Vector
    from benchmarks.secrets.harmless import Make
    from tests.support.tables import Row

PAGE = Path(__file__).parents[2] / "docs/reference/redaction-measured.md"
SAMPLES = 10_000
HEAD = f"""\
# What redaction finds, and what it changes by mistake

<!-- Written by `python -m benchmarks.secrets`; change the code it is made from, not this page. -->

*Found* is measured on the test vectors of [gitleaks](https://github.com/gitleaks/gitleaks) {VERSION} (MIT licence), which its own
generator makes for each run: texts with one secret each, in many notations. A secret counts as found if it is no longer in
the masked text. *Changed* is measured on random identifiers and on lines in the formats of well-known programs, {SAMPLES:,} of
each kind. Public log corpora, such as loghub, are not included: they are not in any package registry."""


def main() -> None:
    """Measure in about two minutes; without ``--output``, the documentation page is replaced."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.secrets", description=__doc__)
    parser.add_argument("--output", type=Path, default=PAGE, help="the page to write; by default the documentation's")
    options = parser.parse_args()
    redactor = Redactor()
    with tempfile.TemporaryDirectory() as folder:
        tables = [_found(redactor, vectors(Path(folder)))]
    tables.append(_changed(redactor, "Identifiers", IDENTIFIERS))
    tables.append(_changed(redactor, "Log lines", LINES))
    for table in tables:
        say(f"{table.as_text()}\n")
    sections = (f"## {table.title}\n\n{table.note}{table.as_markdown()}" for table in tables)
    options.output.write_text("\n\n".join((HEAD, *sections, machine.section())) + "\n")


def _found(redactor: Redactor, given: Sequence[Vector]) -> Table:
    total = Counter(vector.rule for vector in given)
    missed = [vector for vector in given if vector.secret in redactor.text(vector.text)]
    per_rule = Counter(vector.rule for vector in missed)
    share = 100 * (1 - len(missed) / len(given))
    rows: tuple[Row, ...] = tuple(
        {"rule": rule, "missed": count, "of": total[rule]} for rule, count in per_rule.most_common()
    )
    return Table(
        name="found",
        title="Found",
        note=f"{share:.1f} % of {len(given):,} vectors of {len(total)} rules. The rules with misses:\n\n",
        columns=(
            Column(key="rule", title="rule"),
            Column(key="missed", title="missed", digits=0),
            Column(key="of", title="of", digits=0),
        ),
        rows=rows,
    )


def _changed(redactor: Redactor, title: str, kinds: Mapping[str, Make]) -> Table:
    source = random.Random(7)  # noqa: S311 - not for security
    rows: list[Row] = []
    for kind, make in kinds.items():
        texts = [make(source) for _ in range(SAMPLES)]
        changed = [text for text in texts if redactor.text(text) != text]
        rows.append({"kind": kind, "changed": 100 * len(changed) / SAMPLES, "example": f"`{texts[0]}`"})
    columns = (
        Column(key="kind", title="kind"),
        Column(key="changed", title="changed %", digits=2),
        Column(key="example", title="example"),
    )
    return Table(name=title.lower(), title=f"Changed: {title.lower()}", columns=columns, rows=tuple(rows))


if __name__ == "__main__":
    main()
