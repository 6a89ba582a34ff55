"""``make fuzz``: fuzzes each target for a while with atheris, and stops at the first input that breaks a promise.

python -m tests.fuzz --seconds 60 --target settings --target promql
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fuzz.targets import TARGETS, seeds

_ROOT = Path(__file__).parents[2]
_LONGEST_INPUT = 4096
_SLOWEST_SECONDS = 20  # for one input


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def fuzzed(name: str, seconds: int, corpus: Path) -> bool:
    """Fuzz a target, and say whether every input kept its promise.

    Args:
        name: The target.
        seconds: For how long.
        corpus: Where its inputs are kept between runs.
    """
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(name)):
        (corpus / f"seed-{number}").write_bytes(seed)
    found = corpus.with_name(f"{name}-found-")
    argv = [
        *(sys.executable, "-m", "tests.fuzz.one_target", name, str(corpus)),
        *(f"-max_total_time={seconds}", f"-max_len={_LONGEST_INPUT}", f"-timeout={_SLOWEST_SECONDS}"),
        *(f"-artifact_prefix={found}", "-print_final_stats=1", "-verbosity=0", "-rss_limit_mb=1024"),
    ]
    ended = subprocess.run(
        argv, cwd=_ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace", check=False
    )
    runs = next((line.split()[-1] for line in ended.stderr.splitlines() if "number_of_executed_units" in line), "0")
    if ended.returncode:
        sys.stderr.write(re.sub(r"INFO: .*\n", "", ended.stderr)[-6000:])
        if not list(found.parent.glob(f"{found.name}*")):
            _say(f"{name}: the fuzzer could not run.")
            return False
        _say(f"{name}: broken after {runs} inputs: {TARGETS[name].promise}")
        _say(f"  The input is {found}*. Fix the fault, and add the input to tests/fuzz/findings.py.")
        return False
    _say(f"{name}: {runs} inputs in {seconds} s: {TARGETS[name].promise}")
    return True


def main() -> int:
    """Fuzz the targets that are named, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for each target (default: 60)")
    parser.add_argument(
        "--target", action="append", choices=list(TARGETS), help="one target; repeatable (default: all)"
    )
    parser.add_argument(
        "--corpus", type=Path, help="a folder that keeps the inputs between runs (default: a temporary one)"
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sidelight-fuzz-") as folder:
        corpus = given.corpus or Path(folder)
        results = [fuzzed(name, given.seconds, corpus / name) for name in given.target or TARGETS]
        if not all(results) and not given.corpus:
            kept = Path(tempfile.mkdtemp(prefix="sidelight-fuzz-found-"))
            for file in corpus.glob("*-found-*"):
                (kept / file.name).write_bytes(file.read_bytes())
            _say(f"The inputs that broke a promise are in {kept}.")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
