"""Fixtures for all tests."""

from __future__ import annotations

import signal

# pytest rewrites the modules of its plugins when they are imported, and anyio is one. Python 3.11 cannot do that in two threads at
# once, and this one is imported by the first request for a file.
import anyio._core._fileio  # noqa: F401
from hypothesis import settings

# A machine under load must not fail a test: an example may take as long as it takes.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

# Shells start what runs in the background with Ctrl-C ignored, and a process hands that down to those it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
