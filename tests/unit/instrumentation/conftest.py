"""Whatever sends requests runs over both request paths: the one in Python and the compiled one."""

from __future__ import annotations

import _sidelight_speedups
import pytest

from instrumentation.http import middleware

PATHS = {"python": middleware.measuring, "compiled": _sidelight_speedups.measuring}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if hasattr(metafunc.module, "Observed"):
        metafunc.parametrize("request_path", PATHS, indirect=True)


@pytest.fixture(autouse=True)
def request_path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if hasattr(request, "param"):
        monkeypatch.setattr("instrumentation.http.fastest", lambda: PATHS[request.param])
