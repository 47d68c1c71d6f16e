"""How a state looks: a tone and an icon for every status word used anywhere. Colour never stands alone."""

_TONES = {
    "success": (
        "done",
        "active approved given answered corrected completed confirmed done delivered fulfilled eligible enrolled funded healthy issued matched ok "
        "paid passed processed published redeemed resolved settled spent succeeded verified won yes",
    ),
    "info": ("clock", "pending_review proposed queued scheduled submitted waiting new received upcoming open invited"),
    "held": ("pause", "hold held on_hold carried paused unfunded parked disputed"),
    "warn": (
        "alert",
        "review in_review unknown unresolved exception exceptions quarantined quarantine partial stale "
        "expiring warning late reopened",
    ),
    "danger": ("failed", "failed rejected refused error invalid overdrawn mismatch lost broken"),
    "quiet": ("dot", "draft closed archived ended expired inactive disabled superseded none no"),
}
_LOOKS = {word: (tone, icon) for tone, (icon, words) in _TONES.items() for word in words.split()}
_LOOKS |= {
    "running": ("success", "play"),
    "pending": ("info", "clock"),
    "sending": ("info", "send"),
    "submitting": ("info", "send"),
    "sent": ("info", "send"),
    "placed": ("info", "send"),
    "batched": ("info", "send"),
    "ordered": ("info", "send"),
    "committed": ("info", "lock"),
    "reserved": ("info", "lock"),
    "shipped": ("info", "truck"),
    "processing": ("info", "refresh"),
    "available": ("success", "gift"),
    "to_choose": ("warn", "gift"),
    "stopped": ("quiet", "stop"),
    "excluded": ("danger", "ban"),
    "not_eligible": ("quiet", "dot"),
    "accepted": ("success", "done"),
    "no_account": ("warn", "alert"),
    "cancelled": ("quiet", "ban"),
    "canceled": ("quiet", "ban"),
    "deleted": ("quiet", "trash"),
    "released": ("quiet", "ban"),
    "written_off": ("quiet", "ban"),
    "revealed": ("success", "eye"),
    "opened": ("success", "eye"),
    "unopened": ("warn", "clock"),
    "returned": ("held", "refresh"),
    "withdrawn": ("quiet", "ban"),
    "reversed": ("danger", "failed"),
}


def look(status: str) -> tuple[str, str]:
    """(tone, icon) of a status value in any casing. A word nobody listed is quiet, never an error."""
    return _LOOKS.get(str(status).strip().lower().replace("-", "_").replace(" ", "_"), ("quiet", "dot"))
