"""Every panel shows something on a real Prometheus that scrapes the example shop as the demo plays it; none is left out."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from sidelight import processes
from sidelight.demo import panels, stage
from sidelight.demo.panels import seen
from sidelight.demo.scenario import NEW_VERSION, Phase
from tests.unit.instrumentation.resources.test_cgroup import plant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.demo.stage import Stage

# The shop, which finds itself in a recorded container: limits are nothing a test can rely on.
LIMITED_SHOP = """
import os
from functools import partial
from pathlib import Path
from instrumentation import resources
resources.Container = partial(resources.Container, Path(os.environ["RECORDED_ROOT"]))
from examples.shop.main import app
"""
TROUBLE = Phase(name="", happens="", error_ratio=0.08, version=NEW_VERSION)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The demo's parts, with the shop in a container, while another version of it is rolled out, and fails."""
    folder, container = tmp_path_factory.mktemp("demo"), tmp_path_factory.mktemp("container")
    plant(container, "v2-kubernetes")
    (container / "limited_shop.py").write_text(LIMITED_SHOP)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECORDED_ROOT", str(container))
        patch.setattr(stage, "examples_folder", lambda: container)
        shop = partial(processes.uvicorn, "limited_shop:app")
        patch.setattr(stage.processes, "uvicorn", lambda _, **options: shop(**options))
        epoch = time.time()
        with stage.running(folder, epoch=epoch, clock=lambda: time.time() - epoch, check=lambda: None) as played:
            while not played.watch.shows(
                f"target_info offset {played.settings.alerting.deployment_lookback}", now=True
            ):
                played.check()  # a version that was not there for long replaces nothing
                time.sleep(0.1)
            for _ in played.enact(TROUBLE):
                time.sleep(0.1)
            yield played


def test_every_panel_shows_something(played: Stage) -> None:
    found = seen(played.watch, played.settings)
    assert found.silent == ()
    assert found.shown > 50


def test_a_panel_without_data_is_named(played: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(panels._FILLED, "$job", "another")
    monkeypatch.setattr(panels, "SECONDS", 0.0)
    found = seen(played.watch, played.settings, pause=lambda _: None)
    assert "The panel operations/Request rate shows nothing." in found.faults
    assert "The panel business/Cost per execution shows nothing." in found.faults
