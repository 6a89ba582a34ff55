"""Starts and stops the parts of the demo together: shop, Alertmanager, Prometheus, webhook and load."""

from __future__ import annotations

import secrets
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import httpx

from alerts.links import dashboard_uid
from dashboards.pages.operations import PAGE as OPERATIONS
from sidelight.data_files import examples_folder
from sidelight.demo.errors import DemoError
from sidelight.demo.files import write
from sidelight.demo.followed_request import follow
from sidelight.demo.load import flowing
from sidelight.demo.prometheus_queries import Watch
from sidelight.demo.scenario import OLD_VERSION, SERVICE
from sidelight.demo.spans import receiving
from sidelight.demo.webhook import listening
from sidelight.toolchain import processes, tool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from instrumentation.settings import Settings
    from sidelight.demo.files import Files
    from sidelight.demo.followed_request import Followed
    from sidelight.demo.load import Load
    from sidelight.demo.scenario import Phase
    from sidelight.demo.spans import Spans
    from sidelight.demo.webhook import Webhook
    from sidelight.toolchain.processes import Process

_T = TypeVar("_T")
TIMEOUT = 10.0  # seconds for a response on loopback
# Prometheus discovers Alertmanager only seconds after its first alert fires, and resends alerts only after a minute.
RESEND = "--rules.alert.resend-delay=5s"


@dataclass(frozen=True, kw_only=True)
class Shop:
    """A running version of the shop."""

    version: str
    process: Process
    stop: Callable[[], None]

    @property
    def url(self) -> str:
        """Its URL."""
        return self.process.url

    @property
    def instance(self) -> str:
        """Host and port, as in Prometheus' label ``instance``."""
        return _address(self.process)


class Shops:
    """Starts shops; they end with the given context."""

    def __init__(self, parts: ExitStack, files: Files) -> None:
        self._parts = parts
        self._files = files
        self._audit_key = secrets.token_hex(32)

    def start(self, version: str) -> Shop:
        """Start a version and wait until it answers."""
        own = self._parts.enter_context(ExitStack())
        process = own.enter_context(
            processes.uvicorn(
                f"{SERVICE}.main:app",
                log=self._files.folder / f"{SERVICE}-{version}.log",
                cwd=examples_folder(),
                ready_path="/health",
                env={
                    "SHOP_FAULTS": "1",
                    "SIDELIGHT_AUDIT_KEY": self._audit_key,
                    "SIDELIGHT_CONFIG": str(self._files.sidelight),
                    "OTEL_SERVICE_NAME": SERVICE,
                    "OTEL_RESOURCE_ATTRIBUTES": f"service.version={version}",
                },
            )
        )
        return Shop(version=version, process=process, stop=own.close)


@dataclass(kw_only=True)
class Services:
    """The running parts of the demo.

    Attributes:
        shop: The version that serves the load.
        shops: Starts another version.
        alertmanager: The Alertmanager.
        prometheus: The Prometheus.
        webhook: Receives notifications from Alertmanager.
        spans: Receives the shop's spans.
        load: The load on the shop.
        watch: Queries Prometheus.
        page: Shows the dashboards in a browser.
        files: The files of the parts.
    """

    shop: Shop
    shops: Shops
    alertmanager: Process
    prometheus: Process
    webhook: Webhook
    spans: Spans
    load: Load
    watch: Watch
    page: Process
    files: Files

    @property
    def settings(self) -> Settings:
        """The settings of the demo."""
        return self.files.settings

    @property
    def addresses(self) -> dict[str, str]:
        """Name to address of everything to look at."""
        operations = dashboard_uid(self.settings, OPERATIONS.uid)
        return {
            "dashboards": f"{self.page.url}/d/{operations}?from=now-15m&refresh=5s",
            "shop": f"{self.shop.url}/docs",
            "its metrics": f"{self.shop.url}/metrics",
            "Prometheus": f"{self.prometheus.url}/alerts",
            "Alertmanager": self.alertmanager.url,
            "files and logs": str(self.files.folder),
        }

    def check(self) -> None:
        """Check that everything is still running.

        Raises:
            DemoError: A part stopped; contains the end of its log.
        """
        for name, process in (
            ("The shop", self.shop.process),
            ("Prometheus", self.prometheus),
            ("Alertmanager", self.alertmanager),
            ("The page of dashboards", self.page),
        ):
            if not process.running:
                message = f"{name} stopped during the demo; the end of its log:\n{process.tail()}"
                raise DemoError(message, code="demo_part_ended", details={"argv": process.argv})

    def follow(self) -> Followed:
        """Follow one request to the shop through all outputs.

        Raises:
            DemoError: Something is missing, or a secret was found.
        """
        return follow(self.shop.url, self.shop.process.log, self.spans, self.files.folder)

    def begin(self, phase: Phase) -> Iterator[str]:
        """Start a phase; yields what it is waiting for until it has started.

        Raises:
            DemoError: The shop or Prometheus does not answer.
        """
        if phase.version:
            yield from self._roll_out(phase.version)
        names = ("error_ratio", "latency_seconds", "declined_ratio")
        faults = {name: getattr(phase, name) for name in names if getattr(phase, name)}
        try:
            httpx.put(f"{self.shop.url}/faults", json=faults, timeout=TIMEOUT, trust_env=False).raise_for_status()
        except httpx.HTTPError as error:
            raise DemoError(f"The shop does not accept faults: {error}.", code="demo_shop_silent") from error

    def _roll_out(self, version: str) -> Iterator[str]:
        """Start the new version beside the old one, move the load, and stop the old one once it is no longer scraped."""
        old, new = self.shop, self.shops.start(version)
        self.files.write_targets([old.instance, new.instance])
        while not self.watch.scrapes(new.instance):
            yield f"Prometheus to scrape version {new.version}"
        self.load.url, self.shop = new.url, new
        self.files.write_targets([new.instance])
        while self.watch.scrapes(old.instance) is not None:  # stopped any earlier, it would count as down
            yield f"Prometheus to forget version {old.version}"
        old.stop()


@contextmanager
def running(folder: Path, *, epoch: float, clock: Callable[[], float], check: Callable[[], None]) -> Iterator[Services]:
    """Run all parts until the context ends.

    Args:
        folder: The folder for files and logs.
        epoch: The start of the demo, in Unix seconds.
        clock: Returns the seconds since then.
        check: Called between starting two parts; an exception that it raises stops the parts that run.

    Raises:
        ProcessError: A part does not start.
    """
    with ExitStack() as parts:

        def begin(part: AbstractContextManager[_T]) -> _T:
            check()
            return parts.enter_context(part)

        webhook = begin(listening(clock))
        spans = begin(receiving())
        files = write(folder, webhook.url, spans.url)
        shops = Shops(begin(ExitStack()), files)
        shop = shops.start(OLD_VERSION)
        files.write_targets([shop.instance])
        alertmanager = begin(
            processes.alertmanager(files.alertmanager, folder / "alertmanager", binary=tool("any-alertmanager"))
        )
        files.write_prometheus(_address(alertmanager))
        prometheus = begin(
            processes.prometheus(
                files.prometheus, folder / "prometheus", binary=tool("any-prometheus"), flags=(RESEND,)
            )
        )
        client = begin(httpx.Client(base_url=prometheus.url, timeout=TIMEOUT, trust_env=False))
        yield Services(
            files=files,
            shop=shop,
            shops=shops,
            alertmanager=alertmanager,
            prometheus=prometheus,
            webhook=webhook,
            spans=spans,
            load=begin(flowing(shop.url)),
            page=begin(_viewing(files, prometheus)),
            watch=Watch(client, settings=files.settings, epoch=epoch, clock=clock),
        )


def _viewing(files: Files, prometheus: Process) -> AbstractContextManager[Process]:
    """Run ``sidelight view``."""
    port = processes.free_port()
    url = f"http://{processes.LOOPBACK}:{port}"
    options = ("--config", files.sidelight, "--prometheus", prometheus.url, "--port", str(port))
    argv = (sys.executable, "-m", "sidelight.cli", "view", *options)
    return processes.start(argv, log=files.folder / "view.log", ready=f"{url}/api/dashboards", url=url)


def _address(process: Process) -> str:
    return process.url.removeprefix("http://")
