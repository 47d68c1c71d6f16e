"""Reading people for pages."""

from django.db.models import Case, CharField, Prefetch, Q, QuerySet, Value, When
from django.utils.translation import gettext_lazy as _

from incentives.accounts.models import User, UserRole
from incentives.accounts.permissions import roles_with

STATES = [("active", _("Active")), ("invited", _("Invited")), ("inactive", _("Deactivated"))]


def people() -> QuerySet[User]:
    """Everybody, with roles read in one query and `state`: active, invited (no password chosen yet) or inactive."""
    state = Case(
        When(is_active=False, then=Value("inactive")),
        When(Q(password__startswith="!"), then=Value("invited")),  # noqa: S106 (Django's mark of an unusable password)
        default=Value("active"),
        output_field=CharField(),
    )
    everybody = User.objects.filter(is_service=False)  # machines stand with the API tokens
    return everybody.annotate(state=state).prefetch_related(Prefetch("role_set", UserRole.objects.order_by("role")))


def role_names(user: User) -> str:
    return ", ".join(str(role.get_role_display()) for role in user.role_set.all())


def people_who_can(permission: str) -> list[User]:
    """Everybody active whose role grants it, in the order of their accounts."""
    rows = User.objects.filter(is_active=True, role_set__role__in=roles_with(permission))
    return list(rows.distinct().order_by("pk"))
