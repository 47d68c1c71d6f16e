"""Who can earn in a program: its rule, the people invited beyond it, and those excluded from it.

The rules decide in the end (`programs.rules.crediting`); here the same is asked of the database, so that thousands of people
can be listed, and of one person, so that the answer can be told in words. A test keeps the three alike.
"""

from django.db.models import BooleanField, Case, CharField, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce, NullIf
from django.utils.translation import gettext

from incentives.participants.models import Participant
from incentives.programs.models import Enrollment, Program
from incentives.programs.rules.crediting import ineligible
from incentives.programs.rules.facts import Person
from incentives.programs.rules.schema import Definition

INVITED, EXCLUDED = Enrollment.State.INVITED, Enrollment.State.EXCLUDED


def by_rule(definition: Definition) -> Q:
    """Who matches the lists of `eligible`. Needs the annotation `own_region` of `people`. Invited people are not asked."""
    rule = definition.eligible
    if rule.invited_only:
        return Q(pk__in=[])
    where = Q()
    for name, allowed in (
        ("type", rule.types),
        ("team__code", rule.teams),
        ("partner__code", rule.partners),
        ("partner__tier", rule.partner_tiers),
        ("own_region", rule.regions),
    ):
        if allowed:
            where &= Q(**{f"{name}__in": allowed})
    return where


def with_region() -> QuerySet[Participant]:
    """Everybody with `own_region`: the person's, else the team's, else the partner's."""
    region = Coalesce(
        NullIf("region", Value("")), NullIf("team__region", Value("")), NullIf("partner__region", Value(""))
    )
    return Participant.objects.annotate(own_region=region)


def people(program: Program, definition: Definition) -> QuerySet[Participant]:
    """Everybody, with `enrolled` (invited, excluded or None), `enrolled_reason`, `matches` (the rule fits) and `can_earn`."""
    rows = Enrollment.objects.filter(program=program, participant=OuterRef("pk"))
    found = with_region().annotate(
        enrolled=Subquery(rows.values("state")[:1], output_field=CharField()),
        enrolled_reason=Subquery(rows.values("reason")[:1], output_field=CharField()),
    )
    rule = by_rule(definition)
    matches = Value(True, BooleanField()) if not rule else Case(When(rule, then=True), default=False)
    return found.annotate(matches=matches).annotate(
        can_earn=Case(
            When(enrolled=EXCLUDED, then=False), When(enrolled=INVITED, then=True), When(matches=True, then=True),
            default=False,
        )
    ).select_related("team", "partner")  # fmt: skip


def eligible_people(program: Program, definition: Definition) -> QuerySet[Participant]:
    """Those of `people` who can earn."""
    return people(program, definition).filter(can_earn=True)


def person_of(row: Participant) -> Person:
    """What the rule reads of a participant."""
    team, partner = row.team, row.partner
    return Person(
        key=row.key,
        type=row.type,
        team=team.code if team else None,
        partner=partner.code if partner else None,
        partner_tier=(partner.tier or None) if partner else None,
        region=row.region or (team.region if team else "") or (partner.region if partner else "") or None,
        name=row.name,
    )


def can_earn(definition: Definition, row: Participant, enrolled: str | None) -> bool:
    """Of one person, with team and partner loaded, as `people` answers it."""
    return not ineligible(definition, person_of(row), {row.key: enrolled} if enrolled else {})


def why(definition: Definition, row: Participant, enrolled: str | None, reason: str = "") -> str:
    """Why this person can earn or cannot, in one or two sentences."""
    because = f" {reason}" if reason else ""
    if enrolled == EXCLUDED:
        return gettext("Cannot earn: excluded by a manager.") + because
    if enrolled == INVITED:
        return gettext("Can earn: invited by a manager.") + because
    if definition.eligible.invited_only:
        return gettext("Cannot earn: only invited people can, and nobody has invited them.")
    if found := ineligible(definition, person_of(row)):
        return gettext("Cannot earn: %(why)s.") % {"why": found}
    if not any((definition.eligible.types, definition.eligible.teams, definition.eligible.partners,
                definition.eligible.partner_tiers, definition.eligible.regions)):  # fmt: skip
        return gettext("Can earn: the program is for everybody.")
    return gettext("Can earn: matches the rule.")
