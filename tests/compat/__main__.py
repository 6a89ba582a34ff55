"""``python -m tests.compat``: see ``make compat``."""

from __future__ import annotations

import argparse
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import httpx

from sidelight.toolchain.processes import ProcessError
from tests.compat.applications import Application, applications, drive
from tests.compat.results import record, row_of, row_of_application
from tests.compat.suites import Suite, Workshop, differences, suites
from tests.support.console import say

if TYPE_CHECKING:
    from collections.abc import Callable


class Verdict(NamedTuple):
    """What became of a suite or an application.

    Attributes:
        is_right: Whether nothing differs without a reason.
        lines: What is printed.
    """

    is_right: bool
    lines: list[str]


def main() -> int:
    """Run the suites and drive the applications, print what differs, and record the results.

    One that cannot be run is named, and the others run all the same.

    Returns:
        1 if a test differs and ``suites.toml`` gives no reason, or the page of an application is wrong.
    """
    own_tests: dict[str, Callable[[], Verdict]] = {suite.package: partial(_of_suite, suite) for suite in suites()}
    served: dict[str, Callable[[], Verdict]] = {each.package: partial(_of_application, each) for each in applications()}
    known = own_tests | served
    parser = argparse.ArgumentParser(prog="make compat", description=__doc__)
    parser.add_argument("only", nargs="*", metavar="NAME", help=f"by default all: {', '.join(known)}")
    parser.add_argument("--jobs", type=int, default=1, help="how many suites run at a time")
    options = parser.parse_args()
    chosen = options.only or list(known)
    unknown = [name for name in chosen if name not in known]
    if unknown:
        parser.error(f"got {', '.join(unknown)}; give names of {', '.join(known)}")
    are_right = []

    def take(verdict: Verdict) -> None:
        say("\n".join(verdict.lines))
        are_right.append(verdict.is_right)

    with ThreadPoolExecutor(options.jobs) as pool:
        for verdict in pool.map(lambda name: known[name](), [name for name in chosen if name in own_tests]):
            take(verdict)
    for name in chosen:
        if name in served:
            take(served[name]())
    say("Run `make build` to write docs/reference/compatibility.md.")
    return int(not all(are_right))


def _of_suite(suite: Suite) -> Verdict:
    title = f"{suite.name} {suite.version}"
    if not suite.tests:
        record("suites", suite.name, row_of(suite, {}, []))
        return Verdict(is_right=True, lines=[f"{title}: its source distribution has no tests"])
    try:
        workshop = Workshop(suite)
        runs = workshop.compare()
        found = workshop.checked(differences(suite, runs))
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        return Verdict(is_right=False, lines=[f"{title}: COULD NOT BE RUN: {error}"])
    lines = [title]
    for layer, run in runs.items():
        lines.append(f"  {layer:9} " + ", ".join(f"{count} {outcome}" for outcome, count in run.counts().items()))
    for each in found:
        lines += [f"  differs ({', '.join(each.layers)}): {each.test}", f"    {each.reason or 'NOT EXPLAINED'}"]
        lines.append(f"    {each.failure}")
    record("suites", suite.name, row_of(suite, runs, found))
    return Verdict(is_right=all(each.reason for each in found), lines=lines)


def _of_application(application: Application) -> Verdict:
    title = f"{application.name} {application.version}"
    try:
        shown = drive(application)
    except (ProcessError, RuntimeError, httpx.HTTPError) as error:
        return Verdict(is_right=False, lines=[f"{title}: COULD NOT BE RUN: {error}"])
    record("applications", application.name, row_of_application(application, shown))
    lines = [
        f"{title}: {'right' if shown.is_right else 'WRONG'}",
        f"  received {dict(shown.received)}",
        f"  counted  {dict(shown.counted)}",
        f"  routes {', '.join(map(repr, shown.routes))}; lines with a concrete path: {len(shown.concrete)}",
    ]
    return Verdict(is_right=shown.is_right, lines=lines)


if __name__ == "__main__":
    sys.exit(main())
