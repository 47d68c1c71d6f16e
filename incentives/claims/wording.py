"""A claim in its partner's words: what state it is in and what to do next; and what happened, without colleagues' remarks."""

from django.utils.translation import gettext as _

from incentives.claims import channel
from incentives.claims.models import Claim
from incentives.core.models import AuditEvent

Status = Claim.Status


def state_for_partner(claim: Claim) -> str:
    """A few plain words for the state."""
    return {
        Status.DRAFT: _("Not sent yet"),
        Status.SUBMITTED: _("Sent"),
        Status.IN_REVIEW: _("Being reviewed"),
        Status.RETURNED: _("Needs your answer"),
        Status.APPROVED: _("Approved"),
        Status.REJECTED: _("Rejected"),
        Status.WITHDRAWN: _("Withdrawn"),
        Status.REVERSED: _("Approval taken back"),
    }[Status(claim.status)]


def next_for_partner(claim: Claim) -> str:
    """What the partner has to do now, or what happens by itself."""
    if claim.editable:
        definition = channel.definition_of(claim.program)
        if late := channel.too_late(claim, definition):
            return late
        until = channel.moment_text(channel.deadline(claim, definition), definition)
        if claim.status == Status.DRAFT:
            return _("Finish it and send it before %(until)s.") % {"until": until}
        return _("Change or add what is asked and send it again before %(until)s.") % {"until": until}
    return {
        Status.SUBMITTED: _("Nothing to do: somebody will look at it."),
        Status.IN_REVIEW: _("Nothing to do: somebody is looking at it."),
        Status.APPROVED: _("It counts. What it earned appears under My rewards."),
        Status.REJECTED: _("It does not count."),
        Status.WITHDRAWN: _("It was taken back and does not count. You can claim the sale anew."),
        Status.REVERSED: _("It no longer counts. What it had earned was corrected."),
    }[Status(claim.status)]


def timeline_for_partner(events: list[AuditEvent]) -> list[dict]:
    """What happened, with the reasons meant for the partner; reviewers have no names here and their remarks are not shown."""
    titles = {
        "claim.started": _("Started"), "claim.submitted": _("Sent"), "claim.returned": _("Returned: please answer"),
        "claim.approved": _("Approved"), "claim.rejected": _("Rejected"), "claim.withdrawn": _("Withdrawn"),
        "claim.reversed": _("The approval was taken back"),
    }  # fmt: skip
    ours = ("claim.returned", "claim.approved", "claim.rejected", "claim.reversed")
    return [
        {
            "title": titles[event.action],
            "at": event.at,
            "status": event.action.removeprefix("claim."),
            "by": _("Program team") if event.action in ours else event.actor_name,
            "text": event.reason if event.action in ours else "",
        }
        for event in events
        if event.action in titles
    ]


def timeline_for_reviewer(events: list[AuditEvent]) -> list[dict]:
    """Everything that happened, with colleagues' remarks."""
    titles = {
        "claim.started": _("Started"), "claim.submitted": _("Sent"), "claim.taken": _("Taken for review"),
        "claim.released": _("Put back into the queue"), "claim.returned": _("Returned for more information"),
        "claim.approved": _("Approved"), "claim.rejected": _("Rejected"), "claim.withdrawn": _("Withdrawn"),
        "claim.reversed": _("Approval taken back"), "claim.changed": _("Changed"),
        "claim.proof_added": _("Proof added"), "claim.proof_removed": _("Proof removed"),
    }  # fmt: skip
    return [
        {
            "title": titles.get(event.action, event.action),
            "at": event.at,
            "status": event.action.removeprefix("claim."),
            "by": event.actor_name,
            "text": _told(event),
        }
        for event in events
    ]


def _told(event: AuditEvent) -> str:
    after = event.after
    parts = [event.reason, after.get("note", "") if event.action != "claim.changed" else ""]
    if event.action == "claim.changed":
        names = [name for name, value in after.items() if event.before.get(name) != value]
        parts.append(", ".join(name.replace("_", " ") for name in names))
    if event.action == "claim.submitted" and not after.get("again"):
        parts = []
    elif event.action == "claim.submitted":
        parts = [_("again, after it was returned")]
    if after.get("file") or event.before.get("file"):
        parts.append(after.get("file") or event.before.get("file"))
    if after.get("covered_by"):
        parts.append(_("covered by %(deal)s") % {"deal": after["covered_by"]})
    return ". ".join(part for part in parts if part)
