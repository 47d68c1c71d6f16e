"""Brightwater's programs as definition documents, with dates relative to today. The same documents the browser form writes."""

from datetime import date, timedelta

RENEWALS, QUOTA, BONUS, SPIFF, CHANNEL, ROADSHOW, ATTACH, REFERRAL, KICKOFF = (
    "renewals", "quota", "bonus", "spiff", "channel", "roadshow", "attach", "referral", "kickoff",
)  # fmt: skip
EMAIL = {"type": "DigitalDelivery", "channel": "email"}
OWN_PEOPLE = {"types": ["employee", "contractor"]}
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
            rewards=[{"type": "per_deal", "amount": "20.00"}], caps={"participant": "500.00"},
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
