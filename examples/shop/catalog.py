"""The items of the shop."""

from types import MappingProxyType
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict

from instrumentation import NotFoundError

SKU_PATTERN = r"^[a-z0-9-]{1,40}$"


class Item(BaseModel):
    """One item for sale."""

    model_config = ConfigDict(frozen=True)

    sku: str
    name: str
    price_cents: int


ITEMS = MappingProxyType(
    {
        item.sku: item
        for item in (
            Item(sku="lamp-brass", name="Brass side lamp", price_cents=8900),
            Item(sku="lamp-paper", name="Paper lantern", price_cents=2400),
            Item(sku="bulb-warm", name="Warm bulb, 4 W", price_cents=450),
            Item(sku="bulb-cold", name="Cold bulb, 4 W", price_cents=450),
            Item(sku="cable-red", name="Red textile cable, 3 m", price_cents=1350),
            Item(sku="shade-linen", name="Linen shade", price_cents=3200),
            Item(sku="dimmer", name="Rotary dimmer", price_cents=1900),
        )
    }
)

router = APIRouter(prefix="/items", tags=["catalog"])


@router.get("")
async def items() -> list[Item]:
    """List everything."""
    return list(ITEMS.values())


@router.get("/{sku}")
async def item(sku: Annotated[str, Path(pattern=SKU_PATTERN)]) -> Item:
    """Show one item; 404 if it does not exist."""
    return find(sku)


def find(sku: str) -> Item:
    """Return an item.

    Raises:
        NotFoundError: The item does not exist.
    """
    if sku not in ITEMS:
        raise NotFoundError(f"There is no item {sku}.", details={"sku": sku})
    return ITEMS[sku]
