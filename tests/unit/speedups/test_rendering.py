"""The compiled text of histograms equals Python's, for any numbers, and leaks no memory."""

from __future__ import annotations

import gc
import sys
from contextlib import suppress
from math import inf, nan
from typing import Any

import _sidelight_speedups
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instrumentation import speedups
from instrumentation.catalog import HTTP_SERVER_REQUEST_DURATION
from instrumentation.exposition.formats import Exposition
from instrumentation.store import LocalStore, Series

EDGES = (0.25, 1.0, 1e6)
MANY = 20_000
FEW_BLOCKS = 50  # of memory; one for each call would be MANY
ROUNDS = 3
COUNTS = st.one_of(
    st.floats(-1e300, 1e300),
    st.integers(0, 2**60).map(float),
    st.sampled_from([0.0, -0.0, 7.0, 2.0**53 - 1, 2.0**53, 1e16, 1e15, 0.1 + 0.2, 5e-324, -3.0]),
)
SUMS = st.one_of(COUNTS, st.sampled_from([inf, -inf, nan]))
ROWS = st.lists(
    st.tuples(
        st.lists(st.text(), min_size=4, max_size=4).map(tuple),
        st.sampled_from([EDGES, (), (7.5,)]),
        st.floats(0, 2e9),
    ),
    min_size=1,
    max_size=40,
)


class Recorded(LocalStore):
    """A store that shows the series it is given."""

    def __init__(self, rows: list[Series]) -> None:
        super().__init__()
        self.rows = rows

    def series(self) -> list[Series]:  # type: ignore[override]
        return self.rows


def page(rows: list[Series], module: Any, accept: str) -> bytes:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("instrumentation.speedups.module", lambda: module)
        return Exposition(Recorded(rows)).page(accept, {HTTP_SERVER_REQUEST_DURATION.name}).body


@given(rows=ROWS, data=st.data(), accept=st.sampled_from(["", "application/openmetrics-text"]))
def test_both_write_the_same(rows: list[tuple[Any, Any, float]], data: st.DataObject, accept: str) -> None:
    series = [
        Series(
            HTTP_SERVER_REQUEST_DURATION,
            labels,
            edges,
            (*data.draw(st.lists(COUNTS, min_size=len(edges) + 1, max_size=len(edges) + 1)), data.draw(SUMS)),
            created,
        )
        for labels, edges, created in rows
    ]
    assert page(series, _sidelight_speedups, accept) == page(series, None, accept)
    assert speedups.module() is _sidelight_speedups


def test_without_rows_the_text_is_empty() -> None:
    assert _sidelight_speedups.histograms(b"a", (b"+Inf",), []) == b""


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        (("a", (b"+Inf",), []), TypeError, "bytes"),
        ((b"a", ("+Inf",), []), TypeError, "edges are bytes"),
        ((b"a", [b"+Inf"], []), TypeError, "tuple"),
        ((b"a", (b"+Inf",), ()), TypeError, "list"),
        ((b"a", (b"+Inf",), [[]]), TypeError, "a row is a tuple"),
        ((b"a", (b"+Inf",), [((1.0,), b"", b"")]), ValueError, "slots are one for each edge, and the sum"),
        ((b"a", (b"+Inf",), [((1.0, "7"), b"", b"")]), TypeError, "must be real number"),
        ((b"a", (b"+Inf",), [(("7", 1.0), b"", b"")]), TypeError, "must be real number"),
        ((b"a", (b"+Inf",), [((1.0, 1.0), "", b"")]), TypeError, "bytes"),
    ],
)
def test_other_metrics_than_histograms_are_refused(arguments: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        _sidelight_speedups.histograms(*arguments)


@pytest.mark.parametrize("last", [((1.0, 0.3), b"{}", b""), ((1.0, None), b"{}", b"")], ids=["whole", "refused"])
def test_memory_stays_as_it_was(last: Any) -> None:
    edges, rows = (b"+Inf",), [((float(number), 0.1), b'{a="b"}', b"end\n") for number in range(9)] + [last]

    def call() -> None:
        with suppress(TypeError):
            _sidelight_speedups.histograms(b"a_seconds", edges, rows)

    for _ in range(100):
        call()
    gc.collect()
    counts, grown = [sys.getrefcount(one) for one in (edges, rows, rows[0], last)], []
    for _ in range(ROUNDS):
        before = sys.getallocatedblocks()
        for _ in range(MANY):
            call()
        gc.collect()
        grown.append(sys.getallocatedblocks() - before)
    assert min(grown) < FEW_BLOCKS  # what leaks does so in every round; the interpreter's own caches come and go
    assert [sys.getrefcount(one) for one in (edges, rows, rows[0], last)] == counts
