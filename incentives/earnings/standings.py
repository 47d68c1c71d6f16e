"""What a sealed standing keeps: its places, its evidence, and what differs from the revision before."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from django.db.models import Q
from django.utils.translation import gettext_noop

from incentives.crm.models import Activity
from incentives.earnings.facts import People
from incentives.earnings.models import ContestSeal, Credit, SealedStanding
from incentives.participants.models import Participant, Partner, Team
from incentives.programs.rules.facts import Standing
from incentives.programs.rules.limits import decimal_text
from incentives.programs.rules.schema import Definition, Rank

CHANGES_KEPT = 200
"""A reversal at the top moves everybody below it: all changed prizes are kept, of mere moves this many."""
CAUSES_KEPT = 20

TIES = {
    "split": gettext_noop("People who tie share the prizes of the ranks they occupy."),
    "same": gettext_noop("People who tie each get the best prize of the ranks they occupy."),
    "earliest": gettext_noop("Of people who tie, who reached the measure first stands first."),
}


# --- places -----------------------------------------------------------------------------------------------------------
def place_rows(definition: Definition, standing: Standing, people: People) -> list[dict]:
    """The places as plain JSON, with names as they are now. Measures are text, prizes minor units."""
    rows = Participant.objects.filter(pk__in=people.ids.values()).values_list("pk", "public_id", "name")
    known = {people.keys[pk]: (str(public_id), name) for pk, public_id, name in rows}
    groups = group_names(standing.by)
    result = []
    for place in standing.places:
        public_id, name = known[place.participant]
        line = standing.lines.get(place.participant)
        result.append(
            {
                "rank": place.rank,
                "tied": place.tied,
                "participant": public_id,
                "key": place.participant,
                "name": name,
                "group": place.group,
                "group_name": groups.get(place.group, name if standing.by == "participant" else place.group),
                "measure": decimal_text(place.measure),
                "reached_at": place.reached_at.isoformat() if place.reached_at else None,
                "prize_minor": place.prize_minor,
                "explanation": line.explanation if line else f"Rank {place.rank}, no prize",
            }
        )
    return result


def group_names(by: str) -> dict[str, str]:
    """Code -> name of the teams or partners a contest is by."""
    model = {"team": Team, "partner": Partner}.get(by)
    return dict(model.objects.values_list("code", "name")) if model else {}


# --- what differs -----------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Difference:
    """Between two revisions. `changes`: one dict per person whose rank, measure or prize differs, changed prizes first;
    `prizes`: public ids of those whose prize differs; `measures`: of those whose measure differs."""

    changes: list[dict] = field(default_factory=list)
    prizes: set[str] = field(default_factory=set)
    measures: set[str] = field(default_factory=set)

    @property
    def anything(self) -> bool:
        return bool(self.changes)


FIELDS = ("rank", "measure", "prize_minor")


def what_differs(before: list[dict], after: list[dict]) -> Difference:
    """Pure. Somebody in one of the two only has None for rank and measure, and a prize of zero, in the other."""
    old, new = ({place["participant"]: place for place in places} for places in (before, after))
    changes = []
    for key in old.keys() | new.keys():
        pairs = {name: [_of(old, key, name), _of(new, key, name)] for name in FIELDS}
        if any(was != now for was, now in pairs.values()):
            changes.append({"participant": key, "name": (new.get(key) or old[key])["name"], **pairs})
    changes.sort(key=lambda c: (c["prize_minor"][0] == c["prize_minor"][1], c["rank"][1] or c["rank"][0], c["name"]))
    return Difference(
        changes,
        {c["participant"] for c in changes if c["prize_minor"][0] != c["prize_minor"][1]},
        {c["participant"] for c in changes if c["measure"][0] != c["measure"][1]},
    )


def _of(places: dict, key: str, name: str):
    return places[key][name] if key in places else 0 if name == "prize_minor" else None


# --- evidence ---------------------------------------------------------------------------------------------------------
def evidence_of(
    seal: ContestSeal, definition: Definition, standing: Standing, before: SealedStanding | None, found: Difference
) -> tuple[dict, str]:
    """(evidence, reason in words) of one revision."""
    reward: Rank = definition.rewards[standing.reward_index]
    facts, late, digest = facts_digest(seal)
    causes = _causes(seal, before, found.measures) if before else []
    evidence = {
        "version": seal.version.number,
        "definition_digest": seal.version.digest,
        "rule": reward.model_dump(mode="json", exclude_none=True),
        "tie_rule": TIES[reward.ties],
        "time_zone": definition.time_zone,
        "facts": facts,
        "facts_digest": digest,
        "late_facts": late,
        "ranked": len({place.group for place in standing.places}),
        "prizes_minor": sum(place.prize_minor for place in standing.places),
    }
    if before:
        kept = [c for n, c in enumerate(found.changes) if n < CHANGES_KEPT or c["participant"] in found.prizes]
        evidence |= {"changes": kept, "changed": len(found.changes), "causes": causes}
    return evidence, _reason(before, causes)


def facts_digest(seal: ContestSeal) -> tuple[int, int, str]:
    """(facts that enter, facts that came too late, SHA-256 over the credits of those that enter, in a fixed order)."""
    rows = Credit.objects.filter(participation__program=seal.program).order_by("object", "participation", "role")
    values = rows.values_list(
        "object__public_id", "object__received_at", "participation__participant__public_id", "role", "measure", "counted_at"
    )  # fmt: skip
    inside, late, sha = set(), set(), hashlib.sha256()
    for fact, received, person, role, measure, counted in values.iterator(chunk_size=5000):
        if received is not None and received >= seal.sealed_at:
            late.add(fact)
            continue
        inside.add(fact)
        sha.update(f"{fact}\t{person}\t{role}\t{decimal_text(measure)}\t{counted.isoformat()}\n".encode())
    return len(inside), len(late), sha.hexdigest()


def _causes(seal: ContestSeal, before: SealedStanding, people: Iterable[str]) -> list[dict]:
    """The corrections recorded since the revision before, about facts of those whose measure changed."""
    people = list(people)
    theirs = Q(participant__public_id__in=people) | Q(object__activities__participant__public_id__in=people)
    theirs |= Q(object__credits__participation__participant__public_id__in=people)
    since = Activity.objects.filter(recorded_at__gt=before.recorded_at).filter(theirs)
    since = since.exclude(object__received_at__gte=seal.sealed_at)
    rows = Activity.objects.filter(pk__in=since.values("pk")).order_by("pk").select_related("object")
    return [
        {
            "activity": str(row.public_id),
            "kind": row.kind,
            "what": row.get_kind_display(),
            "object": str(row.object),
            "at": row.received_at.isoformat(),
        }
        for row in rows[:CAUSES_KEPT]
    ]


def _reason(before: SealedStanding | None, causes: list[dict]) -> str:
    if before is None:
        return "Sealed when the program closed."
    if not causes:
        return "People, eligibility or what the caps leave changed."
    shown = [f"{cause['what']}: {cause['object']}" for cause in causes[:3]]
    more = len(causes) - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more else "") + "."
