"""Sample data for the style guide: nothing here comes from the database."""

from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace

from django import forms
from django.utils import timezone

from incentives.core.icons import ICONS
from incentives.core.looks import _LOOKS
from rewards.money import Money

COLOURS = (
    "bg surface surface-2 surface-3 line line-strong text text-2 text-3 accent accent-soft accent-text gold gold-soft bronze bronze-soft "
    "success success-bg info info-bg warn warn-bg danger danger-bg danger-fill held held-bg quiet quiet-bg focus"
).split()


class SampleForm(forms.Form):
    name = forms.CharField(label="Name of the program", help_text="Reps see it on their page.", max_length=20)
    amount = forms.DecimalField(label="Budget in USD", min_value=Decimal("0.01"), max_digits=12, decimal_places=2)
    starts = forms.DateField(label="First day", widget=forms.DateInput(attrs={"type": "date"}))
    kind = forms.ChoiceField(label="Kind", choices=[("", "Choose one"), ("spiff", "SPIFF"), ("contest", "Contest")])
    teams = forms.MultipleChoiceField(
        label="Teams", choices=[("n", "North"), ("s", "South")], widget=forms.CheckboxSelectMultiple, required=False
    )
    pay = forms.ChoiceField(
        label="Paid out", choices=[("i", "At once"), ("m", "Monthly"), ("c", "At close")], widget=forms.RadioSelect
    )
    message = forms.CharField(label="Message", widget=forms.Textarea(attrs={"rows": 3}), required=False)
    sure = forms.BooleanField(label="Tell participants by e-mail", required=False)


def usd(minor: int) -> Money:
    return Money(minor, "USD")


def samples(data=None) -> dict:
    """The context of the style guide page; `data` fills the form, to see its errors."""
    now = timezone.now()
    bound = SampleForm(data if data is not None else {"name": "Q3 Security SPIFF and more", "amount": "-5"})
    if data is None:
        bound.add_error(None, "The budget of this program is closed. Open another one first.")
    return {
        "colours": COLOURS,
        "icons": sorted(ICONS),
        "statuses": sorted(_LOOKS, key=lambda word: (_LOOKS[word], word)),
        "form": SampleForm(auto_id="empty_%s"),
        "bad_form": bound,
        "money": [usd(123_456_789), usd(0), usd(-4250), Money(125_000, "JPY"), Money(1_234_567, "KWD"), None],
        "moments": [now - timedelta(seconds=s) for s in (5, 400, 9000, 90_000, 900_000, 40_000_000)],
        "people": ["Maya Okafor", "Jon Bell", "Ana-Lucía Fernández", "Bo", "support@example.com", "Li Wei"],
        "payouts": _payouts(),
        "tiers": [{"at": usd(n * 100_000_00), "reward": usd(r)} for n, r in ((1, 50_000), (2, 125_000), (3, 300_000))],
        "reached": usd(148_500_00),
        "spent": usd(61_250_00),
        "funded": usd(80_000_00),
        "over": usd(79_100_00),
        "spark": [3, 5, 4, 8, 7, 11, 10, 14, 13, 19],
        "weeks": [
            {"label": f"W{n}", "value": usd(v * 10_000)} for n, v in enumerate((12, 18, 9, 24, 31, 28, 40, 22), 27)
        ],
        "teams": [
            {"label": t, "value": usd(v)}
            for t, v in (("North", 4_120_000), ("Partners", 2_255_000), ("South", 890_050))
        ],
        "events": _events(now),
        "board": _board(),
        "rewards": _rewards(now),
        "tabs": [
            {"url": "#tabs", "label": "Waiting for me", "count": 12, "current": True},
            {"url": "#tabs", "label": "On hold", "count": 3},
            {"url": "#tabs", "label": "Everything"},
        ],
        "crumbs": [("Programs", "#"), ("Q3 Security SPIFF", "#")],
        "levels": ["info", "success", "warning", "error"],
    }


def _payouts() -> list[SimpleNamespace]:
    rows = (
        ("PO-1042", "Maya Okafor", "Q3 Security SPIFF", 25_000, "submitted"),
        ("PO-1041", "Ana-Lucía Fernández de la Vega", "Partner accelerator", 1_250_000, "held"),
        ("PO-1040", "Jon Bell", "Q3 Security SPIFF", 5_000, "approved"),
        ("PO-1039", "Li Wei", "New logo bonus", -4_250, "rejected"),
        ("PO-1038", "Bo", "Summer contest", 100_000, "unknown"),
    )
    return [SimpleNamespace(number=n, person=p, program=g, amount=usd(a), status=s) for n, p, g, a, s in rows]


def _events(now) -> list[dict]:
    return [
        {"title": "Proposed", "status": "proposed", "at": now - timedelta(days=2), "by": "Dana Reyes"},
        {
            "title": "Approved",
            "status": "approved",
            "at": now - timedelta(hours=5),
            "by": "Priya Nair",
            "text": "Within policy.",
        },
        {"title": "Ordered", "status": "placed", "at": now - timedelta(minutes=3), "by": "Laurel"},
        {"title": "Card delivered", "todo": True},
    ]


def _board() -> list[dict]:
    rows = ((1, "Maya Okafor", "North", 14_850_000, 300_000), (2, "Jon Bell", "North", 13_990_000, 125_000),
            (3, "Ana-Lucía Fernández", "Partners", 12_000_050, 125_000), (4, "You", "South", 9_120_000, 0))  # fmt: skip
    return [
        {
            "rank": r,
            "name": n,
            "team": t,
            "score": usd(s),
            "prize": usd(p) if p else None,
            "me": n == "You",
            "top": r < 4,
        }
        for r, n, t, s, p in rows
    ]


def _rewards(now) -> list[dict]:
    return [
        {"name": "Visa reward card", "program": "Q3 Security SPIFF", "amount": usd(25_000), "status": "delivered",
         "label": "Ready", "at": now - timedelta(minutes=4), "reveal_url": "#reward"},
        {"name": "CVS gift card", "program": "New logo bonus", "amount": usd(5_000), "status": "sent",
         "label": "On its way", "at": now - timedelta(days=1)},
        {"name": "Choose your card", "program": "Summer contest", "amount": usd(100_000), "status": "waiting",
         "label": "Waiting for your choice", "at": now, "choose_url": "#reward"},
    ]  # fmt: skip
