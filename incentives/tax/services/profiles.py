"""Recording what finance knows of a person's tax status."""

from datetime import date

from django.db import transaction
from django.utils import timezone

from incentives.core import audit
from incentives.core.errors import NotAllowed
from incentives.tax.errors import ProfileInvalid
from incentives.tax.identifiers import refuse_identifiers
from incentives.tax.models import Classification, TaxProfile, TaxProfileChange
from incentives.tax.services.holds import lock_profile, utc_today
from incentives.tax.sources import waiting

FIELDS = ("classification", "country", "form_kind", "form_on_file_since", "form_expires_on", "note")
FORM = ("form_kind", "form_on_file_since", "form_expires_on")


def save_profile(
    *,
    participant,
    actor,
    classification: str = "",
    country: str = "",
    form_kind: str = "",
    form_on_file_since: date | None = None,
    form_expires_on: date | None = None,
    note: str = "",
) -> tuple[TaxProfile, int, int]:
    """Record the whole profile; the actor is who saw the form. Returns (profile, holds placed, holds lifted).

    In the same transaction the person's payouts that await approval are looked at again: what needs no tax hold any more is
    let go, what needs one now is held. A repeat writes nothing. The audit trail says that, who and when; what stands in the
    profile's own history, because auditors and administrators read the trail.
    Raises NotAllowed (not finance, or one's own profile), IdentifierRefused, ProfileInvalid.
    """
    require(actor, participant)
    values = {
        "classification": classification,
        "country": country.strip().upper(),
        "form_kind": form_kind.strip(),
        "form_on_file_since": form_on_file_since,
        "form_expires_on": form_expires_on,
        "note": note.strip(),
    }
    _check(values)
    with transaction.atomic():
        waiting().lock(participant.pk)
        profile = lock_profile(participant)
        before, after = shown(profile), _shown(values)
        if before == after:
            return profile, 0, 0
        for name, value in values.items():
            setattr(profile, name, value)
        if any(before[name] != after[name] for name in FORM):
            seen = bool(profile.form_kind)
            profile.seen_by, profile.seen_at = (actor, timezone.now()) if seen else (None, None)
        profile.save()
        TaxProfileChange.objects.create(
            profile=profile, before=before, after=after, actor=actor, actor_name=str(actor)[:200]
        )
        audit.record("tax_profile.recorded", participant, actor=actor)
        placed, lifted = waiting().follow(participant, actor=actor, lower=True)
    return profile, placed, lifted


def release(*, participant, actor, reason: str) -> int:
    """Let go every payout of the person that waits for a tax review. Returns how many; a repeat finds none.

    Raises NotAllowed (not finance, or one's own), ProfileInvalid (no reason).
    """
    require(actor, participant)
    if not reason.strip():
        raise ProfileInvalid("Say what was reviewed; the reason is kept with each hold.")
    refuse_identifiers(reason)
    with transaction.atomic():
        waiting().lock(participant.pk)
        lock_profile(participant)
        return waiting().release(participant, actor=actor, reason=reason.strip()[:300])


def require(actor, participant=None) -> None:
    if not actor.can("tax.edit"):
        raise NotAllowed("Only finance may record tax details.")
    if participant is not None and participant.user_id == actor.pk:
        raise NotAllowed("These are your own tax details, so another person of finance must record them.")


def _check(values: dict) -> None:
    refuse_identifiers(values["note"], values["form_kind"])
    if values["classification"] and values["classification"] not in Classification.values:
        raise ProfileInvalid("classification: choose one of the list, or leave it to the participant's type.")
    if values["country"] and not (
        len(values["country"]) == 2 and values["country"].isascii() and values["country"].isalpha()
    ):
        raise ProfileInvalid("country: two letters such as US, or empty for the participant's own.")
    since, until = values["form_on_file_since"], values["form_expires_on"]
    if bool(values["form_kind"]) != bool(since):
        raise ProfileInvalid("A form needs both its kind and the day since which it is on file.")
    if since and since > utc_today():
        raise ProfileInvalid("The form cannot be on file since a day that has not come yet.")
    if until and (since is None or until < since):
        raise ProfileInvalid("valid until: needs a form, and cannot be before the day it came on file.")
    if len(values["form_kind"]) > 20 or len(values["note"]) > 300:
        raise ProfileInvalid("The form's name may have 20 characters, the note 300.")


def shown(profile: TaxProfile) -> dict:
    return _shown({name: getattr(profile, name) for name in FIELDS})


def _shown(values: dict) -> dict:
    return {name: "" if values[name] is None else str(values[name]) for name in FIELDS}
