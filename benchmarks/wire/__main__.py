"""``python -m benchmarks.wire --requests 5000``: prints whether counts and answers agree one by one."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.support.console import say
from tests.support.wire.comparison import LAYERS, OUTSIDE, SERVERS, compare


def main() -> int:
    """Compare on every server with both layers.

    Returns:
        1 if a count differs.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.wire", description=__doc__)
    parser.add_argument("--requests", type=int, default=5000, help="connections for each server and layer")
    parser.add_argument("--server", choices=SERVERS, action="append", help="by default all")
    parser.add_argument("--layer", choices=LAYERS, action="append", help="by default both")
    parser.add_argument("--outside", choices=OUTSIDE, default=OUTSIDE[0], help="what is outside of Sidelight")
    options = parser.parse_args()
    all_agree = True
    for server in options.server or SERVERS:
        for layer in options.layer or LAYERS:
            with tempfile.TemporaryDirectory() as folder:
                found = compare(server, layer, options.requests, Path(folder), options.outside)
            gone = sum(count for key, count in found.received.items() if key[2] == "499")
            verdict = "agree" if not found.differences else f"differ in {len(found.differences)} series"
            received, counted = found.received.total(), found.counted.total()
            say(
                f"{server}, {layer}: {received} requests, {gone} clients left early; counted {counted}; counts {verdict}"
            )
            for key, (sent, seen) in found.differences.items():
                say(f"  {' '.join(key)}: received {sent}, counted {seen}")
            all_agree = all_agree and not found.differences
    return int(not all_agree)


if __name__ == "__main__":
    sys.exit(main())
