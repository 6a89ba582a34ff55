"""A database that lacks migrations is not ready, and the number of them is reported."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine

from instrumentation import alembic_check
from instrumentation.store import LocalStore

if TYPE_CHECKING:
    from pathlib import Path

ENV = """
from alembic import context
from sqlalchemy import create_engine
with create_engine(context.config.get_main_option("sqlalchemy.url")).connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""
# b and c branch from a, and d merges them.
REVISIONS = {"a": None, "b": "a", "c": "a", "d": ("b", "c")}


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "versions").mkdir()
    (tmp_path / "env.py").write_text(ENV)
    for revision, below in REVISIONS.items():
        body = f"revision, down_revision = {revision!r}, {below!r}\ndef upgrade(): pass\ndef downgrade(): pass\n"
        (tmp_path / "versions" / f"{revision}.py").write_text(body)
    config = Config()
    config.set_main_option("script_location", str(tmp_path))
    config.set_main_option("path_separator", "os")
    config.set_main_option("sqlalchemy.url", f"sqlite:///{tmp_path}/shop.db")
    return config


def url(config: Config) -> str:
    return str(config.get_main_option("sqlalchemy.url"))


def pending(store: LocalStore) -> list[float]:
    return [one.slots[0] for one in store.series() if one.metric.name == "database_migrations_pending"]


@pytest.mark.parametrize(("applied", "lacking"), [("base", 4), ("a", 3), ("b", 2), ("heads", 0)])
def test_migrations_that_a_database_lacks(config: Config, applied: str, lacking: int) -> None:
    if applied != "base":
        command.upgrade(config, applied)
    store, engine = LocalStore(100), create_engine(url(config))
    check = alembic_check(engine, config, store=store)
    if lacking:
        with pytest.raises(RuntimeError, match=f"lacks {lacking} migrations of this code; run `alembic upgrade head`"):
            check()
    else:
        check()
    assert pending(store) == [lacking]
    engine.dispose()


def test_a_database_that_is_ahead_of_the_code_passes(config: Config) -> None:
    command.upgrade(config, "heads")
    store, engine = LocalStore(100), create_engine(url(config))
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'e'"))
    alembic_check(engine, config, store=store)()
    assert pending(store) == [0]
    engine.dispose()


def test_an_async_engine(config: Config) -> None:
    async def ask() -> None:
        engine = create_async_engine(url(config).replace("sqlite:", "sqlite+aiosqlite:"))
        check: Any = alembic_check(engine, config, store=LocalStore(100))
        with pytest.raises(RuntimeError, match="lacks 4 migrations"):
            await check()
        await engine.dispose()

    asyncio.run(ask())
