"""Only temporary failures are retried, as often and as long as configured."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest
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


@pytest.mark.parametrize("error", [ValueError(), NotFoundError("no"), answered(404), answered(401)])
def test_permanent_failures_are_not_retried(store: LocalStore, error: Exception) -> None:
    exceptions: tuple[type[Exception], ...] = (ConnectionError,) if isinstance(error, ValueError) else (Exception,)
    failing = Failing(error)
    with pytest.raises(type(error)) as raised:
        with_retries(failing, store, exceptions=exceptions)()
    assert raised.value is error
    assert (failing.calls, retries(store)) == (1, {})


@pytest.mark.parametrize("error", [answered(503), answered(429), answered(408), RateLimitedError("slow")])
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
