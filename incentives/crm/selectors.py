"""Reading connections, deliveries and activities for pages."""

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from incentives.crm.models import Activity, Connection, Delivery, ImportJob, ObjectState

TROUBLED = (Delivery.Status.QUARANTINED, Delivery.Status.FAILED)


def activities(user) -> QuerySet:
    """Facts the person may see, with what the list shows."""
    rows = Activity.objects.select_related("connection", "object", "participant")
    return rows if user.is_authenticated and user.can("activities.view") else rows.none()


def connections(user) -> QuerySet:
    """Connections with how many deliveries wait and how many are in quarantine (`waiting`, `troubled`)."""
    if not (user.is_authenticated and user.can("connections.view")):
        return Connection.objects.none()

    def count(where: Q):
        rows = Delivery.objects.filter(where, connection=OuterRef("pk")).order_by().values("connection")
        return Coalesce(Subquery(rows.annotate(n=Count("pk")).values("n")), 0)

    return Connection.objects.annotate(
        waiting=count(Q(status=Delivery.Status.PENDING)), troubled=count(Q(status__in=TROUBLED))
    )


def quarantine(user) -> QuerySet:
    """Deliveries a person has to look at."""
    rows = Delivery.objects.filter(status__in=TROUBLED).select_related("connection")
    return rows if user.is_authenticated and user.can("activities.view") else rows.none()


def imports(user) -> QuerySet:
    rows = ImportJob.objects.select_related("connection", "created_by")
    return rows if user.is_authenticated and user.can("activities.import") else rows.none()


def countable() -> QuerySet:
    """Objects that may earn at all: not won before go-live, not a claim that nobody approved."""
    return ObjectState.objects.exclude(kind="").filter(baseline=False).exclude(state=ObjectState.State.PENDING)
