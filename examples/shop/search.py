"""Searches items by name, in the database."""

from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy import text

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
        return [ITEMS[sku] for sku in connection.execute(MATCHING, {"part": q, "limit": limit}).scalars()]
