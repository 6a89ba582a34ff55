"""``python -m tests.compat``: see ``make compat``."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from benchmarks.console import say
from tests.compat.applications import Application, applications, drive
from tests.compat.results import record, row_of, row_of_application
from tests.compat.suites import Suite, Workshop, differences, suites

if TYPE_CHECKING:
    from collections.abc import Callable


def main() -> int:
    """Run the suites and drive the applications, print what differs, and record the results.

    Returns:
        1 if a test differs and ``suites.toml`` gives no reason, or the page of an application is wrong.
    """
    known: dict[str, Callable[[], bool]] = {
        **{suite.package: lambda suite=suite: _is_explained(suite) for suite in suites()},
        **{each.package: lambda each=each: _is_right(each) for each in applications()},
    }
    parser = argparse.ArgumentParser(prog="make compat", description=__doc__)
    parser.add_argument("only", nargs="*", metavar="NAME", help=f"by default all: {', '.join(known)}")
    chosen = parser.parse_args().only or list(known)
    unknown = [name for name in chosen if name not in known]
    if unknown:
        parser.error(f"got {', '.join(unknown)}; give names of {', '.join(known)}")
    are_right = [known[name]() for name in chosen]
    say("Run `make build` to write docs/reference/compatibility.md.")
    return int(not all(are_right))


def _is_explained(suite: Suite) -> bool:
    if not suite.tests:
        say(f"{suite.name} {suite.version}: its source distribution has no tests")
        record("suites", suite.name, row_of(suite, {}, []))
        return True
    runs = Workshop(suite).compare()
    found = differences(suite, runs)
    say(f"{suite.name} {suite.version}")
    for layer, run in runs.items():
        say(f"  {layer:9} " + ", ".join(f"{count} {outcome}" for outcome, count in run.counts().items()))
    for each in found:
        why = each.reason or f"not explained: {each.failure}"
        say(f"  differs ({', '.join(each.layers)}): {each.test}\n    {why}")
    record("suites", suite.name, row_of(suite, runs, found))
    return all(each.reason for each in found)


def _is_right(application: Application) -> bool:
    shown = drive(application)
    say(f"{application.name} {application.version}: {'right' if shown.is_right else 'WRONG'}")
    say(f"  received {dict(shown.received)}\n  counted  {dict(shown.counted)}")
    say(f"  routes {', '.join(map(repr, shown.routes))}; lines with a concrete path: {len(shown.concrete)}")
    record("applications", application.name, row_of_application(application, shown))
    return shown.is_right


if __name__ == "__main__":
    sys.exit(main())
