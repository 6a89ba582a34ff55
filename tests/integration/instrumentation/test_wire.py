"""What a client received and what is counted agree for each request: before, during and after the response."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.wire.client import exchanges
from tests.support.wire.comparison import LAYERS, OUTSIDE, SERVERS, compare

if TYPE_CHECKING:
    from pathlib import Path

TIMES = dict(zip(OUTSIDE, (8, 3), strict=True))  # each exchange, by what is outside of Sidelight


@pytest.mark.parametrize("outside", OUTSIDE)
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("server", SERVERS)
def test_counted_is_what_clients_received(server: str, layer: str, outside: str, tmp_path: Path) -> None:
    found = compare(server, layer, TIMES[outside] * len([*exchanges()]), tmp_path, outside)
    assert found.counted == found.received
