"""Writes uncaught exceptions and warnings, which Python prints, as lines."""

from __future__ import annotations

import io
import logging
import multiprocessing
import sys
import threading
import traceback
import warnings
from contextlib import redirect_stderr
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack
    from types import TracebackType

    from instrumentation.logs.handler import Lines

    Hook = Callable[..., Any]

_LOGGER = "instrumentation.uncaught"
_ENDS = "the process ends because of an uncaught exception"
_REPORTED = "the server reports an exception that the app did not catch"
_WARNINGS = "py.warnings"  # as logging.captureWarnings() calls it


def hear(undo: ExitStack, lines: Callable[[], Lines | None]) -> None:
    """Install Python's hooks. A hook that is already installed is still called.

    Exceptions of asyncio tasks that nothing awaits need no hook: asyncio logs them.

    Args:
        undo: Receives callbacks that remove the hooks.
        lines: Returns the handler of this process; None if the service writes its own records.
    """
    _hook(sys, "excepthook", _of_main, undo, lines)
    _hook(threading, "excepthook", _of_thread, undo, lines)
    _hook(sys, "unraisablehook", _of_nobody, undo, lines)
    if warnings.showwarning.__module__ != "logging":  # otherwise captureWarnings() has made them records
        _hook(warnings, "showwarning", _of_warning, undo, lines)
    if multiprocessing.parent_process() is not None:
        _hook(traceback, "print_exc", _of_process, undo, lines)


def _hook(owner: Any, name: str, hook: Hook, undo: ExitStack, lines: Callable[[], Lines | None]) -> None:
    before = getattr(owner, name)

    def hooked(*args: Any, **kwargs: Any) -> None:
        writing = lines()
        if writing is None:  # another hook may still call this one after logging was left to the service
            before(*args, **kwargs)
        else:
            hook(writing, before, *args, **kwargs)

    def set_back() -> None:
        if getattr(owner, name) is hooked:
            setattr(owner, name, before)

    setattr(owner, name, hooked)
    undo.callback(set_back)


def _of_main(lines: Lines, before: Hook, *exc_info: Any) -> None:
    if issubclass(exc_info[0], KeyboardInterrupt):
        before(*exc_info)
        return
    if _is_of_main(exc_info[2]):
        _say(lines, logging.CRITICAL, _ENDS, exc_info)
    else:
        _say(lines, logging.ERROR, _REPORTED, exc_info)
    if before is not sys.__excepthook__:
        _chained(before, exc_info, "".join(traceback.format_exception(*exc_info)))


def _is_of_main(trace: TracebackType | None) -> bool:
    """Whether the exception comes from the main program, so that Python ends.

    A server that embeds Python, such as uWSGI, also calls the hook for an exception in a request, and then continues.
    """
    if trace is None:  # the program could not be compiled
        return True
    outermost = trace.tb_frame
    name = outermost.f_globals.get("__name__")
    return name in {"runpy", "pdb"} or (name == "__main__" and outermost.f_code.co_name == "<module>")


def _of_thread(lines: Lines, before: Hook, args: threading.ExceptHookArgs) -> None:
    exc_info = (args.exc_type, args.exc_value, args.exc_traceback)
    if args.exc_type is SystemExit:
        before(args)
        return
    name = getattr(args.thread, "name", threading.get_ident())
    _say(lines, logging.ERROR, "a thread ends because of an uncaught exception", exc_info, ended=name)
    if before is not threading.__excepthook__:
        text = "".join(traceback.format_exception(args.exc_type, args.exc_value, args.exc_traceback))
        _chained(before, (args,), f"Exception in thread {name}:\n{text}")


def _of_nobody(lines: Lines, before: Hook, args: Any) -> None:
    """An exception that cannot be caught, such as one in ``__del__``."""
    raised_in = getattr(args.object, "__qualname__", type(args.object).__qualname__)
    exc_info = (args.exc_type, args.exc_value, args.exc_traceback)
    event = "an exception was ignored, because it could not be caught"
    _say(lines, logging.ERROR, event, exc_info, raised_in=raised_in)
    if before is not sys.__unraisablehook__:
        before(args)


def _of_warning(  # noqa: PLR0913, PLR0917 - what Python gives
    lines: Lines,
    before: Hook,
    message: object,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: Any = None,
    line: Any = None,
) -> None:
    if file is None and logging.getLogger(_WARNINGS).isEnabledFor(logging.WARNING):
        event = f"{category.__name__}: {message}"
        _say(lines, logging.WARNING, event, None, logger=_WARNINGS, warned_at=f"{filename}:{lineno}")
    if file is not None or before.__module__ != "warnings":
        before(message, category, filename, lineno, file, line)


def _of_process(lines: Lines, before: Hook, *args: Any, **kwargs: Any) -> None:
    """An exception that ends a multiprocessing process, such as a failed import of the app. It is printed without a hook."""
    if sys._getframe(2).f_globals.get("__name__") != "multiprocessing.process":  # noqa: SLF001 - print_exc() of others
        before(*args, **kwargs)
        return
    _say(lines, logging.CRITICAL, _ENDS, sys.exc_info())
    lines.flush()  # a forked process ends without exit handlers


def _say(lines: Lines, level: int, event: str, exc_info: Any, *, logger: str = _LOGGER, **fields: object) -> None:
    # Not through a logger: Sentry would report the exception twice, and it would appear in the service's own log files.
    record = logging.LogRecord(logger, level, "", 0, event, None, exc_info)
    vars(record).update(fields)
    lines.handle(record)


def _chained(hook: Hook, args: tuple[Any, ...], printed: str) -> None:
    """Call another hook, and drop what Python's own hook prints, because that is already a line."""
    written = io.StringIO()
    try:
        with redirect_stderr(written):
            hook(*args)
    finally:
        sys.stderr.write(written.getvalue().replace(printed, ""))
