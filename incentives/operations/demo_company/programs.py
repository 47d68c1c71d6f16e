"""Brightwater's programs as definition documents, with dates relative to today. The same documents the browser form writes."""

from datetime import date, timedelta

RENEWALS, QUOTA, BONUS, SPIFF, CHANNEL, ROADSHOW, ATTACH, REFERRAL, KICKOFF, SEATS, BIG_DEALS, CLAIMS, RACE, TOP_SELLER = (
    "renewals", "quota", "bonus", "spiff", "channel", "roadshow", "attach", "referral", "kickoff", "seats", "big-deals",
    "claims", "race", "top-seller",
)  # fmt: skip
FAMILIES = {
    "quota": (QUOTA,),
    "spiff": (SPIFF, SEATS, ATTACH),
    "channel": (CHANNEL, CLAIMS),
    "deal_bonus": (BONUS, BIG_DEALS),
    "contest": (RACE, TOP_SELLER),
}
"""Template -> the programs of that kind that run, or ran, at Brightwater."""
EMAIL = {"type": "DigitalDelivery", "channel": "email"}
OWN_PEOPLE = {"types": ["employee", "contractor"]}
SENTRY = {"group": "sentry", "rule": "highest"}
"""A deal with a firewall and seats is rewarded by one of the two Sentry programs, the one that pays more."""
NEW_BUSINESS = {"field": "attributes.renewal", "op": "eq", "value": False}
SECURITY = {"field": "line.family", "op": "eq", "value": "Security"}


def _document(today: date, starts: int, ends: int, **parts) -> dict:
    """`starts` and `ends` in days from today."""
    return {
        "currency": "USD",
        "time_zone": "America/New_York",
        "starts_on": str(today + timedelta(days=starts)),
        "ends_on": str(today + timedelta(days=ends)),
        **parts,
    }


def _won(**field) -> dict:
    return {"all": [{"field": "kind", "op": "eq", "value": "deal.won"}, field]}


def documents(today: date) -> dict[str, dict]:
    """Every program by its short name."""
    return {
        RENEWALS: _document(
            today, -150, -92, name="Renewals bonus, last quarter", template="deal_bonus", grace_days=10,
            eligible=OWN_PEOPLE | {"teams": ["enterprise-east", "enterprise-west"]},
            qualifies=_won(field="attributes.renewal", op="eq", value=True),
            rewards=[{"type": "per_deal", "amount": "40.00"}],
            payout={"when": "at_close", "minimum": "10.00"}, delivery=EMAIL | {"products": ["HARBOR"]},
            personalization={"from_name": "Customer Success", "message": "Thank you for keeping our customers with us."},
        ),
        BONUS: _document(
            today, -91, 60, name="New business bonus", template="deal_bonus", eligible=OWN_PEOPLE,
            qualifies=_won(field="attributes.renewal", op="eq", value=False),
            credit={"to": "splits", "overlays": [{"to": "manager", "percent": "10"}]},
            period="month", rewards=[{"type": "percent", "rate": "1.5"}],
            caps={"deal": "250.00", "period": "1200.00"},
            payout={"when": "monthly", "minimum": "10.00"}, delivery=EMAIL | {"products": ["CVS"]},
            personalization={"from_name": "Sales Leadership", "message": "Congratulations on closing the deal!"},
        ),
        QUOTA: _document(
            today, -77, 14, name="Quarterly quota with accelerators", template="quota", grace_days=5,
            eligible=OWN_PEOPLE, qualifies=_won(field="attributes.renewal", op="eq", value=False),
            rewards=[
                {"type": "bands", "of": "target", "mode": "marginal", "bands": [
                    {"from": "0", "rate": "1"}, {"from": "100", "rate": "1.5"}, {"from": "125", "rate": "2.5"}]},
                {"type": "tiers", "of": "target", "mode": "each", "tiers": [
                    {"at": "100", "amount": "250.00"}, {"at": "120", "amount": "500.00"}]},
            ],
            payout={"when": "monthly", "minimum": "50.00"}, delivery=EMAIL | {"products": ["STAYWELL"]},
            personalization={"from_name": "Ruth Adeyemi", "message": "Well earned. Take somebody along."},
        ),
        SPIFF: _document(
            today, -60, 30, name="Sentry launch SPIFF", template="spiff", eligible=OWN_PEOPLE,
            qualifies=_won(field="lines.sku", op="eq", value="SNT-EDGE"),
            rewards=[{"type": "per_deal", "amount": "20.00"}], caps={"participant": "500.00"}, stacking=SENTRY,
            payout={"when": "instant", "minimum": "5.00"}, delivery={"type": "Links", "products": ["ANYCARD"]},
            personalization={"from_name": "Product Marketing", "message": "Thank you for putting Sentry on the map."},
        ),
        CHANNEL: _document(
            today, -72, 45, name="Partner security rewards", template="channel", eligible={"types": ["partner"]},
            measure={"metric": "quantity", "lines": {"field": "line.sku", "op": "eq", "value": "SNT-EDGE"}},
            period="month", rewards=[{"type": "per_unit", "amount": "12.00"}],
            partner_multipliers={"gold": "1.5", "silver": "1.25"}, caps={"deal": "300.00"},
            payout={"when": "monthly", "minimum": "15.00"}, delivery={"type": "Links", "products": ["RIDELINE"]},
            personalization={"from_name": "Brightwater Partners", "message": "Thank you for selling Sentry."},
        ),
        ROADSHOW: _document(
            today, -46, -4, name="Roadshow follow-up", template="spiff", grace_days=10, eligible=OWN_PEOPLE,
            qualifies=_won(field="lines.sku", op="eq", value="RLY-MESH"),
            rewards=[{"type": "per_deal", "amount": "30.00"}],
            payout={"when": "weekly", "minimum": "10.00"}, delivery=EMAIL | {"products": ["HARBOR"]},
        ),
        ATTACH: _document(
            today, -40, 50, name="Care plan attach", template="spiff", eligible=OWN_PEOPLE,
            qualifies=_won(field="lines.sku", op="eq", value="CARE"),
            measure={"metric": "quantity", "lines": {"field": "line.sku", "op": "eq", "value": "CARE"}},
            rewards=[{"type": "per_unit", "amount": "5.00"}],
            payout={"when": "weekly", "minimum": "10.00"}, delivery=EMAIL | {"products": ["BLUEBIRD"]},
        ),
        SEATS: _document(
            today, -55, 35, name="Sentry Cloud seats SPIFF", template="spiff", eligible=OWN_PEOPLE,
            measure={"metric": "quantity", "lines": {"field": "line.sku", "op": "eq", "value": "SNT-CLOUD"}},
            credit={"to": "splits"}, period="month", rewards=[{"type": "per_unit", "amount": "0.60"}],
            caps={"deal": "40.00", "period": "150.00"}, stacking=SENTRY,
            payout={"when": "weekly", "minimum": "40.00"}, delivery=EMAIL | {"products": ["BLUEBIRD"]},
            personalization={"from_name": "Product Marketing", "message": "Every seat counts. Thank you."},
        ),
        BIG_DEALS: _document(
            today, -63, 28, name="Big deal bonus", template="deal_bonus", eligible=OWN_PEOPLE,
            qualifies=_won(**NEW_BUSINESS), period="month",
            rewards=[{"type": "bands", "over": "deal", "mode": "whole", "bands": [
                {"from": "15000", "amount": "40.00"}, {"from": "25000", "amount": "90.00"},
                {"from": "40000", "rate": "0.4"}]}],
            caps={"deal": "250.00", "participant": "1500.00"},
            payout={"when": "monthly", "minimum": "10.00"}, delivery=EMAIL | {
                "products": ["HARBOR", "CVS", "PAGETURN", "STAYWELL"], "choose_within_days": 14},
            personalization={"from_name": "Ruth Adeyemi", "message": "The large ones take patience. Well done."},
        ),
        CLAIMS: _document(
            today, -62, 40, name="Relay reseller claims", template="channel", grace_days=30,
            eligible={"types": ["partner"], "partner_tiers": ["gold", "silver", "bronze"]},
            qualifies={"all": [{"field": "kind", "op": "eq", "value": "claim.submitted"},
                               {"field": "lines.sku", "op": "starts_with", "value": "RLY-"}]},
            measure={"metric": "quantity", "lines": {"field": "line.sku", "op": "starts_with", "value": "RLY-"}},
            period="month", rewards=[{"type": "per_unit", "amount": "8.00"}],
            partner_multipliers={"gold": "1.5", "silver": "1.25"}, caps={"deal": "200.00", "period": "600.00"},
            payout={"when": "monthly", "minimum": "15.00"}, delivery={"type": "Links", "products": ["RIDELINE"]},
            personalization={"from_name": "Brightwater Partners", "message": "Thank you for every Relay you install."},
        ),
        RACE: _document(
            today, -76, -41, name="Team race to the summit", template="contest", grace_days=3, eligible=OWN_PEOPLE,
            qualifies=_won(**NEW_BUSINESS), measure={"metric": "deals"},
            rewards=[{"type": "rank", "by": "team", "ties": "earliest", "minimum": "5", "prizes": [
                {"ranks": "1", "amount": "1200.00"}, {"ranks": "2", "amount": "600.00"}]}],
            payout={"when": "at_close", "minimum": "5.00"}, delivery=EMAIL | {"products": ["HARBOR"]},
            personalization={"from_name": "Ruth Adeyemi", "message": "You got there together."},
        ),
        TOP_SELLER: _document(
            today, -40, 20, name="Top sellers of the quarter", template="contest", grace_days=3, eligible=OWN_PEOPLE,
            qualifies=_won(**NEW_BUSINESS), credit={"to": "splits"},
            rewards=[{"type": "rank", "by": "participant", "ties": "split", "minimum": "20000", "prizes": [
                {"ranks": "1", "amount": "750.00"}, {"ranks": "2", "amount": "400.00"}, {"ranks": "3-5", "amount": "150.00"}]}],
            payout={"when": "at_close"}, delivery=EMAIL | {"products": ["STAYWELL"]},
            personalization={"from_name": "Sales Leadership", "message": "Nobody sold more. Congratulations!"},
        ),
        REFERRAL: _document(
            today, 10, 100, name="Referral club", template="milestone", eligible={"types": ["partner"]},
            rewards=[{"type": "milestone", "at": [{"count": 1, "amount": "50.00"}, {"count": 5, "amount": "150.00"}]}],
        ),
        KICKOFF: _document(
            today, 21, 80, name="Next quarter kick-off", template="spiff", eligible=OWN_PEOPLE,
            rewards=[{"type": "per_deal", "amount": "35.00"}], caps={"participant": "700.00"},
            payout={"when": "instant", "minimum": "5.00"}, delivery={"type": "Links", "products": ["ANYCARD"]},
        ),
    }  # fmt: skip
