"""The checkout: a workflow with its cost, and an audit entry."""

from typing import Annotated
from uuid import UUID, uuid4

from fastapi import APIRouter, Header
from pydantic import BaseModel, ConfigDict, Field

from instrumentation import audit, workflow, workflow_created

from .catalog import SKU_PATTERN, find
from .mails import mails
from .payments import authorize, charge
from .signals import BASKETS, ORDERS


class Line(BaseModel):
    """One item of an order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sku: Annotated[str, Field(pattern=SKU_PATTERN)]
    quantity: Annotated[int, Field(ge=1, le=20)] = 1


class Order(BaseModel):
    """An order of a customer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lines: Annotated[tuple[Line, ...], Field(min_length=1, max_length=50)]


class Receipt(BaseModel):
    """The receipt of an order."""

    model_config = ConfigDict(frozen=True)

    order: UUID
    total_cents: int


router = APIRouter(tags=["checkout"])


@router.post("/checkout", status_code=201)
async def checkout(
    order: Order,
    customer: Annotated[str, Header(alias="x-customer")] = "a guest",
    channel: Annotated[str, Header(alias="x-channel")] = "web",
) -> Receipt:
    """Charge an order and mail the receipt; 404 if one of its items does not exist, 402 if the payment is declined."""
    total_cents = sum(find(line.sku).price_cents * line.quantity for line in order.lines)
    authorize()  # a declined payment is not a failed checkout, so it comes before the workflow
    workflow_created("checkout")
    with workflow("checkout") as run:
        run.cost_usd(await charge(total_cents))
    receipt = Receipt(order=uuid4(), total_cents=total_cents)
    audit("order.placed", actor=customer, outcome="success", order=str(receipt.order))
    mails.send_later(receipt.order)
    ORDERS.add(channel=channel)
    BASKETS.observe(sum(line.quantity for line in order.lines))
    return receipt
