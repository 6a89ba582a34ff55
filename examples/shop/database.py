"""The database of the shop, in memory, with a connection pool. The last line instruments it."""

from sqlalchemy import Engine, QueuePool, create_engine, text

from instrumentation import instrument_database

from .catalog import ITEMS


def _filled() -> Engine:
    engine = create_engine(
        "sqlite:///file:shop?mode=memory&cache=shared&uri=true",
        connect_args={"check_same_thread": False},
        poolclass=QueuePool,
    )
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE IF NOT EXISTS items (sku TEXT PRIMARY KEY, name TEXT)"))
        rows = [{"sku": item.sku, "name": item.name} for item in ITEMS.values()]
        connection.execute(text("INSERT OR IGNORE INTO items (sku, name) VALUES (:sku, :name)"), rows)
    return engine


engine = instrument_database(_filled(), name="shop")
