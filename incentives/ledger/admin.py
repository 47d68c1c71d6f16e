from django.contrib import admin

from incentives.core.admin import ReadOnlyAdmin
from incentives.ledger.models import Account, Budget, Posting


@admin.register(Budget)
class BudgetAdmin(ReadOnlyAdmin):
    permission = "budgets.view"
    list_display = ["name", "currency", "is_active", "created_at"]


@admin.register(Account)
class AccountAdmin(ReadOnlyAdmin):
    permission = "budgets.view"
    list_display = ["code", "book", "bucket", "currency", "balance"]
    list_filter = ["book", "bucket"]
    search_fields = ["code"]


@admin.register(Posting)
class PostingAdmin(ReadOnlyAdmin):
    permission = "budgets.view"
    list_display = ["posted_at", "kind", "amount", "source", "destination", "cause"]
    list_filter = ["kind"]
    search_fields = ["key", "cause"]
    list_select_related = ["source", "destination"]
