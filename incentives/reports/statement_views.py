"""Everybody's statement of a period, one person's, and both as files."""

from datetime import UTC

import django_filters
from django.db import transaction
from django.db.models import BigIntegerField, Case, Count, F, OuterRef, Q, Subquery, Sum, Value, When
from django.db.models.functions import Coalesce
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views import View

from incentives.core import audit
from incentives.core.listing import Column, Guarded, ListPage, Tab
from incentives.core.pages import crumbs
from incentives.earnings.models import Earning, Participation
from incentives.participants.models import Participant, Partner, Team
from incentives.payouts.models import Payout, WriteOffLine
from incentives.reports import statement as statements
from incentives.reports.periods import Period, period_of, periods
from incentives.reports.statement_pdf import file_name, movements, statement_pdf
from incentives.tax.selectors import year_lines
from rewards.money import Money

REPORTS = (_("Reports"), "reports:list")
LIST = (_("Statements"), "reports:statements")


def utc_today():
    return timezone.now().astimezone(UTC).date()


def chosen_period(request, default: str = "") -> Period:
    """The period of the query string; by default the present year."""
    today = utc_today()
    return period_of(request.GET.get("period", ""), today) or period_of(default or str(today.year), today)


def period_choices(since=None) -> list[tuple[str, str]]:
    today = utc_today()
    return [(period.key, str(period)) for period in periods(since or today, today)]


# --- everybody ----------------------------------------------------------------------------------------------------------
def with_movements(people, period: Period, currency: str):
    """Participants with `opening`, `earned`, `corrected`, `written_off` and `delivered` (minor units of `currency`), as
    statement.statement_of computes them, and `closing`. All in the one query of the list."""
    earnings = Earning.objects.filter(currency=currency)
    offs = WriteOffLine.objects.filter(participation__program__currency=currency)
    paid = Payout.objects.filter(currency=currency, status=Payout.Status.FULFILLED)
    inside = statements.booked_in(period)
    from_start = {} if period.start is None else {"gte": period.start}

    def at(field: str) -> Q:
        return Q(**{f"{field}__lt": period.stop}, **{f"{field}__{k}": v for k, v in from_start.items()})

    found = people.annotate(
        earned=_sum(earnings.filter(inside, amount_minor__gt=0), "participation__participant"),
        corrected=_sum(earnings.filter(inside, amount_minor__lt=0), "participation__participant"),
        written_off=_sum(offs.filter(at("at")), "participation__participant"),
        delivered=_sum(paid.filter(at("order__finished_at")), "participant"),
        opening=Value(0, BigIntegerField()) if period.first is None else (
            _sum(earnings.filter(statements.booked_before(period.first)), "participation__participant")
            + _sum(offs.filter(at__lt=period.start), "participation__participant")
            - _sum(paid.filter(order__finished_at__lt=period.start), "participant")
        ),
    )  # fmt: skip
    return found.annotate(
        closing=F("opening") + F("earned") + F("corrected") + F("written_off") - F("delivered"),
        moved=Case(
            When(~Q(opening=0) | Q(earned__gt=0) | Q(corrected__lt=0) | ~Q(written_off=0) | Q(delivered__gt=0), then=True),
            default=False,
        ),
    )  # fmt: skip


def _sum(rows, person: str):
    grouped = rows.filter(**{person: OuterRef("pk")}).order_by().values(person)
    return Coalesce(Subquery(grouped.annotate(n=Sum("amount_minor")).values("n"), output_field=BigIntegerField()), 0)


class StatementFilters(django_filters.FilterSet):
    """Period and currency say what the columns add up; the rest narrows the people."""

    period = django_filters.ChoiceFilter(label=_("Period"), method="same", empty_label=None)
    currency = django_filters.ChoiceFilter(label=_("Currency"), method="same", empty_label=None)
    type = django_filters.ChoiceFilter(label=_("Type"), choices=Participant.Type.choices)
    team = django_filters.ModelChoiceFilter(label=_("Team"), queryset=Team.objects.all(), to_field_name="public_id")
    partner = django_filters.ModelChoiceFilter(
        label=_("Partner"), queryset=Partner.objects.all(), to_field_name="public_id"
    )

    class Meta:
        model = Participant
        fields: list[str] = []

    def __init__(self, *args, choices=(), currencies=(), **kwargs):
        super().__init__(*args, **kwargs)
        self.filters["period"].extra["choices"] = choices
        self.filters["currency"].extra["choices"] = [(code, code) for code in currencies]

    def same(self, rows, name, value):
        return rows


class StatementsPage(ListPage):
    permission = "reports.view"
    title = _("Statements")
    lead = _(
        "What each person earned and was paid in a period: the opening balance and the movements make the closing one."
    )
    search = ("name", "email", "external_user_id", "employee_number")
    search_hint = _("Name, e-mail or id")
    default_sort = "name"
    export_name, export_permission = "statements", "reports.export"
    empty_icon, empty_title = "reports", _("No statement yet")
    empty_text = _("People appear here as soon as they earn something.")
    template_name = "reports/statements.html"
    tabs = (
        Tab("moved", _("With a balance or a movement"), Q(moved=True)),
        Tab("all", _("Everybody")),
    )

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        def money(name, label, **more):
            return Column(
                name, label, lambda row: Money(getattr(row, name), self.currency), kind="money", sort=name, **more
            )

        return (
            Column("name", _("Participant"), sort="name", link=self.link, note=lambda row: row.team or row.partner),
            Column("external_user_id", _("External id"), screen=False),
            Column("employee_number", _("Employee number"), screen=False),
            Column("period", _("Period"), lambda row: self.period.key, screen=False),
            money("opening", _("Opening")),
            money("earned", _("Earned")),
            money("corrected", _("Corrections")),
            money("written_off", _("Written off")),
            money("delivered", _("Delivered")),
            money("closing", _("Closing"), phone="value"),
        )  # fmt: skip

    def link(self, row) -> str:
        return f"{reverse('reports:statement', args=[row.public_id])}?period={self.period.key}"

    @cached_property
    def period(self) -> Period:
        return chosen_period(self.request)

    @cached_property
    def currencies(self) -> list[str]:
        """Those of programs anybody takes part in, the most used first."""
        rows = Participation.objects.order_by().values_list("program__currency")
        found = sorted(rows.annotate(n=Count("pk")), key=lambda row: (-row[1], row[0]))
        return [code for code, _n in found] or ["USD"]

    @cached_property
    def currency(self) -> str:
        wanted = self.request.GET.get("currency", "")
        return wanted if wanted in self.currencies else self.currencies[0]

    def filterset_class(self, data, queryset, request):
        since = statements.first_day()
        data.setdefault("period", self.period.key)  # so that the form shows what the columns add up
        data.setdefault("currency", self.currency)
        return StatementFilters(
            data, queryset=queryset, request=request, choices=period_choices(since), currencies=self.currencies
        )

    def chips(self) -> list[dict]:
        """Without those for what is shown by default."""
        chips, form = super().chips(), self.filters.form
        own = [form[name].label for name in ("period", "currency") if name not in self.request.GET]
        return [chip for chip in chips if chip["label"] not in own]

    def get_queryset(self):
        people = Participant.objects.visible_to(self.request.user).select_related("team", "partner")
        return with_movements(people, self.period, self.currency)

    def get_context(self) -> dict:
        names = ("opening", "earned", "corrected", "written_off", "delivered", "closing")
        sums = self.rows().order_by().aggregate(**{f"all_{name}": Sum(name) for name in names})
        labels = {column.key: column.label for column in self.columns}
        totals = [(labels[name], Money(sums[f"all_{name}"] or 0, self.currency)) for name in names]
        return {"totals": totals, "period": self.period, "currency": self.currency, "crumbs": crumbs(REPORTS)}


# --- one person ---------------------------------------------------------------------------------------------------------
def context_of(statement, *, base: str, pdf: str) -> dict:
    """What reports/_statement.html shows. `base` and `pdf`: addresses that a period is added to."""
    since = statements.first_day(statement.participant)
    return {
        "statement": statement,
        "participant": statement.participant,
        "period": statement.period,
        "balances": [(b, [(t, Money(minor, b.currency), strong) for t, minor, strong in movements(b)])
                     for b in statement.balances],
        "choices": period_choices(since),
        "base": base,
        "pdf_url": f"{pdf}?period={statement.period.key}",
    }  # fmt: skip


def pdf_response(statement) -> HttpResponse:
    response = HttpResponse(statement_pdf(statement), content_type="application/pdf")
    response["Content-Disposition"] = f'attachment; filename="{file_name(statement)}"'
    response["Cache-Control"] = "private, no-store"
    return response


class Person(Guarded, View):
    permission = "reports.view"

    def statement(self, public_id):
        people = Participant.objects.visible_to(self.request.user).select_related("team", "partner")
        participant = get_object_or_404(people, public_id=public_id)
        found = statements.statement_of(participant, chosen_period(self.request))
        if self.request.user.can("tax.view"):
            found.tax = tax_years(participant, found.period)
        return found


class StatementPage(Person):
    def get(self, request, public_id) -> HttpResponse:
        statement = self.statement(public_id)
        address = [statement.participant.public_id]
        context = context_of(
            statement,
            base=reverse("reports:statement", args=address),
            pdf=reverse("reports:statement-pdf", args=address),
        )
        return render(request, "reports/statement.html", {**context, "crumbs": crumbs(REPORTS, LIST)})


class StatementPdf(Person):
    """Fetching somebody's statement is on record."""

    def get(self, request, public_id) -> HttpResponse:
        statement = self.statement(public_id)
        with transaction.atomic():
            after = {"period": statement.period.key, "format": "pdf"}
            audit.record("statement.exported", statement.participant, actor=request.user, after=after)
        return pdf_response(statement)


def tax_years(participant: Participant, period: Period) -> list[tuple]:
    """(year, line) where the period lies in one year: what finance may see, never the person's statement of their own."""
    if period.first is None or period.first.year != period.last.year:
        return []
    year = period.first.year
    return [(year, line) for line in year_lines(year, [participant.pk])]


def own_title(period: Period) -> str:
    return gettext("Statement %(period)s") % {"period": period}
