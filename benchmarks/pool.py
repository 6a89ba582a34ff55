"""One process per variant, which waits for measurements to run."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import traceback
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, TypeVar

from tests.support.errors import MeasurementError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator
    from multiprocessing.connection import Connection
    from typing import Concatenate

    from benchmarks.asgi import App
    from benchmarks.cases import Case
    from benchmarks.variants import Installed, Variant

ANSWER_SECONDS = 120.0  # the time limit for one measurement, on a slow and loaded machine
_SPAWN = multiprocessing.get_context("spawn")  # a forked process would contain everything that its parent loaded

_Asked = ParamSpec("_Asked")
_Answer = TypeVar("_Answer")


class Subject(NamedTuple):
    """The prepared services of a process.

    Attributes:
        variant: The instrumentation.
        case: The service.
        installed: The instrumented service.
        bare: The service without instrumentation, for comparison.
    """

    variant: Variant
    case: Case
    installed: Installed
    bare: App


class Worker:
    """The process of one variant.

    Args:
        variant: The variant to measure.
        case: The service to measure it with.
    """

    def __init__(self, variant: Variant, case: Case) -> None:
        self.variant = variant
        self._ours, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_serve, args=(theirs, variant, case), daemon=True)
        self._process.start()
        theirs.close()

    def ask(
        self,
        question: Callable[Concatenate[Subject, _Asked], Awaitable[_Answer]],
        *arguments: _Asked.args,
        **named: _Asked.kwargs,
    ) -> _Answer:
        """Run a function of a module in the process, on its prepared services.

        Raises:
            MeasurementError: The function raised, the process ended, or the result took too long.
        """
        self._ours.send((question, arguments, named))
        answer, fault = self._reply()
        if fault:
            raise MeasurementError(f"{self.variant.title}: {fault}", code="variant_failed")
        given: _Answer = answer
        return given

    def _reply(self) -> tuple[Any, str | None]:
        try:
            if self._ours.poll(ANSWER_SECONDS):
                answer, fault = self._ours.recv()
                return answer, fault
        except EOFError:
            return None, "the process ended"
        return None, f"no result within {ANSWER_SECONDS:g} s"

    def stop(self) -> None:
        """End the process."""
        self._ours.close()  # it reads the end of the pipe and returns
        self._process.join(5)
        self._process.kill()
        self._process.join()


@contextmanager
def workers(variants: Iterable[Variant], case: Case) -> Iterator[tuple[Worker, ...]]:
    """One process per variant, all running until the context ends."""
    with ExitStack() as stack:
        started = []
        for variant in variants:
            started.append(Worker(variant, case))
            stack.callback(started[-1].stop)
        yield tuple(started)


def _serve(connection: Connection, variant: Variant, case: Case) -> None:
    subject: list[Subject] = []  # created with the first measurement, so that an error in it is reported as a result

    async def answer(question: Any, arguments: Any, named: Any) -> Any:
        if not subject:
            subject.append(Subject(variant, case, variant.install(case.build), case.build()))
        return await question(subject[0], *arguments, **named)

    os.sched_setaffinity(
        0, {max(os.sched_getaffinity(0))}
    )  # all on one core, because two cores are rarely equally fast
    with asyncio.Runner() as runner:
        while True:
            try:
                asked = connection.recv()
            except EOFError:
                return
            try:
                connection.send((runner.run(answer(*asked)), None))
            except Exception:  # noqa: BLE001 - any error is reported to the caller
                connection.send((None, traceback.format_exc()))
