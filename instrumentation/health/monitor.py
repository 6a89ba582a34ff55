"""Health checks: whether this instance can do its work, asked by probes side by side, and shown as ``health_check_up``."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from instrumentation.catalog import HEALTH_CHECK_UP
from instrumentation.errors import InstrumentationError, reason
from instrumentation.health.probing import Outcome, Probe, Probing
from instrumentation.names import checked_name
from instrumentation.settings import Health
from instrumentation.store import default_store
from instrumentation.store.process_store import ProcessStore

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Hashable, Iterable

    from instrumentation.store import Series, Store

_log = logging.getLogger("instrumentation")
_AGAIN_SECONDS = 10.0
MOST_CHECKS = 50
"""More checks cannot finish within the time of a probe."""


class Check(NamedTuple):
    """One thing that an instance needs.

    Attributes:
        name: A word for it, such as ``database``.
        probe: Asks; it takes nothing, and says False or raises where the thing is not well.
        seconds: How long it may take; None for ``health.check_timeout_seconds``.
        is_required: Whether an instance without it gets no requests.
    """

    name: str
    probe: Probe
    seconds: float | None
    is_required: bool


class Result(NamedTuple):
    """What a check found.

    Attributes:
        check: The check.
        problem: ``failed``, or how long it took; empty where all is well.
        seconds: How long it took.
        at: When it ended, by the monotonic clock.
    """

    check: Check
    problem: str
    seconds: float
    at: float


def health_check(
    name: str, check: Probe, *, seconds: float | None = None, required: bool = True, store: ProcessStore | None = None
) -> None:
    """Run a check for each readiness probe. A check with the same name replaces the previous one.

    An async function is awaited on the app's event loop. Other functions, and async functions that await nothing, run in a
    thread of their own. A check that hangs is not run again until it has ended.

    Args:
        name: The name of the checked dependency, such as ``database``. It becomes a label, so use few names.
        check: A function without parameters. It fails if it raises, also ``SystemExit``, returns False or takes too long.
        seconds: The time limit; ``health.check_timeout_seconds`` by default.
        required: If False, the check is reported, but the instance stays ready if it fails.
        store: Where the result is reported; the process's own store by default.

    Raises:
        InstrumentationError: ``health_check_name_invalid``, ``health_check_invalid``, ``health_checks_too_many``.
    """
    checked_name("health_check", name)
    if not callable(check):
        raise InstrumentationError(
            f"health_check {name!r}: got {check!r:.60}; give a function that takes nothing.",
            code="health_check_invalid",
        )
    if seconds is not None and (isinstance(seconds, bool) or not 0 < seconds < math.inf):
        raise InstrumentationError(
            f"health_check {name!r}: seconds got {seconds!r:.60}; give seconds as a number above 0.",
            code="health_check_invalid",
        )
    checks_of(store or default_store()).add(Check(name, check, seconds, required))


class HealthChecks:
    """Runs the checks of a process, each at most once at the same time, and caches the results for a moment.

    Args:
        clock: Returns seconds, like the monotonic clock.
        show: Called with the name of a check and whether it passes, after each run.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, show: Callable[[str, bool], None] = lambda *_: None
    ) -> None:
        self._clock = clock
        self._show = show
        self._settings = Health()
        self._checks: dict[str, Check] = {}
        self._last: dict[str, Result] = {}
        self._loop: AbstractEventLoop | None = None
        self._asking: dict[str, asyncio.Future[Result]] = {}
        self._probings: dict[str, Probing] = {}
        self._work: dict[str, asyncio.Future[Outcome]] = {}

    def settle(self, settings: Health) -> None:
        """Configure the time limit of checks, and for how long results are cached."""
        self._settings = settings

    def add(self, check: Check) -> None:
        """Add a check, or replace the one with the same name.

        Raises:
            InstrumentationError: ``health_checks_too_many``.
        """
        if check.name not in self._checks and len(self._checks) >= MOST_CHECKS:
            raise InstrumentationError(
                f"health_check {check.name!r}: there are {MOST_CHECKS} already; give one a thing that the service needs.",
                code="health_checks_too_many",
            )
        self._checks[check.name] = check
        self._probings[check.name] = Probing(check.name, check.probe)
        self._last.pop(check.name, None)

    def begin(self, loop: AbstractEventLoop) -> None:
        """Run checks on this event loop; those that still run on another loop are dropped."""
        if loop is not self._loop:
            self._loop = loop
            self._asking, self._work = {}, {}

    def reset(self) -> None:
        """Drop the loop and the results of the parent, in a forked child."""
        self._loop = None
        self._asking, self._work, self._last = {}, {}, {}

    async def results(self) -> list[Result]:
        """The results of all checks, which run concurrently. They are at most ``health.cache_seconds`` old."""
        self.begin(asyncio.get_running_loop())
        return await asyncio.gather(*map(self._result, tuple(self._checks.values())))

    def collect(self) -> Iterable[Series]:
        """No series, because results are reported as they arrive. A scrape does not wait for checks, but starts those with old results."""
        found = [result for name in tuple(self._checks) if (result := self._last.get(name))]
        if len(found) < len(self._checks) or any(map(self._is_old, found)):
            self._ask_later()
        return ()

    def _ask_later(self) -> None:
        loop = self._loop
        if loop is not None and loop.is_running():
            asyncio.run_coroutine_threadsafe(self.results(), loop)

    def _is_old(self, result: Result) -> bool:
        return self._clock() - result.at >= self._settings.cache_seconds

    async def _result(self, check: Check) -> Result:
        last = self._last.get(check.name)
        if last is not None and last.check is check and not self._is_old(last):
            return last
        asking = self._asking.get(check.name)
        if asking is None or asking.done():
            asking = self._asking[check.name] = asyncio.ensure_future(self._asked(check))
        return await asyncio.shield(asking)  # a probe that gives up does not cancel the check for other probes

    async def _asked(self, check: Check) -> Result:
        began = self._clock()
        limit = self._settings.check_timeout_seconds if check.seconds is None else check.seconds
        probing = self._probings[check.name]
        work = self._work.get(check.name)
        if work is None or work.done():
            work = self._work[check.name] = asyncio.ensure_future(probing.outcome())
        await asyncio.wait({work}, timeout=limit)
        problem, reason = _judged(work, limit)
        if probing.is_on_loop:  # a thread cannot be cancelled, and no second one starts until it has ended
            work.cancel()
        now = self._clock()
        result = Result(check, problem, now - began, now)
        self._note(result, reason)
        return result

    def _note(self, result: Result, reason: str) -> None:
        """Cache a result, and log it if it differs from the previous one."""
        name = result.check.name
        if self._checks.get(name) is not result.check:  # the check has been replaced in the meantime
            return
        before, self._last[name] = self._last.get(name), result
        self._show(name, not result.problem)
        if result.problem and self._loop is not None:
            # Scrapes may reach only other workers, and a failure that is over must not stay on their page.
            self._loop.call_later(max(self._settings.cache_seconds, _AGAIN_SECONDS), self._ask_later)
        if result.problem and not (before and before.problem):
            _log.warning("health check %s: %s", name, reason)
        elif before and before.problem and not result.problem:
            _log.info("health check %s passes again", name)


def _judged(work: asyncio.Future[Outcome], limit: float) -> tuple[str, str]:
    """The problem as probes show it, and the problem with its reason for the log, which masks secrets."""
    if not work.done():
        slow = f"took longer than {limit:g} s"
        return slow, slow
    if work.cancelled():
        return "failed", "it was cancelled"
    value, error = work.result()
    if error is not None:
        return "failed", reason(error)
    return ("failed", "it says False") if value is False else ("", "")


def checks_of(store: Store) -> HealthChecks:
    """The checks of a store, created on first use."""
    return _checks_of(cast("Hashable", store))


@cache
def _checks_of(store: Any) -> HealthChecks:
    def show(name: str, passes: bool) -> None:  # noqa: FBT001 - as HealthChecks calls it
        with store.lock:
            store.buffer[store.place(HEALTH_CHECK_UP, (name,))] = float(passes)

    checks = HealthChecks(show=show)
    if isinstance(store, ProcessStore):
        store.attach(checks)
        store.follow(checks)
    return checks
