"""Fixtures for all tests."""

from __future__ import annotations

import signal

from hypothesis import settings

# A machine under load must not fail a test: an example may take as long as it takes.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

# Shells start what runs in the background with Ctrl-C ignored, and a process hands that down to those it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
