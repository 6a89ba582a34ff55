"""The parts that start and stop with the process: each on its own, each failure named."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

import instrumentation
from instrumentation.errors import Fault, SettingsError
from instrumentation.http import features
from instrumentation.http.lifecycle import Lifecycle, Part
from instrumentation.settings import parse_settings
from instrumentation.store.local_store import LocalStore

if TYPE_CHECKING:
    from collections.abc import Callable


SETTINGS = parse_settings({"logging": {"enabled": False}})


def failing(error: Exception) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def port_taken(port: int) -> SettingsError:
    return SettingsError(
        [Fault(source="sidelight.yaml", path="metrics.port", problem=f"got {port}", allowed="give another")]
    )


def test_a_part_that_fails_to_start_is_named_and_the_others_start(caplog: pytest.LogCaptureFixture) -> None:
    lifecycle, started = Lifecycle(), list[str]()
    lifecycle.add(Part("first", lambda: started.append("first")))
    lifecycle.add(Part("tracing", failing(RuntimeError("no exporter"))))
    lifecycle.add(Part("last", lambda: started.append("last")))
    lifecycle.start()
    assert started == ["first", "last"]
    (record,) = caplog.records
    assert record.getMessage() == "sidelight could not start: tracing. The service continues without it"
    assert "no exporter" in caplog.text


def test_a_setting_that_cannot_be_used_is_raised_once_the_others_have_started() -> None:
    lifecycle, started = Lifecycle(), list[str]()
    lifecycle.add(Part("metrics port", failing(port_taken(7))))
    lifecycle.add(Part("health", lambda: started.append("health")))
    with pytest.raises(SettingsError, match=r"metrics\.port: got 7"):
        lifecycle.start()
    assert started == ["health"]


def test_of_several_settings_none_is_lost(caplog: pytest.LogCaptureFixture) -> None:
    lifecycle = Lifecycle()
    lifecycle.add(Part("metrics port", failing(port_taken(7))))
    lifecycle.add(Part("audit trail", failing(port_taken(3))))
    with pytest.raises(SettingsError, match="got 7"):
        lifecycle.start()
    assert "got 3" in caplog.text


def test_a_part_that_fails_to_stop_is_named_and_the_others_stop(caplog: pytest.LogCaptureFixture) -> None:
    lifecycle, stopped = Lifecycle(), list[str]()
    lifecycle.add(Part("audit trail", stop=failing(OSError("disk full"))))
    lifecycle.add(Part("logs", stop=lambda: stopped.append("logs")))
    lifecycle.stop()
    assert stopped == ["logs"]
    assert caplog.records[0].getMessage() == "sidelight could not stop: audit trail"


def test_a_feature_that_fails_keeps_no_request_and_no_other_feature(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    started = list[str]()

    def broken_feature(app: features.Instrumented) -> features.Feature:  # noqa: ARG001
        return features.Feature(begin=failing(RuntimeError("seven")))

    def feature_behind(app: features.Instrumented) -> features.Feature:  # noqa: ARG001
        return features.Feature(begin=lambda: started.append("behind"))

    monkeypatch.setattr("instrumentation.http.FEATURES", (broken_feature, feature_behind))
    app = FastAPI()
    app.get("/")(lambda: 7)
    instrumentation.instrument(app, settings=SETTINGS, store=LocalStore(), registry=CollectorRegistry())

    async def asked() -> int:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop") as client:
            return (await client.get("/")).status_code

    assert asyncio.run(asked()) == 200
    assert started == ["behind"]
    assert "sidelight could not start: broken feature" in caplog.text
    assert "metrics.port" not in caplog.text


def test_a_check_runs_once_in_a_thread_and_what_it_finds_stops_the_start() -> None:
    lifecycle, threads = Lifecycle(), list[str]()

    def check() -> None:
        threads.append(threading.current_thread().name)
        raise port_taken(7)

    lifecycle.add(Part("team signals", check=check))

    async def started() -> None:
        await lifecycle.check()
        with pytest.raises(SettingsError, match="got 7"):
            lifecycle.start()
        await lifecycle.check()
        lifecycle.start()

    asyncio.run(started())
    assert threads == ["sidelight-check"]


def test_without_an_event_loop_a_check_runs_before_the_start() -> None:
    lifecycle = Lifecycle()
    lifecycle.add(Part("team signals", check=failing(port_taken(7))))
    with pytest.raises(SettingsError, match="got 7"):
        lifecycle.start()


def test_without_a_lifespan_a_request_does_not_wait_for_a_check(caplog: pytest.LogCaptureFixture) -> None:
    lifecycle, may_end = Lifecycle(), threading.Event()

    def check() -> None:
        assert may_end.wait(10)
        raise port_taken(7)

    async def request() -> None:
        lifecycle.start()

    lifecycle.add(Part("team signals", check=check))
    asyncio.run(request())
    (checking,) = (each for each in threading.enumerate() if each.name == "sidelight-check")
    may_end.set()
    checking.join(10)
    (record,) = caplog.records
    assert record.getMessage().startswith(
        "sidelight found a fault after the start: sidelight.yaml: metrics.port: got 7"
    )
