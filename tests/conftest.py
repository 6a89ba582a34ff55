"""What all tests may rely on."""

from __future__ import annotations

import signal

# Shells start what runs in the background with Ctrl-C ignored, and a process hands that down to those it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
