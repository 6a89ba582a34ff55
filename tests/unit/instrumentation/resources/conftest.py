"""An event that a hung reading waits for."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def released() -> Iterator[threading.Event]:
    """Set at the end, so that no thread outlives its test."""
    released = threading.Event()
    yield released
    released.set()
    for thread in threading.enumerate():
        if thread.name == "sidelight-reading":
            thread.join(7)
            assert not thread.is_alive()
