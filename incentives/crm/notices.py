"""What connections tell administrators: that a source which should send has been silent for too long."""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models.functions import Coalesce
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from incentives.accounts.selectors import people_who_can
from incentives.crm.models import Connection
from incentives.notifications import CHATS, Content, Item, Reader, announced, kind, notify, once

SILENT = "connections.silent"


def silent(now: datetime | None = None) -> list[Connection]:
    """Active connections that received nothing for longer than they should. One query."""
    now = now or timezone.now()
    rows = Connection.objects.filter(status=Connection.Status.ACTIVE, silent_after_hours__isnull=False)
    rows = rows.annotate(heard_at=Coalesce("last_received_at", "created_at")).order_by("pk")
    return [row for row in rows if row.heard_at <= now - timedelta(hours=row.silent_after_hours)]


def watch_silence(now: datetime | None = None) -> int:
    """Tell administrators once per silence. The sweep calls it. Returns how many connections are newly silent."""
    told = 0
    found = {f"{row.public_id}:{row.heard_at.isoformat()}": row for row in silent(now)}
    known = announced([f"{SILENT}:{key}" for key in found])
    for key, row in found.items():
        if f"{SILENT}:{key}" in known:
            continue
        with transaction.atomic():
            if once(f"{SILENT}:{key}"):
                data = {"connection": str(row.public_id)}
                notify(SILENT, to=people_who_can("connections.edit"), key=key, data=data)
                notify(SILENT, to=CHATS, key=key, data=data)
                told += 1
    return told


def about_silence(items: list[Item], reader: Reader) -> Content | None:
    """Those that are silent still."""
    ids = {item.data["connection"] for item in items}
    rows = [row for row in silent() if str(row.public_id) in ids]
    if not rows:
        return None
    subject = ngettext("Nothing comes from “%(name)s”", "Nothing comes from %(n)s connections", len(rows))
    summary = [
        gettext("%(name)s is silent for more than %(n)s hours.") % {"name": r, "n": r.silent_after_hours} for r in rows
    ]
    return Content(
        subject % {"name": rows[0].name, "n": len(rows)},
        {"connections": rows},
        summary="\n".join(summary),
        link=reverse("crm:connections"),
        link_label=gettext("Look at the connections"),
    )


kind(
    SILENT,
    label=_("A connection is silent"),
    about=_("A source that should send facts has sent none for longer than it is set to."),
    content=about_silence,
    template="connection_silent",
    duty=True,
    chat=True,
    permission="connections.edit",
)
