"""A list of people with made-up amounts, to try ListPage's parts; and the addresses of the application around it."""

import django_filters
from django.db.models import Q
from django.urls import path

from incentives.accounts.models import User
from incentives.core.listing import Bulk, Column, ListPage, Since, Tab
from incentives.urls import urlpatterns as application
from rewards.money import Money


class SampleFilters(django_filters.FilterSet):
    language = django_filters.ChoiceFilter(choices=[("en", "English"), ("fr", "French")], label="Language")
    since = Since(field_name="created_at", label="From")

    class Meta:
        model = User
        fields: list[str] = []


def amount(user) -> Money:
    return Money(-150 if user.name.startswith("-") else 123_450, "USD")


class SampleList(ListPage):
    permission = "users.edit"
    title = "Sample"
    search = ("name", "email")
    filterset_class = SampleFilters
    export_name = "sample"
    export_permission = "users.edit"
    default_sort = "name"
    empty_title = "No samples yet"
    tabs = (Tab("all", "All"), Tab("french", "French", Q(language="fr")))
    bulk = Bulk(to="portal:home", buttons=(("approve", "Approve", "primary"),), permission="users.edit", amount=amount)
    columns = (
        Column("name", "Name", sort="name"),
        Column("amount", "=Amount", value=amount, kind="money"),
        Column("last_login", "Seen", kind="time", sort="last_login"),
        Column("language", "Language", sort="language"),
        Column("pk", "Number", kind="number", screen=False),
    )

    def get_queryset(self):
        return User.objects.filter(email__endswith="@sample.test")


urlpatterns = [path("sample/", SampleList.as_view(), name="sample"), *application]
