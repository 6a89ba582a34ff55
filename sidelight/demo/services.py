"""The real parts of the demo, started and ended together: shop, Alertmanager, Prometheus, webhook and load."""

from __future__ import annotations

import secrets
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import httpx

from sidelight.data_files import examples_folder
from sidelight.demo.errors import DemoError
from sidelight.demo.files import write
from sidelight.demo.followed_request import follow
from sidelight.demo.load import flowing
from sidelight.demo.prometheus_queries import Watch
from sidelight.demo.scenario import OLD_VERSION, SERVICE
from sidelight.demo.spans import receiving
from sidelight.demo.webhook import listening
from sidelight.toolchain import processes

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
TIMEOUT = 10.0  # seconds for an answer on loopback
# Prometheus finds Alertmanager only seconds after its first alert fired, and says it again only after a minute.
RESEND = "--rules.alert.resend-delay=5s"


@dataclass(frozen=True, kw_only=True)
class Shop:
    """One running version of the shop."""

    version: str
    process: Process
    stop: Callable[[], None]

    @property
    def url(self) -> str:
        """Where it serves."""
        return self.process.url

    @property
    def instance(self) -> str:
        """Host and port, as Prometheus labels it."""
        return _address(self.process)


class Shops:
    """Starts shops; they end with the context they are given."""

    def __init__(self, parts: ExitStack, files: Files) -> None:
        self._parts = parts
        self._files = files
        self._audit_key = secrets.token_hex(32)

    def start(self, version: str) -> Shop:
        """Start a version and wait until it serves."""
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
class Stage:
    """The parts, while they run.

    Attributes:
        shop: The version that serves the customers.
        shops: Starts another one.
        alertmanager: The Alertmanager.
        prometheus: The Prometheus.
        webhook: Hears what Alertmanager delivers.
        spans: Hears what the shop sends of its traces.
        load: The customers.
        watch: Reads from Prometheus.
        files: What the parts read.
    """

    shop: Shop
    shops: Shops
    alertmanager: Process
    prometheus: Process
    webhook: Webhook
    spans: Spans
    load: Load
    watch: Watch
    files: Files

    @property
    def settings(self) -> Settings:
        """The settings at demo speed."""
        return self.files.settings

    @property
    def addresses(self) -> dict[str, str]:
        """Where to look, by name."""
        return {
            "shop": f"{self.shop.url}/docs",
            "its metrics": f"{self.shop.url}/metrics",
            "Prometheus": f"{self.prometheus.url}/alerts",
            "Alertmanager": self.alertmanager.url,
            "files and logs": str(self.files.folder),
        }

    def check(self) -> None:
        """Make sure that everything still runs.

        Raises:
            DemoError: Something ended; with the tail of its log.
        """
        for name, process in (
            ("The shop", self.shop.process),
            ("Prometheus", self.prometheus),
            ("Alertmanager", self.alertmanager),
        ):
            if not process.running:
                message = f"{name} ended in the middle of the demo; the end of its log:\n{process.tail()}"
                raise DemoError(message, code="demo_part_ended", details={"argv": process.argv})

    def follow(self) -> Followed:
        """Follow one request of the shop through everything that it leaves.

        Raises:
            DemoError: Something of it is missing, or a secret is not.
        """
        return follow(self.shop.url, self.shop.process.log, self.spans, self.files.folder)

    def enact(self, phase: Phase) -> Iterator[str]:
        """Make a phase happen; gives, as long as that takes, what it waits for.

        Raises:
            DemoError: The shop or Prometheus does not answer.
        """
        if phase.version:
            yield from self._roll_out(phase.version)
        faults = {"error_ratio": phase.error_ratio, "latency_seconds": phase.latency_seconds}
        try:
            httpx.put(f"{self.shop.url}/faults", json=faults, timeout=TIMEOUT, trust_env=False).raise_for_status()
        except httpx.HTTPError as error:
            raise DemoError(f"The shop takes no faults: {error}.", code="demo_shop_silent") from error

    def _roll_out(self, version: str) -> Iterator[str]:
        """Start the new version beside the old one, shift the customers, and end the old one once nobody reads it."""
        old, new = self.shop, self.shops.start(version)
        self.files.write_targets([old.instance, new.instance])
        while not self.watch.scrapes(new.instance):
            yield f"Prometheus to scrape version {new.version}"
        self.load.url, self.shop = new.url, new
        self.files.write_targets([new.instance])
        while self.watch.scrapes(old.instance) is not None:  # ended any earlier, it would be down
            yield f"Prometheus to forget version {old.version}"
        old.stop()


@contextmanager
def running(folder: Path, *, epoch: float, clock: Callable[[], float], check: Callable[[], None]) -> Iterator[Stage]:
    """Run all parts until the context ends.

    Args:
        folder: Where files and logs go.
        epoch: When the demo began, in Unix seconds.
        clock: Gives the seconds since then.
        check: Called between two parts; what it raises ends those that run.

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
        alertmanager = begin(processes.alertmanager(files.alertmanager, folder / "alertmanager"))
        files.write_prometheus(_address(alertmanager))
        prometheus = begin(processes.prometheus(files.prometheus, folder / "prometheus", flags=(RESEND,)))
        client = begin(httpx.Client(base_url=prometheus.url, timeout=TIMEOUT, trust_env=False))
        yield Stage(
            files=files,
            shop=shop,
            shops=shops,
            alertmanager=alertmanager,
            prometheus=prometheus,
            webhook=webhook,
            spans=spans,
            load=begin(flowing(shop.url)),
            watch=Watch(client, settings=files.settings, epoch=epoch, clock=clock),
        )


def _address(process: Process) -> str:
    return process.url.removeprefix("http://")
