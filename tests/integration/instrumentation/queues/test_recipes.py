"""The recipes of docs/how-to/watch-queues.md, verbatim, with the real servers."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import aio_pika
import httpx
import psycopg
import redis as redis_client

from sidelight.toolchain import processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sidelight.toolchain.processes import Process

ROOT = Path(__file__).parents[4]
PAGE = ROOT / "docs" / "how-to" / "watch-queues.md"
SECONDS = 30.0
METRICS = ("queue_depth", "queue_oldest_age_seconds", "queue_read_failures_total")

SERVICE = """
from contextlib import asynccontextmanager

from fastapi import FastAPI

import instrumentation
from instrumentation import resources
from instrumentation.store import default_store


@asynccontextmanager
async def lifespan(app):
    resources.attach(default_store(), instrumentation.load_settings())
    resources.begin(default_store())
    yield


app = FastAPI(lifespan=lifespan)
instrumentation.instrument(app)
"""


def recipe(heading: str) -> str:
    """The Python block below a heading of the page."""
    found = re.search(rf"^## {heading}$.*?^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert found, heading
    return found[1]


@contextmanager
def serving(code: str, folder: Path, workers: int = 1, limit: float = 5.0, **env: str) -> Iterator[str]:
    (folder / "service.py").write_text(code + SERVICE)
    (folder / "sidelight.yaml").write_text(f"metrics: {{read_timeout_seconds: {limit}}}\n")
    env |= {"PYTHONPATH": f"{ROOT}:{folder}"}
    with processes.uvicorn("service:app", log=folder / "log", env=env, cwd=folder, workers=workers) as running:
        yield running.url


def read(url: str) -> dict[str, float]:
    """What the page says of the one queue, by metric."""
    page = httpx.get(f"{url}/metrics", timeout=SECONDS, trust_env=False).text
    lines = [line for line in page.splitlines() if line.startswith(METRICS)]
    assert len({re.split("[{ ]", line)[0] for line in lines}) == len(lines), lines
    return {line.partition("{")[0]: float(line.rpartition(" ")[2]) for line in lines}


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_redis_list(redis: Process, tmp_path: Path) -> None:
    with (
        redis_client.from_url(redis.url) as client,
        serving(recipe("Redis list"), tmp_path, workers=2, REDIS_URL=redis.url) as url,
    ):
        assert read(url) == {"queue_depth": 0, "queue_oldest_age_seconds": 0, "queue_read_failures_total": 0}
        for age in (700, 300, 30):
            client.lpush("emails", json.dumps({"queued_at": time.time() - age}))
        found = [read(url) for _ in range(8)]  # whichever worker answers
        assert {page["queue_depth"] for page in found} == {3}
        assert all(700 <= page["queue_oldest_age_seconds"] < 700 + SECONDS for page in found)
        client.brpop(["emails"])
        assert 300 <= read(url)["queue_oldest_age_seconds"] < 300 + SECONDS
        client.delete("emails")
        assert read(url) == {"queue_depth": 0, "queue_oldest_age_seconds": 0, "queue_read_failures_total": 0}


def test_a_hanging_redis_loses_only_its_own_samples_and_recovers(redis: Process, tmp_path: Path) -> None:
    with serving(recipe("Redis list"), tmp_path, limit=1.0, REDIS_URL=redis.url) as url:
        until(lambda: "queue_depth" in read(url))
        redis.send(signal.SIGSTOP)
        began = time.monotonic()
        assert read(url).keys() == {"queue_read_failures_total"}
        assert 1.0 <= time.monotonic() - began < SECONDS / 3
        assert httpx.get(f"{url}/docs", timeout=SECONDS, trust_env=False).status_code == 200
        redis.send(signal.SIGCONT)
        until(lambda: "queue_depth" in read(url))
    for what in ("depth", "oldest_age"):
        assert f"{what} of queue 'emails' cannot be read: took longer than 1 s" in log(tmp_path)


def log(folder: Path) -> str:
    return (folder / "log").read_text()


def test_a_missing_redis_loses_only_its_own_samples(redis: Process, tmp_path: Path) -> None:
    with serving(recipe("Redis list"), tmp_path, REDIS_URL=redis.url) as url:
        assert read(url)["queue_depth"] == 0
        redis.stop()
        assert read(url) == {"queue_read_failures_total": 2}
        assert read(url) == {"queue_read_failures_total": 4}
    assert len(re.findall("depth of queue 'emails' cannot be read: ConnectionError", log(tmp_path))) == 1


def test_a_postgresql_table(postgres_url: str, tmp_path: Path) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as database:
        database.execute("CREATE TABLE jobs (state text, created_at timestamptz)")
        with serving(recipe("PostgreSQL table"), tmp_path, DATABASE_URL=postgres_url) as url:
            assert read(url) == {"queue_depth": 0, "queue_oldest_age_seconds": 0, "queue_read_failures_total": 0}
            for state, age in (("waiting", 300), ("waiting", 700), ("done", 9000)):
                database.execute("INSERT INTO jobs VALUES (%s, now() - make_interval(secs => %s))", (state, age))
            found = read(url)
            assert found["queue_depth"] == 2
            assert 700 <= found["queue_oldest_age_seconds"] < 700 + SECONDS

            with database.transaction():  # a migration that locks the table
                database.execute("LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE")
                assert read(url) == {"queue_read_failures_total": 2}
                asking = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%min(created_at)%' AND pid <> pg_backend_pid()"
                until(lambda: database.execute(asking).fetchone() == (0,))
            assert read(url)["queue_depth"] == 2
    assert len(re.findall("depth of queue 'jobs' cannot be read: QueryCanceled", log(tmp_path))) == 1


def test_a_rabbitmq_queue(amqp_url: str, tmp_path: Path) -> None:
    with serving(recipe("RabbitMQ"), tmp_path, AMQP_URL=amqp_url) as url:
        assert read(url).keys() == {"queue_read_failures_total"}  # there is no such queue yet
        asyncio.run(publish(amqp_url, 3))
        until(lambda: read(url).get("queue_depth") == 3)
        failures = read(url)["queue_read_failures_total"]
        asyncio.run(take(amqp_url))
        until(lambda: read(url)["queue_depth"] == 2)
        assert read(url)["queue_read_failures_total"] == failures
    assert len(re.findall("depth of queue 'orders' cannot be read: ChannelNotFoundEntity", log(tmp_path))) == 1


async def publish(url: str, messages: int) -> None:
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        await channel.declare_queue("orders", durable=True)
        for number in range(messages):
            await channel.default_exchange.publish(aio_pika.Message(str(number).encode()), "orders")


async def take(url: str) -> None:
    async with await aio_pika.connect(url) as connection:
        queue = await (await connection.channel()).get_queue("orders")
        message = await queue.get()
        assert message is not None
        await message.ack()
