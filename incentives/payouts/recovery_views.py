"""Recovery: who was paid too much, how it comes back, and giving it up."""

import django_filters
from django.db.models import OuterRef, Q, Subquery, TextField, Value
from django.db.models.fields.json import KT
from django.db.models.functions import Coalesce
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from incentives.core.listing import ActionPage, Column, DetailPage, Link, ListPage, Since, Tab, Until
from incentives.core.models import AuditEvent
from incentives.core.pages import crumbs
from incentives.core.templatetags.laurel import money_text
from incentives.earnings.models import Participation
from incentives.payouts import services, wording
from incentives.payouts.forms import ReasonForm
from incentives.payouts.links import program_url
from incentives.payouts.models import Recovery, WriteOff
from incentives.payouts.recovery_forms import AskedForm, InstalmentForm, WriteOffForm
from incentives.payouts.services.netting import netting_of
from incentives.payouts.services.recovery import may_be_written_off, policy_of
from incentives.payouts.views import PARENT
from incentives.programs.models import Program, ProgramVersion
from rewards.money import Money

HERE = (_("Recovery"), "payouts:recovery")
POLICIES = {
    "next_payout": _("From the next payouts"),
    "write_off": _("Written off once finance agrees"),
    "none": _("Not recovered"),
}


def recovery_url(participation) -> str:
    return reverse("payouts:recovery-one", args=[participation.public_id])


def instalment_words(recovery: Recovery | None) -> str:
    if recovery is None or not recovery.in_instalments:
        return gettext("All of a payout")
    if recovery.percent is not None:
        return gettext("At most %(n)s%% of a payout") % {"n": f"{recovery.percent.normalize():f}"}
    most = Money(recovery.most_minor, recovery.participation.program.currency)
    return gettext("At most %(amount)s of a payout") % {"amount": money_text(most)}


def newest_policy() -> Coalesce:
    """The recovery policy of the version in force, as a column."""
    newest = ProgramVersion.objects.filter(program=OuterRef("participation__program"), published_at__isnull=False)
    policy = newest.order_by("-number").annotate(policy=KT("definition__payout__recovery")).values("policy")[:1]
    return Coalesce(Subquery(policy), Value("next_payout"), output_field=TextField())


class RecoveryFilters(django_filters.FilterSet):
    program = django_filters.ModelChoiceFilter(
        field_name="participation__program",
        queryset=Program.objects.order_by("name"),
        to_field_name="public_id",
        label=_("Program"),
    )
    policy = django_filters.ChoiceFilter(choices=[*POLICIES.items()], label=_("By the program"))
    since = Since(field_name="since", label=_("Since, from"))
    until = Until(field_name="since", label=_("Since, to"))

    class Meta:
        model = Recovery
        fields: list[str] = []


class RecoveryPage(ListPage):
    permission = "recovery.view"
    title = _("Recovery")
    lead = _("What was paid and is no longer earned. It is withheld from later payouts, or written off by two people.")
    search = ("participation__participant__name", "participation__program__name")
    search_hint = _("Person or program")
    filterset_class = RecoveryFilters
    export_name = "recovery"
    export_permission = "reports.export"
    default_sort = "-recoverable"
    empty_icon, empty_title = "done", _("Nothing to recover")
    empty_text = _("When a fact is corrected after its card was issued, the person stands here.")
    actions = (Link(_("Write-offs"), "payouts:write-offs", "recovery.view", "trash"),)
    tabs = (
        Tab("open", _("Recoverable"), Q(recoverable_minor__gt=0)),
        Tab("written_off", _("Written off"), Q(written_off_minor__gt=0)),
        Tab("all", _("All")),
    )
    columns = (
        Column("who", _("Person"), "participation.participant.name", sort="participation__participant__name",
               link=lambda row: recovery_url(row.participation)),
        Column("program", _("Program"), "participation.program.name", sort="participation__program__name"),
        Column("recoverable", _("Recoverable"), kind="money", sort="recoverable_minor"),
        Column("since", _("Since"), kind="time", sort="since"),
        Column("policy", _("By the program"), lambda row: str(POLICIES.get(row.policy, row.policy)), sort="policy"),
        Column("instalment", _("Withheld"), instalment_words, sort=("percent", "most_minor")),
        Column("written_off", _("Written off"), kind="money", sort="written_off_minor", phone="more",
               value=lambda row: Money(row.written_off_minor, row.participation.program.currency)),
    )  # fmt: skip

    def get_queryset(self):
        rows = Recovery.objects.filter(Q(recoverable_minor__gt=0) | Q(written_off_minor__gt=0) | Q(since__isnull=False))
        return rows.annotate(policy=newest_policy()).select_related(
            "participation__participant", "participation__program"
        )


class ParticipationPage:
    """Those with a recovery row; the recipient's own is not theirs to handle, which the services say."""

    parent = PARENT

    def get_queryset(self):
        rows = Participation.objects.filter(recovery__isnull=False)
        return rows.select_related("program", "participant", "recovery")


class RecoveryOnePage(ParticipationPage, DetailPage):
    permission = "recovery.view"
    template_name = "payouts/recovery.html"

    def get_context(self, thing) -> dict:
        netting, currency = netting_of(thing), thing.program.currency
        may = Money(sum(may_be_written_off(thing).values()), currency)
        proposal = thing.write_offs.filter(status=WriteOff.Status.PROPOSED).first()
        return {
            "crumbs": crumbs(PARENT, HERE),
            "recovery": thing.recovery,
            "recoverable": thing.recovery.recoverable,
            "written_off": Money(thing.recovery.written_off_minor, currency),
            "still_due": Money(netting.gross, currency),
            "next_withholds": Money(netting.withheld, currency),
            "instalment": instalment_words(thing.recovery),
            "policy": POLICIES.get(policy_of(thing), policy_of(thing)),
            "program_url": program_url(thing.program),
            "proposal": proposal,
            "may_write_off": may if may and proposal is None else None,
            "write_offs": list(thing.write_offs.select_related("proposed_by", "decided_by")),
            "payouts": list(thing.payouts.order_by("-pk")[:10]),
            "events": history("earnings.participation", thing.public_id),
        }


def history(target_type: str, public_id) -> list[dict]:
    events = AuditEvent.objects.filter(target_type=target_type, target_id=str(public_id)).order_by("pk")
    rows = []
    for e in events[:200]:
        title, status = wording.event(e.action)
        rows.append({"title": title, "status": status, "at": e.at, "by": e.actor_name, "text": e.reason})
    return rows


class RecoveryAction(ParticipationPage, ActionPage):
    permission = "recovery.propose"

    def success_url(self, thing) -> str:
        return recovery_url(thing)

    def get_context(self, thing) -> dict:
        here = (str(thing.participant), recovery_url(thing))
        return {"text": self.words(thing), "crumbs": crumbs(PARENT, HERE, here)}


class InstalmentsPage(RecoveryAction):
    form_class = InstalmentForm
    title, submit = _("How much of a payout is withheld?"), _("Save")

    def get_form_kwargs(self, thing) -> dict:
        return {"currency": thing.program.currency, "initial": InstalmentForm.initial_of(thing.recovery)}

    def words(self, thing) -> str:
        return gettext("%(amount)s of %(who)s are recoverable. What a payout does not withhold stays recoverable.") % {
            "amount": money_text(thing.recovery.recoverable),
            "who": thing.participant,
        }

    def perform(self, thing, data: dict) -> str:
        services.set_instalments(
            participation=thing,
            actor=self.request.user,
            reason=data["reason"],
            percent=data["percent"],
            most=data["most"],
        )
        return gettext("Saved. It holds from the next payout on.")


class ProposeWriteOffPage(RecoveryAction):
    form_class = WriteOffForm
    title, submit = _("Propose a write-off"), _("Propose")

    def get_form_kwargs(self, thing) -> dict:
        most = Money(sum(may_be_written_off(thing).values()), thing.program.currency)
        return {"currency": thing.program.currency, "initial": {"amount": most.decimal or None}}

    def words(self, thing) -> str:
        most = Money(sum(may_be_written_off(thing).values()), thing.program.currency)
        return gettext(
            "At most %(amount)s can be written off now: what is recoverable less what is still to be paid and what payouts "
            "under way withhold. Another person of finance decides; until then payouts are still withheld."
        ) % {"amount": money_text(most)}

    def perform(self, thing, data: dict) -> str:
        services.propose_write_off(
            participation=thing, amount=data["amount"], reason=data["reason"], actor=self.request.user
        )
        return gettext("Proposed. Another person of finance decides.")


# --- write-offs -----------------------------------------------------------------------------------------------------------
def proposer(row) -> str:
    return str(row.proposed_by or "Laurel")


class WriteOffFilters(django_filters.FilterSet):
    program = django_filters.ModelChoiceFilter(
        field_name="participation__program",
        queryset=Program.objects.order_by("name"),
        to_field_name="public_id",
        label=_("Program"),
    )
    by_policy = django_filters.BooleanFilter(label=_("By the program's policy"))
    since = Since(field_name="proposed_at", label=_("From"))
    until = Until(field_name="proposed_at", label=_("To"))

    class Meta:
        model = WriteOff
        fields: list[str] = []


class WriteOffsPage(ListPage):
    permission = "recovery.view"
    title = _("Write-offs")
    lead = _("What was paid too much and is given up: proposed by one person, decided by another one of finance.")
    search = ("participation__participant__name", "participation__program__name", "reason")
    search_hint = _("Person, program or reason")
    filterset_class = WriteOffFilters
    export_name = "write-offs"
    export_permission = "reports.export"
    default_sort = "-proposed_at"
    empty_icon, empty_title = "done", _("No write-offs")
    tabs = (
        Tab("proposed", _("Waits for finance"), Q(status="proposed")),
        Tab("approved", _("Written off"), Q(status="approved")),
        Tab("ended", _("Not agreed"), Q(status__in=("declined", "withdrawn"))),
        Tab("all", _("All")),
    )
    columns = (
        Column("who", _("Person"), "participation.participant.name", sort="participation__participant__name", link=True),
        Column("program", _("Program"), "participation.program.name", sort="participation__program__name"),
        Column("amount", _("Amount"), kind="money", sort="amount_minor"),
        Column("reason", _("Reason")),
        Column("status", _("State"), kind="status", sort="status"),
        Column("proposed_by", _("Proposed by"), proposer, sort="proposed_by__name"),
        Column("proposed_at", _("Proposed"), kind="time", sort="proposed_at"),
        Column("decided_by", _("Decided by"), sort="decided_by__name"),
        Column("decided_at", _("Decided"), kind="time", sort="decided_at", screen=False),
    )  # fmt: skip

    @property
    def crumbs(self):
        return crumbs(PARENT, HERE)

    def get_context(self) -> dict:
        return {"crumbs": crumbs(PARENT, HERE)}

    def get_queryset(self):
        related = ("participation__participant", "participation__program", "proposed_by", "decided_by")
        return WriteOff.objects.visible_to(self.request.user).select_related(*related)


class WriteOffPage(DetailPage):
    permission = "recovery.view"
    model = WriteOff
    template_name = "payouts/write_off.html"

    def get_queryset(self):
        related = ("participation__participant", "participation__program", "participation__recovery")
        return super().get_queryset().select_related(*related, "proposed_by", "decided_by")

    def get_context(self, thing) -> dict:
        return {
            "crumbs": crumbs(PARENT, HERE, (_("Write-offs"), "payouts:write-offs")),
            "write_off": thing,
            "open": thing.status == WriteOff.Status.PROPOSED,
            "own": thing.proposed_by_id == self.request.user.pk,
            "proposer": proposer(thing),
            "recovery_url": recovery_url(thing.participation),
            "lines": [
                (line, Money(line.amount_minor, thing.currency)) for line in thing.lines.select_related("object")
            ],
            "events": history("payouts.writeoff", thing.public_id),
            "approve_form": AskedForm(),
            "decline_form": ReasonForm(auto_id="decline_%s"),
            "withdraw_form": ReasonForm(auto_id="withdraw_%s"),
        }


class WriteOffAction(ActionPage):
    model = WriteOff
    form_class = ReasonForm

    def get_queryset(self):
        return super().get_queryset().select_related("participation__participant", "participation__program")

    def get_context(self, thing) -> dict:
        text = gettext("%(amount)s of %(who)s in %(program)s: %(reason)s") % {
            "amount": money_text(thing.amount),
            "who": thing.participation.participant,
            "program": thing.participation.program,
            "reason": thing.reason,
        }
        return {"text": text, "crumbs": crumbs(PARENT, HERE, (_("Write-offs"), "payouts:write-offs"))}


class ApproveWriteOffPage(WriteOffAction):
    permission = "recovery.approve"
    form_class = AskedForm
    title, submit = _("Write this off?"), _("Write off")

    def perform(self, thing, data: dict) -> str:
        services.approve_write_off(write_off=thing, actor=self.request.user)
        return gettext("Written off. It no longer reduces later payouts.")


class DeclineWriteOffPage(WriteOffAction):
    permission = "recovery.approve"
    title, submit, danger = _("Decline this write-off?"), _("Decline"), True

    def perform(self, thing, data: dict) -> str:
        services.decline_write_off(write_off=thing, actor=self.request.user, reason=data["reason"])
        return gettext("Declined. The amount stays recoverable.")


class WithdrawWriteOffPage(WriteOffAction):
    permission = "recovery.propose"
    title, submit, danger = _("Withdraw this proposal?"), _("Withdraw"), True

    def perform(self, thing, data: dict) -> str:
        services.withdraw_write_off(write_off=thing, actor=self.request.user, reason=data["reason"])
        return gettext("Withdrawn.")
