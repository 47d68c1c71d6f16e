"""The chain of an earning line as JSON: the same structure the pages show, amounts as text in major units."""

from datetime import date, datetime
from decimal import Decimal

from incentives.earnings.causes import Cause
from incentives.earnings.chain import Chain, Posted
from incentives.earnings.record import Change, Step
from incentives.payouts.chain import Paid, Trail, Whole
from rewards.money import Money


def as_json(whole: Whole) -> dict:
    """A document of plain values. What `own` left out of the chain is not here either; addresses, claim links and internal
    numbers of rows never are."""
    chain = whole.earned
    found = {
        "line": _line(chain, whole.own),
        "record": _record(chain),
        "conditions": [{"condition": item.text, "found": item.found, "met": item.passed} for item in chain.conditions],
        "version": _version(chain, whole.own),
        "credit": _share(chain),
        "measure": _standing(chain),
        "reward": _reward(chain),
        "problems": chain.problems,
        "postings": [_posted(item, whole.own) for item in chain.postings],
    }
    if whole.money is not None:
        found["payouts"] = _trail(whole.money, whole.own)
    return plain(found)


def plain(value):
    """Money, decimals and moments as text; empty members are left out."""
    if isinstance(value, dict):
        filled = {key: plain(item) for key, item in value.items()}
        return {key: item for key, item in filled.items() if item not in (None, "")}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, Money):
        return {"amount": str(value.decimal), "currency": value.currency}
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    return value if isinstance(value, (bool, int, type(None))) else str(value).replace("\N{NO-BREAK SPACE}", " ")


def _line(chain: Chain, own: bool) -> dict:
    person = chain.participant
    return {
        "earning": chain.earning.public_id,
        "program": {"id": chain.program.public_id, "name": chain.program.name},
        "participant": {"id": person.public_id, "name": person.name, "external_user_id": person.external_user_id},
        "period": chain.period,
        "period_start": chain.period_start,
        "key": None if own else chain.earning.line_key,
        "amount": chain.amount,
        "stands": chain.stands,
        "being_counted": chain.counting,
    }


def _record(chain: Chain) -> dict | None:
    record = chain.record
    if record is None:
        return None
    return {
        "type": record.object_type,
        "id": record.object_id,
        "state": record.state,
        "history": [_step(step) for step in chain.steps],
    }


def _step(step: Step) -> dict:
    return {
        "what": step.title,
        "at": step.at,
        "received_at": step.received,
        "by": step.by,
        "activity": step.activity,
        "changes": [_change(change) for change in step.changes],
    }


def _change(change: Change) -> dict:
    return {"field": change.name, "before": change.before, "after": change.after}


def _version(chain: Chain, own: bool) -> dict:
    version = chain.version
    return {
        "number": version.number,
        "published_at": version.published_at,
        "published_by": None if own else str(version.published_by or ""),
        "starts_at": version.starts_at,
        "digest": None if own else version.digest,
    }


def _share(chain: Chain) -> dict | None:
    share = chain.share
    return share and {
        "role": share.role,
        "percent": share.percent,
        "measure": share.measure,
        "whole": share.whole,
        "counted_at": share.counted_at,
    }


def _standing(chain: Chain) -> dict | None:
    at = chain.standing
    return at and {
        "before": at.before,
        "after": at.after,
        "total": at.total,
        "target": at.target,
        "attainment_before": at.attainment_before,
        "attainment_after": at.attainment_after,
        "activities": at.deals,
        "counted": [
            {"record": fact.name, "at": fact.at, "measure": fact.measure, "after": fact.after, "reached": fact.reached}
            for fact in at.facts
        ],
    }


def _reward(chain: Chain) -> dict:
    reward = chain.reward
    return {
        "type": reward.type,
        "rule": reward.rule,
        "sentence": reward.sentence,
        "level": reward.level,
        "multiplier": reward.multiplier,
        "partner_tier": reward.tier,
        "before_caps": reward.uncapped,
        "cut": reward.cut,
        "cut_words": reward.cut_words,
    }


def _posted(item: Posted, own: bool) -> dict:
    return {
        "earning": item.earning.public_id,
        "amount": item.amount,
        "at": item.at,
        "booked_on": None if own else item.earning.booked_on,
        "version": item.version,
        "correction": item.correction,
        "explanation": item.earning.explanation,
        "because": [_cause(cause) for cause in item.because],
    }


def _cause(cause: Cause) -> dict:
    return {
        "kind": cause.kind,
        "what": cause.text,
        "at": cause.at,
        "by": cause.by,
        "activity": cause.activity,
        "changes": [_change(change) for change in cause.changes],
    }


def _trail(trail: Trail, own: bool) -> dict:
    return {
        "on_payouts": trail.on_payouts,
        "open": trail.open,
        "open_words": trail.open_words,
        "payouts": [_paid(item, own) for item in trail.payouts],
    }


def _paid(item: Paid, own: bool) -> dict:
    card = item.card and {
        "ordered_at": item.card.ordered_at,
        "issued_at": item.card.issued_at,
        "number": item.card.number,
        "state": item.card.state,
        "words": item.card.words,
    }
    return {
        "payout": item.payout.public_id,
        "of_this_line": item.amount,
        "of_payout": item.payout.amount,
        "product": item.payout.product_name,
        "status": item.status,
        "label": item.label,
        "words": _without_address(item) if own else item.words,
        "counts": item.live,
        "approvals": [
            {"step": a.step, "decision": a.decision, "at": a.at, "by": a.by, "reason": a.reason} for a in item.approvals
        ],
        "waits_for": item.waits_for,
        "holds": [{"kind": h.kind, "words": h.words, "at": h.at, "lifted_at": h.lifted} for h in item.holds],
        "card": card,
    }


def _without_address(item: Paid) -> str:
    """The words for the recipient's page name the address a card went to; a file does not."""
    to = item.payout.recipient_email or item.payout.recipient_phone
    return item.words.replace(to, "…") if to else item.words
