"""Expressions that extrapolate a series. With them an alert fires on a rising value, not on one that is merely high."""

from __future__ import annotations

from instrumentation.settings import Duration


def halves(series: str, window: Duration) -> tuple[str, str]:
    """The recent and the earlier half of a window.

    A condition that holds in both halves is a trend. A step, such as a filled cache or the start of an instance, is in
    one half only, and an instance that has just started has no earlier half.

    >>> halves("a", Duration("30m"))
    ('a[15m]', 'a[15m] offset 15m')
    """
    half = Duration.of(window.seconds // 2)
    return f"{series}[{half}]", f"{series}[{half}] offset {half}"


def ahead(range_: str, horizon: Duration) -> str:
    """The value that a range is expected to have some time from now, by linear regression.

    >>> ahead("a[15m] offset 15m", Duration("1h"))
    'predict_linear(a[15m] offset 15m, 3600)'
    """
    return f"predict_linear({range_}, {horizon.seconds})"


def leads_beyond(series: str, window: Duration, horizon: Duration, limit: str) -> str:
    """Whether both halves of a window are on course to exceed a limit within some time."""
    recent, earlier = halves(series, window)
    return f"{ahead(recent, horizon)} > {limit}\nand {ahead(earlier, horizon)} > {limit}"
