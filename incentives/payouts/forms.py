"""Forms of the payouts and orders pages."""

from decimal import Decimal

import django_filters
from django import forms
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from incentives.accounts.models import User, UserRole
from incentives.accounts.permissions import roles_with
from incentives.core.listing import Since, Until
from incentives.participants.models import Participant
from incentives.payouts.models import ApprovalPolicy, Hold, OrderDecision, Payout
from incentives.payouts.policies import PEOPLE, PERMISSION, flat, people_of
from incentives.payouts.selectors import PAYING, open_hold
from incentives.programs.models import Program
from rewards.models import DeliveryType, Product, RewardOrder
from rewards.money import MINOR_DIGITS, Money
from rewards.services import MOST_LINES

KEPT = _("Kept in the audit trail.")


class ReasonForm(forms.Form):
    reason = forms.CharField(
        label=_("Reason"), max_length=300, help_text=KEPT, widget=forms.Textarea(attrs={"rows": 2})
    )


class ChooseForm(forms.Form):
    """For a recipient: one of what their payout may become."""

    product = forms.ChoiceField(label=_("Card"), widget=forms.RadioSelect)
    reason = forms.CharField(
        label=_("Reason"), max_length=300, help_text=KEPT, widget=forms.Textarea(attrs={"rows": 2})
    )

    def __init__(self, *args, options=(), **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["product"].choices = [(product.product_id, product.name) for product in options]


class NoteForm(forms.Form):
    note = forms.CharField(
        label=_("Note"), max_length=300, required=False, help_text=KEPT, widget=forms.Textarea(attrs={"rows": 2})
    )


class ApproveForm(forms.Form):
    """Binds the decision to what the page showed."""

    seen_hash = forms.CharField(widget=forms.HiddenInput, max_length=64)


class ShownForm(forms.Form):
    """Binds a confirmation to what the page showed: another proposal or another change needs another look."""

    shown = forms.CharField(widget=forms.HiddenInput, max_length=64)


class BulkForm(forms.Form):
    """One `seen` per payout: its id and the hash of what was shown."""

    action = forms.ChoiceField(choices=[("approve", "approve"), ("reject", "reject")], widget=forms.HiddenInput)
    reason = forms.CharField(
        label=_("Reason"), max_length=300, required=False, help_text=KEPT, widget=forms.Textarea(attrs={"rows": 2})
    )

    def __init__(self, *args, action: str = "", **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["action"].initial = action
        if (self.data.get("action") or action) == "approve":
            del self.fields["reason"]

    def clean_reason(self) -> str:
        reason = self.cleaned_data["reason"].strip()
        if not reason:
            raise forms.ValidationError(_("Give a reason: it is kept with every payout."))
        return reason


class BuildForm(forms.Form):
    program = forms.ModelChoiceField(
        label=_("Program"),
        queryset=Program.objects.filter(status__in=PAYING).order_by("name"),
        to_field_name="public_id",
        required=False,
        empty_label=_("Every program with something due"),
    )


# --- filters ------------------------------------------------------------------------------------------------------------
def products() -> list[tuple[str, str]]:
    return list(Product.objects.order_by("name").values_list("product_id", "name"))


def amount_q(amount: Decimal, compare: str) -> Q:
    """An amount in major units against minor units of any currency."""
    found = Q(pk__in=[])
    for digits in sorted(set(MINOR_DIGITS.values())):
        codes = [code for code, count in MINOR_DIGITS.items() if count == digits]
        found |= Q(currency__in=codes, **{f"amount_minor__{compare}": int(amount.scaleb(digits))})
    return found


class AmountFilters(django_filters.FilterSet):
    """Amount from and to, for rows with `amount_minor` and `currency`."""

    smallest = django_filters.NumberFilter(
        label=_("Amount from"), method="by_amount", min_value=0, max_value=10**9, field_name="gte"
    )
    largest = django_filters.NumberFilter(
        label=_("Amount to"), method="by_amount", min_value=0, max_value=10**9, field_name="lte"
    )
    since = Since(field_name="created_at", label=_("From"))
    until = Until(field_name="created_at", label=_("To"))

    def by_amount(self, queryset, name, value):
        return queryset.filter(amount_q(value, name))


class PayoutFilters(AmountFilters):
    program = django_filters.ModelChoiceFilter(
        queryset=Program.objects.order_by("name"), to_field_name="public_id", label=_("Program")
    )
    status = django_filters.MultipleChoiceFilter(choices=Payout.Status.choices, label=_("State"))
    product = django_filters.ChoiceFilter(field_name="product_code", choices=products, label=_("Product"))
    hold = django_filters.ChoiceFilter(choices=Hold.Kind.choices, method="by_hold", label=_("Held because"))

    class Meta:
        model = Payout
        fields: list[str] = []

    def by_hold(self, queryset, name, value):
        return queryset.filter(open_hold(kind=value))


class OrderFilters(AmountFilters):
    state = django_filters.MultipleChoiceFilter(choices=RewardOrder.State.choices, label=_("State"))
    product = django_filters.ChoiceFilter(field_name="product__product_id", choices=products, label=_("Product"))
    delivery = django_filters.ChoiceFilter(
        field_name="delivery_type", choices=DeliveryType.choices, label=_("Delivery")
    )
    differs = django_filters.BooleanFilter(field_name="cost_differs", label=_("Cost differs from the expected"))

    class Meta:
        model = RewardOrder
        fields: list[str] = []


# --- orders -------------------------------------------------------------------------------------------------------------
class ResolveForm(forms.Form):
    """What to do with an order in review. Final answers name their proof and wait for a second person."""

    DECISIONS = (
        ("retry", _("Ask again with the same number: it cannot become a second card")),
        ("adopt", _("The provider has it: bind its order after comparing it with ours")),
        *OrderDecision.Decision.choices,
    )
    decision = forms.ChoiceField(label=_("Decision"), choices=DECISIONS, widget=forms.RadioSelect)
    provider_order_id = forms.CharField(
        label=_("The provider's order id"),
        max_length=200,
        required=False,
        help_text=_("Needed to bind an order and when a card was issued: as the provider's portal shows it."),
    )
    evidence = forms.CharField(
        label=_("Evidence"),
        max_length=5000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("Needed for a final answer: what the provider's support answered and when. Never a claim link."),
    )
    reason = forms.CharField(
        label=_("Reason"), max_length=300, help_text=KEPT, widget=forms.Textarea(attrs={"rows": 2})
    )

    @property
    def final(self) -> bool:
        return self.cleaned_data["decision"] in OrderDecision.Decision.values

    def clean(self):
        data = super().clean()
        decision = data.get("decision")
        if decision in OrderDecision.Decision.values and not data.get("evidence", "").strip():
            self.add_error("evidence", _("Say what proves it."))
        if decision in {"adopt", "complete"} and not data.get("provider_order_id", "").strip():
            self.add_error("provider_order_id", _("Needed for this decision."))
        if "://" in data.get("evidence", "") or "://" in data.get("reason", ""):
            self.add_error(None, _("Leave out addresses: a claim link must not be stored here."))
        return data


# --- policies -----------------------------------------------------------------------------------------------------------
def steps_choices() -> list[tuple[str, str]]:
    from incentives.payouts.wording import steps_text

    m, f = "manager", "finance"
    orders = ([], [f], [m], [m, f], [f, f], [m, f, f])
    return [(",".join(steps), steps_text(steps)) for steps in orders]


def approvers():
    """Everybody whose role approves payouts."""
    roles = set().union(*(roles_with(permission) for permission in PERMISSION.values()))
    people = UserRole.objects.filter(role__in=roles).values("user")
    return User.objects.filter(is_active=True, pk__in=people).order_by("name", "pk")


class PolicyForm(forms.Form):
    name = forms.CharField(label=_("Name"), max_length=120)
    steps = forms.ChoiceField(
        label=_("Who approves"),
        choices=steps_choices,
        required=False,
        help_text=_("Each step needs another person, never one who submitted it, wrote the rules or receives it."),
    )
    up_to = forms.DecimalField(
        label=_("Up to"), required=False, min_value=Decimal("0.01"), max_value=Decimal(10**9), decimal_places=2,
        help_text=_("Amounts up to this; empty for any amount."),
    )  # fmt: skip
    currency = forms.ChoiceField(label=_("Currency"), choices=lambda: [(c, c) for c in sorted(MINOR_DIGITS)])
    program = forms.ModelChoiceField(
        label=_("Program"),
        queryset=Program.objects.order_by("name"),
        to_field_name="public_id",
        required=False,
        empty_label=_("Every program"),
    )
    people = forms.ModelMultipleChoiceField(
        label=_("Then one of these people"),
        queryset=User.objects.none(),
        required=False,
        help_text=_("A further step that only people named here decide, their deputies included."),
    )
    people_count = forms.IntegerField(label=_("How many of them"), min_value=1, max_value=3, required=False)
    risk = forms.MultipleChoiceField(
        label=_("Only payouts with a risk"),
        choices=ApprovalPolicy.Risk.choices,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Empty for any payout; of several, one suffices."),
    )
    batch_lines = forms.IntegerField(
        label=_("Send together"), min_value=2, max_value=MOST_LINES, required=False,
        help_text=_("Payouts approved together leave as orders of up to so many cards; empty for one order each."),
    )  # fmt: skip
    escalate_after_hours = forms.IntegerField(
        label=_("Open a step to others after hours"), min_value=1, max_value=720, required=False
    )
    escalate_to = forms.ChoiceField(
        label=_("To"), choices=[("", _("Nobody")), *ApprovalPolicy.Step.choices], required=False
    )
    participant_type = forms.ChoiceField(
        label=_("For"), choices=[("", _("Everybody")), *Participant.Type.choices], required=False
    )
    position = forms.IntegerField(
        label=_("Position"), min_value=1, max_value=10_000, help_text=_("The first that fits decides, lowest first.")
    )
    is_active = forms.BooleanField(label=_("In force"), required=False)

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["people"].queryset = approvers()

    def values(self) -> dict:
        """What services.save_policy takes. Named people decide last."""
        data = dict(self.cleaned_data)
        up_to, data["steps"] = data.pop("up_to"), [step for step in data["steps"].split(",") if step]
        people, count = data.pop("people"), data.pop("people_count") or 1
        if people:
            data["steps"].append({"who": PEOPLE, "people": sorted(p.pk for p in people), "count": count})
        data["up_to_minor"] = None if up_to is None else Money.from_decimal(up_to, data["currency"]).minor
        return data

    @staticmethod
    def initial_of(policy: ApprovalPolicy | None) -> dict:
        if policy is None:
            return {"steps": "finance", "currency": "USD", "position": 100, "is_active": True}
        limit = None if policy.up_to_minor is None else Money(policy.up_to_minor, policy.currency).decimal
        return {
            "name": policy.name,
            "steps": ",".join(step for step in flat(policy.steps) if not people_of(step)),
            "people": [pk for step in policy.steps if isinstance(step, dict) for pk in step.get("people", ())],
            "people_count": next(
                (s.get("count", 1) for s in policy.steps if isinstance(s, dict) and s["who"] == PEOPLE), None
            ),
            "risk": policy.risk,
            "batch_lines": policy.batch_lines,
            "escalate_after_hours": policy.escalate_after_hours,
            "escalate_to": policy.escalate_to,
            "up_to": limit,
            "currency": policy.currency,
            "program": policy.program and policy.program.public_id,
            "participant_type": policy.participant_type,
            "position": policy.position,
            "is_active": policy.is_active,
        }
