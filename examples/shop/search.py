"""Searches items by name, in the database."""

from functools import lru_cache
from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy import text

from instrumentation import watch_cache

from .catalog import ITEMS, Item
from .database import engine

MATCHING = text("SELECT sku FROM items WHERE instr(lower(name), lower(:part)) ORDER BY rowid LIMIT :limit")

router = APIRouter(tags=["search"])


@router.get("/search")
def search(
    q: Annotated[str, Query(min_length=2, max_length=50)],
    limit: Annotated[int, Query(ge=1, le=50)] = 10,
) -> list[Item]:
    """List the items whose name contains a text, ignoring case."""
    with engine.connect() as connection:
        return [item(sku) for sku in connection.execute(MATCHING, {"part": q, "limit": limit}).scalars()]


@lru_cache(maxsize=100)
def item(sku: str) -> Item:
    """Return an item; a real shop would read it from the database too."""
    return ITEMS[sku]


watch_cache("items", item)
