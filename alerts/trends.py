"""Where a series leads if it goes on as it did: the half of an alert that tells trouble from a level that is high."""

from __future__ import annotations

from instrumentation.settings import Duration


def halves(series: str, window: Duration) -> tuple[str, str]:
    """The recent and the earlier half of a window.

    What holds in both is a trend. A step, such as a cache that was filled or the start of an instance, is in one of
    them only, and an instance that is too young has no earlier half.

    >>> halves("a", Duration("30m"))
    ('a[15m]', 'a[15m] offset 15m')
    """
    half = Duration.of(window.seconds // 2)
    return f"{series}[{half}]", f"{series}[{half}] offset {half}"


def ahead(range_: str, horizon: Duration) -> str:
    """What a range leads to after a time, counted from now, by the straight line through it.

    >>> ahead("a[15m] offset 15m", Duration("1h"))
    'predict_linear(a[15m] offset 15m, 3600)'
    """
    return f"predict_linear({range_}, {horizon.seconds})"


def leads_beyond(series: str, window: Duration, horizon: Duration, limit: str) -> str:
    """Whether both halves of a window lead beyond a limit within a time."""
    recent, earlier = halves(series, window)
    return f"{ahead(recent, horizon)} > {limit}\nand {ahead(earlier, horizon)} > {limit}"
