"""The compiled layer writes into every buffer that Python's does, with the same result."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

import pytest

from instrumentation.catalog import HTTP_SERVER_REQUEST_DURATION
from instrumentation.store import LocalStore
from instrumentation.store.shared_store import SharedStore
from tests.unit.speedups.layers import END, KINDS, START, Layer, answering, finish, receive, scope, send

if TYPE_CHECKING:
    from pathlib import Path

    from instrumentation.store.interface import Buffer

pytestmark = pytest.mark.parametrize("kind", KINDS)
OK = ("GET", "", "200", "")


class Items:
    """A buffer that can do nothing but give and take items."""

    def __init__(self, inner: Buffer) -> None:
        self._inner = inner

    def __getitem__(self, place: int) -> float:
        return self._inner[place]

    def __setitem__(self, place: int, value: float) -> None:
        self._inner[place] = value


class Changed(LocalStore):
    """A store whose buffer others see through something else."""

    def __init__(self, change: Any) -> None:
        super().__init__()
        self.buffer = change(self.buffer)


def ask(layer: Layer, times: int = 3) -> None:
    for _ in range(times):
        finish(layer.app(scope(), receive, send))


def test_one_of_memory(kind: str) -> None:
    layer = Layer(kind, answering)
    ask(layer)
    assert (layer.counted(), layer.active()) == ({OK: 3}, 0)


def test_a_buffer_of_items_only(kind: str) -> None:
    layer = Layer(kind, answering, store=Changed(Items))
    ask(layer)
    assert (layer.counted(), layer.active()) == ({OK: 3}, 0)


def test_one_that_workers_share(kind: str, tmp_path: Path) -> None:
    layer = Layer(kind, answering, store=SharedStore(tmp_path))
    other = SharedStore(tmp_path, name="other", is_alive=lambda _: True)
    ask(layer)
    assert (layer.counted(), layer.active()) == ({OK: 3}, 0)
    assert {row.labels for row in other.series() if row.metric is HTTP_SERVER_REQUEST_DURATION} == {OK}


def test_one_that_grows_while_a_request_is_served(kind: str) -> None:
    async def growing(asked: Any, receive: Any, send: Any) -> None:
        for number in range(500):
            layer.store.place(HTTP_SERVER_REQUEST_DURATION, ("GET", f"/{number}", "200", ""))
        await answering(asked, receive, send)

    layer = Layer(kind, growing)
    ask(layer)
    assert layer.counted()[OK] == 3
    assert (sum(layer.counted().values()), layer.active()) == (3, 0)


@pytest.mark.parametrize(
    "change",
    [lambda _: array("d"), lambda _: array("f"), lambda _: memoryview(bytes(800)).cast("d"), lambda _: ()],
    ids=["too short", "of other numbers", "read only", "no buffer"],
)
def test_a_buffer_that_cannot_be_written_is_logged_once_and_the_app_responds(
    kind: str, change: Any, caplog: pytest.LogCaptureFixture
) -> None:
    sent = []

    async def keep(message: Any) -> None:
        sent.append(message)

    layer = Layer(kind, answering, store=Changed(change))
    for _ in range(2):
        finish(layer.app(scope(), receive, keep))
    assert sent == [START, END] * 2
    assert len(caplog.records) == 1


def test_a_buffer_released_during_a_request_is_logged_once_and_the_app_responds(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    sent = []

    async def keep(message: Any) -> None:
        sent.append(message)

    async def last(asked: Any, receive: Any, send: Any) -> None:
        await answering(asked, receive, send)
        layer.store.buffer.release()  # a view of a closed file: each write raises ValueError

    layer = Layer(kind, last, store=Changed(lambda _: memoryview(bytearray(800)).cast("d")))
    finish(layer.app(scope(), receive, keep))
    assert sent == [START, END]
    assert len(caplog.records) == 1


def test_one_of_other_numbers_is_written_item_by_item(kind: str) -> None:
    small = array("f", [0.0] * 100)
    layer = Layer(kind, answering, store=Changed(lambda _: small))
    ask(layer)
    assert sum(round(number) for number in small) == 3


NONE, LITTLE, MUCH = 0.0, 1e-9, 1e9  # seconds; a request takes more than LITTLE and less than MUCH


@pytest.mark.parametrize(
    ("edges", "buckets"),
    [
        ((MUCH,), (3, 0)),
        ((NONE, LITTLE, MUCH, 2 * MUCH), (0, 0, 3, 0, 0)),
        ((NONE, LITTLE), (0, 0, 3)),
    ],
    ids=["the first", "one within", "above the last edge"],
)
def test_a_duration_is_in_the_first_bucket_that_holds_it(
    kind: str, edges: tuple[float, ...], buckets: tuple[int, ...]
) -> None:
    layer = Layer(kind, answering, edges=edges)
    ask(layer)
    (row,) = (row for row in layer.store.series() if row.metric is HTTP_SERVER_REQUEST_DURATION)
    assert row.slots[:-1] == buckets
    assert 3 * LITTLE < row.slots[-1] < MUCH
