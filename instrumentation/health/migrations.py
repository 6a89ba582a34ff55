"""Checks with Alembic whether a database has every migration of the code."""

from __future__ import annotations

from collections.abc import Callable  # noqa: TC003 - for typing.get_type_hints
from typing import TYPE_CHECKING, Any

from instrumentation.catalog import DATABASE_MIGRATIONS_PENDING
from instrumentation.store import Store, default_store

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory
    from sqlalchemy import Connection


def alembic_check(engine: Any, config: Any, *, store: Store | None = None) -> Callable[[], object]:
    """Whether a database has every migration of the code; reports ``database_migrations_pending``.

    A database with a revision that the code does not know is ahead of it, as while a new version is rolled out or back. It
    passes.

    Args:
        engine: SQLAlchemy's Engine or AsyncEngine.
        config: Alembic's ``Config``.
        store: Where the number is reported; the process's own store by default.
    """
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - a service with a Config has Alembic

    scripts, namespace = ScriptDirectory.from_config(config), str(engine.url.database or "")
    counted = store or default_store()

    def check(connection: Connection) -> None:
        pending = _pending(connection, scripts)
        with counted.lock:
            counted.buffer[counted.place(DATABASE_MIGRATIONS_PENDING, (namespace,))] = pending
        if pending:
            raise RuntimeError(f"the database lacks {pending} migrations of this code; run `alembic upgrade head`")

    def ask() -> None:
        with engine.connect() as connection:
            check(connection)

    async def ask_async() -> None:
        async with engine.connect() as connection:
            await connection.run_sync(check)

    return ask_async if hasattr(engine, "sync_engine") else ask


def _pending(connection: Connection, scripts: ScriptDirectory) -> int:
    from alembic.migration import MigrationContext  # noqa: PLC0415 - as above

    applied = set(MigrationContext.configure(connection).get_current_heads())
    known = {script.revision: script for script in scripts.walk_revisions()}
    if applied - known.keys():
        return 0
    waiting = list(applied)
    while waiting:  # what a revision is based on has been applied before it
        script = known[waiting.pop()]
        below = set(script._all_down_revisions) - applied  # noqa: SLF001 - with those that it depends on; down_revision lacks them
        applied |= below
        waiting += below
    return len(known) - len(applied)
