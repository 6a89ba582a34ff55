"""Output that Python itself would print becomes one masked log line, and existing hooks are called as before."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[4]
INSTRUMENT = "instrumentation.instrument(app)\n"
HEAD = "import asyncio, gc, logging, multiprocessing, sys, threading, traceback, warnings\nimport instrumentation\n"
APP = "async def app(scope, receive, send): ...\n"
FAIL = 'def fail():\n    raise ValueError("cannot use password=hunter2")\n'


class Ended(NamedTuple):
    """What a program wrote.

    Attributes:
        lines: Its lines of JSON.
        rest: Everything else, of stdout and stderr.
        status: Its exit status.
    """

    lines: list[dict[str, Any]]
    rest: str
    status: int


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Ended]:
    def run(program: str, *, before: str = "", instrument: str = INSTRUMENT) -> Ended:
        (tmp_path / "program.py").write_text(f"{HEAD}{APP}{FAIL}{before}{instrument}{program}")
        done = subprocess.run(
            [sys.executable, "-W", "default", tmp_path / "program.py"],
            cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT), "OTEL_SERVICE_NAME": "shop"}, capture_output=True, check=False, text=True, timeout=60,
        )  # fmt: skip
        texts = [*done.stdout.splitlines(), *done.stderr.splitlines()]
        lines = [json.loads(text) for text in texts if text.startswith("{")]
        lines = [line for line in lines if not line["event"].startswith("settings: ")]  # which settings are used
        return Ended(lines, "\n".join(text for text in texts if not text.startswith("{")), done.returncode)

    return run


THREAD = 'thread = threading.Thread(target=fail, name="importer")\nthread.start()\nthread.join()\n'
TASK = """
async def main():
    async def failing():
        fail()
    asyncio.create_task(failing())
    await asyncio.sleep(0)
    gc.collect()
asyncio.run(main())
"""
EMBEDDED = "try:\n    fail()\nexcept ValueError as error:\n    sys.excepthook(ValueError, error, error.__traceback__.tb_next)\n"
IGNORED = "class Broken:\n    def __del__(self):\n        fail()\nBroken()\n"
WORKER = 'multiprocessing.set_start_method("fork")\nprocess = multiprocessing.Process(target=work)\nprocess.start()\nprocess.join()\n'
CASES = {
    "the main thread": ("fail()\n", "critical", "the process ends because of an uncaught exception"),
    "a request of a server that embeds Python": (
        EMBEDDED,
        "error",
        "the server reports an exception that the app did not catch",
    ),
    "a thread": (THREAD, "error", "a thread ends because of an uncaught exception"),
    "a task that nobody awaits": (TASK, "error", "Task exception was never retrieved"),
    "an exception nobody can handle": (IGNORED, "error", "an exception was ignored, because it could not be caught"),
}


def test_a_program_that_cannot_be_compiled_ends_the_process(run: Callable[..., Ended]) -> None:
    (line,) = run('compile("(", "shop.py", "exec")\n').lines
    assert line["event"] == "the process ends because of an uncaught exception"
    (line,) = run("runpy.run_path('broken.py')\n", before="import runpy\nopen('broken.py', 'w').write('1/0')\n").lines
    assert line["event"] == "the process ends because of an uncaught exception"


@pytest.mark.parametrize("case", CASES)
def test_an_exception_that_nobody_handles_is_one_line(case: str, run: Callable[..., Ended]) -> None:
    program, level, event = CASES[case]
    ended = run(program)
    (line,) = ended.lines
    assert (line["level"], line["event"].partition("\n")[0]) == (level, event)
    assert line["exception"][-1]["exc_value"] == "cannot use password=***"
    assert line["exception"][-1]["frames"][-1]["name"] == "fail"
    assert "hunter2" not in str(ended)
    assert ended.rest == ""
    assert ended.status == (1 if level == "critical" else 0)


def test_what_ends_a_process_of_multiprocessing_is_one_line(run: Callable[..., Ended]) -> None:
    work = f"def work():\n    {INSTRUMENT}    fail()\n"
    ended = run(WORKER, before=work, instrument="")
    (line,) = ended.lines
    assert (line["level"], line["exception"][-1]["exc_value"]) == ("critical", "cannot use password=***")
    assert ended.rest == "Process Process-1:"


def test_a_traceback_that_a_worker_prints_itself_is_printed(run: Callable[..., Ended]) -> None:
    work = f"def work():\n    {INSTRUMENT}    try:\n        fail()\n    except ValueError:\n        traceback.print_exc()\n"
    ended = run(WORKER, before=work, instrument="")
    assert ended.lines == []
    assert ended.rest.startswith("Traceback (most recent call last)")


def test_a_warning_is_one_line(run: Callable[..., Ended]) -> None:
    ended = run('warnings.warn("use of password=hunter2 is deprecated", DeprecationWarning)\n')
    (line,) = ended.lines
    assert (line["level"], line["logger"]) == ("warning", "py.warnings")
    assert line["event"] == "DeprecationWarning: use of password=*** is deprecated"
    assert line["warned_at"].endswith("program.py:7")
    assert ended.rest == ""


@pytest.mark.parametrize("before", ["logging.captureWarnings(True)\n", ""])
def test_warnings_that_the_service_captures_are_one_line_too(before: str, run: Callable[..., Ended]) -> None:
    after = "" if before else "logging.captureWarnings(True)\n"
    ended = run(f'{after}warnings.warn("careful")\n', before=before)
    (line,) = ended.lines
    assert "UserWarning: careful" in line["event"]
    assert ended.rest == ""


OTHERS = """
def main_hook(*exc_info):
    print("main", exc_info[0].__name__, file=sys.stderr)
    sys.__excepthook__(*exc_info)
    print("end of main", file=sys.stderr)
sys.excepthook = main_hook
def thread_hook(args):
    print("thread", args.exc_type.__name__, file=sys.stderr)
    threading.__excepthook__(args)
threading.excepthook = thread_hook
sys.unraisablehook = lambda args: print("unraisable", args.exc_type.__name__, file=sys.stderr)
warnings.showwarning = lambda message, *more: print("warning", message, file=sys.stderr)
"""


def test_existing_hooks_are_called_and_their_output_is_not_printed_again(
    run: Callable[..., Ended],
) -> None:
    ended = run(f'{THREAD}{IGNORED}warnings.warn("careful")\nfail()\n', before=OTHERS)
    assert [line["level"] for line in ended.lines] == ["error", "error", "warning", "critical"]
    said = ["thread ValueError", "unraisable ValueError", "warning careful", "main ValueError", "end of main"]
    assert ended.rest.splitlines() == said


def test_hooks_that_come_later_may_call_ours(run: Callable[..., Ended]) -> None:
    later = (
        'ours = sys.excepthook\nsys.excepthook = lambda *exc_info: (print("mine", file=sys.stderr), ours(*exc_info))\n'
    )
    ended = run(f"{later}fail()\n")
    assert len(ended.lines) == 1
    assert ended.rest == "mine"


def test_a_service_that_sets_up_logging_has_pythons_hooks_back(run: Callable[..., Ended]) -> None:
    kept = "ours = sys.excepthook\nlogging.basicConfig()\n"
    check = "assert sys.excepthook is sys.__excepthook__ and threading.excepthook is threading.__excepthook__\nsys.excepthook = ours\n"
    ended = run(f"{kept}{check}fail()\n")
    assert ended.lines == []
    assert ended.rest.endswith("ValueError: cannot use password=hunter2")
    assert ended.rest.count("Traceback") == 1


def test_an_interrupt_and_an_exit_are_pythons(run: Callable[..., Ended]) -> None:
    exiting = "thread = threading.Thread(target=sys.exit)\nthread.start()\nthread.join()\n"
    ended = run(f"{exiting}raise KeyboardInterrupt\n")
    assert ended.lines == []
    assert ended.rest.endswith("KeyboardInterrupt")
