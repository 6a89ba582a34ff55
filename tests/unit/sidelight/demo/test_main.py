"""The demo reports missing requirements at once, cleans up, and continues to run only on request."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from sidelight.demo import DemoError, main
from sidelight.demo.interrupts import Interrupted, Interrupts

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def complete(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """A machine with everything installed; returns the tools that were requested."""
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(main, "ensure", asked.append)
    return asked


def test_only_the_tools_of_the_demo_are_brought(complete: list[tuple[str, ...]]) -> None:
    main.prepare()
    assert complete == [("any-prometheus", "any-alertmanager")]


@pytest.mark.parametrize("package", ["fastapi", "uvicorn", "websockets"])
def test_a_missing_package_is_named_before_anything_is_brought(
    complete: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setattr(main, "find_spec", lambda name: None if name == package else object())
    with pytest.raises(DemoError) as caught:
        main.prepare()
    assert caught.value.message == (
        f"The demo's shop needs {package}, which is not installed; run pip install 'sidelight-stack[demo]'."
    )
    assert complete == []


def test_a_missing_shop_is_named(
    complete: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(main, "examples_folder", lambda: tmp_path)
    with pytest.raises(DemoError, match="shop is missing; install sidelight-stack again"):
        main.prepare()
    assert complete == []


@pytest.mark.parametrize("keep", [True, False])
def test_the_files_stay_only_on_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, keep: bool) -> None:
    monkeypatch.setattr(main.tempfile, "tempdir", str(tmp_path))
    with main._folder(keep=keep) as folder:
        (folder / "shop.log").write_text("7")
    assert folder.exists() is keep


class Services:
    """Runs for some checks, then breaks."""

    addresses = {"Prometheus": "http://127.0.0.1:7/alerts"}  # noqa: RUF012

    def __init__(self, checks: int) -> None:
        self.checks = checks

    def check(self) -> None:
        self.checks -= 1
        if self.checks < 0:
            raise DemoError("Prometheus ended.", code="demo_part_ended")


def stay(checks: int, signal_after: int) -> str:
    services: Any = Services(checks)
    output = io.StringIO()
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == signal_after:
            interrupts.note(2)

    interrupts = Interrupts(sleep)
    main._stay(Console(file=output), services, interrupts)
    return output.getvalue()


def test_a_kept_demo_runs_until_a_signal_and_prints_its_addresses() -> None:
    printed = stay(checks=13, signal_after=7)
    assert "until you press Ctrl-C" in printed
    assert "http://127.0.0.1:7/alerts" in printed


def test_a_kept_demo_reports_when_a_part_ends() -> None:
    with pytest.raises(DemoError, match="Prometheus ended"):
        stay(checks=3, signal_after=7)


def test_a_signal_becomes_the_exit_status_and_a_sentence(
    complete: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> int:
        raise Interrupted(15)

    monkeypatch.setattr(main, "_run", interrupted)
    assert main.run(keep=False) == 143
    assert capsys.readouterr().out == "SIGTERM: stopped early; nothing is left running.\n"
    assert complete
