"""Searches items by name."""

from typing import Annotated

from fastapi import APIRouter, Query

from .catalog import ITEMS, Item

router = APIRouter(tags=["search"])


@router.get("/search")
async def search(
    q: Annotated[str, Query(min_length=2, max_length=50)],
    limit: Annotated[int, Query(ge=1, le=50)] = 10,
) -> list[Item]:
    """List the items whose name contains a text, ignoring case."""
    found = (item for item in ITEMS.values() if q.casefold() in item.name.casefold())
    return [item for item, _ in zip(found, range(limit), strict=False)]
