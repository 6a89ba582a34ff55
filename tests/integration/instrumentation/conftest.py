"""Real queue and database servers on free ports of the loopback interface, stopped after the tests."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from sidelight.toolchain import Toolbox, run_command, tool
from sidelight.toolchain.processes import LOOPBACK, free_port, start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sidelight.toolchain.processes import Process

NOBODY = 65534  # the user and the group without rights


def listens(port: int) -> Callable[[], bool]:
    def listens() -> bool:
        with socket.socket() as client:
            client.settimeout(1)
            return client.connect_ex((LOOPBACK, port)) == 0

    return listens


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Process]:
    port = free_port()
    argv = (tool("redis-server"), "--bind", LOOPBACK, "--port", str(port), "--dir", str(tmp_path), "--save", "")
    with start(argv, log=tmp_path / "redis.log", ready=listens(port), url=f"redis://{LOOPBACK}:{port}") as process:
        yield process


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    port = free_port()
    with unprivileged() as (folder, prefix):
        postgres, initdb = (reachable(tool(name), folder) for name in ("postgres", "initdb"))
        data = folder / "data"
        made = run_command(
            (
                *prefix,
                str(initdb),
                f"--pgdata={data}",
                "--username=shop",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
            ),
            timeout=60,
            cwd=folder,
            environ=os.environ,
        )
        assert made.status == 0, made.output
        # Without jit: its compiler, which is larger than the server, is not unpacked.
        options = ("-h", LOOPBACK, "-p", str(port), "-k", "", "-c", "jit=off", "-c", "fsync=off")
        argv = (*prefix, postgres, "-D", data, *options)
        url = f"postgresql://shop@{LOOPBACK}:{port}/postgres"
        with start(argv, log=folder / "log", ready=partial(takes_connections, url), cwd=folder):
            yield url


def takes_connections(url: str) -> bool:
    """Whether PostgreSQL has started; it listens earlier."""
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


@contextmanager
def unprivileged() -> Iterator[tuple[Path, tuple[str, ...]]]:
    """A folder, and what to put before a command: PostgreSQL refuses to be run by root, as it is in containers."""
    with tempfile.TemporaryDirectory(prefix="sidelight-") as made:
        folder = Path(made)
        if os.getuid():
            yield folder, ()
        else:
            os.chown(folder, NOBODY, NOBODY)
            yield folder, ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")


def reachable(program: Path, folder: Path) -> Path:
    """The program, or a copy of what came with it where only root may look into the cache."""
    cache = Toolbox().cache
    if os.getuid() or cache not in program.parents:
        return program
    release = program.parents[1]
    copy = folder / release.name
    if not copy.exists():
        shutil.copytree(release, copy, symlinks=True)
    return copy / program.relative_to(release)


@pytest.fixture(scope="session")
def amqp_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("rabbitmq")
    port, names, distribution = free_port(), free_port(), free_port()
    (folder / "plugins").write_text("[].")
    env = {
        "ERL_EPMD_ADDRESS": LOOPBACK,
        "ERL_EPMD_PORT": str(names),
        "HOME": str(folder),  # Erlang keeps its cookie there
        "RABBITMQ_BASE": str(folder),
        "RABBITMQ_CONFIG_FILE": str(folder / "none"),
        "RABBITMQ_CONF_ENV_FILE": os.devnull,
        "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_NODENAME": "sidelight@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": LOOPBACK,
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
    }
    # Started by itself, Erlang's name server would stay behind as a daemon.
    with (
        start(
            (tool("rabbitmq-epmd"), "-port", str(names), "-address", LOOPBACK),
            log=folder / "epmd.log",
            ready=listens(names),
            env=env,
        ),
        start((tool("rabbitmq"),), log=folder / "server.log", ready=listens(port), env=env, timeout=120),
    ):
        yield f"amqp://guest:guest@{LOOPBACK}:{port}/"
