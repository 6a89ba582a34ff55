"""Runs libFuzzer on one target in this process: ``python -m tests.fuzz.one_target NAME CORPUS [OPTIONS OF LIBFUZZER]``."""

from __future__ import annotations

import logging
import sys

import atheris

from tests.fuzz import PARTS

if __name__ == "__main__":
    name = sys.argv.pop(1)
    with atheris.instrument_imports(include=list(PARTS[name])):
        from tests.fuzz.targets import TARGETS
    logging.disable()
    atheris.Setup(sys.argv, TARGETS[name].run)
    atheris.Fuzz()
