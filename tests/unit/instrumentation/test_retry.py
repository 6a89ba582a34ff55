"""Only temporary failures are retried, as often and as long as configured."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from email.message import Message
from email.utils import format_datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError

import httpx
import pytest
import requests
import stamina

from instrumentation.errors import InstrumentationError, NotFoundError, RateLimitedError
from instrumentation.retry import retry_with_backoff
from instrumentation.store import LocalStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def store() -> LocalStore:
    return LocalStore()


@pytest.fixture(autouse=True)
def _silent() -> Iterator[None]:
    stamina.instrumentation.set_on_retry_hooks(())
    yield
    stamina.instrumentation.set_on_retry_hooks(None)


def retries(store: LocalStore) -> dict[tuple[str, ...], float]:
    return {row.labels: row.slots[0] for row in store.series() if row.metric.name == "retries_total"}


def answered(status: int, **headers: str) -> httpx.HTTPStatusError:
    request = httpx.Request("GET", "https://shop.example")
    response = httpx.Response(status, headers=headers, request=request)
    return httpx.HTTPStatusError("", request=request, response=response)


def of_requests(status: int, **headers: str) -> requests.HTTPError:
    response = requests.Response()
    response.status_code = status
    response.headers.update(headers)
    return requests.HTTPError("", response=response)


def of_urllib(status: int, **headers: str) -> HTTPError:
    message = Message()
    for name, value in headers.items():
        message[name] = value
    return HTTPError("https://shop.example", status, "", message, None)


def in_seconds(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


class Failing:
    """Fails with each error in turn, then returns 7."""

    def __init__(self, *errors: Exception) -> None:
        self.calls = 0
        self._errors = list(errors)

    def __call__(self) -> int:
        self.calls += 1
        if self._errors:
            raise self._errors.pop(0)
        return 7


def with_retries(failing: Failing, store: LocalStore, **settings: Any) -> Callable[[], int]:
    settings = {"initial_delay": 0.001, "store": store, **settings}

    @retry_with_backoff(**settings)
    def call() -> int:
        return failing()

    return call


def test_a_passing_failure_is_retried_and_counted(store: LocalStore) -> None:
    failing = Failing(ConnectionError(), TimeoutError())
    call = with_retries(failing, store)
    assert call() == 7
    assert failing.calls == 3
    [((name,), count)] = retries(store).items()
    assert (name.endswith("with_retries.<locals>.call"), count) == (True, 2.0)


def test_the_last_failure_is_raised_unchanged(store: LocalStore) -> None:
    last = ConnectionError("third")
    failing = Failing(ConnectionError(), ConnectionError(), last)
    with pytest.raises(ConnectionError) as raised:
        with_retries(failing, store)()
    assert raised.value is last
    assert (failing.calls, sum(retries(store).values())) == (3, 2)


@pytest.mark.parametrize(
    "error", [ValueError(), NotFoundError("no"), answered(404), answered(401), of_requests(404), of_urllib(410)]
)
def test_permanent_failures_are_not_retried(store: LocalStore, error: Exception) -> None:
    exceptions: tuple[type[Exception], ...] = (ConnectionError,) if isinstance(error, ValueError) else (Exception,)
    failing = Failing(error)
    with pytest.raises(type(error)) as raised:
        with_retries(failing, store, exceptions=exceptions)()
    assert raised.value is error
    assert (failing.calls, retries(store)) == (1, {})


@pytest.mark.parametrize(
    "error", [answered(503), answered(429), answered(408), of_requests(503), of_urllib(429), RateLimitedError("slow")]
)
def test_temporary_failures_are_retried(store: LocalStore, error: Exception) -> None:
    assert with_retries(Failing(error), store, exceptions=Exception)() == 7


@pytest.mark.parametrize("error", [answered(429, **{"retry-after": "3"}), RateLimitedError("slow", retry_after=3)])
def test_the_next_attempt_waits_as_long_as_the_answer_says(store: LocalStore, error: Exception) -> None:
    waited: list[float] = []

    def hook(details: stamina.instrumentation.RetryDetails) -> None:
        waited.append(details.wait_for)
        raise _SeenError

    stamina.instrumentation.set_on_retry_hooks([hook])
    with pytest.raises(_SeenError):  # nobody waits for three seconds in a test
        with_retries(Failing(error), store, exceptions=Exception)()
    with pytest.raises(type(error)):
        with_retries(Failing(error), store, exceptions=Exception, time_budget=2.9)()  # for so long nobody waits
    assert waited == [3]


@pytest.mark.parametrize("make", [answered, of_requests, of_urllib])
def test_a_date_is_waited_for_too(store: LocalStore, make: Callable[..., Exception]) -> None:
    waited: list[float] = []

    def hook(details: stamina.instrumentation.RetryDetails) -> None:
        waited.append(details.wait_for)
        raise _SeenError

    stamina.instrumentation.set_on_retry_hooks([hook])
    for seconds, budget in ((20.0, 30.0), (3600.0, 7200.0)):
        error = make(503, **{"retry-after": in_seconds(seconds)})
        with pytest.raises(_SeenError):
            with_retries(Failing(error), store, exceptions=Exception, time_budget=budget)()
        assert seconds - 3 < waited.pop() <= seconds
    error = make(503, **{"retry-after": in_seconds(3600)})
    with pytest.raises(type(error)):
        with_retries(Failing(error), store, exceptions=Exception)()
    assert waited == []


@pytest.mark.parametrize("said", ["Thu, 01 Jan 1970 00:00:07 GMT", "soon", "", "-3", "3.5", "\u0663", "31 Nov 2026"])
def test_what_is_past_or_not_understood_waits_as_usual(store: LocalStore, said: str) -> None:
    headers = httpx.Headers([(b"retry-after", said.encode())])
    error = answered(503)
    error.response.headers = headers
    assert with_retries(Failing(error), store, exceptions=Exception)() == 7


def test_what_is_waited_for_counts_in_the_time_budget(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([100.0, 115.0, 131.0])  # the call begins, its first and its second failure
    monkeypatch.setattr("instrumentation.retry.time", SimpleNamespace(monotonic=lambda: next(now), time=time.time))
    stamina.set_testing(True, attempts=9)  # nobody waits
    try:
        failing = Failing(*(answered(503, **{"retry-after": "14"}) for _ in range(9)))
        with pytest.raises(httpx.HTTPStatusError):
            with_retries(failing, store, exceptions=Exception, time_budget=30.0)()
    finally:
        stamina.set_testing(False)
    assert failing.calls == 2


def test_the_log_line_of_a_retry_names_the_function_and_shows_no_argument(store: LocalStore) -> None:
    seen: list[stamina.instrumentation.RetryDetails] = []

    def hook(details: stamina.instrumentation.RetryDetails) -> None:
        seen.append(details)

    stamina.instrumentation.set_on_retry_hooks([hook])
    failing = Failing(ConnectionError(), ConnectionError())

    @retry_with_backoff(initial_delay=0.001, store=store)
    async def charge(password: str) -> int:
        assert password == "hunter2"  # noqa: S105 - an example
        return failing()

    assert asyncio.run(charge("hunter2")) == 7
    assert [details.name.rpartition(".")[2] for details in seen] == ["charge", "charge"]
    assert "hunter2" not in repr(seen)


class _SeenError(BaseException):
    pass


def test_no_attempt_begins_after_the_time_budget(store: LocalStore) -> None:
    failing = Failing(*(ConnectionError() for _ in range(1000)))
    with pytest.raises(ConnectionError):
        with_retries(failing, store, max_attempts=1000, time_budget=0.05, max_delay=0.02)()
    assert 1 < failing.calls < 100


def test_a_coroutine_function_is_tried_again_and_cancelled_at_once(store: LocalStore) -> None:
    failing = Failing(ConnectionError())

    @retry_with_backoff(initial_delay=0.001, store=store)
    async def call() -> int:
        return failing()

    assert asyncio.run(call()) == 7

    @retry_with_backoff(initial_delay=60, store=store, exceptions=Exception)
    async def slow() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(slow())
    assert sum(retries(store).values()) == 1


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"max_attempts": 0}, "max_attempts got 0; give a whole number of at least 1"),
        ({"initial_delay": -1}, "initial_delay got -1; give seconds as a number above 0"),
        ({"time_budget": "1s"}, "time_budget got '1s'; give seconds as a number above 0"),
        ({"exceptions": (KeyboardInterrupt,)}, "give exception classes, such as (ConnectionError, TimeoutError)"),
        ({"exceptions": ()}, "exceptions got (); give exception classes"),
    ],
)
def test_a_wrong_policy_is_refused_where_it_is_written(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InstrumentationError) as error:
        retry_with_backoff(**settings)
    assert sentence in str(error.value)


def test_half_of_a_generator_cannot_be_tried_again() -> None:
    with pytest.raises(InstrumentationError, match="half of a generator cannot be taken back"):

        @retry_with_backoff()
        def rows() -> Iterator[int]:
            yield 3
