"""``python -m benchmarks.soak``: runs the soak test, prints all checks, and exits with 1 if one fails."""

from __future__ import annotations

import argparse
import sys

from tests.support.console import say
from tests.support.servers import SERVERS
from tests.support.soak.run import soak
from tests.support.soak.verdict import checks, table

SECONDS = 120.0
LONGEST = 3600.0
REQUESTS = 1_000_000


def main() -> int:
    """Run the soak test."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long the load lasts (%(default)g)")
    parser.add_argument("--requests", type=int, default=REQUESTS, help="maximum number of requests (%(default)d)")
    parser.add_argument("--server", choices=SERVERS, default="uvicorn", help="the server (%(default)s)")
    options = parser.parse_args()
    seconds = min(options.seconds, LONGEST)
    observed = soak(seconds, options.requests, options.server)
    found = checks(observed, seconds)
    say(table(found).as_text())
    for cut in observed.tally.cut:
        say(f"cut off: {cut.kind.route}, worker {cut.worker or 'not known yet'}: {cut.reason}")
    return 0 if all(check.holds for check in found) else 1


if __name__ == "__main__":
    sys.exit(main())
