"""The one base of every list page: search, filters, tabs, sorting, paging, exports and what to say when there is nothing.

class OrdersPage(ListPage):
    permission, title = "orders.view", _("Orders")
    search = ("number", "recipient_name")
    filterset_class = OrderFilters
    columns = (
        Column("number", _("Number"), link=True, sort="number"),
        Column("amount", _("Amount"), kind="money", sort="amount_minor"),
        Column("status", _("Status"), kind="status", sort="status"),
        Column("placed", _("Placed"), "placed_at", kind="time", sort="placed_at"),
    )
    default_sort = "-placed"

    def get_queryset(self):
        return RewardOrder.objects.visible_to(self.request.user).select_related("product")

One query counts, one reads the page; a column must not need another one per row (select_related in `get_queryset`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import cached_property
from itertools import islice
from typing import Any

import django_filters
from django import forms
from django.contrib import messages
from django.core.exceptions import FieldDoesNotExist
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import Count, F, Q, QuerySet
from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone, translation
from django.utils.text import slugify
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views import View

from incentives.core import audit, exports
from incentives.core.pages import ActionPage, DetailPage, Guarded
from incentives.core.templatetags.laurel import as_money, number, status_parts
from rewards.money import MINOR_DIGITS

__all__ = ["ActionPage", "Bulk", "Column", "DetailPage", "Guarded", "Link", "ListPage", "Rows", "Since", "Tab", "Until"]

PAGE_SIZES = (25, 50, 100)
SEARCH_LENGTH = 200


# --- what a page declares ---------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Column:
    """One column. `value`: an attribute path (`recipient.name`), a callable of the row, or None for the key itself.

    `kind`: text, money (Money or (minor, currency)), number, percent (a ratio), time, date, status.
    `sort`: the ORM field or fields behind the column; without it the column cannot be sorted.
    `link`: True for `row.get_absolute_url()`, or a callable of the row. `note`: a callable or path for a quiet second line.
    `phone`: title, value or hide; by default the first column is the card's title and the first money,
    else the first status, stands beside it.
    `words`: a dict from a status value to its label, for statuses that are no model choices.
    `template`: renders the cell from `row` and `value` instead. `screen` and `export`: where the column appears.
    """

    key: str
    label: Any
    value: str | Callable | None = None
    kind: str = "text"
    sort: str | tuple[str, ...] | None = None
    link: bool | Callable = False
    note: str | Callable | None = None
    phone: str = ""
    words: dict | None = None
    template: str = ""
    screen: bool = True
    export: bool = True

    def of(self, row):
        return resolve(row, self.value or self.key)

    def status(self, row, value) -> dict:
        """Tone, icon and label of a state; the model's own words where it is the model's status."""
        item = row if self.key == "status" and self.value is None else value
        return status_parts(item, (self.words or {}).get(value, ""))

    @property
    def numeric(self) -> bool:
        return self.kind in {"money", "number", "percent"}


@dataclass(frozen=True)
class Tab:
    """A part of the list behind a tab with its count. `where`: a Q, or a callable of the user that gives one."""

    key: str
    label: Any
    where: Q | Callable = field(default_factory=Q)

    def q(self, user) -> Q:
        return self.where(user) if callable(self.where) else self.where


@dataclass(frozen=True)
class Link:
    """A button beside the title. Shown to those with `permission`."""

    label: Any
    to: str
    permission: str | None = None
    icon: str = ""
    primary: bool = False


@dataclass(frozen=True)
class Bulk:
    """Checkboxes and a bar of buttons over the table: a plain POST of `ids` (the rows' public ids) and `action` to `to`.

    `buttons`: (value, label, look) with look primary, danger or empty. `amount`: Money of a row, added up while ticking.
    `can`: whether a row may be ticked.
    """

    to: str
    buttons: tuple[tuple[str, Any, str], ...]
    permission: str
    amount: Callable | None = None
    can: Callable = lambda row: True
    label: Callable = str


def resolve(row, path: str | Callable):
    """A value by attribute path or callable; None as soon as a part is missing, methods are called."""
    if callable(path):
        return path(row)
    for part in path.split("."):
        row = getattr(row, part, None)
        if callable(row):
            row = row()
        if row is None:
            return None
    return row


class Rows(list):
    """Computed rows, as far as a list page asks a queryset: a page that overrides `rows` may give these."""

    def count(self, *args):
        return super().count(*args) if args else len(self)

    def iterator(self, chunk_size: int | None = None) -> Iterator:
        return iter(self)


class _Day(django_filters.DateFilter):
    """A calendar day in the person's time zone, for a moment stored in UTC."""

    field_class = forms.DateField

    def __init__(self, *args, **kwargs):
        kwargs.setdefault("widget", forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}))
        super().__init__(*args, **kwargs)

    @staticmethod
    def midnight(day: date) -> datetime:
        return timezone.make_aware(datetime.combine(day, time.min))


class Since(_Day):
    """From the beginning of a day. `Since(field_name="at", label=_("From"))`"""

    def filter(self, qs, value):
        return qs if value is None else qs.filter(**{f"{self.field_name}__gte": self.midnight(value)})


class Until(_Day):
    """To the end of a day."""

    def filter(self, qs, value):
        if value is None or value == date.max:
            return qs
        return qs.filter(**{f"{self.field_name}__lt": self.midnight(value + timedelta(days=1))})


# --- the page -----------------------------------------------------------------------------------------------------------
class ListPage(Guarded, View):
    title: Any = ""
    lead: Any = ""
    columns: tuple[Column, ...] = ()
    search: tuple[str, ...] = ()
    search_hint: Any = _("Search")
    filterset_class: type[django_filters.FilterSet] | None = None
    tabs: tuple[Tab, ...] = ()
    default_sort = ""
    """A sortable column's key, with a minus for descending. Empty: newest first by primary key."""
    actions: tuple[Link, ...] = ()
    bulk: Bulk | None = None
    bulk_url = ""
    """Where the ticked rows go, for a page whose address has arguments; else `bulk.to` names it."""
    export_name = ""
    """File name of exports, and their name in the audit trail. Empty: no exports."""
    export_permission: str | None = None
    empty_icon, empty_title, empty_text = "search", _("Nothing here yet"), ""
    empty_action: Link | None = None
    template_name = "list.html"
    results_template = "components/results.html"
    page_sizes = PAGE_SIZES

    def get_queryset(self) -> QuerySet:
        raise NotImplementedError

    def get_context(self) -> dict:
        """More for the template, for example key figures above the table."""
        return {}

    # --- the request's wishes, each checked against what the page declares
    @cached_property
    def query(self) -> str:
        return self.request.GET.get("q", "").replace("\x00", "").strip()[:SEARCH_LENGTH]

    @cached_property
    def per(self) -> int:
        wanted = self.request.GET.get("per", "")
        return int(wanted) if wanted in {str(size) for size in PAGE_SIZES} else PAGE_SIZES[0]

    @cached_property
    def tab(self) -> Tab | None:
        wanted = self.request.GET.get("tab", "")
        return next((tab for tab in self.tabs if tab.key == wanted), self.tabs[0] if self.tabs else None)

    @cached_property
    def sorting(self) -> tuple[Column | None, bool]:
        """(column, descending)"""
        known = {column.key: column for column in self.columns if column.sort}
        for wanted in (self.request.GET.get("sort", ""), self.default_sort):
            if wanted.removeprefix("-") in known:
                return known[wanted.removeprefix("-")], wanted.startswith("-")
        return None, True

    @cached_property
    def filters(self) -> django_filters.FilterSet | None:
        if self.filterset_class is None:
            return None
        data = self.request.GET.copy()
        for key in list(data):
            data.setlist(key, [value.replace("\x00", "") for value in data.getlist(key)])
        return self.filterset_class(data, queryset=self.base, request=self.request)

    @cached_property
    def base(self) -> QuerySet:
        return self.get_queryset()

    # --- the rows
    def rows(self) -> QuerySet:
        """What matches, in order. A wrong filter value matches nothing, and says so."""
        qs = self.base
        if self.filters is not None:
            qs = self.filters.qs if self.filters.is_valid() else qs.none()
        if self.tab:
            qs = qs.filter(self.tab.q(self.request.user))
        for word in self.query.split():
            anywhere = Q()
            for name in self.search:
                anywhere |= Q(**{f"{name}__icontains": word})
            qs = qs.filter(anywhere)
        return self.sort(qs)

    def sort(self, qs: QuerySet) -> QuerySet:
        """By the column asked for, empty values last on every database, then newest first, so that no two pages overlap."""
        column, descending = self.sorting
        paths = () if column is None else (column.sort,) if isinstance(column.sort, str) else column.sort
        return qs.order_by(*[_order(qs.model, path, descending) for path in paths], "-pk")

    def get(self, request, *args, **kwargs) -> HttpResponse:
        if request.GET.get("export"):
            return self.export(request.GET["export"])
        context = self.context()
        if request.headers.get("HX-Target") == "results" and not request.headers.get("HX-History-Restore-Request"):
            return render(request, self.results_template, context)
        return render(request, self.template_name, context)

    # --- what the templates get
    def context(self) -> dict:
        page = Paginator(self.rows(), self.per).get_page(self.request.GET.get("page"))
        user = self.request.user
        return {
            "list": self,
            "title": self.title,
            "lead": self.lead,
            "page": page,
            "total": page.paginator.count,
            "bulk_shown": self.bulk is not None and user.can(self.bulk.permission),
            "rows": [self.row(row) for row in page.object_list],
            "headers": self.headers(),
            "chips": self.chips(),
            "tab_links": self.tab_links(),
            "page_actions": [link for link in self.actions if link.permission is None or user.can(link.permission)],
            "may_export": self.may_export(),
            "narrowed": bool(self.query or self.chips() or (self.filters is not None and not self.filters.is_valid())),
            "announce": ngettext("%(n)s row", "%(n)s rows", page.paginator.count) % {"n": number(page.paginator.count)},
            "empty_action": self._empty_action(user),
            **self.get_context(),
        }

    def _empty_action(self, user) -> Link | None:
        link = self.empty_action
        return link if link and (link.permission is None or user.can(link.permission)) else None

    def address(self, **changes) -> str:
        """This page with parts of the query string changed; None removes one. Any change but of the page goes to page 1."""
        query = self.request.GET.copy()
        for name in ("page", "export"):
            query.pop(name, None)
        for name, value in changes.items():
            if value is None:
                query.pop(name, None)
            else:
                query[name] = value
        return f"{self.request.path}?{query.urlencode()}" if query else self.request.path

    @cached_property
    def shown(self) -> list[Column]:
        return [column for column in self.columns if column.screen]

    @cached_property
    def roles(self) -> dict[str, str]:
        """Each column's place on a phone's card."""
        places = {column.key: column.phone for column in self.shown if column.phone}
        if "title" not in places.values() and self.shown:
            places.setdefault(self.shown[0].key, "title")
        if "value" not in places.values():
            free = [column for column in self.shown if column.key not in places]
            beside = [c for kind in ("money", "status") for c in free if c.kind == kind]
            if beside:
                places[beside[0].key] = "value"
        return places

    def headers(self) -> list[dict]:
        current, descending = self.sorting
        result = []
        for column in self.shown:
            state = ("descending" if descending else "ascending") if column is current else ""
            follow = column.key if state == "descending" else f"-{column.key}"
            if not state:
                follow = f"-{column.key}" if column.numeric or column.kind in {"time", "date"} else column.key
            url = self.address(sort=follow) if column.sort else ""
            result.append({"column": column, "url": url, "state": state, "place": self.roles.get(column.key, "")})
        return result

    def row(self, row) -> dict:
        cells = [self.cell(column, row) for column in self.shown]
        tick = None
        if self.bulk is not None and self.bulk.can(row):
            cash = as_money(self.bulk.amount(row)) if self.bulk.amount else None
            tick = {
                "id": getattr(row, "public_id", row.pk),
                "label": self.bulk.label(row),
                "money": cash,
                "digits": MINOR_DIGITS[cash.currency] if cash else 0,
            }
        return {"object": row, "cells": cells, "tick": tick}

    def cell(self, column: Column, row) -> dict:
        value = column.of(row)
        link = column.link(row) if callable(column.link) else row.get_absolute_url() if column.link else ""
        state = column.status(row, value) if column.kind == "status" else None
        note = resolve(row, column.note) if column.note else ""
        empty = value is None or value == ""
        return {
            "column": column,
            "value": value,
            "state": state,
            "link": link,
            "note": note,
            "empty": empty,
            "place": self.roles.get(column.key, ""),
        }

    def tab_links(self) -> list[dict]:
        if not self.tabs:
            return []
        user = self.request.user
        counts = self.base.aggregate(**{f"n{i}": Count("pk", filter=tab.q(user)) for i, tab in enumerate(self.tabs)})
        return [
            {"url": self.address(tab=tab.key if i else None), "label": tab.label, "count": counts[f"n{i}"], "current": tab is self.tab}
            for i, tab in enumerate(self.tabs)
        ]  # fmt: skip

    def chips(self) -> list[dict]:
        """The filters that are set, each with the address without it."""
        if self.filters is None or not self.filters.is_valid():
            return []
        chips = []
        for name, value in self.filters.form.cleaned_data.items():
            shown = _shown(self.filters.form.fields[name], value)
            if shown:
                chips.append(
                    {"label": self.filters.form[name].label, "value": shown, "url": self.address(**{name: None})}
                )
        return chips

    @property
    def clear_url(self) -> str:
        return self.request.path

    # --- exports
    def may_export(self) -> bool:
        return bool(self.export_name) and (
            self.export_permission is None or self.request.user.can(self.export_permission)
        )

    def export(self, kind: str) -> HttpResponse:
        """All matching rows in the order shown, as `csv` or `xlsx`. Recorded in the audit trail."""
        problem = self.export_problem(kind, rows := self.rows())
        if problem:
            messages.error(self.request, problem)
            return redirect(self.address(export=None))
        name = f"{slugify(self.export_name)}-{timezone.localdate():%Y-%m-%d}.{kind}"
        self.record_export(kind)
        chunks = export_chunks([c for c in self.columns if c.export], rows)
        header = next(chunks)
        if kind == "csv":
            response = StreamingHttpResponse(exports.csv_chunks(header, chunks), content_type="text/csv; charset=utf-8")
            response["Content-Disposition"] = f'attachment; filename="{name}"'
            return response
        return FileResponse(exports.xlsx_file(str(self.title), header, chunks), as_attachment=True, filename=name)

    def export_problem(self, kind: str, rows: QuerySet) -> str:
        if kind not in {"csv", "xlsx"} or not self.may_export():
            return gettext("This list cannot be exported that way. Choose CSV or Excel under Export.")
        if self.filters is not None and not self.filters.is_valid():
            return gettext("Nothing was exported: a filter has a value that cannot be used.")
        if kind == "xlsx" and rows.count() > exports.XLSX_ROWS:
            return gettext("An Excel file holds at most %(n)s rows here. Narrow the list, or take the CSV.") % {
                "n": number(exports.XLSX_ROWS)
            }
        return ""

    def record_export(self, kind: str) -> None:
        with transaction.atomic():
            details = {"list": self.export_name, "format": kind}
            audit.record("list.exported", self.request.user, actor=self.request.user, after=details)


def _order(model, path: str, descending: bool):
    flip = descending != path.startswith("-")
    name = path.removeprefix("-")
    if not _nullable(model, name):
        return f"-{name}" if flip else name
    return F(name).desc(nulls_last=True) if flip else F(name).asc(nulls_last=True)


def _nullable(model, path: str) -> bool:
    """Whether the field may be empty; annotations count as such. A plain order can use an index."""
    for part in path.split("__"):
        if model is None:
            return True
        try:
            found = model._meta.pk if part == "pk" else model._meta.get_field(part)
        except FieldDoesNotExist:
            return True
        if getattr(found, "null", True):
            return True
        model = found.related_model
    return False


def _shown(form_field, value) -> str:
    """A filter's value in words, empty when it is not set."""
    if value is None or value == "" or (hasattr(value, "__len__") and not len(value)):
        return ""
    if isinstance(value, (QuerySet, list, tuple, set)):
        return ", ".join(_shown(form_field, item) for item in value)
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    if isinstance(value, date):
        from django.utils.formats import date_format

        return date_format(value, gettext("j M Y"))
    return str(dict(form_field.choices).get(value, value)) if _static_choices(form_field) else str(value)


def _static_choices(form_field) -> bool:
    return hasattr(form_field, "choices") and not isinstance(form_field, forms.ModelChoiceField)


# --- rows of an export ---------------------------------------------------------------------------------------------------
def export_chunks(columns: list[Column], rows: QuerySet) -> Iterator[list]:
    """First the header, then lists of up to CHUNK rows. The zone and language of the moment hold to the end, although a
    streamed answer is written after the middleware has put them back."""
    zone, language = timezone.get_current_timezone(), translation.get_language()
    yield [label for column in columns for label in _labels(column, zone)]
    source = rows.iterator(chunk_size=exports.CHUNK)
    while batch := list(islice(source, exports.CHUNK)):
        with translation.override(language):
            lines = [[value for column in columns for value in _values(column, row, zone)] for row in batch]
        yield lines


def _labels(column: Column, zone) -> list[str]:
    label = str(column.label)
    if column.kind == "money":
        return [label, gettext("%(label)s currency") % {"label": label}]
    return [f"{label} ({zone})"] if column.kind == "time" else [label]


def _values(column: Column, row, zone) -> list:
    value = column.of(row)
    if column.kind == "money":
        cash = as_money(value)
        return [None, None] if cash is None else [cash.decimal, cash.currency]
    if value is None or value == "":
        return [None]
    if column.kind == "time":
        return [timezone.localtime(value, zone)]
    if column.kind == "status":
        return [str(column.status(row, value)["label"])]
    return [value if isinstance(value, date) or column.numeric else str(value)]
