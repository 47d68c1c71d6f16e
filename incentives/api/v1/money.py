"""Earnings with their explanation, payouts and their approval, budgets and orders."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from django.db.models import Prefetch
from django.http import HttpRequest
from ninja import Query, Router, Schema
from pydantic import Field

from incentives.api.auth import Needs
from incentives.api.idempotency import once
from incentives.api.kit import Amount, Body, Text, amount, aware, one, when
from incentives.api.paging import Paged, page
from incentives.core import audit
from incentives.earnings.models import Earning
from incentives.ledger.models import Budget
from incentives.ledger.selectors import BudgetFigures, budget_figures, visible_budgets
from incentives.payouts import services
from incentives.payouts.chain import whole_chain
from incentives.payouts.chain_json import as_json
from incentives.payouts.models import Approval, Hold, Payout
from incentives.programs.selectors import visible_programs
from rewards import selectors as rewards
from rewards.models import RewardOrder
from rewards.money import Money

router = Router()
PayoutStatus = Literal["submitted", "approved", "ordered", "fulfilled", "rejected", "expired", "cancelled", "failed"]
OrderState = Literal[
    "draft", "submitting", "pending", "unfunded", "review", "completed", "rejected", "failed", "cancelled"
]


class Named(Schema):
    id: str
    name: str


# --- earnings -----------------------------------------------------------------------------------------------------------
class EarningOut(Schema):
    """One posted difference: what a line became worth more, or less."""

    id: str
    program: Named
    participant: Named
    period_start: date
    amount: Amount
    explanation: str
    posted_at: str
    booked_on: date | None


class Earnings(Schema):
    data: list[EarningOut]
    next_cursor: str | None


class EarningWhole(EarningOut):
    chain: Annotated[
        dict[str, Any],
        Field(description="Everything from the record to the card: record, conditions, version, share, measure, reward, postings."),
    ]  # fmt: skip


class EarningFilters(Paged):
    program: UUID | None = None
    participant: UUID | None = None
    period_start: date | None = None
    posted_from: datetime | None = None
    posted_before: datetime | None = None


def _earnings(request: HttpRequest):
    """All for staff; for everybody else what they earned themselves."""
    rows = Earning.objects.select_related("participation__program", "participation__participant")
    user = request.caller.user
    return rows if user.can("programs.view") else rows.filter(participation__participant__user=user)


def shown_earning(row: Earning) -> dict:
    return {
        "id": str(row.public_id),
        "program": _named(row.participation.program),
        "participant": _named(row.participation.participant),
        "period_start": row.period_start,
        "amount": amount(row.amount),
        "explanation": row.explanation,
        "posted_at": when(row.posted_at),
        "booked_on": row.booked_on,
    }


def _named(thing) -> dict:
    return {"id": str(thing.public_id), "name": thing.name}


@router.get("/earnings", auth=Needs("earnings:read"), response=Earnings)
def list_earnings(request: HttpRequest, filters: Query[EarningFilters]):
    """Posted earnings, newest first. Corrections are rows of their own, below zero where something was taken back."""
    rows = _earnings(request)
    if filters.program:
        rows = rows.filter(participation__program__public_id=filters.program)
    if filters.participant:
        rows = rows.filter(participation__participant__public_id=filters.participant)
    if filters.period_start:
        rows = rows.filter(period_start=filters.period_start)
    if filters.posted_from:
        rows = rows.filter(posted_at__gte=aware(filters.posted_from, "posted_from"))
    if filters.posted_before:
        rows = rows.filter(posted_at__lt=aware(filters.posted_before, "posted_before"))
    return page(request, rows, filters, shown_earning)


@router.get("/earnings/{uuid:earning_id}", auth=Needs("earnings:read"), response=EarningWhole)
def get_earning(request: HttpRequest, earning_id: UUID):
    """One earning with the chain that explains its line. One's own comes without other people's data."""
    user = request.caller.user
    row, staff = one(_earnings(request), earning_id), user.can("programs.view")
    whole = whole_chain(row, own=not staff, money=not staff or user.can("payouts.view"))
    return shown_earning(row) | {"chain": as_json(whole)}


# --- payouts ------------------------------------------------------------------------------------------------------------
class HoldOut(Schema):
    kind: str
    reason: str
    placed_at: str
    lifted_at: str | None


class DecisionOut(Schema):
    decision: str
    by: str
    at: str
    reason: str


class PaidOut(Schema):
    earning: str
    amount: Amount


class PayoutOut(Schema):
    id: str
    status: str
    program: Named
    participant: Named
    amount: Amount
    product: str
    delivery: str
    version: Annotated[str, Field(description="What there is to decide about: give it when you approve.")]
    reserved: Annotated[bool, Field(description="Whether its money is set aside; not so while its budget has no room.")]
    steps: Annotated[int, Field(description="How many approvals it needs.")]
    approvals: list[DecisionOut]
    holds: list[HoldOut]
    order: Annotated[str | None, Field(description="The order's id.")]
    outcome: str
    created_at: str
    expires_at: str


class PayoutWhole(PayoutOut):
    earnings: Annotated[list[PaidOut], Field(description="What it pays; adds up to its amount.")]


class Payouts(Schema):
    data: list[PayoutOut]
    next_cursor: str | None


class PayoutFilters(Paged):
    status: PayoutStatus | None = None
    program: UUID | None = None
    participant: UUID | None = None


class Build(Body):
    program: UUID


class SkippedOut(Schema):
    participant: Named
    due: Amount
    code: str
    message: str


class Built(Schema):
    payouts: list[PayoutOut]
    total: Amount
    skipped: list[SkippedOut]


class Approve(Body):
    version: Annotated[Text, Field(min_length=1, max_length=64, description="`version` of the payout you looked at.")]


class Reject(Body):
    reason: Annotated[Text, Field(min_length=1, max_length=500)]


def _payouts(request: HttpRequest):
    related = ("program", "participant", "order")
    decisions, holds = (
        Prefetch("approvals", Approval.objects.order_by("pk")),
        Prefetch("holds", Hold.objects.order_by("pk")),
    )
    rows = Payout.objects.visible_to(request.caller.user)
    return rows.select_related(*related).prefetch_related(decisions, holds)


def shown_payout(row: Payout) -> dict:
    return {
        "id": str(row.public_id),
        "status": row.status,
        "program": _named(row.program),
        "participant": _named(row.participant),
        "amount": amount(row.amount),
        "product": row.product_code,
        "delivery": row.delivery_type,
        "version": row.content_hash,
        "reserved": row.reserved,
        "steps": len(row.steps),
        "approvals": [
            {"decision": a.decision, "by": a.actor_name, "at": when(a.at), "reason": a.reason}
            for a in row.approvals.all()
        ],
        "holds": [
            {"kind": h.kind, "reason": h.reason, "placed_at": when(h.placed_at), "lifted_at": when(h.lifted_at)}
            for h in row.holds.all()
        ],
        "order": row.order and str(row.order.public_id),
        "outcome": row.outcome,
        "created_at": when(row.created_at),
        "expires_at": when(row.expires_at),
    }


def whole_payout(row: Payout) -> dict:
    parts = row.allocations.select_related("earning").order_by("pk")
    paid = [
        {"earning": str(part.earning.public_id), "amount": amount(Money(part.amount_minor, row.currency))}
        for part in parts
    ]
    return shown_payout(row) | {"earnings": paid}


@router.get("/payouts", auth=Needs("payouts:read"), response=Payouts)
def list_payouts(request: HttpRequest, filters: Query[PayoutFilters]):
    """Payouts, newest first."""
    rows = _payouts(request)
    if filters.status is not None:
        rows = rows.filter(status=filters.status)
    if filters.program:
        rows = rows.filter(program__public_id=filters.program)
    if filters.participant:
        rows = rows.filter(participant__public_id=filters.participant)
    return page(request, rows, filters, shown_payout)


@router.get("/payouts/{uuid:payout_id}", auth=Needs("payouts:read"), response=PayoutWhole)
def get_payout(request: HttpRequest, payout_id: UUID):
    """One payout with the earnings it pays."""
    return whole_payout(one(_payouts(request), payout_id))


@router.post("/payouts/build", auth=Needs("payouts:build"), response={200: Built})
@once(atomic=False)
def build_payouts(request: HttpRequest, payload: Build):
    """Build what is due in a program, and so submit it for approval. What was built already is not due any more.

    Whoever builds, and whoever answers for a machine that builds, approves none of it.
    """
    program = one(visible_programs(request.caller.user), payload.program)
    result = services.build_payouts(program=program, actor=request.caller.user)
    made = {row.pk: row for row in _payouts(request).filter(pk__in=[payout.pk for payout in result.payouts])}
    skipped = [
        SkippedOut(participant=_named(row.participant), due=amount(row.due), code=row.code, message=str(row.message))
        for row in result.skipped
    ]
    rows = [PayoutOut(**shown_payout(made[payout.pk])) for payout in result.payouts]
    return 200, Built(payouts=rows, total=amount(Money(result.total_minor, program.currency)), skipped=skipped)


@router.post("/payouts/{uuid:payout_id}/approve", auth=Needs("payouts:approve"), response={200: PayoutWhole})
@once()
def approve_payout(request: HttpRequest, payout_id: UUID, payload: Approve):
    """Give one approval as the token's person: the same checks and evidence as in the browser.

    `version` binds it to what you looked at: 409 `stale_payout` when that changed. Nobody approves what they made or receive
    (403 `self_approval`); holds keep it from being approved (409 `payout_on_hold`).
    """
    payout = one(_payouts(request), payout_id)
    services.approve_payout(
        payout_id=payout.pk,
        actor=request.caller.user,
        seen_hash=payload.version,
        ip_address=request.META.get("REMOTE_ADDR"),
    )
    return _decided(request, payout)


@router.post("/payouts/{uuid:payout_id}/reject", auth=Needs("payouts:approve"), response={200: PayoutWhole})
@once()
def reject_payout(request: HttpRequest, payout_id: UUID, payload: Reject):
    """Reject as the token's person, with a reason: the money goes back to the budget and the amount is due again."""
    payout = one(_payouts(request), payout_id)
    services.reject_payout(
        payout_id=payout.pk,
        actor=request.caller.user,
        reason=payload.reason,
        ip_address=request.META.get("REMOTE_ADDR"),
    )
    return _decided(request, payout)


def _decided(request: HttpRequest, payout: Payout) -> tuple[int, PayoutWhole]:
    """Through which token stands in the trail beside the decision, in its transaction."""
    token = request.caller.token
    values = {"token": str(token.public_id), "name": token.name}
    audit.record("payout.decided_by_token", payout, actor=request.caller.user, after=values)
    return 200, PayoutWhole(**whole_payout(one(_payouts(request), payout.public_id)))


# --- budgets ------------------------------------------------------------------------------------------------------------
class BudgetOut(Schema):
    """allocated = available + reserved + committed + spent, always."""

    id: str
    name: str
    currency: str
    parent: str | None
    active: bool
    allocated: Amount
    available: Amount
    reserved: Amount
    committed: Amount
    spent: Amount


class Budgets(Schema):
    data: list[BudgetOut]
    next_cursor: str | None


class BudgetFilters(Paged):
    currency: Annotated[Text, Field(max_length=3)] = ""
    active: bool | None = None


def shown_budget(row: Budget, figures: BudgetFigures) -> dict:
    sums = {
        name: amount(getattr(figures, name)) for name in ("allocated", "available", "reserved", "committed", "spent")
    }
    return sums | {
        "id": str(row.public_id),
        "name": row.name,
        "currency": row.currency,
        "parent": row.parent and str(row.parent.public_id),
        "active": row.is_active,
    }


@router.get("/budgets", auth=Needs("budgets:read"), response=Budgets)
def list_budgets(request: HttpRequest, filters: Query[BudgetFilters]):
    """Budgets with their figures, newest first. Figures are the budget's own, without those below it."""
    rows = visible_budgets(request.caller.user).select_related("parent")
    if filters.currency:
        rows = rows.filter(currency=filters.currency)
    if filters.active is not None:
        rows = rows.filter(is_active=filters.active)
    found = page(request, rows, filters, lambda row: row)
    figures = budget_figures(found["data"])
    return found | {"data": [shown_budget(row, figures[row.pk]) for row in found["data"]]}


@router.get("/budgets/{uuid:budget_id}", auth=Needs("budgets:read"), response=BudgetOut)
def get_budget(request: HttpRequest, budget_id: UUID):
    """One budget with its figures."""
    row = one(visible_budgets(request.caller.user).select_related("parent"), budget_id)
    return shown_budget(row, budget_figures([row])[row.pk])


# --- orders -------------------------------------------------------------------------------------------------------------
class OrderOut(Schema):
    """One card at the provider. Never its claim link, nor where it went."""

    id: str
    po_number: str
    payout: str | None
    state: str
    product: str
    delivery: str
    amount: Amount
    cost: Amount | None
    expected_cost: Amount | None
    provider_order_id: str | None
    created_at: str
    finished_at: str | None


class Orders(Schema):
    data: list[OrderOut]
    next_cursor: str | None


class OrderFilters(Paged):
    state: OrderState | None = None
    po_number: Annotated[Text, Field(max_length=40)] = ""


def _orders(request: HttpRequest):
    rows = rewards.orders().select_related("payout")
    return rows if request.caller.user.can("orders.view") else rows.none()


def shown_order(row: RewardOrder) -> dict:
    payout = getattr(row, "payout", None)
    return {
        "id": str(row.public_id),
        "po_number": row.po_number,
        "payout": payout and str(payout.public_id),
        "state": row.state,
        "product": row.product.product_id,
        "delivery": row.delivery_type,
        "amount": amount(Money(row.amount_minor, row.currency)),
        "cost": None if row.cost_minor is None else amount(Money(row.cost_minor, row.currency)),
        "expected_cost": None
        if row.expected_cost_minor is None
        else amount(Money(row.expected_cost_minor, row.currency)),
        "provider_order_id": row.provider_order_id,
        "created_at": when(row.created_at),
        "finished_at": when(row.finished_at),
    }


@router.get("/orders", auth=Needs("orders:read"), response=Orders)
def list_orders(request: HttpRequest, filters: Query[OrderFilters]):
    """Orders at the provider, newest first."""
    rows = _orders(request)
    if filters.state is not None:
        rows = rows.filter(state=filters.state)
    if filters.po_number:
        rows = rows.filter(po_number=filters.po_number)
    return page(request, rows, filters, shown_order)


@router.get("/orders/{uuid:order_id}", auth=Needs("orders:read"), response=OrderOut)
def get_order(request: HttpRequest, order_id: UUID):
    """One order."""
    return shown_order(one(_orders(request), order_id))
