"""Runs tests that send requests or read a page twice: with pure Python and with the compiled code."""

from __future__ import annotations

import _sidelight_speedups
import pytest

KINDS = {"python": None, "compiled": _sidelight_speedups}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if hasattr(metafunc.module, "Observed") or hasattr(metafunc.module, "Exposition"):
        metafunc.parametrize("compiled_or_not", KINDS, indirect=True)


@pytest.fixture(autouse=True)
def compiled_or_not(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if hasattr(request, "param"):
        monkeypatch.setattr("instrumentation.speedups.module", lambda: KINDS[request.param])
